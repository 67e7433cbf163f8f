"""Whether a compiled function takes every valid state of its structures to what its contract says.

The structures are allocated with concrete sizes by the library's own functions, then their contents become symbols that
satisfy the invariant. From there the function is explored, and at each return the solver is asked whether the
invariant, the result, the places for results and the abstract states can be other than the contract says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.binary import load
from pytest_vigor.explore.entry import short
from pytest_vigor.explore.memory import Failed, Region, Stop
from pytest_vigor.layout import Struct
from pytest_vigor.number import number
from pytest_vigor.refine.abstraction import Abstraction, abstractions
from pytest_vigor.refine.heap import Heap, Place, Unknown
from pytest_vigor.refine.listed import Finite
from pytest_vigor.refine.machine import CallPath, Machine
from pytest_vigor.smt import Sat, Unsat
from pytest_vigor.structs import structs
from pytest_vigor.term import Bool, Value

Parameters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """The function does what its contract says, at these sizes."""

    paths: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Refuted:
    """It does not. ``text`` says where and how."""

    text: str


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Neither could be shown."""

    reason: str


Verdict = Shown | Refuted | Unsettled


class NotShown(Exception):
    """The verdict is in."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


@dataclass(slots=True)
class Laid:
    """A structure in memory: where it is, how much memory it has, and which of that is not fixed."""

    abstraction: Abstraction
    place: Place
    region: Region
    parameters: Parameters
    unknown: tuple[Unknown, ...]


@dataclass(slots=True)
class _Alternative:
    """One way through a contract's body: when it is taken, what is chosen, and what comes of it."""

    decided: Bool
    required: Bool
    chosen: Bool
    outcome: c.Outcome


@dataclass(slots=True)
class Library:
    """A compiled library with its contracts and abstractions."""

    machine: Machine
    structs: Mapping[str, Struct]
    contracts: c.Contracts
    abstractions: Mapping[str, Abstraction]
    key_tags: Mapping[int, t.Term] = field(default_factory=dict)
    _tags: dict[tuple[int, Value], Value] = field(default_factory=dict)

    @classmethod
    def at(cls, binary: Path, root: Path, cpu_seconds: float) -> Library:
        """The library in a shared object, by the contracts and abstractions under its root."""
        return cls(
            Machine(load(binary, required=()), cpu_seconds), structs(binary),
            c.collect(c.load(root)), abstractions(root),
        )  # fmt: skip

    # ---- hashing

    def tag(self, key: Value, key_bytes: int) -> Value:
        """The hash that the compiled code computes of a key."""
        found = self._tags.get((key_bytes, key))
        if found is None:
            generic = _tag_of(self, key_bytes)
            cut = _cut(generic)
            name = t.var(KEY, 8 * key_bytes)

            def replaced(leaf: t.Term) -> Value | None:
                return key if leaf is name else None

            memo: dict[int, Any] = {}
            found = t.substitute(generic, replaced, memo)
            if isinstance(key, t.Term):
                here = t.substitute(cut, replaced, memo)
                if isinstance(here, t.Term):
                    self.machine.search.cuts.cuts[here.uid] = (f"hash of {key_bytes} bytes", key)
            self._tags[key_bytes, key] = found
        return found

    def heap(self, path: CallPath) -> Heap:
        """A path's memory, for abstractions."""
        return Heap(lambda address, size: path.memory.load(address, size, path.where), self.structs, self.tag)

    # ---- allocating

    def allocation(self, cls: type) -> c.Contract:
        """The contract of the function that allocates a structure."""
        return next(
            each for each in self.contracts.by_name.values()
            if isinstance(each.returns, c.New) and each.returns.cls is cls
        )  # fmt: skip

    def allocate(self, path: CallPath, cls: type, parameters: Parameters) -> tuple[CallPath, Laid]:
        """A path on which a structure has been allocated."""
        function = self.allocation(cls).name
        returned, stuck = self.machine.call(path, function, _scalars(self.contracts.by_name[function], parameters))
        if len(returned) != 1 or stuck:
            reason = stuck[0].reason if stuck else "it has several paths"
            raise NotShown(Unsettled(f"{function} cannot be followed: {reason}"))
        end = returned[0]
        pointer = end.registers.read("rax")
        assert isinstance(pointer, int) and end.allocated[-1] is not None, "it was allocated"
        return end, self.laid(end, cls, pointer, end.allocated[-1][0], parameters)

    def laid(self, path: CallPath, cls: type, pointer: int, region: Region, parameters: Parameters) -> Laid:
        """A structure at an address."""
        abstraction = self.abstractions[cls.kind]  # type: ignore[attr-defined]
        heap = self.heap(path)
        place = heap.at(pointer, abstraction.struct)
        unknown = tuple(abstraction.unknown(heap, place, parameters))
        return Laid(abstraction, place, region, parameters, unknown)

    def fill(self, path: CallPath, laid: Laid, symbol: str, narrow: bool = True) -> None:
        """Makes the contents of a structure symbols."""
        region = path.memory.own(path.memory.regions[path.memory.key_of(laid.region.base & -64)])
        heap = self.heap(path)
        unknown = laid.abstraction.unknown(heap, heap.at(laid.place.address, laid.abstraction.struct), laid.parameters)
        for each in sorted(unknown, key=lambda each: each.form is not None):
            bits = each.bits if narrow else 8 * each.size_bytes
            offset = each.address - region.base
            value: Value = t.var(f"{symbol}+{offset}.{each.name}", bits)
            value = each.form(value) if narrow and each.form else t.zext(value, bits, 8 * each.size_bytes)
            for k in range(each.size_bytes):
                region.cells[offset + k] = (value, each.size_bytes, k)

    def invariant(self, path: CallPath, laid: Laid) -> list[tuple[str, Bool]]:
        """What holds of the structure between calls, by name."""
        heap = self.heap(path)
        place = heap.at(laid.place.address, laid.abstraction.struct)
        out = list(laid.abstraction.invariant(heap, place, laid.parameters))
        for each in laid.unknown:
            if each.bits < 8 * each.size_bytes and each.form is None:
                value = heap.load(each.address, each.size_bytes)
                out.append((f"{each.name} is in range", t.ule(8 * each.size_bytes, value, t.mask(each.bits))))
        return out

    def state(self, path: CallPath, laid: Laid, facts: Finite, **more: Any) -> Any:
        """The abstract state that the contents mean."""
        heap = self.heap(path)
        place = heap.at(laid.place.address, laid.abstraction.struct)
        return laid.abstraction.state(heap, place, laid.parameters, facts, **more)


