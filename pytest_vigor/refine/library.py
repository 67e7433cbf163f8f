"""A compiled library in memory: its structures allocated by its own functions, their contents made symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.binary import load
from pytest_vigor.explore.entry import short
from pytest_vigor.explore.memory import Region, Stop
from pytest_vigor.layout import Struct
from pytest_vigor.refine.abstraction import Abstraction, abstractions
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.heap import Heap, Place, Unknown
from pytest_vigor.refine.listed import Finite
from pytest_vigor.refine.machine import Machine, Model
from pytest_vigor.smt import Sat, Unsat
from pytest_vigor.structs import structs
from pytest_vigor.term import Bool, Value
from pytest_vigor.work import Exhausted

Parameters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """The function does what its contract says, at these sizes."""

    paths: int


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


def concluded(prove: Callable[[], int]) -> Verdict:
    """The verdict of a proof, which counts its paths, and raises where it cannot go on."""
    try:
        return Shown(prove())
    except NotShown as found:
        return found.verdict
    except (Stop, Exhausted) as stop:
        return Unsettled(str(stop))


@dataclass(slots=True)
class Laid:
    """A structure in memory: where it is, how much memory it has, and which of that is not fixed."""

    abstraction: Abstraction
    place: Place
    region: Region
    parameters: Parameters
    unknown: tuple[Unknown, ...]


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

    def modelling(self, models: Mapping[str, Model]) -> Library:
        """The same library, of which some functions are not followed, but do what their models say."""
        return replace(self, machine=Machine(self.machine.binary, self.machine.cpu_seconds, models))

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
        assert isinstance(pointer, int) and end.taken is not None, "it was allocated"
        return end, self.laid(end, cls, pointer, end.taken[0], parameters)

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
        for each in laid.abstraction.unknown(heap, place, laid.parameters):
            width = 8 * each.size_bytes
            if each.form is not None:
                value = heap.load(each.address, each.size_bytes)
                forms = [t.eq(width, value, each.form(bits)) for bits in range(1 << each.bits)]
                out.append((f"the {each.name} at +{each.address - laid.region.base} has its form", t.lor(*forms)))
            elif each.bits < width:
                value = heap.load(each.address, each.size_bytes)
                out.append((f"{each.name} is in range", t.ule(width, value, t.mask(each.bits))))
        return out

    def state(self, path: CallPath, laid: Laid, facts: Finite | Everywhere, **more: Any) -> Any:
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

    path, laid = library.allocate(library.machine.start(), Map, {"key_bytes": key_bytes, "capacity": 2})
    key = block(path, "the key", key_bytes, t.var(KEY, 8 * key_bytes), writable=False)
    search = library.machine.search
    before, search.is_shape_known = search.is_shape_known, False  # a product as clauses is hard
    returned, stuck = library.machine.call(path, "map_put", [laid.place.address, key.base, short(0, 32)])
    search.is_shape_known = before
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


def block(path: CallPath, name: str, size_bytes: int, value: Value, writable: bool = True) -> Region:
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


# ---- deciding

Telling = Callable[[Sat], list[str]]


def holding(
    library: Library, path: CallPath, given: list[Bool], claims: Sequence[tuple[str, Bool]], told: Telling
) -> None:
    """Raises NotShown unless all claims hold on a path."""
    wrong = t.lor(*(t.lnot(_unknown(path, claim)) for _, claim in claims))
    if wrong is False:
        return
    answer = library.machine.search.ask(path, *given, wrong)
    if isinstance(answer, Unsat):
        return
    if not isinstance(answer, Sat):
        raise NotShown(Unsettled(f"the solver gave up: {answer.reason}"))
    failing = [name for name, claim in claims if answer.seen(claim) is False]
    raise NotShown(Refuted("\n".join(["; ".join(failing) or "the contract", *told(answer)])))


def _unknown(path: CallPath, claim: Bool) -> Bool:
    """The parts of a claim that are not literally on the path: what a function leaves alone needs no question."""
    return t.land(*(part for part in t.conjuncts(claim) if path.decided(part) is not True))


def unbroken(library: Library, told: Telling) -> None:
    """Raises NotShown if an obligation was found not to hold."""
    for broken in library.machine.search.broken:
        what = f"{broken.kind}: {broken.detail}" if broken.detail else broken.kind
        if broken.model is None:
            raise NotShown(Unsettled(f"{what} ({broken.reason})"))
        raise NotShown(Refuted("\n".join([f"{what}, at {broken.where:#x}", *told(broken.model)])))
