"""One library call against its contract: what is decided before it is made, and what must be true afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor.contract import (
    Borrowed,
    Contract,
    Mismatch,
    New,
    Out,
    Outcome,
    PlainCall,
    Scalar,
    Violated,
)
from pytest_vigor.native.structures import NativeVector, Structure

#: What a buffer holds through which nothing has been returned.
UNWRITTEN = 0xCC

#: What structures hold, by address, as far as it is known from their last reading.
Known = dict[int, Mapping[int, Any]]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call with its arguments understood: those of the contract's body, the structures among them, and buffers for
    what is returned through pointers. A call that is not ``watched`` has structures that are too large to compare, or
    that only their contracts know."""

    contract: Contract
    raw: tuple[int, ...]
    arguments: dict[str, Any]
    structures: dict[str, Structure | None]
    buffers: dict[str, Any]
    watched: bool

    def written(self) -> list[str]:
        """The parameters through which something was returned."""
        return [name for name, buffer in self.buffers.items() if buffer.raw.strip(bytes([UNWRITTEN]))]

    def out(self, name: str) -> int:
        """The number in the buffer of a parameter."""
        kind = self.contract.parameters[name]
        return int.from_bytes(self.buffers[name].raw, "little", signed=isinstance(kind, Out) and kind.signed)


def bits_of(value: int, bits: int, signed: bool) -> int:
    """The number in a register of which only the lowest bits count."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def element_bytes(structures: Mapping[str, Structure | None], of: str) -> int:
    """The size of a structure's keys or records."""
    held = structures.get(of)
    return 0 if held is None else held.element_bytes


def only_through_functions(held: Structure) -> str:
    """What an NF breaks that writes into a structure by itself."""
    return f"{held.label} changes only through its functions, or while a record is on loan"


# ---- before


class _Pending(Exception):
    """The body wants to know what the function returned, which it has not yet."""


class _Beforehand(PlainCall):
    """A run of a contract's body before the call: everything up to what the function chooses."""

    def choose(self, name: str, bits: int, allowed: Callable[[Any], Any], signed: bool = False) -> Any:
        raise _Pending

    def new(self, cls: type, **parameters: Any) -> Any:
        raise _Pending


def judge(call: Arrived, known: Known) -> Outcome | None:
    """The outcome, if it is decided before the call; raises Violated where the caller is at fault."""
    before = _Beforehand({})
    if call.watched:
        _look(call, known)
    states = _ghosts(call, before, known)
    if states is None:
        return None
    try:
        return call.contract.body(before, **call.arguments, **states)
    except _Pending:
        return None


def _look(call: Arrived, known: Known) -> None:
    """Reads the structures of a call; nothing but calls may have changed them since they were last read."""
    for held in call.structures.values():
        if held is not None:
            entries = held.entries()
            if known.setdefault(held.address, entries) != entries:
                raise Violated(only_through_functions(held))


def _ghosts(call: Arrived, run: PlainCall, known: Known) -> dict[str, Any] | None:
    states = {}
    for name, held in call.structures.items():
        if held is not None and call.watched:
            states[name] = held.ghost(run, known[held.address])
        elif isinstance(held, NativeVector):
            # Its preconditions are about one record, and cheap to check whatever its size.
            states[name] = held.ghost_in_place(run)
        else:
            return None
    return states


# ---- afterwards


def compare(call: Arrived, outcome: Outcome | None, result: int, known: Known) -> Outcome | None:
    """The outcome; raises Mismatch where the function did something else."""
    if not call.watched:
        if outcome is not None and isinstance(call.contract.returns, Borrowed):
            _compare_borrowed(call, outcome, result, call.contract.returns.of)
        return outcome
    if outcome is None:
        outcome = _after(call, result, known)
    match call.contract.returns:
        case Scalar(bits, signed):
            _expect("the result", bits_of(result, bits, signed), int(outcome.result))
        case New() if (outcome.result is None) != (result == 0):
            raise Mismatch("it returned a structure" if result else "it returned NULL")
        case Borrowed(of):
            _compare_borrowed(call, outcome, result, of)
    for name in call.buffers:
        if name in outcome.changes:
            _expect(name, call.out(name), outcome.changes[name])
        elif name in call.written():
            raise Mismatch(f"it wrote to {name}")
    for name, held in call.structures.items():
        if held is not None:
            _compare_state(outcome, name, held, known)
    return outcome


def _after(call: Arrived, result: int, known: Known) -> Outcome:
    returned = {name: call.out(name) for name in call.written()}
    match call.contract.returns:
        case Scalar(bits, signed):
            returned["result"] = bits_of(result, bits, signed)
        case New():
            returned["result"] = result
    after = PlainCall(returned)
    return call.contract.body(after, **call.arguments, **(_ghosts(call, after, known) or {}))


def _compare_borrowed(call: Arrived, outcome: Outcome, address: int, of: str) -> None:
    vector = call.structures[of]
    if not isinstance(vector, NativeVector):
        return
    index = vector.index_at(address)
    wanted = outcome.changes[of].records.loans[-1]
    if index != wanted:
        found = "something else" if index is None else f"record {index}"
        raise Mismatch(f"it lent {found} instead of record {wanted}")
    _expect("the record", vector.record(wanted), outcome.result)


def _compare_state(outcome: Outcome, name: str, held: Structure, known: Known) -> None:
    run = PlainCall({})
    wanted = outcome.changes.get(name)
    if wanted is None:
        wanted = held.ghost(run, known[held.address])
    entries = known[held.address] = held.entries()
    if wanted.same(held.ghost(run, entries)) is not True:
        should = wanted.entries()
        keys = sorted(key for key in {*should, *entries} if should.get(key) != entries.get(key))
        first = f"{keys[0]:#x} is {_show(entries.get(keys[0]))}, not {_show(should.get(keys[0]))}" if keys else "?"
        raise Mismatch(f"afterwards {name} is not as it should be: {first}")


def _expect(what: str, is_: int, wanted: int) -> None:
    if is_ != wanted:
        raise Mismatch(f"{what} is {is_:#x}, not {wanted:#x}")


def _show(value: Any) -> str:
    if value is None:
        return "absent"
    return f"({value[0]:#x}, {value[1]})" if isinstance(value, tuple) else f"{value:#x}"