KEY = "the key"


def _tag_of(library: Library, key_bytes: int) -> t.Term:
    """The hash of a key that is a symbol: what map_put writes into a slot of an empty map."""
    if key_bytes in library.key_tags:
        return library.key_tags[key_bytes]
    from pytest_vigor.ghost.map import Map

    path, laid = library.allocate(library.machine.start(), Map, {"key_bytes": key_bytes, "capacity": 1})
    key = _block(path, "the key", key_bytes, t.var(KEY, 8 * key_bytes), writable=False)
    returned, stuck = library.machine.call(path, "map_put", [laid.place.address, key.base, short(0, 32)])
    for end in returned:
        for each in laid.unknown:
            if each.name == "tag":
                value = end.memory.load(each.address, each.size_bytes, 0)
                if isinstance(value, t.Term):
                    library.key_tags = {**library.key_tags, key_bytes: value}
                    return value
    raise NotShown(Unsettled(f"the hash of a key cannot be followed: {stuck[0].reason if stuck else 'nothing is put'}"))


def _cut(value: t.Term) -> t.Term:
    """The part of a hash that everything in it is bits of."""
    while value.op in ("concat", "zext", "extract"):
        inner = [each for each in value.args if isinstance(each, t.Term)]
        if len(inner) != 1:
            return value
        value = inner[0]
    return value


def _block(path: CallPath, name: str, size_bytes: int, value: Value, writable: bool = True) -> Region:
    """Memory of the caller's that holds a value."""
    region = path.memory.add(name, size_bytes, writable=writable)
    for k in range(size_bytes):
        region.cells[k] = (value, size_bytes, k)
    return region


def _scalars(contract: c.Contract, values: Mapping[str, Value]) -> list[Value]:
    out = []
    for name, kind in contract.parameters.items():
        assert isinstance(kind, c.Scalar)
        out.append(argument(values[name], kind))
    return out


def argument(value: Value, kind: c.Scalar) -> Value:
    return value if kind.bits == 64 else short(value, kind.bits)


