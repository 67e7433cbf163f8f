"""Calls of the compiled library, each held against its contract on plain values: the result, what came back through
pointers, and the whole content of the structure afterwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytest_vigor import contract as c
from tests.libvig.compiled import Function, Library, Returned, read, signed, write
from tests.libvig.structures import POINTER, U8, Contents, Structure

Arguments = Mapping[str, int]  # keys as bits, a loan as its index

CANARY = int("A5C396E1" * 8, 16)  #: what is at places for results before a call: neither an index nor an age


class Disagreement(AssertionError):
    """The compiled function did not do what its contract says."""


class _Choice(Exception):
    """The contract leaves something open, so what came back has to be known."""


class _Before(c.PlainCall):
    """A run of a contract's body before the call."""

    def choose(self, *_: Any, **__: Any) -> Any:
        raise _Choice

    def new(self, *_: Any, **__: Any) -> Any:
        raise _Choice


@dataclass(slots=True)
class Loan:
    """A record that is on loan: where it is, and what it holds by now."""

    address: int
    bits: int


class Subject:
    """A compiled structure beside the abstract state that it ought to have."""

    def __init__(self, library: Library, structure: Structure, parameters: Mapping[str, int], pointer: int) -> None:
        self.library, self.structure, self.parameters, self.pointer = library, structure, parameters, pointer
        self.size_bytes = structure.size_bytes(parameters)
        self.loans: dict[int, Loan] = {}
        self.log: deque[str] = deque(maxlen=12)
        self._contents = structure.reader(library, pointer, parameters)
        self._is_valid = library.inspect(f"{structure.name}_is_valid", U8, POINTER)
        self.entries: Contents = {}
        self.layers, self.layers_max = 0, 1
        self.state = structure.plain(parameters, {}, {})
        self.functions = [
            function
            for function in library.functions.values()
            if [k.cls for k in function.contract.parameters.values() if isinstance(k, c.State)] == [structure.cls]
        ]
        self.inspect()

    def inspect(self) -> None:
        """Whole content and bookkeeping of the compiled structure."""
        expected = dict(self.entries) | {index: loan.bits for index, loan in self.loans.items()}
        if self.loans:
            expected = {index: bits for index, bits in expected.items() if bits}
        found = self._contents(self.loans)
        if found != expected:
            self._disagree(f"it holds {_show(found)}, the contract says {_show(expected)}")
        if self.structure.is_checked and self._is_valid(self.pointer) != 1:
            self._disagree(f"{self.structure.name}_is_valid says no")

    def write(self, index: int, bits: int) -> None:
        """What the borrower of a record may do with it."""
        write(self.loans[index].address, self.size_bytes, bits)
        self.loans[index].bits = bits
        self.log.append(f"record {index} on loan = {bits:#x}")
        self.inspect()

    def call(self, function: Function, arguments: Arguments) -> bool:
        """Calls a function; False, without calling it, if its contract forbids that."""
        contract = function.contract
        values = self._values(contract, arguments)
        try:
            outcome = self._evaluate(contract, _Before({}), values)
        except c.Violated:
            return False
        except _Choice:
            outcome = None
        self.log.append(f"{contract.name}({', '.join(f'{n}={v:#x}' for n, v in arguments.items())})")
        returned = self.native(function, arguments)
        if outcome is None:
            outcome = self._evaluate(contract, c.PlainCall({**returned.out, "result": returned.result or 0}), values)
        self._compare(contract, arguments, outcome, returned)
        self.inspect()
        return True

    def native(self, function: Function, arguments: Arguments) -> Returned:
        """Just the call."""
        passed = dict(arguments)
        for name, kind in function.contract.parameters.items():
            if isinstance(kind, c.State):
                passed[name] = self.pointer
            elif isinstance(kind, c.Loan):
                passed[name] = self.loans[arguments[name]].address
        return function(passed, self.size_bytes, CANARY)

    def _evaluate(self, contract: c.Contract, call: c.PlainCall, values: dict[str, Any]) -> c.Outcome:
        try:
            return contract.body(call, **values)
        except (c.Violated, _Choice):
            if isinstance(call, _Before):
                raise
            self._disagree(f"{contract.name} requires something of its caller only after a choice")
        except c.Mismatch as mismatch:
            self._disagree(str(mismatch))
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            self._disagree(f"the contract of {contract.name} makes no sense here: {error!r}")

    def _values(self, contract: c.Contract, arguments: Arguments) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, kind in contract.parameters.items():
            if isinstance(kind, c.State):
                values[name] = self.state
            elif isinstance(kind, c.Loan):
                values[name] = c.Lent(arguments[name], self.loans[arguments[name]].bits)
            elif not isinstance(kind, c.Out):
                values[name] = arguments[name]
        return values

    def _compare(self, contract: c.Contract, arguments: Arguments, outcome: c.Outcome, returned: Returned) -> None:
        changes = dict(outcome.changes)
        for name, bits in returned.out.items():
            kind = contract.parameters[name]
            assert isinstance(kind, c.Out)
            expected = changes.pop(name, None)
            if expected is None:
                width = kind.bits or 8 * self.size_bytes
                canary = CANARY & (1 << width) - 1
                expected, told = signed(canary, width) if kind.signed else canary, "left alone"
            else:
                told = f"{expected:#x}"
            if bits != expected:
                self._disagree(f"{name} is {bits:#x}, the contract says {told}")
        result = self._lent(returned.result) if isinstance(contract.returns, c.Borrowed) else returned.result
        if outcome.result != result:
            self._disagree(f"it returned {result}, the contract says {outcome.result}")
        for name, state in changes.items():
            assert isinstance(contract.parameters[name], c.State), f"{contract.name} changes {name}"
            self._take(state, returned.result)

    def _lent(self, address: int | None) -> int:
        if not address:
            self._disagree("it lent no record")
        return read(address, self.size_bytes)

    def _take(self, state: Any, address: int | None) -> None:
        """Makes the state that a contract computed the one to compare with."""
        self.entries = state.entries()
        if self.structure.lends:
            on_loan = set(state.records.loans)
            self.loans = {index: loan for index, loan in self.loans.items() if index in on_loan}
            for index in on_loan - self.loans.keys():
                assert address is not None
                self.loans[index] = Loan(address, self.entries.get(index, 0))
        # Layers pile up, and reading them takes ever longer: written out, they are one.
        self.layers += 1
        if self.layers < self.layers_max:
            self.state = state
        else:
            self.state, self.layers = self.structure.plain(self.parameters, self.entries, self.loans), 0

    def _disagree(self, what: str) -> NoReturn:
        shown = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        calls = "\n  ".join(self.log)
        raise Disagreement(f"{what}\n{self.structure.name}({shown}), its last calls:\n  {calls}")


