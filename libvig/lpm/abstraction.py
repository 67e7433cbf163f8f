"""What the memory of a longest-prefix-match table means, at any capacity.

Its entries are an array as long as one likes; its prefixes are a map and its groups an index pool, each the abstract
state that it is. The invariant speaks of one address, slot, group, position or prefix at a time, and a proof uses it
for those that occur.

That a group is left for each prefix that there is room for takes an argument, not a count: the prefixes that are
present have the numbers 0 to size - 1, all groups stand in a row, and each group in use stands where the number of one
of its own prefixes is. Then the group that stands at position size is not in use, and adding and removing a prefix
exchange two groups at most. Numbers and row exist for the proof only (ghost state).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pytest_vigor import term as t
from pytest_vigor.ghost import flows, map as maps
from pytest_vigor.ghost.flows import Flows
from pytest_vigor.ghost.lpm import KEY_BITS, VALUE_MAX, Base, parts, well_formed
from pytest_vigor.ghost.map import Items
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array
from pytest_vigor.term import Bool, Value

steps = beside(__file__, "steps.py")
slot_of = steps.slot_of

BITS = 32
CAPACITY, CAPACITY_MAX = t.var("capacity", BITS), 1 << 22
Claims = Iterator[tuple[str, Bool]]
Function = Callable[[Value], Value]


def entries_of(capacity: Value) -> Value:
    """How many entries a table of a capacity has."""
    return t.add(BITS, steps.SLOTS, t.scale(BITS, capacity, steps.GROUP))


def _eq(a: Value, b: Value) -> Bool:
    return t.eq(BITS, a, b)


def _is_long(of: Value) -> Bool:
    return t.ult(BITS, steps.FIRST_BITS, parts(of)[1])


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """Ghost state: which prefix has a number, and the reverse; which group stands at a position, and the reverse."""

    prefix: Function
    number: Function
    group: Function
    position: Function

    def owner(self, group: Value) -> Value:
        """The slot that a group in use belongs to: that of the prefix whose number is where the group stands."""
        return slot_of(parts(self.prefix(self.position(group)))[0])

    def numbered(self, prefix: Value, number: Value) -> "Row":
        """The row when a prefix gets a number."""
        return replace(
            self, prefix=lambda at: t.ite(KEY_BITS, _eq(at, number), prefix, self.prefix(at)),
            number=lambda of: t.ite(BITS, t.eq(KEY_BITS, of, prefix), number, self.number(of)),
        )  # fmt: skip

    def exchanged(self, one: Value, other: Value) -> "Row":
        """The row when the groups at two positions change places."""

        def swapped(at: Value) -> Value:
            return t.ite(BITS, _eq(at, one), other, t.ite(BITS, _eq(at, other), one, at))

        return replace(
            self, group=lambda at: self.group(swapped(at)), position=lambda group: swapped(self.position(group))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table: its entries, its prefixes, which groups are in use, and the ghost state."""

    capacity: Value
    entries: Array
    items: Items
    groups: Flows
    row: Row

    def entry_of(self, address: Value) -> Value:
        """The entry of an address."""
        return steps.entry_of(self.entries, address)

    # ---- the invariant

    def of_address(self, address: Value) -> Claims:
        """The entry of an address is that of a prefix of it, or 0."""
        entry = self.entry_of(address)
        yield from steps.is_of_a_prefix(self.items, address, entry)

    def of_prefix(self, address: Value, length: Value) -> Claims:
        """No prefix of an address is longer than its entry says."""
        yield from steps.is_longest(self.items, address, self.entry_of(address), length)

    def of_slot(self, slot: Value) -> Claims:
        """A slot's group is one that there is, is in use, and is its own."""
        entry = self.entries.read(slot)
        group = steps.value_of(entry)
        has_group = t.land(t.ult(BITS, slot, steps.SLOTS), steps.is_split(entry))
        yield "a slot's group is its own", steps.split_well(self.entries, slot, self.row.owner, self.capacity)
        yield "a slot's group is in use", t.implies(has_group, self.groups.used(group))

    def of_group(self, group: Value) -> Claims:
        """Where groups stand, and that one in use belongs to a slot in which there is a long prefix."""
        at = self.row.position(group)
        exists = t.ult(BITS, group, self.capacity)
        used = t.land(exists, self.groups.used(group))
        yield "groups have the positions", t.iff(exists, t.ult(BITS, at, self.capacity))
        yield "each group is at its position", _eq(self.row.group(at), group)
        yield "a group in use is as old as all", t.implies(used, t.eq(64, self.groups.age(group), 0))
        yield "a group in use stands at a number", t.implies(used, t.ult(BITS, at, self.items.size()))
        yield "a group in use is for a long prefix", t.implies(used, _is_long(self.row.prefix(at)))
        named = _eq(self.entries.read(self.row.owner(group)), t.bor(BITS, steps.SPLIT, group))
        yield "a group in use is that of its slot", t.implies(used, named)

    def of_position(self, at: Value) -> Claims:
        """A position has its group, and a number its prefix."""
        prefix = self.row.prefix(at)
        yield "each position is that of its group", _eq(self.row.position(self.row.group(at)), at)
        there = t.land(self.items.has(prefix), _eq(self.row.number(prefix), at))
        yield "each number is that of its prefix", t.implies(t.ult(BITS, at, self.items.size()), there)

    def of_present(self, prefix: Value) -> Claims:
        """A prefix that is present has its number; the slot of a long one has a group."""
        present, number = self.items.has(prefix), self.row.number(prefix)
        sound = t.land(well_formed(*parts(prefix)), t.ule(BITS, self.items.value(prefix), VALUE_MAX))
        yield "prefixes are well formed", t.implies(present, sound)
        yield "prefixes have a number", t.implies(present, t.ult(BITS, number, self.items.size()))
        yield "no two prefixes have a number", t.implies(present, t.eq(KEY_BITS, self.row.prefix(number), prefix))
        split = steps.is_split(self.entries.read(slot_of(parts(prefix)[0])))
        yield "long prefixes have a group", t.implies(t.land(present, _is_long(prefix)), split)

    def of_addresses(self, address: Value, length: Value) -> Claims:
        """The invariant, at any address and length."""
        yield from self.of_address(address)
        yield from self.of_prefix(address, length)

    def of_others(self, slot: Value, group: Value, at: Value, prefix: Value) -> Claims:
        """The rest of the invariant, at any of each."""
        yield "no more prefixes than there is room for", t.ule(BITS, self.items.size(), self.capacity)
        for claims in (self.of_slot(slot), self.of_group(group), self.of_position(at), self.of_present(prefix)):
            yield from claims

    # ---- what becomes of it

    def after(self, entries: Array, items: Items, groups: Flows, other: Value = 0) -> "Table":
        """The table with other entries, prefixes and groups. ``other`` is a prefix in the slot of one that was removed,
        where that left the group in use."""
        row, size = self.row, self.items.size()
        match groups:
            case flows.Put():
                row = row.exchanged(size, row.position(groups.index))
        match items:
            case maps.Put():
                has = self.items.has(items.new_key)
                row = row.numbered(items.new_key, t.ite(BITS, has, row.number(items.new_key), size))
            case maps.Erased():
                number, last = row.number(items.old_key), t.sub(BITS, size, 1)
                leads = self.groups.used(row.group(number)) if groups is self.groups else False
                row = row.exchanged(number, t.ite(BITS, leads, row.number(other), number))
                row = row.exchanged(number, last).numbered(row.prefix(last), number)
        return replace(self, entries=entries, items=items, groups=groups, row=row)


