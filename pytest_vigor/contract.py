"""Contracts: what a library function requires and does, as a pure function on abstract states.

A contract is one Python function. Its parameters are those of the C function, as keyword arguments of the decorator;
its body gets the abstract state, keys and numbers, says what must hold, and returns an :class:`Outcome`::

    @contract(table=State(FlowTable), key=Key("table"), out_index=Out(32), returns=TRUTH)
    def flow_table_find(call, table, key):
        if key not in table:
            return Outcome(False)
        return Outcome(True, out_index=table[key])

The same text stands in for the call while an NF is explored, is the oracle for the compiled function, and is what
that function is proved to do. ``if`` on a symbolic value makes one alternative for each outcome.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

from pytest_vigor import term as t
from pytest_vigor.errors import ContractError
from pytest_vigor.ghost import flows, map as maps, vector as vectors
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.number import Number, Truth, condition, fit, number, widen
from pytest_vigor.term import Bool, Value

# ---- the kinds of parameters and results


@dataclass(frozen=True, slots=True)
class State:
    """A pointer to a structure; the body gets and returns its abstract state."""

    cls: type


@dataclass(frozen=True, slots=True)
class Key:
    """A pointer to as many bytes as the keys of a structure have."""

    of: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number passed by value."""

    bits: int
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Out:
    """A pointer through which a number is returned; ``of`` names the structure whose keys have that size."""

    bits: int = 0
    signed: bool = False
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Loan:
    """A pointer to a record on loan from a structure; the body gets its :class:`Lent` index and content."""

    of: str


@dataclass(frozen=True, slots=True)
class Lent:
    """A record on loan: where it belongs and what it holds now."""

    index: Any
    record: Any


@dataclass(frozen=True, slots=True)
class New:
    """Returns a pointer to a new structure, or NULL."""

    cls: type


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Returns a pointer to a record on loan."""

    of: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Returns nothing."""


Kind = State | Key | Scalar | Out | Loan
Returns = Scalar | New | Borrowed | Nothing
U32, U16, TIME, TRUTH, NOTHING = Scalar(32), Scalar(16), Scalar(64, True), Scalar(8), Nothing()


class Outcome:
    """What a call did: its result, and by parameter name the new states and the numbers that it returned through
    pointers. A state that is not named is unchanged; a number that is not named was not written."""

    __slots__ = ("changes", "result")

    def __init__(self, result: Any = None, **changes: Any) -> None:
        self.result, self.changes = result, changes


class Call(Protocol):
    """What a contract's body may say about the call, besides what it returns."""

    def requires(self, condition: bool | Truth, text: str) -> None:
        """Something that the caller must ensure."""

    def forbids(self, condition: bool | Truth, text: str) -> None:
        """Something that the caller must avoid."""

    def choose(self, name: str, bits: int, allowed: Callable[[Any], bool | Truth], signed: bool = False) -> Any:
        """A number that the function is free to choose among those allowed; there must be one. ``name`` is the
        parameter through which it is returned, or "result"."""

    def new(self, cls: type, **parameters: Any) -> Any:
        """The initial state of a new structure; None where memory may be short."""


# ---- declaring


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract of one library function."""

    name: str
    parameters: Mapping[str, Kind]
    returns: Returns
    body: Callable[..., Outcome]
    source: str


def contract(*, returns: Returns, **parameters: Kind) -> Callable[[Callable[..., Outcome]], Contract]:
    """Declares the contract of the C function that bears the body's name."""

    def declare(body: Callable[..., Outcome]) -> Contract:
        return Contract(body.__name__, parameters, returns, body, body.__code__.co_filename)

    return declare


@dataclass(frozen=True, slots=True)
class Contracts:
    """All contracts of a session, by function name."""

    by_name: Mapping[str, Contract]

    def get(self, name: str) -> Contract | None:
        return self.by_name.get(name)


def collect(modules: Iterable[ModuleType]) -> Contracts:
    """The contracts that some modules declare. Two for one function are an error."""
    found: dict[str, Contract] = {}
    for module in modules:
        for value in vars(module).values():
            if not isinstance(value, Contract) or value.source != module.__file__:
                continue
            other = found.get(value.name)
            if other is not None:
                raise ContractError(
                    f"{value.name} has two contracts, in {other.source} and in {value.source}",
                    "keep the one that says what the function does",
                )
            found[value.name] = value
    return Contracts(found)


def load(folder: Path) -> list[ModuleType]:
    """The contract modules of a library: ``<structure>/contract.py`` under its root."""
    return [module_at(path) for path in sorted(folder.glob("*/contract.py"))]


def module_at(path: Path) -> ModuleType:
    """Imports the contract module at a path."""
    name = f"vigor_contract_{path.parent.name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ContractError(f"{path} cannot be imported: {error!r}", "correct that contract") from error
    return module


# ---- running on symbols