def _show(contents: Contents) -> str:
    return "{" + ", ".join(f"{k:#x}: {v}" for k, v in sorted(contents.items())) + "}"


def allocate(library: Library, structure: Structure, parameters: Arguments, short: bool = False) -> Subject | None:
    """Allocates a structure; None if it must not be, or need not be where memory is ``short``."""
    function = next(
        function
        for function in library.functions.values()
        if isinstance(function.contract.returns, c.New) and function.contract.returns.cls is structure.cls
    )
    returned = function(parameters, 0, 0)
    outcome = function.contract.body(c.PlainCall({"result": returned.result or 0}), **parameters)
    shown = f"{function.contract.name}({', '.join(f'{name}={value}' for name, value in parameters.items())})"
    if outcome.result is None:
        if returned.result:
            # NULL is always allowed to mean that memory is short, so the contract said so for the parameters.
            raise Disagreement(f"{shown} returned a structure, the contract says NULL")
        if not short and _possible(function, parameters):
            raise Disagreement(f"{shown} returned NULL, and there is memory")
        return None
    assert returned.result is not None
    made = outcome.result
    if made.cls is not structure.cls or dict(made.parameters) != dict(parameters):
        raise Disagreement(f"{shown} made {made}")
    return Subject(library, structure, parameters, returned.result)


_IN_USE: dict[tuple[Path, str, tuple[tuple[str, int], ...]], Subject] = {}


def in_use(library: Library, structure: Structure, parameters: Arguments) -> Subject:
    """An empty structure: a new one, or where that takes much memory one that was emptied."""
    which = (library.path, structure.name, tuple(sorted(parameters.items())))
    before = _IN_USE.get(which)
    made: Subject | None
    if before is not None and structure.empty is not None:
        structure.empty(library, before.pointer, before.entries)
        made = Subject(library, structure, parameters, before.pointer)
    else:
        made = allocate(library, structure, parameters)
    assert made is not None
    if structure.empty is not None:
        _IN_USE[which] = made
    return made


def _possible(function: Function, parameters: Arguments) -> bool:
    """Whether the contract lets these parameters make a structure at all."""
    return function.contract.body(c.PlainCall({"result": 1}), **parameters).result is not None