class Unbounded:
    """Any table: one of which nothing is known but the invariant, where it is used."""

    def __init__(self, facts, capacity=CAPACITY):
        self.facts = facts
        widths = {"prefix": (KEY_BITS, BITS), "number": (BITS, KEY_BITS)}
        widths |= {"group": (BITS, BITS), "position": (BITS, BITS)}
        row = Row(**{what: self._function(f"row.{what}", *bits) for what, bits in widths.items()})
        items, groups = Base(facts, "prefixes", capacity), flows.Base(facts, "groups", 0, capacity)
        self.table = Table(capacity, Array.unknown("entries", steps.ENTRY_BYTES), items, groups, row)
        facts.universal("prefixes", lambda prefix: _all(self.table.of_present(prefix)))
        facts.universal("groups", lambda group: _all(self.table.of_group(group)))

    @staticmethod
    def _function(name, width, argument):
        return lambda value: t.app(name, width, (argument, value))

    def known(self, addresses=(), prefixes=(), slots=(), positions=()):
        """The invariant at some addresses, at some prefixes of an address by their lengths, at slots and at positions.
        At groups and prefixes that occur it is known anyway."""
        table = self.table
        for at in positions:
            self.facts.touch("groups", table.row.group(at))
        found = [table.of_address(each) for each in addresses]
        found += [table.of_prefix(*each) for each in prefixes]
        found += [table.of_slot(each) for each in slots]
        found += [table.of_position(each) for each in positions]
        return [_all(each) for each in found]


def _all(claims):
    return t.land(*(holds for _, holds in claims))
