"""What a report says of a network function and of a property, found out where the property is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.behaviour import Assume, Called, Node, Oblige, Path as Trace
from pytest_vigor.check import Explored
from pytest_vigor.contract import Borrowed, Key, Loan, New, Out
from pytest_vigor.frame import Write
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.instance import Instance, init_instance, instantiate
from pytest_vigor.layout import Type
from pytest_vigor.render import citation, failure
from pytest_vigor.report import schema
from pytest_vigor.report.coverage import coverage
from pytest_vigor.report.places import place_at
from pytest_vigor.report.schema import EntryPoint, Event, Path, Place, Structure
from pytest_vigor.report.terms import Bytes, Writer, packet_bytes, place
from pytest_vigor.term import Term, Value
from pytest_vigor.verdict import Proved, Refuted, Verdict
from pytest_vigor.work import Exhausted

INIT, PROCESS = "nf_init", "nf_process"


def told(
    id_: str, claim: str, verdict: Verdict, record: dict[str, Any], looked_at: set[int], explored: Explored
) -> str:
    """What goes with the report of a property, as JSON: what became of it and, once in each process, the network
    function. ``record`` is what the plugin notes of every property."""
    cited, said = citation(claim)
    example = verdict.counterexample if isinstance(verdict, Refuted) else None
    found = schema.Property(
        id=id_, name=id_.rpartition("::")[2], nf=record["nf"], claim=said, citation=cited, verdict=record["verdict"],
        confirmed=example.confirmed if example is not None else None, seconds=record["seconds"],
        cached=record["cached"], text="" if isinstance(verdict, Proved) else failure(claim, verdict, verbosity=2),
        counterexample=example.to_json() if example is not None else None, looked_at=sorted(looked_at),
    )  # fmt: skip
    first, explored.told = not explored.told, True
    out = schema.Told(property=found, network_function=network_function(explored) if first else None)
    return msgspec.json.encode(out).decode()


def network_function(explored: Explored) -> schema.NetworkFunction:
    """Everything about the binary."""
    subject, nf = explored.subject, explored.nf
    t.keep_apart(explored.terms)
    behaviour = subject.behaviour
    writer = Writer()
    return schema.NetworkFunction(
        name=nf.name, binary=nf.binary.name, digest=explored.binary.digest,
        explore_seconds=round(explored.seconds, 3), cached=explored.cached, queries=behaviour.queries,
        obligations=behaviour.trivial_obligations + behaviour.recorded_obligations,
        broken=[f"{duty.kind.removeprefix('stuck:')}: {duty.detail}" for duty in subject.duties],
        invariants=[each.text for each in subject.invariants],
        structures=[
            Structure(name=each.name, kind=each.kind, parameters={k: writer.write(v) for k, v in each.parameters})
            for each in behaviour.structures
        ],
        entries=[_Entry(explored, name).entry() for name in _order(behaviour.paths)],
        coverage=coverage(explored.binary, behaviour, explored.source_lines()),
    )  # fmt: skip


def _order(names: Any) -> list[str]:
    """What happens for every packet first, and what happens once last."""
    return sorted(names, key=lambda name: (name != PROCESS, name == INIT))


class _Entry:
    """One entry point, being written down."""

    def __init__(self, explored: Explored, name: str) -> None:
        self.explored, self.name = explored, name
        self.events: list[Event] = []
        self.at: dict[int, int] = {}

    def entry(self) -> EntryPoint:
        paths = [self._path(path) for path in self.explored.subject.behaviour.paths[self.name]]
        return EntryPoint(name=self.name, events=self.events, paths=paths)

    def _path(self, path: Trace) -> Path:
        writer = Writer()
        instance = self._instance(path)
        calls = iter(instance.calls)
        last = -1
        for node in _chain(path):
            call = next(calls) if isinstance(node.event, Called) else None
            # What a term is called depends on what came before it, so an event is written anew only if it is new.
            text, where = self._event(writer, node, None if call is None else call[2])
            if id(node) not in self.at:
                self.at[id(node)] = len(self.events)
                kind = {Assume: "condition", Called: "call", Oblige: "obligation"}[type(node.event)]
                self.events.append(Event(kind=kind, text=text, before=last, place=where))  # type: ignore[arg-type]
            last = self.at[id(node)]
        return Path(
            last=last, ending=path.ending, outcome=self._outcome(writer, path), possible=self._possible(path),  # type: ignore[arg-type]
            sent=[*_writes(writer, path.writes), *(f"state.{name} = {writer.condition(v)}" for name, v in path.scalars)]
            if self.name != INIT else [],
            reason=path.reason, place=place_at(self.explored.source_lines(), path.where),
        )  # fmt: skip

    def _instance(self, path: Trace) -> Instance:
        subject, facts = self.explored.subject, Facts()
        if self.name == INIT:
            return init_instance(path, subject.contracts, facts)
        return instantiate(path, subject.contracts, facts, *subject.begin(facts))

    def _possible(self, path: Trace) -> bool | None:
        if self.name != PROCESS:
            return None
        try:
            return self.explored.subject.prepare_path(path) is not None
        except Exhausted:
            return None

    def _outcome(self, writer: Writer, path: Trace) -> str:
        if path.ending != "returned":
            return "breaks an obligation" if path.ending == "failed" else "not explored further"
        if self.name != PROCESS:
            return "returns true" if path.value else "returns false"
        special = {b.NF_DROP & t.mask(32): "dropped", b.NF_FLOOD & t.mask(32): "flooded"}
        if isinstance(path.value, int) and path.value in special:
            return special[path.value]
        return f"sent to device {writer.condition(path.value)}"

    # ---- events

    def _event(self, writer: Writer, node: Node, result: Any) -> tuple[str, Place | None]:
        event = node.event
        where = place_at(self.explored.source_lines(), event.where)
        match event:
            case Assume(condition):
                return writer.condition(condition), where
            case Oblige(_, kind, detail):
                return f"{kind}: {detail}", where
        return self._call(writer, event, result), where

    def _call(self, writer: Writer, called: Called, result: Any) -> str:
        contract = self.explored.subject.contracts.get(called.function)
        assert contract is not None  # else it could not have been explored
        arguments = dict(called.arguments)
        texts = []
        for name, value in called.arguments:
            match contract.parameters.get(name):
                case Key(owner):
                    texts.append(writer.memory(value, self._type(arguments.get(owner), "key")))
                case Loan(owner):
                    index, content = value
                    held = arguments.get(owner)
                    record = writer.memory(content, self._type(held, "record"))
                    texts.append(f"{held}[{writer.condition(index)}]={record}")
                case _:
                    texts.append(value if isinstance(value, str) else f"{name}={writer.condition(value)}")
        for name, symbol, _ in called.results:
            kind = contract.returns if name == "result" else contract.parameters.get(name)
            of: Type | None = None
            if isinstance(kind, Borrowed):
                of = self._type(arguments.get(kind.of), "record")
            elif isinstance(kind, Out) and kind.of:
                of = self._type(arguments.get(kind.of), "key")
            if of is not None:
                writer.types[symbol] = of
        text = f"#{called.number + 1} {called.function}({', '.join(texts)})"
        if isinstance(result, bool):
            return f"{text} = {'true' if result else 'false'}"
        return f"{text} = NULL" if isinstance(contract.returns, New) and result is None else text

    def _type(self, structure: Any, what: str) -> Type | None:
        for each in self.explored.subject.header.state_objects:
            if each.name == structure:
                found: Type | None = getattr(each, what)
                return found
        return None


def _chain(path: Trace) -> list[Node]:
    chain: list[Node] = []
    node = path.last
    while node is not None:
        chain.append(node)
        node = node.before
    return chain[::-1]


def _writes(writer: Writer, writes: tuple[Write, ...]) -> Iterator[str]:
    """What a path wrote to the packet, each place once, neighbours together; then what it wrote on some condition."""
    last: dict[tuple[bool, int], Value] = {}
    odd = []
    for write in writes:
        found = place(write.offset)
        if found is None:
            value = writer.condition(write.value)
            odd.append(f"packet[{writer.condition(write.offset)}] = {value} ({write.size_bytes} bytes)")
            continue
        written = {
            (found[0], found[1] + k): t.extract(write.value, 8 * write.size_bytes, 8 * k + 7, 8 * k)
            for k in range(write.size_bytes)
        }
        if write.guard is True:
            last |= written
        else:
            odd += [f"{each} if {writer.condition(write.guard)}" for each in _fields(writer, written)]
    yield from _fields(writer, last)
    yield from odd


def _fields(writer: Writer, last: dict[tuple[bool, int], Value]) -> Iterator[str]:
    run: list[tuple[bool, int]] = []
    for at in sorted(last):
        if run and not _same_field(writer, run[-1], at):
            yield from _write(writer, run, last)
            run = []
        run.append(at)
    if run:
        yield from _write(writer, run, last)


def _same_field(writer: Writer, one: tuple[bool, int], other: tuple[bool, int]) -> bool:
    if one[0] != other[0] or other[1] != one[1] + 1:
        return False
    name: Callable[[tuple[bool, int]], str] = lambda at: writer.bytes(Bytes(*at, 1)).partition("[")[0]  # noqa: E731
    return name(one) == name(other)


def _write(writer: Writer, run: list[tuple[bool, int]], last: dict[tuple[bool, int], Value]) -> Iterator[str]:
    here = Bytes(*run[0], len(run))
    value = t.concat([(8, last[at]) for at in reversed(run)])
    found = packet_bytes(value) if isinstance(value, Term) else None
    if found is not None and (found.transport, found.start, found.count) == (here.transport, here.start, here.count):
        return  # what was there before
    if isinstance(value, int):
        value = int.from_bytes(value.to_bytes(len(run), "little"), "big")
    text = writer.condition(value)
    yield f"{writer.bytes(here)} = {text}"
