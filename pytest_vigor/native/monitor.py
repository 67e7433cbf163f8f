"""The contracts as monitors: every library call of the NF is logged, judged beforehand, and compared afterwards.

The NF's own slots for imported functions are made to point here. A Python function cannot unwind the C code that
called it, so a breach is reported and then ends the process.
"""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from pytest_vigor.contract import (
    Borrowed,
    Contract,
    Contracts,
    Key,
    Lent,
    Loan,
    Mismatch,
    New,
    NewStructure,
    Nothing,
    Out,
    Outcome,
    PlainCall,
    Scalar,
    State,
    Violated,
)
from pytest_vigor.native.machine import READ, WRITE, Code, protect
from pytest_vigor.native.structures import Library, NativeVector, Structure, Unfit, structure
from pytest_vigor.trace import ObjectState

ARGUMENTS_MAX = 6
CALLS_MAX = 10_000
_UNWRITTEN = 0xCC


class Report(Protocol):
    """What happens, sent away at once."""

    def send(self, event: str, **fields: Any) -> None: ...
    def stop(self, event: str, **fields: Any) -> NoReturn: ...


class Clock(Protocol):
    """The NF's time budget, which ours is not to count against."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class _Pending(Exception):
    """The body wants to know what the function returned, which it has not yet."""


class _Beforehand(PlainCall):
    """A run of a contract's body before the call: everything up to what the function chooses."""

    def choose(self, name: str, bits: int, allowed: Callable[[Any], Any], signed: bool = False) -> Any:
        raise _Pending

    def new(self, cls: type, **parameters: Any) -> Any:
        raise _Pending


@dataclass(slots=True)
class _Arrived:
    """A call with its arguments understood: those of the contract's body, and the structures among them."""

    contract: Contract
    raw: tuple[int, ...]
    arguments: dict[str, Any]
    structures: dict[str, Structure | None]
    buffers: dict[str, Any]
    watched: bool


