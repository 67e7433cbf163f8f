"""What the functions of steps.h do: each is proved to by itself, and stands for itself where others call it."""

from collections.abc import Callable, Iterator

from pytest_vigor import term as t
from pytest_vigor.ghost.lpm import LENGTH_MAX, key
from pytest_vigor.ghost.map import Items
from pytest_vigor.refine.array import Array
from pytest_vigor.term import Bool, Value

SLOTS, GROUP = 1 << 24, 256
FIRST_BITS = 24
SPLIT = 1 << 31
ANY_LENGTH = 255
ENTRY_BYTES = 4

Claims = Iterator[tuple[str, Bool]]


# ---- entries


def is_at_most(entry: Value, length: Value) -> Bool:
    """Whether an entry is of a prefix of at most that length."""
    return t.ule(32, t.lshr(32, entry, 24), t.add(32, length, 1))


def is_at_least(entry: Value, length: Value) -> Bool:
    """Whether an entry is of a prefix of at least that length."""
    return t.ult(32, length, t.lshr(32, entry, 24))


def is_split(entry: Value) -> Bool:
    """Whether a slot's entry names a group."""
    return t.ule(32, SPLIT, entry)


def value_of(entry: Value) -> Value:
    """The value of an entry, or the group that it names."""
    return t.band(32, entry, 0xFFFFFF)


def group_of(entry: Value) -> Value:
    """Where the group begins that an entry names."""
    return t.add(32, SLOTS, t.shl(32, value_of(entry), 8))


def slot_of(address: Value) -> Value:
    """The slot of an address, or of a prefix of at least 24 bits."""
    return t.lshr(32, address, 8)


def entry_of(array: Array, address: Value) -> Value:
    """The entry of an address: its slot's, or the one in the group that its slot names."""
    entry = array.read(slot_of(address))
    inside = array.read(t.add(32, group_of(entry), t.band(32, address, 0xFF)))
    return t.ite(32, is_split(entry), inside, entry)


def between(index: Value, first: Value, behind: Value) -> Bool:
    return t.land(t.ule(32, first, index), t.ult(32, index, behind))


def has_its_group(array: Array, slot: Value, capacity: Value) -> Bool:
    """That the entry of a slot, if it names a group, names one that there is."""
    entry = array.read(slot)
    return t.implies(t.land(t.ult(32, slot, SLOTS), is_split(entry)), t.ult(32, value_of(entry), capacity))


def split_well(array: Array, slot: Value, owner: Callable[[Value], Value], capacity: Value) -> Bool:
    """That the entry of a slot, if it names a group, names one that there is, and that is its own."""
    entry = array.read(slot)
    group = value_of(entry)
    well = t.land(t.eq(32, entry, t.bor(32, SPLIT, group)), t.ult(32, group, capacity), t.eq(32, owner(group), slot))
    return t.implies(t.land(t.ult(32, slot, SLOTS), is_split(entry)), well)


# ---- the loops


def covered(array: Array, first: Value, many: Value, length: Value, entry: Value) -> Array:
    """The array after lpm_cover."""
    behind = t.add(32, first, many)

    def read(index: Value) -> Value:
        old = array.read(index)
        changes = t.land(between(index, first, behind), is_at_most(old, length))
        return t.ite(32, changes, entry, old)

    return Array(ENTRY_BYTES, read)


def covered_slots(
    array: Array, first: Value, many: Value, length: Value, entry: Value, owner: Callable[[Value], Value]
) -> Array:
    """The array after lpm_cover_slots: a group belongs to at most one slot, which ``owner`` names."""
    behind = t.add(32, first, many)

    def read(index: Value) -> Value:
        old = array.read(index)
        group = t.lshr(32, t.sub(32, index, SLOTS), 8)
        theirs = owner(group)
        inside = t.land(between(theirs, first, behind), t.eq(32, array.read(theirs), t.bor(32, SPLIT, group)))
        here = t.ite(0, t.ult(32, index, SLOTS), between(index, first, behind), inside)
        return t.ite(32, t.land(here, is_at_most(old, length)), entry, old)

    return Array(ENTRY_BYTES, read)


# ---- prefixes


def masked(address: Value, length: Value) -> Value:
    """An address with the bits beyond a length 0; the length may be unknown."""
    beyond = t.lshr(32, t.mask(32), length)
    return t.band(32, address, t.bxor(32, beyond, t.mask(32)))


def prefix_of(address: Value, length: Value) -> Value:
    """The prefix of an address that has a length, as a key."""
    return key(masked(address, length), length)


def length_in(entry: Value) -> Value:
    """The length that an entry other than 0 says."""
    return t.sub(32, t.lshr(32, entry, 24), 1)


def is_of_a_prefix(items: Items, address: Value, entry: Value) -> Claims:
    """That an entry is 0, or that of a prefix of an address."""
    prefix, none = prefix_of(address, length_in(entry)), t.eq(32, t.lshr(32, entry, 24), 0)
    yield "entries have a length", t.ule(32, t.lshr(32, entry, 24), LENGTH_MAX + 1)
    yield "what has no length has no value", t.implies(none, t.eq(32, entry, 0))
    held = t.land(items.has(prefix), t.eq(32, items.value(prefix), value_of(entry)))
    yield "entries are those of prefixes", t.lor(none, held)


def is_longest(items: Items, address: Value, entry: Value, length: Value, below: Value = LENGTH_MAX + 1) -> Claims:
    """That the prefix of an address that has a length, below a limit, is not longer than an entry says."""
    there = t.land(t.ult(32, length, below), items.has(prefix_of(address, length)))
    yield "no prefix is longer", t.implies(there, t.ule(32, t.add(32, length, 1), t.lshr(32, entry, 24)))


def is_next_shorter(items: Items, prefix: Value, length: Value, entry: Value, any_length: Value) -> Claims:
    """That an entry is that of the longest prefix there is that is shorter than a length and covers a prefix."""
    yield from is_of_a_prefix(items, prefix, entry)
    yield "it is shorter", t.ule(32, t.lshr(32, entry, 24), length)
    yield from is_longest(items, prefix, entry, any_length, below=length)


def longest_in(array: Array, address: Value) -> Value:
    """The prefix whose entry an address has, if it is not 0."""
    return prefix_of(address, length_in(entry_of(array, address)))
