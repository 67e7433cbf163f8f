"""A native run as the steps that a property sees: the same language, on plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_vigor import behaviour as b
from pytest_vigor.frame import Frame
from pytest_vigor.ghost import flows, map as maps, vector as vectors
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.headers import Header
from pytest_vigor.native.preference import preference
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import FLOOD, Beyond, Sent, State, Step
from pytest_vigor.symbols import config_record, view
from pytest_vigor.term import Bool
from pytest_vigor.trace import RETURNED, Run, Situation, StepResult


class PlainRun:
    """A run on which nothing needs to be decided."""

    def decide(self, condition: Bool) -> bool:
        assert isinstance(condition, bool), f"a plain run met the symbol {condition!r}"
        return condition


def plain_states(held: Mapping[str, Any], libvig: Path) -> dict[str, Any]:
    """The structures of a native run, by name."""
    run = PlainRun()
    out: dict[str, Any] = {}
    for name, each in held.items():
        match each.kind:
            case "consistent_hash":
                slots = sum(each.entries.values())
                chosen = preference(libvig, each.element_bits // 8, each.capacity, slots)
                out[name] = ConsistentHash.plain(run, name, each.element_bits, each.entries, chosen)
            case "flow_table":
                table = flows.PlainBase(Plain(), name, each.element_bits, each.capacity, each.entries)
                out[name] = FlowTable(run, table)
            case "index_pool":
                out[name] = IndexPool(run, flows.PlainBase(Plain(), name, 0, each.capacity, each.entries))
            case "map":
                out[name] = Map(run, maps.PlainBase(name, each.element_bits, each.capacity, each.entries))
            case "vector":
                out[name] = Vector(run, vectors.PlainBase(name, each.element_bits, each.capacity, each.entries))
    return out


def plain_step(header: Header, situation: Situation, run: Run, number: int = 0) -> Step:
    """The step of a native run with this number, as a property sees it."""
    given, result = situation.steps[number], run.steps[number]
    plain, libvig = PlainRun(), Path(situation.libvig)
    packet = Packet(plain, Plain(), Frame(b.PACKET, content=given.packet), len(given.packet))

    def outcome() -> tuple[State, Sent, bool]:
        after = result.packet_after if result.packet_after is not None else given.packet
        out = Packet(plain, Plain(), Frame(b.PACKET, content=after), len(after))
        new = view(header, plain, plain_states(result.new or {}, libvig), result.scalars_new or {})
        if result.value == b.NF_DROP:
            return new, Sent(), False
        if result.value == b.NF_FLOOD:
            return new, Sent([(FLOOD, out)]), True
        return new, Sent([(result.value, out)]), False

    def following(device: Any, next_packet: Packet, now: Any) -> Step:
        if number + 1 >= len(run.steps):
            raise Beyond("the native run has no further step")
        return plain_step(header, situation, run, number + 1)

    return Step(
        plain, config=config_record(header, plain, int.from_bytes(situation.config, "little")),
        device_count=situation.device_count, device=given.device, packet=packet, now=given.now,
        old=view(header, plain, plain_states(result.old or {}, libvig), result.scalars_old or {}),
        outcome=outcome if result.ending == RETURNED else None, reason=result.detail or result.ending,
        respected=lambda kind: not broken(result, run, situation.device_count), following=following,
    )  # fmt: skip


def broken(result: StepResult, run: Run, device_count: int) -> str:
    """What the native run shows of a broken obligation; empty if nothing."""
    if run.differs_with_stack:
        return run.difference
    if result.ending != RETURNED:
        return f"{result.ending}: {result.detail}" if result.detail else result.ending
    if result.entry == "nf_process" and result.value is not None and not -2 <= result.value < device_count:
        return f"nf_process returned {result.value}, with {device_count} devices"
    return ""
