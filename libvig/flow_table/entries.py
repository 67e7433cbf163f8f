"""The entries of a flow table at any capacity: slots that lead to indices, which have keys and ages."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array
from pytest_vigor.term import Bool, Value

chains = beside(__file__, "../map/chains.py")
rings = beside(__file__, "../index_pool/rings.py")
ages = beside(__file__, "../index_pool/ages.py")

BITS = 32
Claims = Iterator[tuple[str, Bool]]
Function = Callable[[Value], Value]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Slots, what is known of the age of each index, and its key; ``slot_to`` says which slot leads to an index, and
    ``index_of`` which index a key has, each if there is one."""

    chains: "chains.Chains"
    row: "rings.Rings"
    key_at: Function
    slot_to: Function
    index_of: Function
    key_bits: int
    tag_of: Function

    def used(self, index: Value) -> Bool:
        return t.land(t.ult(BITS, index, self.row.capacity), ages.is_used(self.row.age(index)))

    def has(self, key: Value) -> Bool:
        index = self.index_of(key)
        return t.land(self.used(index), t.eq(self.key_bits, self.key_at(index), key))

    def key(self, slot: Value) -> Value:
        """The key to which a slot leads."""
        return self.key_at(self.chains.value(slot))

    def slot_of(self, key: Value) -> Value:
        """The slot that leads to a key, if there is one."""
        return self.slot_to(self.index_of(key))

    def place_of(self, key: Value) -> Value:
        """What says where a key is: its index."""
        return self.index_of(key)

    # ---- the invariant

    def of_slot(self, slot: Value) -> Claims:
        """What holds of a slot, and of the index that it leads to."""
        yield from self.chains.of_slot(slot)
        yield from self.of_entry(slot)

    def of_entry(self, slot: Value) -> Claims:
        """What of that is about the index and its key."""
        index, used = self.chains.value(slot), t.land(self.chains.exists(slot), self.chains.used(slot))
        yield "slots lead to used indices", t.implies(used, self.used(index))
        yield "no index is in two slots", t.implies(used, t.eq(BITS, self.slot_to(index), slot))
        tag = self.tag_of(self.key_at(index))
        yield "tags are those of the keys", t.implies(used, t.eq(BITS, self.chains.tag(slot), tag))
        yield from self.of_index(index)

    def of_index(self, index: Value) -> Claims:
        """What holds of an index."""
        used, slot = self.used(index), self.slot_to(index)
        yield "no key has two indices", t.implies(used, t.eq(BITS, self.index_of(self.key_at(index)), index))
        found = t.land(self.chains.exists(slot), self.chains.used(slot), t.eq(BITS, self.chains.value(slot), index))
        yield "a slot leads to each used index", t.implies(used, found)


class Keyed:
    """The entries of a flow table as its abstract state reads them from an array of records."""

    def __init__(self, any_table: Any, array: Array) -> None:
        self.any, self.array, self.facts = any_table, array, any_table.facts
        self.name, self.capacity, self.key_bits = "table", any_table.capacity, 8 * any_table.key_bytes
        self.identity = ("table", array)

    def used(self, index: Value) -> Bool:
        self.facts.touch(self.name, index)
        return t.land(t.ult(BITS, index, self.capacity), ages.is_used(self.age(index)))

    def age(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return self.any.member(self.array.read(index), "age")

    def key(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return self.any.key_in(self.array.read(index))

    def find(self, key: Value) -> Value:
        return self.any.entries.index_of(key)

    def has(self, key: Value) -> Bool:
        self.facts.touch(self.name, self.find(key))
        return self.any.entries.has(key)
