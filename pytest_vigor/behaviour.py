"""What exploration finds and judging reads: an NF's finitely many paths, each a straight-line trace.

A trace does not fix the state that it started from. Its terms speak of the inputs (``packet(offset)``, ``length``,
``device``, ``now``, ``device_count``, ``config.*``, ``argument.*``), of the NF's own mutable numbers (``state.*``) and
of what library calls returned (``call3.out_index``); running the calls' contracts on another state, with the same
decisions, gives the same path from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.frame import Write
from pytest_vigor.term import Bool, Value

PACKET, LENGTH, DEVICE, NOW, DEVICE_COUNT = "packet", "length", "device", "now", "device_count"
LENGTH_MAX = 1518  #: bytes: an Ethernet frame without its check sequence, with one VLAN tag
TIME_BITS = 63  #: times are not negative

NF_DROP, NF_FLOOD = -1, -2


@dataclass(frozen=True, slots=True)
class Assume:
    """A branch went this way."""

    condition: Bool
    where: int


@dataclass(frozen=True, slots=True)
class Oblige:
    """Something that must hold here on every execution."""

    condition: Bool
    kind: str  #: "memory", "initialised", "contract", "division", "jump", "termination", "crash" or "result"
    detail: str
    where: int


@dataclass(frozen=True, slots=True)
class Called:
    """A library call: what its contract needs to be run again on another state.

    ``arguments`` by parameter name: the name of a structure, a number's or key's bits, or index and content of a
    record on loan. ``results`` names the symbols that stand for what the call returned.
    """

    number: int
    function: str
    arguments: tuple[tuple[str, Any], ...]
    decisions: tuple[bool, ...]
    results: tuple[tuple[str, str, int], ...]  #: result name, symbol, bits
    where: int

    @property
    def symbol(self) -> str:
        return f"call{self.number}"


Event = Assume | Oblige | Called


@dataclass(frozen=True, slots=True)
class Node:
    """An event and what came before it; paths share their beginnings."""

    event: Event
    before: Node | None
    depth: int

    def events(self) -> list[Event]:
        """From the first event to this one."""
        out: list[Event] = []
        node: Node | None = self
        while node is not None:
            out.append(node.event)
            node = node.before
        out.reverse()
        return out

    def passes(self, nodes: set[int]) -> bool:
        """Whether one of these nodes, by identity, is this one or comes before it."""
        node: Node | None = self
        while node is not None:
            if id(node) in nodes:
                return True
            node = node.before
        return False


@dataclass(frozen=True, slots=True)
class Joined:
    """The way to where two paths became one: that of the first where a condition holds, else that of the other."""

    condition: Bool
    first: tuple[int | Joined, ...]
    other: tuple[int | Joined, ...]


Way = tuple[int | Joined, ...]  #: addresses of the basic blocks that a path goes through


def addresses(way: Way, holds: Callable[[Bool], bool] | None = None) -> Iterator[int]:
    """The blocks on the way; of joined paths on the one that was taken, or on both."""
    for each in way:
        if isinstance(each, int):
            yield each
            continue
        taken = None if holds is None else holds(each.condition)
        for side, blocks in ((True, each.first), (False, each.other)):
            if taken is None or taken is side:
                yield from addresses(blocks, holds)


def map_way(way: Way, put: Callable[[Bool], Bool]) -> Way:
    """The same way, of which the conditions read differently."""

    def joined(each: Joined) -> Joined:
        return Joined(put(each.condition), map_way(each.first, put), map_way(each.other, put))

    return tuple(each if isinstance(each, int) else joined(each) for each in way)


@dataclass(frozen=True, slots=True)
class Path:
    """One straight line through a call of an entry point.

    ``ending`` is "returned"; "failed" where an obligation cannot hold; or "stuck" where exploring stopped, for
    ``reason`` of kind ``kind``, so that nothing can be said about what comes after.
    """

    last: Node | None
    ending: str
    value: Value = 0  #: what the entry point returned: 32 bits for nf_process, else 8
    writes: tuple[Write, ...] = ()  #: to the packet
    scalars: tuple[tuple[str, Value], ...] = ()  #: the NF's own mutable numbers afterwards, where they changed
    structures: tuple[str, ...] = ()  #: nf_init: the structures in the order in which they were allocated
    blocks: Way = ()
    reason: str = ""
    kind: str = ""
    where: int = 0

    def events(self) -> list[Event]:
        return self.last.events() if self.last is not None else []


@dataclass(frozen=True, slots=True)
class Structure:
    """A libVig structure that the NF allocates in nf_init and keeps in its state."""

    name: str
    kind: str
    parameters: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class MutableScalar:
    """A number in the NF's memory that steps change."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """All paths of an NF: of ``nf_init``, of ``nf_process``, and of each further entry point."""

    structures: tuple[Structure, ...]
    scalars: tuple[MutableScalar, ...]
    paths: Mapping[str, tuple[Path, ...]]
    trivial_obligations: int  #: met and seen to hold while exploring
    queries: int
    cpu_seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def accepted(self) -> tuple[Path, ...]:
        """The paths of nf_init on which it serves the configuration."""
        return tuple(p for p in self.paths["nf_init"] if p.ending == "returned" and p.value != 0)

    @property
    def recorded_obligations(self) -> int:
        """How many obligations are left to be shown under the invariants."""
        seen: set[int] = set()
        count = 0
        for paths in self.paths.values():
            for path in paths:
                node = path.last
                while node is not None and id(node) not in seen:
                    seen.add(id(node))
                    count += isinstance(node.event, Oblige | Called)
                    node = node.before
        return count


