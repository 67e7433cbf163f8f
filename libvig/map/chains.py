"""What probe.h keeps, at any capacity: each used slot is reached from where the search for its tag begins.

All slots stand in a row, the used ones first: ``order`` is the slot at each position, and ``position`` undoes that. So
the slot at the position that is the number of used ones is not used, and every search ends there at the latest. The
row is there for the proof only (ghost state).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from pytest_vigor import term as t
from pytest_vigor.layout import Struct
from pytest_vigor.refine.array import Array, member
from pytest_vigor.term import Bool, Value

BITS = 32
LINE_BYTES = 64
CAPACITY_MAX, MASK_MAX = 1 << 30, (1 << 31) - 1

Function = Callable[[Value], Value]
Claims = Iterator[tuple[str, Bool]]


def _eq(a: Value, b: Value) -> Bool:
    return t.eq(BITS, a, b)


def _lt(a: Value, b: Value) -> Bool:
    return t.ult(BITS, a, b)


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """Slots: the mask, how many are used, and as functions of 32 bits the tag and the value of a slot, the slot at a
    position, and the position of a slot."""

    mask: Value
    many: Value
    tag: Function
    value: Function
    order: Function
    position: Function

    def exists(self, slot: Value) -> Bool:
        return t.ule(BITS, slot, self.mask)

    def used(self, slot: Value) -> Bool:
        return t.ne(BITS, self.tag(slot), 0)

    def home(self, tag: Value) -> Value:
        """Where the search for a tag begins."""
        return t.band(BITS, tag, self.mask)

    def steps(self, tag: Value, slot: Value) -> Value:
        """How many rounds after it began the search for a tag is at a slot."""
        return t.band(BITS, t.sub(BITS, slot, tag), self.mask)

    @property
    def unused(self) -> Value:
        """A slot that is not used."""
        return self.order(self.many)

    def with_one_more(self, slot: Value) -> "Chains":
        """The slots when one more is used: in the row it changes places with the first that was not."""
        return replace(self._exchanged(slot, self.many), many=t.add(BITS, self.many, 1))

    def with_one_less(self, slot: Value) -> "Chains":
        """The slots when one that was used is not: in the row it changes places with the last that was."""
        last = t.sub(BITS, self.many, 1)
        return replace(self._exchanged(slot, last), many=last)

    def _exchanged(self, slot: Value, one: Value) -> "Chains":
        """The row in which a slot and the one at a position have changed places."""
        other, moved = self.position(slot), self.order(one)

        def order(at: Value) -> Value:
            return t.ite(BITS, _eq(at, one), slot, t.ite(BITS, _eq(at, other), moved, self.order(at)))

        def position(each: Value) -> Value:
            return t.ite(BITS, _eq(each, slot), one, t.ite(BITS, _eq(each, moved), other, self.position(each)))

        return replace(self, order=order, position=position)

    def same(self, one: Value, other: Value) -> Claims:
        """That equal slots are one: so it is of all functions, but solvers find it only bit by bit."""
        for what, of in (("tag", self.tag), ("value", self.value), ("position", self.position)):
            yield f"a slot has one {what}", t.implies(_eq(one, other), _eq(of(one), of(other)))

    # ---- the invariant

    def sizes(self, capacity: Value) -> Claims:
        """What holds of the mask and of how many slots are used."""
        slots = t.add(BITS, self.mask, 1)
        yield "the slots are a power of two", _eq(t.band(BITS, self.mask, slots), 0)
        yield "there are not too many slots", t.ule(BITS, self.mask, MASK_MAX)
        yield "there is a capacity", t.land(_lt(0, capacity), t.ule(BITS, capacity, CAPACITY_MAX))
        yield "half of the slots are not used", t.ule(BITS, capacity, t.lshr(BITS, slots, 1))
        yield "no more are used than there is room for", t.ule(BITS, self.many, capacity)

    def of_slot(self, slot: Value) -> Claims:
        """What holds of a slot: it has a position, among the first if it is used."""
        at = self.position(slot)
        yield (
            "each slot has its position",
            t.implies(self.exists(slot), t.land(self.exists(at), _eq(self.order(at), slot))),
        )
        yield "used slots are first", t.implies(self.exists(slot), t.iff(self.used(slot), _lt(at, self.many)))

    def of_position(self, at: Value) -> Claims:
        """What holds of a position."""
        slot = self.order(at)
        yield (
            "each position has its slot",
            t.implies(self.exists(at), t.land(self.exists(slot), _eq(self.position(slot), at))),
        )

    def of_chain(self, slot: Value, between: Value) -> Claims:
        """What holds of a slot and of another one between it and where the search for its tag begins."""
        tag = self.tag(slot)
        passed = t.ule(BITS, self.steps(tag, between), self.steps(tag, slot))
        exist = t.land(self.exists(slot), self.exists(between), self.used(slot))
        yield "no search meets an unused slot before its key's", t.implies(t.land(exist, passed), self.used(between))


def stride_bytes(size_bytes: int) -> int:
    """From one item to the next, as block.h lays them."""
    return -(-size_bytes // 16) * 16 if size_bytes > LINE_BYTES else 1 << (size_bytes - 1).bit_length()


def members(struct: Struct, array: Array) -> tuple[Function, Function]:
    """The tag and the value of a slot."""
    return (
        lambda slot: member(struct, array.read(slot), "tag"),
        lambda slot: member(struct, array.read(slot), "value"),
    )


def as_if_unused(before: Chains, struct: Struct, array: Array, gap: Value) -> Chains:
    """What slots are in memory, one of which is a gap, as if that were unused already."""
    tag, value = members(struct, array)

    def without_gap(slot: Value) -> Value:
        return t.ite(BITS, _eq(slot, gap), 0, tag(slot))

    return replace(before.with_one_less(gap), value=value, tag=tag if tag(gap) == 0 else without_gap)


def unknown(name: str, mask: Value, many: Value, tag: Function, value: Function) -> Chains:
    """Slots with a row of which nothing is known."""

    def function(what: str) -> Function:
        return lambda argument: t.app(f"{name} slots.{what}", BITS, (BITS, argument))

    return Chains(mask, many, tag, value, function("order"), function("position"))


class Entries(Protocol):
    """What slots lead to: the key to which one leads, and the slot that leads to a key, if there is one."""

    chains: Chains
    key_bits: int
    tag_of: Function

    def has(self, key: Value) -> Bool: ...
    def key(self, slot: Value) -> Value: ...
    def slot_of(self, key: Value) -> Value: ...
    def place_of(self, key: Value) -> Value:
        """What says where a key is."""

    def of_slot(self, slot: Value) -> Claims:
        """The invariant at a slot."""

    def of_entry(self, slot: Value) -> Claims:
        """What of that is about where it leads to."""


# ---- what is so of all functions, and that solvers find only bit by bit


def same_slot(entries: Entries, one: Value, other: Value) -> Claims:
    """That equal slots are one."""
    same, slots = _eq(one, other), entries.chains
    yield "a slot has one tag", t.implies(same, _eq(slots.tag(one), slots.tag(other)))
    yield "a slot has one value", t.implies(same, _eq(slots.value(one), slots.value(other)))
    yield "a slot has one key", t.implies(same, t.eq(entries.key_bits, entries.key(one), entries.key(other)))


def same_key(entries: Entries, one: Value, other: Value) -> Claims:
    """That equal keys are one."""
    same = t.eq(entries.key_bits, one, other)
    yield "a key has one tag", t.implies(same, _eq(entries.tag_of(one), entries.tag_of(other)))
    yield "a key is at one place", t.implies(same, _eq(entries.place_of(one), entries.place_of(other)))


# ---- when one slot has changed

ANY_SLOT, BETWEEN, ANY_POSITION = (t.var(f"any {what}", BITS) for what in ("slot", "slot between", "position"))


def kept(entries: Entries, changed: Value) -> Claims:
    """The invariant, at any slots and position, when a slot may have changed."""
    yield from entries.of_slot(ANY_SLOT)
    yield from entries.chains.of_position(ANY_POSITION)
    for here in (_eq(ANY_SLOT, changed), t.ne(BITS, ANY_SLOT, changed)):
        for name, holds in entries.chains.of_chain(ANY_SLOT, BETWEEN):
            yield name, t.implies(here, holds)


def given_to_keep(entries: Entries, later: Entries, changed: Value, key: Value) -> Claims:
    """What was known where that is asked, when a slot has changed and a key was put; of the entries later on, only what
    is so of all functions."""
    chains, keys = entries.chains, (entries.key(ANY_SLOT), later.key(ANY_SLOT))
    yield from same_key(entries, *keys)
    yield from same_key(entries, keys[1], key)
    for slot in (ANY_SLOT, BETWEEN, changed):
        yield from entries.of_slot(slot)
    for at in (ANY_POSITION, chains.many, t.sub(BITS, chains.many, 1), chains.position(changed)):
        yield from chains.of_position(at)
    yield from chains.of_chain(ANY_SLOT, BETWEEN)
    for slot in (ANY_SLOT, BETWEEN):
        yield from chains.same(slot, changed)
        yield from same_slot(entries, slot, changed)
    yield from same_key(entries, entries.key(ANY_SLOT), key)
