"""Whether a compiled function takes every valid state of its structures to what its contract says.

The structures are allocated with concrete sizes by the library's own functions, then their contents become symbols that
satisfy the invariant. From there the function is explored, and at each return the solver is asked whether the
invariant, the result, the places for results and the abstract states can be other than the contract says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.memory import Failed, Region
from pytest_vigor.number import number
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import (
    Laid,
    Library,
    NotShown,
    Parameters,
    Unsettled,
    Verdict,
    argument,
    block,
    concluded,
    holding,
    unbroken,
)
from pytest_vigor.refine.listed import Finite
from pytest_vigor.refine.split_memory import ARGUMENT, SplitMemory
from pytest_vigor.smt import Sat
from pytest_vigor.term import Bool, Value


@dataclass(slots=True)
class Alternative:
    """One way through a contract's body: when it is taken, what is chosen, and what comes of it."""

    decided: Bool
    required: Bool
    chosen: Bool
    outcome: c.Outcome


def alternatives(
    path: CallPath, contract: c.Contract, arguments: Mapping[str, Any], facts: Finite | Everywhere
) -> list[Alternative]:
    """Every way through a contract's body that a path allows."""
    pending: list[tuple[bool, ...]] = [()]
    out = []
    while pending:
        call = c.SymbolicCall(facts, contract.name, pending.pop())  # type: ignore[arg-type]
        bound = {name: _for_run(value, call) for name, value in arguments.items()}
        try:
            outcome = contract.body(call, **bound)
        except c.Undecided as undecided:
            before = [entry.condition for entry in call.log if not isinstance(entry, c.Required)]
            for answer, side in ((False, t.lnot(undecided.condition)), (True, undecided.condition)):
                if path.possible(*before, *facts.defined, side):
                    pending.append((*call.decisions, answer))
            continue
        required: Bool = True
        decided: Bool = True
        for entry in call.log:
            if isinstance(entry, c.Required):
                required = t.land(required, t.implies(decided, entry.condition))
            elif isinstance(entry, c.Decided):
                decided = t.land(decided, entry.condition)
        chosen = t.land(*(entry.condition for entry in call.log if isinstance(entry, c.Chosen)))
        out.append(Alternative(decided, required, chosen, outcome))
    return out


@dataclass(frozen=True, slots=True)
class Symbol:
    """A number that the contract's body gets."""

    term: Value
    bits: int
    signed: bool


@dataclass(frozen=True, slots=True)
class _Lent:
    index: Symbol
    record: Symbol


def _for_run(value: Any, run: Any) -> Any:
    match value:
        case Symbol(term, bits, signed):
            return number(run, term, bits, signed)
        case _Lent(index, record):
            return c.Lent(_for_run(index, run), _for_run(record, run))
    return value.for_run(run)