# ---- storing


def dump(behaviour: Behaviour) -> dict[str, Any]:
    """As plain lists, dicts, numbers and strings; terms and events that are shared are written once."""
    return _Dumper().behaviour(behaviour)


class _Dumper:
    def __init__(self) -> None:
        self.terms: list[Any] = []
        self.term_index: dict[int, int] = {}
        self.nodes: list[Any] = []
        self.node_index: dict[int, int] = {}

    def value(self, value: Any) -> Any:
        """A number as itself, a truth value as itself, a term as its place in the table."""
        if not isinstance(value, t.Term):
            return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if value.uid not in self.term_index:
            args = [self.value(a) for a in value.args]
            self.term_index[value.uid] = len(self.terms)
            self.terms.append([value.op, value.width, args, _plain(t.shape(value))])
        return [self.term_index[value.uid]]

    def node(self, node: Node | None) -> int:
        if node is None:
            return -1
        chain: list[Node] = []
        walk: Node | None = node
        while walk is not None and id(walk) not in self.node_index:
            chain.append(walk)
            walk = walk.before
        for each in reversed(chain):
            before = self.node_index[id(each.before)] if each.before is not None else -1
            self.node_index[id(each)] = len(self.nodes)
            self.nodes.append([before, self.event(each.event)])
        return self.node_index[id(node)]

    def event(self, event: Event) -> list[Any]:
        match event:
            case Assume(condition, where):
                return ["assume", self.value(condition), where]
            case Oblige(condition, kind, detail, where):
                return ["oblige", self.value(condition), kind, detail, where]
            case Called():
                arguments = [
                    [name, ["lent", *map(self.value, v)] if isinstance(v, tuple) else ["state", v]
                     if isinstance(v, str) else ["bits", self.value(v)]]
                    for name, v in event.arguments
                ]  # fmt: skip
                results = [list(result) for result in event.results]
                return ["called", event.number, event.function, arguments, list(event.decisions), results, event.where]

    def way(self, way: Way) -> list[Any]:
        return [
            each if isinstance(each, int) else [self.value(each.condition), self.way(each.first), self.way(each.other)]
            for each in way
        ]

    def path(self, path: Path) -> dict[str, Any]:
        return {
            "last": self.node(path.last),
            "ending": path.ending,
            "value": self.value(path.value),
            "writes": [
                [self.value(w.offset), w.size_bytes, self.value(w.value), self.value(w.guard)] for w in path.writes
            ],
            "scalars": [[name, self.value(v)] for name, v in path.scalars],
            "structures": list(path.structures),
            "blocks": self.way(path.blocks),
            "reason": path.reason,
            "kind": path.kind,
            "where": path.where,
        }

    def behaviour(self, behaviour: Behaviour) -> dict[str, Any]:
        paths = {entry: [self.path(p) for p in paths] for entry, paths in behaviour.paths.items()}
        structures = [
            [s.name, s.kind, [[name, self.value(v)] for name, v in s.parameters]] for s in behaviour.structures
        ]
        return {
            "structures": structures,
            "scalars": [[s.name, s.bits] for s in behaviour.scalars],
            "paths": paths,
            "trivial_obligations": behaviour.trivial_obligations,
            "queries": behaviour.queries,
            "cpu_seconds": behaviour.cpu_seconds,
            "notes": list(behaviour.notes),
            "terms": self.terms,
            "nodes": self.nodes,
        }


