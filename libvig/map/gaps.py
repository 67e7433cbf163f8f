"""What holds while probe.h closes the gap that a removed entry leaves: later slots whose search passes it move up.

Each round looks at one slot. What is said is said of the entries as if the gap were unused already (a ``View``): all
holds of them that holds of any, but that a search may pass the gap, and that is so only of slots that have not been
looked at yet. Which slots are used, the gap counted, stays the same throughout.

Distances between slots are taken around the ring. What is so of all distances is ``distances`` and its like, each shown
once, of any slots and tags; elsewhere it is known.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_vigor import term as t
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.term import Bool, Value

chains = beside(__file__, "chains.py")

BITS = 32
ANY_SLOT, BETWEEN = chains.ANY_SLOT, chains.BETWEEN

Claims = Iterator[tuple[str, Bool]]


def _eq(a: Value, b: Value) -> Bool:
    return t.eq(BITS, a, b)


def _le(a: Value, b: Value) -> Bool:
    return t.ule(BITS, a, b)


# ---- what is so of all distances


def distances(slots: "chains.Chains", begin: Value, one: Value, other: Value) -> Claims:
    """How far it is from one place to another, which are so far from a third one."""
    near, far, between = slots.steps(begin, one), slots.steps(begin, other), slots.steps(one, other)
    less = t.sub(BITS, far, near)
    yield "distances subtract", _eq(between, t.band(BITS, less, slots.mask))
    around = t.add(BITS, less, t.add(BITS, slots.mask, 1))
    yield "one goes around at most once", _eq(between, t.ite(BITS, _le(near, far), less, around))


def no_distance(slots: "chains.Chains", one: Value, other: Value) -> Claims:
    """Only one slot is no distance away."""
    exist = t.land(slots.exists(one), slots.exists(other))
    is_here = _eq(slots.steps(one, other), 0)
    yield "only a slot itself is not away from it", t.implies(exist, t.iff(is_here, _eq(one, other)))


def one_further(slots: "chains.Chains", slot: Value) -> Claims:
    """How far it is to the next slot."""
    there = t.land(slots.exists(slot), t.ule(BITS, 1, slots.mask))
    yield "the next slot is one step away", t.implies(there, _eq(slots.steps(slot, next_slot(slots, slot)), 1))


def next_slot(slots: "chains.Chains", slot: Value) -> Value:
    return t.band(BITS, t.add(BITS, slot, 1), slots.mask)


def of_any_distances(slots: "chains.Chains") -> Claims:
    """All of that, of any slots and tags."""
    places = [t.var(f"any place {at}", BITS) for at in range(3)]
    yield from distances(slots, *places)
    yield from no_distance(slots, *places[:2])
    yield from one_further(slots, places[0])


# ---- the loop


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where a round is: the gap, the slot to be looked at, and the entries as if the gap were unused already."""

    gap: Value
    slot: Value
    entries: "chains.Entries"