class Refinement:
    """The proof of one function at given sizes. ``parameters`` are those of the allocation of each structure that it
    takes, by the name of the function's parameter."""

    def __init__(self, library: Library, contract: c.Contract, parameters: Mapping[str, Parameters]) -> None:
        self.library, self.contract, self.parameters = library, contract, parameters
        self.search = library.machine.search
        capacities = (each.get("capacity", 0) for each in parameters.values())
        self.facts: Finite | Everywhere = Finite(max(capacities, default=0))
        self.laid: dict[str, Laid] = {}
        self.out: dict[str, tuple[Region, Value]] = {}

    def verdict(self) -> Verdict:
        """Whether the function does what its contract says."""
        return concluded(self._prove)

    # ---- before the call

    def _prove(self) -> int:
        self.search.broken.clear()
        self.search.is_shape_known = isinstance(self.facts, Finite)
        path, passed, bound = self._before()
        ways = alternatives(path, self.contract, bound, self.facts)
        for each in self.facts.defined:
            path.hold(each)
        path.hold(t.land(*(each.required for each in ways)))
        if not isinstance(self.search.ask(path), Sat):
            raise NotShown(Unsettled("no state is valid: the proof would say nothing"))
        assert isinstance(path.memory, SplitMemory)
        path.memory.by_value = tuple(
            extent for laid in self.laid.values()
            for extent in laid.abstraction.by_value(self.library.heap(path), laid.place)
        )  # fmt: skip
        unreached = set(range(len(ways)))

        def returns(end: CallPath) -> None:
            try:
                self._after(path, end, ways, bound, unreached)
            except Failed:
                unbroken(self.library, self._told)
                raise

        count = self._follow(path, passed, returns)
        if unreached:
            raise NotShown(Unsettled("a case of the contract is never met"))
        return count

    def _follow(self, path: CallPath, passed: list[Value], returns: Callable[[CallPath], None]) -> int:
        """Has every path on which the function returns looked at; how many there are."""
        returned, stuck = self.library.machine.call(path, self.contract.name, passed)
        unbroken(self.library, self._told)
        if stuck:
            raise NotShown(Unsettled(stuck[0].reason))
        if not returned:
            raise NotShown(Unsettled("it never returns"))
        for end in returned:
            returns(end)
        return len(returned)

    def _lay(self, path: CallPath) -> CallPath:
        """A path on which the structures are in memory, their contents symbols of which the invariant holds."""
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.State):
                path, self.laid[name] = self.library.allocate(path, kind.cls, self.parameters[name])
        conditions: list[Bool] = []
        for name, laid in self.laid.items():
            self.library.fill(path, laid, name)
            conditions += [condition for _, condition in self.library.invariant(path, laid)]
        for condition in conditions:
            path.hold(condition)
        return path

    def _before(self) -> tuple[CallPath, list[Value], dict[str, Any]]:
        path = self._lay(self.library.machine.start())
        passed: list[Value] = []
        bound: dict[str, Any] = {}
        for name, kind in self.contract.parameters.items():
            match kind:
                case c.State():
                    passed.append(self.laid[name].place.address)
                case c.Scalar(bits, signed):
                    value = t.var(f"{ARGUMENT}{name}", bits)
                    passed.append(argument(value, kind))
                    bound[name] = Symbol(value, bits, signed)
                case c.Key(of):
                    size_bytes = self.parameters[of]["key_bytes"]
                    key = t.var(f"{ARGUMENT}{name}", 8 * size_bytes)
                    self.library.tag(key, size_bytes)
                    passed.append(block(path, f"the key {name}", size_bytes, key, writable=False).base)
                    bound[name] = Symbol(key, 8 * size_bytes, False)
                case c.Out(bits, _, of):
                    size_bytes = self.parameters[of]["key_bytes"] if of else bits // 8
                    before = t.var(f"{name} before", 8 * size_bytes)
                    region = block(path, name, size_bytes, before)
                    self.out[name] = region, before
                    passed.append(region.base)
                case c.Loan(of):
                    index = t.var(f"index of {name}", 32)
                    path.hold(t.ult(32, index, self.parameters[of]["capacity"]))
                    passed.append(self._element(path, of, index))
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.State):
                loans = tuple(
                    t.var(f"index of {loan}", 32) for loan, other in self.contract.parameters.items()
                    if isinstance(other, c.Loan) and other.of == name
                )  # fmt: skip
                more = {"loans": loans} if loans else {}
                bound[name] = self._state(path, name, **more)
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.Loan):
                index = t.var(f"index of {name}", 32)
                records = bound[kind.of].records
                bits = records.record_bits
                bound[name] = _Lent(Symbol(index, 32, False), Symbol(records.at(index), bits, False))
        return path, passed, bound

    def _element(self, path: CallPath, of: str, index: Value) -> Value:
        laid = self.laid[of]
        assert laid.abstraction.element is not None
        heap = self.library.heap(path)
        return laid.abstraction.element(heap, heap.at(laid.place.address, laid.abstraction.struct), index)  # type: ignore[no-any-return]

    def _state(self, path: CallPath, name: str, **more: Any) -> Any:
        """The abstract state that a structure is in."""
        return self.library.state(path, self.laid[name], self.facts, **more)

    # ---- after the call

    def _after(
        self, start: CallPath, end: CallPath, ways: list[Alternative], bound: Mapping[str, Any], unreached: set[int]
    ) -> None:
        new = {name: self._state(end, name) for name in self.laid}
        always = [*self._untouched(start, end), *self._still_valid(end)]
        for place, way in enumerate(ways):
            if not self._is_possible(end, way.decided):
                continue
            unreached.discard(place)
            claims = always + list(self._claims(end, way, bound, new))
            self._conclude(end, way, [way.decided, *self._choices(end, way)], claims)

    def _is_possible(self, end: CallPath, condition: Bool) -> bool:
        return end.possible(condition)

    def _conclude(self, end: CallPath, way: Alternative, given: list[Bool], claims: list[tuple[str, Bool]]) -> None:
        holding(self.library, end, given, claims, self._told)

    def _still_valid(self, end: CallPath) -> Iterator[tuple[str, Bool]]:
        for laid in self.laid.values():
            for name, condition in self.library.invariant(end, laid):
                yield f"afterwards {name}", condition

    def _choices(self, end: CallPath, way: Alternative) -> Iterator[Bool]:
        """What was chosen is what was returned."""
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.Out) and name in way.outcome.changes:
                chosen = t.var(f"{self.contract.name}.{name}", kind.bits) if kind.bits else None
                if chosen is not None and chosen.uid in t.leaves(way.chosen):
                    yield t.eq(kind.bits, chosen, self._returned(end, name))

    def _returned(self, end: CallPath, name: str) -> Value:
        region, _ = self.out[name]
        assert isinstance(region.size_bytes, int)
        return end.memory.load(region.base, region.size_bytes, 0)

    def _claims(
        self, end: CallPath, way: Alternative, bound: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[tuple[str, Bool]]:
        yield "what is chosen is allowed", way.chosen
        rax = end.registers.read("rax")
        match self.contract.returns:
            case c.Scalar(bits):
                result = t.extract(rax, 64, bits - 1, 0)
                end.initialised(result, end.where, "the result")
                yield "the result", t.eq(bits, result, c.result_bits(way.outcome.result, bits))
            case c.Borrowed(of):
                yield "the address of the record", t.eq(64, rax, self._element(end, of, bound["index"].term))
        for name, (region, before) in self.out.items():
            assert isinstance(region.size_bytes, int)
            bits = 8 * region.size_bytes
            expected = before
            if name in way.outcome.changes:
                expected = c.result_bits(way.outcome.changes[name], bits)
            yield f"*{name}", t.eq(bits, self._returned(end, name), expected)
        self.facts.concluding = True
        for name, laid in self.laid.items():
            expected_state = way.outcome.changes.get(name, bound[name])
            yield f"the new state of {name}", expected_state.same(new[name])
            del laid
        self.facts.concluding = False

    def _untouched(self, start: CallPath, end: CallPath) -> Iterator[tuple[str, Bool]]:
        """Nothing in memory changes but the contents of the structures and the places for results."""
        free = {
            each.address + k for laid in self.laid.values() for each in laid.unknown for k in range(each.size_bytes)
        }
        free |= {
            region.base + k for region, _ in self.out.values() for k in range(int(region.size_bytes))  # type: ignore[arg-type]
        }
        stack = start.memory.region_at(int(start.entry[0]))  # type: ignore[arg-type]
        assert stack is not None
        for key, region in end.memory.regions.items():
            before = start.memory.regions.get(key)
            if before is None or before is region or region.base == stack.base:
                continue
            for offset, cell in region.cells.items():
                if region.base + offset not in free and before.cells.get(offset) != cell:
                    old = start.memory.load(region.base + offset, 1, 0)
                    new = end.memory.load(region.base + offset, 1, 0)
                    yield f"byte {offset} of {region.name} stays as it is", t.eq(8, old, new)

    # ---- deciding

    def _told(self, model: Sat) -> list[str]:
        """A refutation for people: the call, and what the structures held."""
        lines = []
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.Scalar | c.Key):
                bits = kind.bits if isinstance(kind, c.Scalar) else 8 * self.parameters[kind.of]["key_bytes"]
                lines.append(f"  {name} = {model.seen(t.var(f'{ARGUMENT}{name}', bits)):#x}")
        for name, laid in self.laid.items():
            sizes = ", ".join(f"{key}={value}" for key, value in laid.parameters.items())
            lines.append(f"  {name} ({sizes})")
            for each in laid.unknown:
                offset = each.address - laid.region.base
                value = model.seen(t.var(f"{name}+{offset}.{each.name}", each.bits))
                lines.append(f"    +{offset} {each.name} = {value:#x}")
        return lines
