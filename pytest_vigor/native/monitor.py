"""The contracts as monitors: every library call of the NF is logged, judged beforehand, and compared afterwards.

The NF's own slots for imported functions are made to point here. A Python function cannot unwind the C code that
called it, so a breach is reported and then ends the process.
"""

from __future__ import annotations

import ctypes
import traceback
from collections.abc import Callable, Iterable, Mapping
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
    Scalar,
    State,
    Violated,
)
from pytest_vigor.native.calls import (
    UNWRITTEN,
    Arrived,
    Known,
    bits_of,
    compare,
    element_bytes,
    judge,
    only_through_functions,
)
from pytest_vigor.native.machine import READ, WRITE, Code, protect
from pytest_vigor.native.structures import Library, NativeVector, Structure, Unfit, structure
from pytest_vigor.trace import ObjectState

ARGUMENTS_MAX = 6
CALLS_MAX = 5_000
PATIENT_CALLS_MAX = 1_000


class Report(Protocol):
    """What happens, sent away at once."""

    def send(self, event: str, **fields: Any) -> None: ...
    def stop(self, event: str, **fields: Any) -> NoReturn: ...


class Clock(Protocol):
    """The NF's time budget, which ours is not to count against."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Monitor:
    """Watches the calls of one NF. ``watch_up_to`` is the capacity up to which whole states are compared."""

    def __init__(self, library: Library, contracts: Contracts, report: Report, clock: Clock, watch_up_to: int) -> None:
        self.structures: dict[int, Structure] = {}
        self._library, self._contracts, self._report, self._clock = library, contracts, report, clock
        self._watch_up_to = watch_up_to
        self._foreign: dict[int, str] = {}
        self._known: Known = {}
        self._calls = 0
        self._patient = False

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

    def begin(self, states: Mapping[int, ObjectState], patient: bool = False) -> None:
        """Says that a step begins, and what the structures at some addresses hold. A patient monitor takes any number
        of calls, and leaves those alone that it would take too long to watch."""
        self._calls, self._patient = 0, patient
        self._known = {
            address: state.entries for address, state in states.items() if state.capacity <= self._watch_up_to
        }

    def end(self, states: Mapping[int, ObjectState]) -> None:
        """Says that the step has ended, and what the structures now hold; the NF's faults end the process."""
        if self._calls > PATIENT_CALLS_MAX and self._patient:
            for held in self.structures.values():
                held.loans.clear()
            return
        for held in self.structures.values():
            if held.loans:
                index = next(iter(held.loans))
                text = f"record {index} of {held.label} is given back before the step ends"
                self._report.stop("violated", function="vector_give_back", detail=text)
        for address, state in states.items():
            if self._known.get(address, state.entries) != state.entries:
                self._report.stop("violated", detail=only_through_functions(self.structures[address]))

    def _is_small(self, held: Structure) -> bool:
        return held.capacity <= self._watch_up_to

    def _receiver(self, contract: Contract, address: int) -> Callable[..., int]:
        real = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * len(contract.parameters))(address)

        def receive(*raw: int) -> int:
            if self._patient and self._calls >= PATIENT_CALLS_MAX and not isinstance(contract.returns, New):
                # Filling a large table takes nf_init a call for each entry.
                self._calls += 1
                return int(real(*raw))
            self._clock.pause()
            try:
                return self._call(contract, real, raw)
            except Violated as violated:
                self._report.stop("violated", function=contract.name, detail=str(violated))
            except Mismatch as mismatch:
                self._report.stop("mismatch", function=contract.name, detail=str(mismatch))
            except BaseException:
                self._report.stop("broken", detail=traceback.format_exc())
            finally:
                self._clock.resume()

        return receive

    def _call(self, contract: Contract, real: Callable[..., int], raw: tuple[int, ...]) -> int:
        self._report.send("enter", function=contract.name)
        self._calls += 1
        if self._calls > CALLS_MAX and not self._patient:
            self._report.stop("hung", detail=f"more than {CALLS_MAX:,} library calls in one step")
        call = self._understand(contract, raw)
        decided = judge(call, self._known)
        result = self._run(real, call)
        self._hand_over(call, compare(call, decided, result, self._known), result)
        return result

    # ---- before

    def _understand(self, contract: Contract, raw: tuple[int, ...]) -> Arrived:
        shown: dict[str, int | str] = {}
        records: dict[str, int] = {}
        try:
            return self._decode(contract, raw, shown, records)
        finally:
            self._report.send("call", function=contract.name, arguments=shown, records=records)

    def _decode(
        self, contract: Contract, raw: tuple[int, ...], shown: dict[str, int | str], records: dict[str, int]
    ) -> Arrived:
        structures: dict[str, Structure | None] = {}
        for (name, kind), value in zip(contract.parameters.items(), raw, strict=True):
            if isinstance(kind, State):
                structures[name] = self._structure(name, kind, value)
                shown[name] = self._label(value)
        watched = all(each is not None and self._is_small(each) for each in structures.values())
        arguments: dict[str, Any] = {}
        buffers: dict[str, Any] = {}
        for (name, kind), value in zip(contract.parameters.items(), raw, strict=True):
            match kind:
                case Scalar(bits, signed):
                    arguments[name] = shown[name] = bits_of(value, bits, signed)
                case Key(of):
                    content = ctypes.string_at(value, element_bytes(structures, of))
                    arguments[name] = shown[name] = int.from_bytes(content, "little")
                case Out(bits, _, of) if watched:
                    size = bits // 8 if of is None else element_bytes(structures, of)
                    buffers[name] = ctypes.create_string_buffer(bytes([UNWRITTEN]) * size, size)
                case Loan(of):
                    lent = _lent(structures.get(of), name, value)
                    if lent is not None:
                        arguments[name], shown[name], records[name] = lent, lent.index, lent.record
        return Arrived(contract, raw, arguments, structures, buffers, watched)

    def _structure(self, name: str, kind: State, address: int) -> Structure | None:
        found = self.structures.get(address)
        if found is None and address not in self._foreign:
            raise Violated(f"{name} points at a structure")
        if found is not None and found.kind != getattr(kind.cls, "kind", found.kind):
            raise Violated(f"{name} points at a structure of the kind {getattr(kind.cls, 'kind', '?')}")
        return found

    def _label(self, address: int) -> str:
        held = self.structures.get(address)
        return held.label if held is not None else self._foreign.get(address, "?")

    # ---- the call

    def _run(self, real: Callable[..., int], call: Arrived) -> int:
        # What is returned through pointers goes to buffers of ours first, to see what was written at all.
        addresses = {name: ctypes.addressof(buffer) for name, buffer in call.buffers.items()}
        arguments = [addresses.get(name, value) for name, value in zip(call.contract.parameters, call.raw, strict=True)]
        # The library's time is the NF's.
        self._clock.resume()
        result = real(*arguments)
        self._clock.pause()
        for name, kind in call.contract.parameters.items():
            if isinstance(kind, Loan) and isinstance(call.arguments.get(name), Lent):
                vector = call.structures[kind.of]
                if vector is not None:
                    vector.loans.pop(call.arguments[name].index)
        return result

    # ---- back to the NF

    def _hand_over(self, call: Arrived, outcome: Outcome | None, result: int) -> None:
        shown: int | str | None = None
        records: dict[str, int] = {}
        match call.contract.returns:
            case Scalar(bits, signed):
                shown = bits_of(result, bits, signed)
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
                    size = kind.bits // 8 if kind.of is None else element_bytes(call.structures, kind.of)
                    outs[name] = int.from_bytes(ctypes.string_at(address, size), "little", signed=kind.signed)
            elif outcome is not None and name in outcome.changes:
                ctypes.memmove(address, call.buffers[name], len(call.buffers[name]))
                outs[name] = call.out(name)
        self._report.send("returned", result=shown, outs=outs, records=records)

    def _lend(self, vector: Structure | None, address: int, records: dict[str, int]) -> int | None:
        if not isinstance(vector, NativeVector):
            return None
        index = vector.index_at(address)
        if index is not None:
            records["result"] = vector.loans[index] = vector.record(index)
        return index

    def _register(self, call: Arrived, outcome: Outcome | None, address: int) -> str | None:
        made = outcome.result if outcome is not None else None
        if not isinstance(made, NewStructure):
            return None
        kind = str(getattr(made.cls, "kind", made.cls.__name__))
        label = f"{kind}.{len(self.structures) + len(self._foreign)}"
        parameters = {name: int(value) for name, value in made.parameters.items()}  # type: ignore[arg-type]
        try:
            held = structure(kind, self._library, address, parameters, label)
        except Unfit as unfit:
            raise Mismatch(str(unfit)) from unfit
        if held is None:
            self._foreign[address] = label
            return label
        self.structures[address] = held
        if self._is_small(held) and not held.constant and held.entries():
            raise Mismatch(f"the new {kind} is not empty")
        return label


def _lent(vector: Structure | None, name: str, address: int) -> Lent | None:
    if not isinstance(vector, NativeVector):
        return None
    index = vector.index_at(address)
    if index is None or index not in vector.loans:
        raise Violated(f"{name} is on loan from {vector.label}")
    return Lent(index, vector.record(index))
