"""Searches from slot to slot, as probe.h makes them, at any capacity: for a key, and for room for one."""

from collections.abc import Iterator

from pytest_vigor import term as t
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.term import Bool, Value

chains = beside(__file__, "chains.py")

BITS, ANY_SLOT, BETWEEN = chains.BITS, chains.ANY_SLOT, chains.BETWEEN

Claims = Iterator[tuple[str, Bool]]


def _eq(a: Value, b: Value) -> Bool:
    return t.eq(BITS, a, b)


class _Walk:
    """A search for a tag, slot by slot from its home; there is an unused slot, so it ends."""

    def __init__(self, chains: "chains.Chains", tag: Value) -> None:
        self.chains, self.tag = chains, tag

    @property
    def first(self) -> Value:
        """Where it begins."""
        return self.chains.home(self.tag)

    def left(self, slot: Value) -> Value:
        """How far it can still go."""
        return t.sub(BITS, self._steps(self.chains.unused), self._steps(slot))

    def _further(self, slot: Value, following: Value, looked_for: Value) -> Claims:
        """Why a slot that is looked for, or an unused one, is not passed on the way to the following slot."""
        done = self._steps(slot)
        for other in (looked_for, self.chains.unused):
            same = t.land(self.chains.exists(other), _eq(done, self._steps(other)))
            yield "no two slots are as far", t.implies(same, _eq(slot, other))
        yield "one further", t.lor(_eq(done, self.chains.mask), _eq(self._steps(following), t.add(BITS, done, 1)))

    def _steps(self, slot: Value) -> Value:
        return self.chains.steps(self.tag, slot)


class Search(_Walk):
    """What holds of the search for a key, ``slot`` being where it is."""

    def __init__(self, entries: "chains.Entries", key: Value) -> None:
        super().__init__(entries.chains, entries.tag_of(key))
        self.entries, self.key, self.there, self.wanted = entries, key, entries.has(key), entries.slot_of(key)

    def given(self, slot: Value) -> Claims:
        """What is known anyway of a slot."""
        for each in (slot, self.wanted):
            yield from self.entries.of_slot(each)
        yield from self.chains.of_chain(self.wanted, slot)
        yield from chains.same_slot(self.entries, slot, self.wanted)
        for other in (slot, self.wanted):
            yield from chains.same_key(self.entries, self.entries.key(other), self.key)

    def holds(self, slot: Value) -> Claims:
        """What holds while it goes on."""
        done = self._steps(slot)
        yield "it is at a slot", self.chains.exists(slot)
        yield "it is not past an unused slot", t.ule(BITS, done, self._steps(self.chains.unused))
        yield "it is not past the key", t.implies(self.there, t.ule(BITS, done, self._steps(self.wanted)))

    def round(self, slot: Value, following: Value) -> Claims:
        """Why that is so of the following slot."""
        yield "the key is not here", t.implies(self.there, t.ne(BITS, slot, self.wanted))
        yield "the unused slot is not here", t.ne(BITS, slot, self.chains.unused)
        yield from self._further(slot, following, self.wanted)

    def ends(self, slot: Value) -> Claims:
        """What holds where it ends."""
        used = self.chains.used(slot)
        yield "it ends at an unused slot if the key is absent", t.implies(t.lnot(used), t.lnot(self.there))
        yield "it ends at the key's slot", t.implies(used, t.land(self.there, _eq(slot, self.wanted)))


class Room(_Walk):
    """What holds of the search for an unused slot for a tag. ``between`` is any slot. A compiler may have the loop
    begin where the slot is known to be ``used``, and the next one is looked at."""

    def __init__(self, chains: "chains.Chains", tag: Value, between: Value, used: bool) -> None:
        super().__init__(chains, tag)
        self.between, self.used = between, used

    def given(self, slot: Value) -> Claims:
        """What is known anyway of a slot."""
        for each in (slot, self.between):
            yield from self.chains.of_slot(each)
        yield from self.chains.same(slot, self.between)

    def holds(self, slot: Value) -> Claims:
        """What holds while it goes on."""
        yield "it is at a slot", self.chains.exists(slot)
        yield "it is not past an unused slot", t.ule(BITS, self._steps(slot), self._steps(self.chains.unused))
        yield from self._passed(slot)
        if self.used:
            yield "the slot is used", self.chains.used(slot)

    def round(self, slot: Value, following: Value) -> Claims:
        """Why that is so of the following slot."""
        yield "the unused slot is not here", t.ne(BITS, slot, self.chains.unused)
        yield from self._further(slot, following, self.between)

    def ends(self, slot: Value) -> Claims:
        """What holds where it ends."""
        if self.used:
            following = t.band(BITS, t.add(BITS, slot, 1), self.chains.mask)
            yield from self.round(slot, following)
            yield from self._passed(following)

    def _passed(self, slot: Value) -> Claims:
        before = t.land(self.chains.exists(self.between), t.ult(BITS, self._steps(self.between), self._steps(slot)))
        yield "the slots before are used", t.implies(before, self.chains.used(self.between))