def alternatives(
    path: CallPath, contract: c.Contract, arguments: Mapping[str, Any], facts: Finite
) -> list[_Alternative]:
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
        out.append(_Alternative(decided, required, chosen, outcome))
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
        self.facts = Finite(max((each.get("capacity", 0) for each in parameters.values()), default=0))
        self.laid: dict[str, Laid] = {}
        self.out: dict[str, tuple[Region, Value]] = {}

    def verdict(self) -> Verdict:
        """Whether the function does what its contract says."""
        started = process_time()
        try:
            paths = self._prove()
        except NotShown as found:
            return found.verdict
        except Stop as stop:
            return Unsettled(stop.reason)
        return Shown(paths, process_time() - started)

    # ---- before the call

    def _prove(self) -> int:
        self.search.broken.clear()
        path, passed, bound = self._before()
        ways = alternatives(path, self.contract, bound, self.facts)
        for each in self.facts.defined:
            path.hold(each)
        path.hold(t.land(*(each.required for each in ways)))
        if not isinstance(self.search.ask(path), Sat):
            raise NotShown(Unsettled("no state is valid: the proof would say nothing"))
        returned, stuck = self.library.machine.call(path, self.contract.name, passed)
        unbroken(self.library, self._told)
        if stuck:
            raise NotShown(Unsettled(stuck[0].reason))
        if not returned:
            raise NotShown(Unsettled("it never returns"))
        unreached = set(range(len(ways)))
        for end in returned:
            try:
                self._after(path, end, ways, bound, unreached)
            except Failed:
                unbroken(self.library, self._told)
                raise
        if unreached:
            raise NotShown(Unsettled("a case of the contract is never met"))
        return len(returned)

    def _before(self) -> tuple[CallPath, list[Value], dict[str, Any]]:
        path = self.library.machine.start()
        for name, kind in self.contract.parameters.items():
            if isinstance(kind, c.State):
                path, self.laid[name] = self.library.allocate(path, kind.cls, self.parameters[name])
        conditions: list[Bool] = []
        for name, laid in self.laid.items():
            self.library.fill(path, laid, name)
            conditions += [condition for _, condition in self.library.invariant(path, laid)]
        for condition in conditions:
            path.hold(condition)
        passed: list[Value] = []
        bound: dict[str, Any] = {}
        for name, kind in self.contract.parameters.items():
            match kind:
                case c.State():
                    passed.append(self.laid[name].place.address)
                case c.Scalar(bits, signed):
                    value = t.var(f"argument {name}", bits)
                    passed.append(argument(value, kind))
                    bound[name] = Symbol(value, bits, signed)
                case c.Key(of):
                    size_bytes = self.parameters[of]["key_bytes"]
                    key = t.var(f"argument {name}", 8 * size_bytes)
                    self.library.tag(key, size_bytes)
                    passed.append(_block(path, f"the key {name}", size_bytes, key, writable=False).base)
                    bound[name] = Symbol(key, 8 * size_bytes, False)
                case c.Out(bits, _, of):
                    size_bytes = self.parameters[of]["key_bytes"] if of else bits // 8
                    before = t.var(f"{name} before", 8 * size_bytes)
                    region = _block(path, name, size_bytes, before)
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
                bound[name] = self.library.state(path, self.laid[name], self.facts, **more)
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

    # ---- after the call

    def _after(
        self, start: CallPath, end: CallPath, ways: list[_Alternative], bound: Mapping[str, Any], unreached: set[int]
    ) -> None:
        new = {name: self.library.state(end, laid, self.facts) for name, laid in self.laid.items()}
        always = [*self._untouched(start, end)]
        for laid in self.laid.values():
            always += [(f"afterwards {name}", condition) for name, condition in self.library.invariant(end, laid)]
        for place, way in enumerate(ways):
            if not end.possible(way.decided):
                continue
            unreached.discard(place)
            claims = always + list(self._claims(end, way, bound, new))
            given = [way.decided, *self._choices(end, way)]
            holding(self.library, end, given, claims, self._told)

    def _choices(self, end: CallPath, way: _Alternative) -> Iterator[Bool]:
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
        self, end: CallPath, way: _Alternative, bound: Mapping[str, Any], new: Mapping[str, Any]
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
                lines.append(f"  {name} = {model.seen(t.var(f'argument {name}', bits)):#x}")
        for name, laid in self.laid.items():
            sizes = ", ".join(f"{key}={value}" for key, value in laid.parameters.items())
            lines.append(f"  {name} ({sizes})")
            for each in laid.unknown:
                offset = each.address - laid.region.base
                value = model.seen(t.var(f"{name}+{offset}.{each.name}", each.bits))
                lines.append(f"    +{offset} {each.name} = {value:#x}")
        return lines


# ---- deciding

Telling = Callable[[Sat], list[str]]


def holding(
    library: Library, path: CallPath, given: list[Bool], claims: Sequence[tuple[str, Bool]], told: Telling
) -> None:
    """Raises NotShown unless all claims hold on a path."""
    wrong = t.lor(*(t.lnot(claim) for _, claim in claims))
    if wrong is False:
        return
    answer = library.machine.search.ask(path, *given, wrong)
    if isinstance(answer, Unsat):
        return
    if not isinstance(answer, Sat):
        raise NotShown(Unsettled(f"the solver gave up: {answer.reason}"))
    failing = [name for name, claim in claims if answer.seen(claim) is False]
    raise NotShown(Refuted("\n".join(["; ".join(failing) or "the contract", *told(answer)])))


def unbroken(library: Library, told: Telling) -> None:
    """Raises NotShown if an obligation was found not to hold."""
    for broken in library.machine.search.broken:
        what = f"{broken.kind}: {broken.detail}" if broken.detail else broken.kind
        if broken.model is None:
            raise NotShown(Unsettled(f"{what} ({broken.reason})"))
        raise NotShown(Refuted("\n".join([f"{what}, at {broken.where:#x}", *told(broken.model)])))
