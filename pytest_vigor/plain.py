"""A native run as the steps that a property sees: the same language, on plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pytest_vigor import behaviour as b
from pytest_vigor.frame import Frame
from pytest_vigor.ghost import flows, map as maps, vector as vectors
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import Lpm
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.headers import Header
from pytest_vigor.native.preference import preference
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import FLOOD, Beyond, Sent, State, Step
from pytest_vigor.symbols import config_record, view
from pytest_vigor.term import Bool
from pytest_vigor.trace import (
    CRASHED,
    HUNG,
    PROCESS,
    RETURNED,
    VIOLATED,
    ObjectState,
    Run,
    Situation,
    Step as Given,
    StepResult,
)


class PlainRun:
    """A run on which nothing needs to be decided."""

    def decide(self, condition: Bool) -> bool:
        assert isinstance(condition, bool), f"a plain run met the symbol {condition!r}"
        return condition


def plain_state(name: str, held: ObjectState, libvig: Path) -> Any:
    """A structure of a native run."""
    run = PlainRun()
    entries: Any = held.entries  # what they are is the kind's
    match held.kind:
        case "consistent_hash":
            slots = sum(entries.values())
            chosen = preference(libvig, held.element_bits // 8, held.capacity, slots)
            return ConsistentHash.plain(run, name, held.element_bits, entries, chosen)
        case "flow_table":
            return FlowTable(run, flows.PlainBase(Plain(), name, held.element_bits, held.capacity, entries))
        case "index_pool":
            return IndexPool(run, flows.PlainBase(Plain(), name, 0, held.capacity, entries))
        case "lpm":
            return Lpm(run, maps.PlainBase(name, held.element_bits, held.capacity, entries))
        case "map":
            return Map(run, maps.PlainBase(name, held.element_bits, held.capacity, entries))
        case "vector":
            return Vector(run, vectors.PlainBase(name, held.element_bits, held.capacity, entries))
    raise KeyError(name)


@dataclass(slots=True)
class _Members(Mapping[str, Any]):
    """A state's structures and numbers, each made when a property first reads it: of many it reads few."""

    header: Header
    libvig: Path
    held: Mapping[str, ObjectState]
    numbers: Mapping[str, int]
    made: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            states, numbers = {}, {}
            if name in self.held:
                states[name] = plain_state(name, self.held[name], self.libvig)
            else:
                numbers[name] = self.numbers[name]
            self.made |= view(self.header, PlainRun(), states, numbers).items()
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.held
        yield from self.numbers

    def __len__(self) -> int:
        return len(self.held) + len(self.numbers)


def plain_step(
    header: Header, situation: Situation, run: Run, number: int = 0, asked: list[str] | None = None
) -> Step:
    """The step of a native run with this number, as a property sees it. ``asked`` takes note of the obligations that
    the property asks about and that are broken."""

    def respected(kind: str) -> bool:
        if kind == "initialised":
            fine = not run.differs_with_stack
        else:
            fine = kind not in broken_kinds(run.steps[number], situation.device_count)
        if not fine and asked is not None:
            asked.append(kind)
        return fine

    def following(device: Any, next_packet: Any, now: Any) -> Step:
        if number + 1 >= len(run.steps):
            raise Beyond("the native run has no further step")
        # A capture goes on with what came, and not with what the property asks about.
        given = situation.steps[number + 1]
        same = (device is ... or device == given.device) and (now is ... or now == given.now)
        if not same or (next_packet is not ... and not next_packet == plain_packet(given.packet)):
            raise Beyond("the native run goes on with another packet")
        return plain_step(header, situation, run, number + 1, asked)

    return step_of(header, situation, situation.steps[number], run.steps[number], respected, following)


def step_of(
    header: Header, situation: Situation, given: Given, result: StepResult, respected: Callable[[str], bool],
    following: Callable[[Any, Any, Any], Step],
) -> Step:  # fmt: skip
    """The step that a native call was, as a property sees it; the situation tells the configuration."""
    plain, libvig = PlainRun(), Path(situation.libvig)
    packet = plain_packet(given.packet)

    @cache
    def outcome() -> tuple[State, Sent, bool]:
        out = plain_packet(result.packet_after if result.packet_after is not None else given.packet)
        new = State(_Members(header, libvig, result.new or {}, result.scalars_new or {}))
        if result.value == b.NF_DROP:
            return new, Sent(), False
        if result.value == b.NF_FLOOD:
            return new, Sent([(FLOOD, out)]), True
        return new, Sent([(result.value, out)]), False

    return Step(
        plain, config=config_record(header, plain, int.from_bytes(situation.config, "little")),
        device_count=situation.device_count, device=given.device, packet=packet, now=given.now,
        old=State(_Members(header, libvig, result.old or {}, result.scalars_old or {})),
        outcome=outcome if result.ending == RETURNED else None, reason=result.detail or result.ending,
        respected=respected, following=following,
    )  # fmt: skip


def plain_packet(content: bytes) -> Packet:
    """A packet with these bytes."""
    return Packet(PlainRun(), Plain(), Frame(b.PACKET, content=content), len(content))


def broken(result: StepResult, run: Run, device_count: int) -> str:
    """What the native run shows of a broken obligation; empty if nothing."""
    if run.differs_with_stack:
        return run.difference
    if result.ending != RETURNED:
        return f"{result.ending}: {result.detail}" if result.detail else result.ending
    if "result" in broken_kinds(result, device_count):
        return f"nf_process returned {result.value}, with {device_count} devices"
    return ""


def broken_kinds(result: StepResult, device_count: int) -> frozenset[str]:
    """The obligations that one native call broke for all to see, by kind."""
    match result.ending:
        case ending if ending == RETURNED:
            value = result.value if result.entry == PROCESS else None
            return frozenset() if value is None or b.NF_FLOOD <= value < device_count else frozenset({"result"})
        case ending if ending == HUNG:
            return frozenset({"termination"})
        case ending if ending == VIOLATED:
            return frozenset({"contract"})
        case ending if ending == CRASHED:
            fault = result.fault
            found = {_BROKEN_BY.get("" if fault is None else fault.signal, "crash")}
            if fault is not None and fault.code_offset is None and result.function is None and fault.signal in _WILD:
                found.add("jump")  # it was not running its own code any more, nor any that it had called
            return frozenset(found)
    return frozenset()


_BROKEN_BY = {"SIGSEGV": "memory", "SIGBUS": "memory", "SIGFPE": "division"}
_WILD = ("SIGSEGV", "SIGBUS", "SIGILL")