class Closing:
    """What holds of the loop. ``before`` are the entries before it, ``begins_used`` is whether a round begins where the
    slot to be looked at is known to be used: a compiler may have the next one looked at in the end. ``others`` is what
    else holds of any entries, ``others_before`` what is known besides of those before, and ``others_at`` the same of
    what a slot leads to."""

    def __init__(
        self, before: "chains.Entries", begins_used: bool, others: Callable[["chains.Entries"], Claims],
        others_before: Callable[[], Claims], others_at: Callable[["chains.Entries", Value], Claims],
    ) -> None:  # fmt: skip
        self.before, self.begins_used = before, begins_used
        self.others, self.others_before, self.others_at = others, others_before, others_at
        self.slots = before.chains

    def left(self, now: View) -> Value:
        """How far it can still go."""
        return self.slots.steps(now.slot, self.slots.unused)

    def following(self, slot: Value) -> Value:
        """The slot that is looked at last, when this is where the last round begins."""
        return next_slot(self.slots, slot) if self.begins_used else slot

    def given(self, now: View) -> Claims:
        """What is known anyway."""
        slots, gap, slot = self.slots, now.gap, now.slot
        following, unused = next_slot(slots, slot), slots.unused
        for other in (unused, following, ANY_SLOT):
            yield from distances(slots, gap, slot, other)
            yield from no_distance(slots, slot, other)
            yield from no_distance(slots, gap, other)
        yield from distances(slots, slot, following, unused)
        yield from no_distance(slots, gap, slot)
        yield from one_further(slots, slot)
        yield from distances(slots, now.entries.chains.tag(slot), gap, slot)
        for place in (gap, slot, following):
            yield from distances(slots, now.entries.chains.tag(ANY_SLOT), place, ANY_SLOT)
        for each in (gap, slot, following):
            yield from slots.of_slot(each)
        for each in (ANY_SLOT, BETWEEN):
            yield from self.before.of_slot(each)
        for between in (BETWEEN, slot):
            yield from slots.of_chain(ANY_SLOT, between)
        yield from self.others_before()
        for each in (slot, following, ANY_SLOT):
            yield from slots.same(each, unused)
            yield from chains.same_slot(self.before, each, gap)
            yield from chains.same_slot(now.entries, each, gap)
        for each in (ANY_SLOT, BETWEEN, following):
            yield from chains.same_slot(now.entries, each, slot)

    def assumed(self, now: View) -> Claims:
        """What the invariant says of more slots."""
        following = next_slot(self.slots, now.slot)
        for slot in (BETWEEN, now.slot, following):
            yield from self._at(now, slot)
        for slot, between in ((now.slot, BETWEEN), (ANY_SLOT, now.slot), (ANY_SLOT, following), (now.slot, following)):
            yield from self._passing(now, slot, between)
        for slot in (now.slot, now.gap, ANY_SLOT):
            yield from self.others_at(now.entries, slot)

    def holds(self, now: View) -> Claims:
        """What holds while it goes on."""
        yield from self._stays(now)
        if self.begins_used:
            yield "the slot to be looked at is used", now.entries.chains.used(now.slot)

    def _stays(self, now: View) -> Claims:
        slots = self.slots
        yield "there are a gap and a slot", t.land(slots.exists(now.gap), slots.exists(now.slot))
        yield "the gap is not looked at", t.ne(BITS, now.gap, now.slot)
        yield "it is not past an unused slot", _le(slots.steps(now.gap, now.slot), slots.steps(now.gap, slots.unused))
        yield "the gap was used", slots.used(now.gap)
        yield from self._at(now, ANY_SLOT)
        yield from self._passing(now, ANY_SLOT, BETWEEN)
        yield from self.others(now.entries)

    def _at(self, now: View, slot: Value) -> Claims:
        """What holds of a slot."""
        yield self._as_many(now, slot)
        then = now.entries.chains
        begins = t.ult(BITS, then.steps(then.tag(slot), slot), then.steps(now.gap, slot))
        yield "no search for what was looked at passes the gap", t.implies(self._is_behind(now, slot), begins)
        yield from now.entries.of_entry(slot)

    def _is_behind(self, now: View, slot: Value) -> Bool:
        """Whether a used slot has been looked at."""
        away, behind = (self.slots.steps(now.gap, each) for each in (now.slot, slot))
        return t.land(self.slots.exists(slot), now.entries.chains.used(slot), t.ult(BITS, behind, away))

    def _as_many(self, now: View, slot: Value) -> tuple[str, Bool]:
        used = t.lor(now.entries.chains.used(slot), _eq(slot, now.gap))
        same = t.iff(used, self.slots.used(slot))
        return "as many are used as before, and the gap", t.implies(self.slots.exists(slot), same)

    def _passing(self, now: View, slot: Value, between: Value) -> Claims:
        """What holds of a slot and another that a search for it passes."""
        then = now.entries.chains
        passed = _le(then.steps(then.tag(slot), between), then.steps(then.tag(slot), slot))
        exist = t.land(then.exists(slot), then.exists(between), then.used(slot))
        used = t.lor(then.used(between), _eq(between, now.gap))
        yield "a search passes used slots and the gap", t.implies(t.land(exist, passed), used)

    def round(self, now: View, then: View) -> Claims:
        """Why that is so of the following slot."""
        slots, away = self.slots, self.slots.steps(now.gap, now.slot)
        following = next_slot(slots, now.slot)
        yield "the unused slot is not here", t.ne(BITS, now.slot, slots.unused)
        yield "it is further away", t.ult(BITS, away, slots.steps(now.gap, slots.unused))
        yield "one further", _eq(slots.steps(now.gap, following), t.add(BITS, away, 1))
        yield "less is left", t.ult(BITS, slots.steps(following, slots.unused), slots.steps(now.slot, slots.unused))
        moves, tag = _eq(then.gap, now.slot), now.entries.chains.tag(now.slot)
        yield "the gap moves here or stays", t.lor(moves, _eq(then.gap, now.gap))
        begins = _le(slots.steps(tag, now.gap), slots.steps(tag, now.slot))
        yield "a search for what moves passes the gap", t.implies(moves, begins)
        for each in (BETWEEN, following):
            yield self._as_many(then, each)
        filled = _eq(ANY_SLOT, now.gap)
        same_tag = _eq(then.entries.chains.tag(ANY_SLOT), t.ite(BITS, filled, tag, now.entries.chains.tag(ANY_SLOT)))
        used = then.entries.chains.used(ANY_SLOT)
        behind, nearer = self._is_behind(then, ANY_SLOT), t.ult(BITS, slots.steps(now.gap, ANY_SLOT), away)
        yield "what moves leaves nothing behind", t.implies(moves, t.lnot(behind))
        yield "one more is behind", t.implies(behind, t.lor(nearer, _eq(ANY_SLOT, now.slot)))
        yield "what moves keeps its tag", t.implies(t.land(moves, used, slots.exists(ANY_SLOT)), same_tag)
        for between in (BETWEEN, following):
            for _, passing in self._passing(then, ANY_SLOT, between):
                yield "a search for what has moved passes used slots", t.implies(filled, passing)
                yield "a search for others passes used slots", t.implies(t.lnot(filled), passing)

    def ends(self, now: View, then: View) -> Claims:
        """What holds where it ends."""
        if self.begins_used:
            yield from self.round(now, then)
        yield from self.closed(then)

    def closed(self, then: View) -> Claims:
        """Why all holds where an unused slot is looked at."""
        yield from self._stays(then)
        yield from self._passing(then, ANY_SLOT, then.slot)
        slots, entries = self.slots, then.entries.chains
        tag, used = entries.tag(ANY_SLOT), t.land(slots.exists(ANY_SLOT), entries.used(ANY_SLOT))
        gap, end, slot = (slots.steps(tag, each) for each in (then.gap, then.slot, ANY_SLOT))
        beyond = t.land(used, t.lnot(self._is_behind(then, ANY_SLOT)), _le(gap, slot))
        yield "a search that passes the gap passes the end", t.implies(beyond, _le(end, slot))
        yield "no search passes the gap", t.implies(used, t.ult(BITS, slot, gap))
        yield from then.entries.chains.of_chain(ANY_SLOT, BETWEEN)
        at, many = slots.position(then.gap), slots.many
        yield "the gap is among the used slots", t.land(t.ult(BITS, at, many), _le(many, slots.mask))