@dataclass(frozen=True, slots=True)
class Decided:
    """A branch of the body went this way."""

    condition: Bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The function chose a number for which this holds."""

    condition: Bool


@dataclass(frozen=True, slots=True)
class Required:
    """The caller must have ensured this."""

    condition: Bool
    text: str


Entry = Decided | Chosen | Required


class Undecided(Exception):
    """The body branches on something beyond the decisions that it was given."""

    def __init__(self, condition: t.Term) -> None:
        super().__init__(t.show(condition))
        self.condition = condition


class Unsupported(Exception):
    """A contract was used in a way that exploration has no model for."""


@dataclass(slots=True)
class SymbolicCall:
    """One run of a contract's body on symbols, with its branches decided in advance.

    ``decisions`` answers every branch in turn, whether or not it could have gone the other way, so that the same
    trace can be run on another state; each answer becomes a condition in ``log``.
    """

    facts: Facts
    symbol: str  #: prefix of the names of chosen numbers
    decisions: tuple[bool, ...]
    log: list[Entry] = field(default_factory=list)
    taken: int = 0
    in_order: ClassVar[bool] = True

    def decide(self, condition: Bool) -> bool:
        if self.taken < len(self.decisions):
            answer = self.decisions[self.taken]
        elif isinstance(condition, bool):
            answer = condition
            self.decisions = (*self.decisions, answer)
        else:
            raise Undecided(condition)
        self.taken += 1
        self.log.append(Decided(condition if answer else t.lnot(condition)))
        return answer

    def requires(self, condition_: bool | Truth, text: str) -> None:
        self.log.append(Required(condition(condition_), text))

    def forbids(self, condition_: bool | Truth, text: str) -> None:
        self.log.append(Required(t.lnot(condition(condition_)), text))

    def choose(self, name: str, bits: int, allowed: Callable[[Any], bool | Truth], signed: bool = False) -> Any:
        chosen = number(self, t.var(f"{self.symbol}.{name}", bits), bits, signed)
        self.log.append(Chosen(condition(allowed(chosen))))
        return chosen

    def new(self, cls: type, **parameters: Any) -> Any:
        if not self.decide(t.var(f"{self.symbol}.memory", 0)):
            return None
        return NewStructure(cls, {name: _bits(value) for name, value in parameters.items()})


@dataclass(frozen=True, slots=True)
class NewStructure:
    """A structure that a call has allocated."""

    cls: type
    parameters: Mapping[str, Value]


def _bits(value: Any) -> Value:
    return value.term if isinstance(value, Number) else int(value)


def state(cls: type, facts: Facts, name: str, parameters: Mapping[str, Value], run: Any, of: Any, empty: bool) -> Any:
    """The state of a structure as it is made, or (``empty`` False) an arbitrary valid one, as a step starts from.
    ``of`` is the type of its keys or records for a property to read, None for a contract."""
    size = 8 * _concrete(name, parameters.get("key_bytes", parameters.get("record_bytes", 0)))
    made: Callable[..., Any] | None = getattr(cls, "state", None)
    if made is not None:
        return made(facts, name, parameters, run, of, empty)
    capacity = parameters["capacity"]
    if cls is FlowTable or cls is IndexPool:
        flows_: Any = flows.PlainBase(facts, name, size, capacity, {}) if empty else flows.Base(
            facts, name, size, capacity
        )
        return FlowTable(run, flows_, of) if cls is FlowTable else IndexPool(run, flows_)
    if cls is Map:
        items: Any = maps.Base(facts, name, size, capacity)
        if empty:
            items = maps.PlainBase(name, size, capacity, {}, facts)
        return Map(run, items, of)
    assert cls is Vector, f"{cls.__name__} does not say how its states are made"
    records: Any = vectors.PlainBase(name, size, capacity, {}, facts) if empty else vectors.Base(
        facts, name, size, capacity
    )
    return Vector(run, records, of)


def bind(contract: Contract, run: Any, states: Mapping[str, Any], stored: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The arguments as a contract's body wants them, from what a trace stores of them."""
    out: dict[str, Any] = {}
    for name, value in stored:
        match contract.parameters[name]:
            case State():
                out[name] = states[value].for_run(run)
            case Key(of):
                out[name] = number(run, value, out[of].key_bits)
            case Scalar(bits, signed):
                out[name] = number(run, value, bits, signed)
            case Loan(of):
                index, record = value
                width = out[of].records.record_bits
                out[name] = Lent(number(run, index, 32), number(run, record, width))
    return out


def result_bits(value: Any, bits: int) -> Value:
    """A contract's result as the bits that are returned."""
    if isinstance(value, Truth):
        return t.bit(value.term, bits)
    inside, out = fit(int(value) if isinstance(value, bool) else value, bits)
    if inside is True:
        return out
    return widen(value, bits) if isinstance(value, Number) and value.bits <= bits else int(value) & t.mask(bits)


def _concrete(name: str, value: Value) -> int:
    if not isinstance(value, int):
        raise Unsupported(f"{name} is allocated with an element size that depends on the configuration")
    return value


# ---- running on plain values


class Violated(Exception):
    """A plain call broke what the contract requires."""


class Mismatch(Exception):
    """A plain call returned what the contract does not allow."""


@dataclass(slots=True)
class PlainCall:
    """One run of a contract's body on plain values, against what the compiled function returned."""

    returned: Mapping[str, int]

    def decide(self, condition: Bool) -> bool:
        assert isinstance(condition, bool), f"a plain call met the symbol {condition!r}"
        return condition

    def requires(self, condition: bool | Truth, text: str) -> None:
        if not condition:
            raise Violated(text)

    def forbids(self, condition: bool | Truth, text: str) -> None:
        if condition:
            raise Violated(text)

    def choose(self, name: str, bits: int, allowed: Callable[[Any], bool | Truth], signed: bool = False) -> Any:
        if name not in self.returned:
            raise Mismatch(f"{name} was to be chosen, and was not returned")
        if not allowed(self.returned[name]):
            raise Mismatch(f"{name} = {self.returned[name]} is not allowed")
        return self.returned[name]

    def new(self, cls: type, **parameters: Any) -> Any:
        return NewStructure(cls, parameters) if self.returned.get("result") else None