class Monitor:
    """Watches the calls of one NF. ``watch_up_to`` is the capacity up to which whole states are compared."""

    def __init__(self, library: Library, contracts: Contracts, report: Report, clock: Clock, watch_up_to: int) -> None:
        self.structures: dict[int, Structure] = {}
        self._library, self._contracts, self._report, self._clock = library, contracts, report, clock
        self._watch_up_to = watch_up_to
        self._foreign: dict[int, str] = {}
        self._known: dict[int, Mapping[int, Any]] = {}
        self._calls = 0

    def install(self, image_start: int, relocations: Iterable[tuple[int, str]], code: Code) -> None:
        """Makes the NF call the monitor wherever it calls a function that has a contract."""
        stand_ins: dict[str, int] = {}
        for offset, name in relocations:
            contract = self._contracts.get(name)
            if contract is None or len(contract.parameters) > ARGUMENTS_MAX:
                continue
            slot = ctypes.c_uint64.from_address(image_start + offset)
            if slot.value == 0:
                continue
            if name not in stand_ins:
                stand_ins[name] = code.stand_in(len(contract.parameters), self._receiver(contract, slot.value))
            protect(image_start + offset, 8, READ | WRITE)
            slot.value = stand_ins[name]

    def begin(self, states: Mapping[int, ObjectState]) -> None:
        """Says that a step begins, and what the structures at some addresses hold."""
        self._calls = 0
        self._known = {
            address: state.entries for address, state in states.items() if state.capacity <= self._watch_up_to
        }

    def end(self, states: Mapping[int, ObjectState]) -> None:
        """Says that the step has ended, and what the structures now hold; the NF's faults end the process."""
        for held in self.structures.values():
            if held.loans:
                index = next(iter(held.loans))
                text = f"record {index} of {held.label} is given back before the step ends"
                self._report.stop("violated", function="vector_give_back", detail=text)
        for address, state in states.items():
            if self._known.get(address, state.entries) != state.entries:
                self._report.stop("violated", detail=_only_through_functions(self.structures[address]))

    def _is_small(self, held: Structure) -> bool:
        return held.capacity <= self._watch_up_to

    def _receiver(self, contract: Contract, address: int) -> Callable[..., int]:
        real = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * len(contract.parameters))(address)

        def receive(*raw: int) -> int:
            self._clock.pause()
            try:
                return self._call(contract, real, raw)
            except BaseException:
                self._report.stop("broken", detail=traceback.format_exc())
            finally:
                self._clock.resume()

        return receive

    def _call(self, contract: Contract, real: Callable[..., int], raw: tuple[int, ...]) -> int:
        self._report.send("enter", function=contract.name)
        self._calls += 1
        if self._calls > CALLS_MAX:
            self._report.stop("hung", detail=f"more than {CALLS_MAX:,} library calls in one step")
        call = self._understand(contract, raw)
        outcome = self._judge(call)
        result = self._run(real, call)
        if call.watched:
            outcome = self._outcome(call, outcome, result)
            self._compare(call, outcome, result)
        elif outcome is not None and isinstance(contract.returns, Borrowed):
            self._compare_borrowed(call, outcome, result, contract.returns.of)
        self._hand_over(call, outcome, result)
        return result

    # ---- before

    def _understand(self, contract: Contract, raw: tuple[int, ...]) -> _Arrived:
        structures: dict[str, Structure | None] = {}
        shown: dict[str, int | str] = {}
        for (name, kind), value in zip(contract.parameters.items(), raw, strict=True):
            if isinstance(kind, State):
                structures[name] = self._structure(contract, name, kind, value)
                shown[name] = self._label(value)
        watched = all(each is not None and self._is_small(each) for each in structures.values())
        arguments: dict[str, Any] = {}
        buffers: dict[str, Any] = {}
        records: dict[str, int] = {}
        for (name, kind), value in zip(contract.parameters.items(), raw, strict=True):
            match kind:
                case Scalar(bits, signed):
                    arguments[name] = shown[name] = _number(value, bits, signed)
                case Key(of):
                    content = ctypes.string_at(value, _element_bytes(structures, of))
                    arguments[name] = shown[name] = int.from_bytes(content, "little")
                case Out(bits, _, of) if watched:
                    size = bits // 8 if of is None else _element_bytes(structures, of)
                    buffers[name] = ctypes.create_string_buffer(bytes([_UNWRITTEN]) * size, size)
                case Loan(of):
                    lent = self._lent(contract, structures.get(of), name, value)
                    if lent is not None:
                        arguments[name], shown[name], records[name] = lent, lent.index, lent.record
        self._report.send("call", function=contract.name, arguments=shown, records=records)
        return _Arrived(contract, raw, arguments, structures, buffers, watched)

    def _structure(self, contract: Contract, name: str, kind: State, address: int) -> Structure | None:
        found = self.structures.get(address)
        if found is None and address not in self._foreign:
            self._violated(contract, f"{name} points at a structure")
        if found is not None and found.kind != getattr(kind.cls, "kind", found.kind):
            self._violated(contract, f"{name} points at a structure of the kind {getattr(kind.cls, 'kind', '?')}")
        return found

    def _label(self, address: int) -> str:
        held = self.structures.get(address)
        return held.label if held is not None else self._foreign.get(address, "?")

    def _lent(self, contract: Contract, vector: Structure | None, name: str, address: int) -> Lent | None:
        if not isinstance(vector, NativeVector):
            return None
        index = vector.index_at(address)
        if index is None or index not in vector.loans:
            self._violated(contract, f"{name} is on loan from {vector.label}")
        return Lent(index, vector.record(index))

    def _judge(self, call: _Arrived) -> Outcome | None:
        """The outcome as far as it is decided before the call; the caller's faults end the process."""
        before = _Beforehand({})
        if call.watched:
            self._look(call)
        states = self._ghosts(call, before)
        if states is None:
            return None
        try:
            return call.contract.body(before, **call.arguments, **states)
        except _Pending:
            return None
        except Violated as violated:
            self._violated(call.contract, str(violated))

    def _ghosts(self, call: _Arrived, run: PlainCall) -> dict[str, Any] | None:
        states = {}
        for name, held in call.structures.items():
            if held is not None and call.watched:
                states[name] = held.ghost(run, self._known[held.address])
            elif isinstance(held, NativeVector):
                states[name] = held.ghost_in_place(run)
            else:
                return None
        return states

    def _look(self, call: _Arrived) -> None:
        """Reads the structures of a call; nothing but calls may have changed them since they were last read."""
        for held in call.structures.values():
            if held is not None:
                entries = held.entries()
                if self._known.setdefault(held.address, entries) != entries:
                    self._violated(call.contract, _only_through_functions(held))

    def _violated(self, contract: Contract, text: str) -> NoReturn:
        self._report.stop("violated", function=contract.name, detail=text)

    # ---- the call

    def _run(self, real: Callable[..., int], call: _Arrived) -> int:
        # What is returned through pointers goes to buffers of ours first, to see what was written at all.
        addresses = {name: ctypes.addressof(buffer) for name, buffer in call.buffers.items()}
        result = real(
            *(addresses.get(name, value) for name, value in zip(call.contract.parameters, call.raw, strict=True))
        )
        for name, kind in call.contract.parameters.items():
            if isinstance(kind, Loan) and isinstance(call.arguments.get(name), Lent):
                vector = call.structures[kind.of]
                if vector is not None:
                    vector.loans.pop(call.arguments[name].index)
        return result

    # ---- after

    def _outcome(self, call: _Arrived, outcome: Outcome | None, result: int) -> Outcome:
        if outcome is not None:
            return outcome
        returned = {name: _out_value(call, name) for name in _written(call)}
        match call.contract.returns:
            case Scalar(bits, signed):
                returned["result"] = _number(result, bits, signed)
            case New():
                returned["result"] = result
        after = PlainCall(returned)
        try:
            return call.contract.body(after, **call.arguments, **(self._ghosts(call, after) or {}))
        except Violated as violated:
            self._violated(call.contract, str(violated))
        except Mismatch as mismatch:
            self._mismatch(call, str(mismatch))

    def _compare(self, call: _Arrived, outcome: Outcome, result: int) -> None:
        match call.contract.returns:
            case Scalar(bits, signed):
                _expect(self._mismatch, call, "the result", _number(result, bits, signed), int(outcome.result))
            case New() if (outcome.result is None) != (result == 0):
                self._mismatch(call, "it returned a structure" if result else "it returned NULL")
            case Borrowed(of):
                self._compare_borrowed(call, outcome, result, of)
        for name in call.buffers:
            if name in outcome.changes:
                _expect(self._mismatch, call, name, _out_value(call, name), outcome.changes[name])
            elif name in _written(call):
                self._mismatch(call, f"it wrote to {name}")
        for name, held in call.structures.items():
            if held is not None:
                self._compare_state(call, outcome, name, held)

    def _compare_borrowed(self, call: _Arrived, outcome: Outcome, address: int, of: str) -> None:
        vector = call.structures[of]
        if not isinstance(vector, NativeVector):
            return
        index = vector.index_at(address)
        wanted = outcome.changes[of].records.loans[-1]
        if index != wanted:
            found = "something else" if index is None else f"record {index}"
            self._mismatch(call, f"it lent {found} instead of record {wanted}")
        _expect(self._mismatch, call, "the record", vector.record(wanted), outcome.result)

    def _compare_state(self, call: _Arrived, outcome: Outcome, name: str, held: Structure) -> None:
        run = PlainCall({})
        wanted = outcome.changes.get(name)
        if wanted is None:
            wanted = held.ghost(run, self._known[held.address])
        entries = self._known[held.address] = held.entries()
        if wanted.same(held.ghost(run, entries)) is not True:
            should = wanted.entries()
            keys = sorted(key for key in {*should, *entries} if should.get(key) != entries.get(key))
            first = f"{keys[0]:#x} is {_show(entries.get(keys[0]))}, not {_show(should.get(keys[0]))}" if keys else "?"
            self._mismatch(call, f"afterwards {name} is not as it should be: {first}")

    def _mismatch(self, call: _Arrived, text: str) -> NoReturn:
        self._report.stop("mismatch", function=call.contract.name, detail=text)

    # ---- back to the NF

    def _hand_over(self, call: _Arrived, outcome: Outcome | None, result: int) -> None:
        shown: int | str | None = None
        records: dict[str, int] = {}
        match call.contract.returns:
            case Scalar(bits, signed):
                shown = _number(result, bits, signed)
            case New():
                shown = self._register(call, outcome, result)
            case Borrowed(of):
                shown = self._lend(call.structures.get(of), result, records)
            case Nothing():
                pass
        outs: dict[str, int] = {}
        for (name, kind), address in zip(call.contract.parameters.items(), call.raw, strict=True):
            if not isinstance(kind, Out):
                continue
            if not call.watched:
                if shown != 0:
                    size = kind.bits // 8 if kind.of is None else _element_bytes(call.structures, kind.of)
                    outs[name] = int.from_bytes(ctypes.string_at(address, size), "little", signed=kind.signed)
            elif outcome is not None and name in outcome.changes:
                ctypes.memmove(address, call.buffers[name], len(call.buffers[name]))
                outs[name] = _out_value(call, name)
        self._report.send("returned", result=shown, outs=outs, records=records)

    def _lend(self, vector: Structure | None, address: int, records: dict[str, int]) -> int | None:
        if not isinstance(vector, NativeVector):
            return None
        index = vector.index_at(address)
        if index is not None:
            records["result"] = vector.loans[index] = vector.record(index)
        return index

    def _register(self, call: _Arrived, outcome: Outcome | None, address: int) -> str | None:
        made = outcome.result if outcome is not None else None
        if not isinstance(made, NewStructure):
            return None
        kind = str(getattr(made.cls, "kind", made.cls.__name__))
        label = f"{kind}.{len(self.structures) + len(self._foreign)}"
        parameters = {name: int(value) for name, value in made.parameters.items()}  # type: ignore[arg-type]
        try:
            held = structure(kind, self._library, address, parameters, label)
        except Unfit as unfit:
            self._mismatch(call, str(unfit))
        if held is None:
            self._foreign[address] = label
            return label
        self.structures[address] = held
        if self._is_small(held) and held.entries():
            self._mismatch(call, f"the new {kind} is not empty")
        return label


def _only_through_functions(held: Structure) -> str:
    return f"{held.label} changes only through its functions, or while a record is on loan"


def _element_bytes(structures: Mapping[str, Structure | None], of: str) -> int:
    held = structures.get(of)
    return 0 if held is None else held.element_bytes


def _number(value: int, bits: int, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _written(call: _Arrived) -> list[str]:
    """The parameters through which something was returned."""
    return [name for name, buffer in call.buffers.items() if buffer.raw.strip(bytes([_UNWRITTEN]))]


def _out_value(call: _Arrived, name: str) -> int:
    kind = call.contract.parameters[name]
    return int.from_bytes(call.buffers[name].raw, "little", signed=isinstance(kind, Out) and kind.signed)


def _expect(mismatch: Callable[[_Arrived, str], NoReturn], call: _Arrived, what: str, is_: int, wanted: int) -> None:
    if is_ != wanted:
        mismatch(call, f"{what} is {is_:#x}, not {wanted:#x}")


def _show(value: Any) -> str:
    if value is None:
        return "absent"
    return f"({value[0]:#x}, {value[1]})" if isinstance(value, tuple) else f"{value:#x}"