def _plain(data: Any) -> Any:
    if isinstance(data, tuple):
        return [_plain(part) for part in data]
    return str(data) if isinstance(data, int) and data > 1 << 53 else data


def _tuple(data: Any) -> Any:
    return tuple(_tuple(part) for part in data) if isinstance(data, list) else data


def load(data: Mapping[str, Any]) -> Behaviour:
    """The inverse of :func:`dump`."""
    terms: list[Any] = []

    def value(stored: Any) -> Any:
        if isinstance(stored, list):
            return terms[stored[0]]
        return int(stored) if isinstance(stored, str) else stored

    for op, width, args, shape in data["terms"]:
        shaped = _tuple(shape)
        if op == "add":
            shaped = (int(shaped[0]), tuple(int(c) for c in shaped[1]))
        terms.append(t.build(op, width, [value(a) for a in args], shaped))

    def argument(stored: list[Any]) -> Any:
        match stored:
            case ["lent", index, content]:
                return value(index), value(content)
            case ["state", name]:
                return name
            case [_, bits]:
                return value(bits)
        raise ValueError(f"no such argument: {stored!r}")

    def event(stored: list[Any]) -> Event:
        match stored:
            case ["assume", condition, where]:
                return Assume(value(condition), where)
            case ["oblige", condition, kind, detail, where]:
                return Oblige(value(condition), kind, detail, where)
            case ["called", number, function, arguments, decisions, results, where]:
                named = tuple((name, argument(v)) for name, v in arguments)
                return Called(number, function, named, tuple(decisions), _tuple(results), where)
        raise ValueError(f"no such event: {stored!r}")

    nodes: list[Node] = []
    for before, stored in data["nodes"]:
        last = nodes[before] if before >= 0 else None
        nodes.append(Node(event(stored), last, last.depth + 1 if last else 1))

    def way(stored: list[Any]) -> Way:
        return tuple(
            each if isinstance(each, int) else Joined(value(each[0]), way(each[1]), way(each[2])) for each in stored
        )

    def path(stored: Mapping[str, Any]) -> Path:
        return Path(
            last=nodes[stored["last"]] if stored["last"] >= 0 else None,
            ending=stored["ending"],
            value=value(stored["value"]),
            writes=tuple(Write(value(at), size, value(v), value(guard)) for at, size, v, guard in stored["writes"]),
            scalars=tuple((name, value(v)) for name, v in stored["scalars"]),
            structures=tuple(stored["structures"]),
            blocks=way(stored["blocks"]),
            reason=stored["reason"],
            kind=stored["kind"],
            where=stored["where"],
        )

    return Behaviour(
        structures=tuple(
            Structure(name, kind, tuple((p, value(v)) for p, v in parameters))
            for name, kind, parameters in data["structures"]
        ),
        scalars=tuple(MutableScalar(name, bits) for name, bits in data["scalars"]),
        paths={entry: tuple(path(p) for p in paths) for entry, paths in data["paths"].items()},
        trivial_obligations=data["trivial_obligations"],
        queries=data["queries"],
        cpu_seconds=data["cpu_seconds"],
        notes=tuple(data["notes"]),
    )
