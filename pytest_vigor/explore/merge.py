"""Joining paths that differ only in how they got to one place: ``a || b || c`` is one branch, not three, and TCP and
UDP are one path again once each has its checksum."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.behaviour import Assume, Joined, Node, Oblige
from pytest_vigor.explore.memory import REGION_BASE
from pytest_vigor.explore.path import Condition, PathState
from pytest_vigor.explore.vex_registers import FLAG_SLOTS, OPERATION_SLOT
from pytest_vigor.frame import Frame
from pytest_vigor.term import Bool, Term

WRITES = 4  #: to a frame in which two paths that become one may differ


def merge(a: PathState, b: PathState) -> PathState | None:
    """One path for two at the same address, or None where they differ in more than branches, registers and a few
    writes to frames."""
    if a.calls != b.calls or a.loans != b.loans or a.handles != b.handles or a.made != b.made:
        return None
    if _other_pointers(a, b) or any(a.ghosts[name] is not b.ghosts[name] for name in a.ghosts):
        return None
    if a.memory_state(frames=False) != b.memory_state(frames=False):
        return None
    common = _common(a.node, b.node)
    left, right = _since(a.node, common), _since(b.node, common)
    if left is None or right is None:
        return None
    before = _common(a.condition, b.condition)
    a_holds, b_holds = _conjunction(a.condition, before), _conjunction(b.condition, before)
    slots = _slots(a, b, a_holds)
    frames = _frames(a, b, a_holds)
    if frames is None:
        return None
    out = a.fork()
    for key, frame in frames.items():
        out.memory.own(out.memory.regions[key]).frame = frame
    out.registers.slots[:] = slots
    out.node = common
    for events in (left, right):
        so_far: Bool = True
        for event in events:
            if isinstance(event, Oblige):
                guarded = t.implies(so_far, event.condition)
                out.record(Oblige(guarded, event.kind, event.detail, event.where))
            else:
                so_far = t.land(so_far, event.condition)
    assumed = t.lor(_assumed(left), _assumed(right))
    if assumed is not True:
        out.record(Assume(assumed, a.where))
    out.condition = before
    out.known = a.known.common(b.known)
    out.hold(t.lor(a_holds, b_holds))
    out.visits = {at: max(a.visits.get(at, 0), b.visits.get(at, 0)) for at in {**a.visits, **b.visits}}
    out.forks = {at: max(a.forks.get(at, 0), b.forks.get(at, 0)) for at in {**a.forks, **b.forks}}
    out.seen = {**a.seen, **b.seen}
    shared = _shared(a.blocks, b.blocks)
    out.blocks = (*a.blocks[:shared], Joined(a_holds, a.blocks[shared:], b.blocks[shared:]))
    return out


def _common(a: Any, b: Any) -> Any:
    """The last element that two lists share."""
    while a is not b:
        if a is None or b is None:
            return None
        if a.depth >= b.depth:
            a = a.before
        else:
            b = b.before
    return a


def _since(node: Node | None, common: Node | None) -> list[Assume | Oblige] | None:
    """The events after a node, oldest first; None if one is a call."""
    out: list[Assume | Oblige] = []
    while node is not common:
        assert node is not None
        if not isinstance(node.event, Assume | Oblige):
            return None
        out.append(node.event)
        node = node.before
    out.reverse()
    return out


def _assumed(events: list[Assume | Oblige]) -> Bool:
    return t.land(*(event.condition for event in events if isinstance(event, Assume)))


def _conjunction(condition: Condition | None, before: Condition | None) -> Bool:
    parts: list[Term] = []
    while condition is not before:
        assert condition is not None
        parts.append(condition.condition)
        condition = condition.before
    return t.land(*parts)


def _other_pointers(a: PathState, b: PathState) -> bool:
    """Whether a register points to different places: such paths are better kept apart."""

    def is_pointer(value: Any, path: PathState) -> bool:
        return isinstance(value, int) and value >= REGION_BASE and path.memory.region_at(value) is not None

    return any(
        x is not y and x != y and (is_pointer(x, a) or is_pointer(y, b))
        for x, y in zip(a.registers.slots, b.registers.slots, strict=True)
    )


def _frames(a: PathState, b: PathState, a_holds: Bool) -> dict[int, Frame] | None:
    """The frames in which two paths differ, each written as on the one and then as on the other path, but only where
    that is the path; None where they differ in more than a checksum or two."""
    out: dict[int, Frame] = {}
    for key, region in a.memory.regions.items():
        one, other = region.frame, b.memory.regions[key].frame
        if one is None or other is None or one is other:
            continue
        shared = _shared(one.writes, other.writes)
        ours, theirs = one.writes[shared:], other.writes[shared:]
        if len(ours) + len(theirs) > WRITES:
            return None
        guarded = [replace(each, guard=t.land(a_holds, each.guard)) for each in ours]
        guarded += [replace(each, guard=t.land(t.lnot(a_holds), each.guard)) for each in theirs]
        out[key] = replace(one, writes=(*one.writes[:shared], *guarded))
    return out


def _shared(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
    """How many elements two tuples begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(one, other, strict=False)))


def _slots(a: PathState, b: PathState, a_holds: Bool) -> list[Any]:
    out: list[Any] = []
    flags_differ = False
    for slot, (x, y) in enumerate(zip(a.registers.slots, b.registers.slots, strict=True)):
        if x is y or (isinstance(x, int) and isinstance(y, int) and x == y):
            out.append(x)
        elif slot in FLAG_SLOTS:
            out.append(0)
            flags_differ = True
        else:
            width = x.width if isinstance(x, Term) else y.width if isinstance(y, Term) else 64
            out.append(t.ite(width, a_holds, x, y))
    if flags_differ:
        # Flags do not live from one block to the next where paths meet. If they did, nothing could be made of an
        # operation that is unknown, and the path would be given up.
        out[OPERATION_SLOT] = t.var("the flags of two paths", 64)
    return out
