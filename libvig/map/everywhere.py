"""What the memory of a map means at any capacity: slots and keys are arrays, each as long as one likes.

Which slot a key is in, if it is in any, is a function of the key (ghost state): so no key is in two slots.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pytest_vigor import term as t
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array, members_bytes
from pytest_vigor.refine.heap import fields_of
from pytest_vigor.term import Bool, Value

chains = beside(__file__, "chains.py")

BITS = 32
Claims = Iterator[tuple[str, Bool]]
Function = Callable[[Value], Value]


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The slots of a map and their keys; ``slot_of`` says in which slot a key is, if it is in any."""

    chains: "chains.Chains"
    key: Function
    slot_of: Function
    key_bits: int
    tag_of: Function

    def has(self, key: Value) -> Bool:
        slot = self.slot_of(key)
        return t.land(self.chains.exists(slot), self.chains.used(slot), t.eq(self.key_bits, self.key(slot), key))

    def of_slot(self, slot: Value) -> Claims:
        """What holds of a slot."""
        yield from self.chains.of_slot(slot)
        yield from self.of_entry(slot)

    def of_entry(self, slot: Value) -> Claims:
        """What of that is about its key."""
        key, used = self.key(slot), t.land(self.chains.exists(slot), self.chains.used(slot))
        yield "tags are those of the keys", t.implies(used, t.eq(BITS, self.chains.tag(slot), self.tag_of(key)))
        yield "no key is in two slots", t.implies(used, t.eq(BITS, self.slot_of(key), slot))

    def place_of(self, key: Value) -> Value:
        """What says where a key is: its slot."""
        return self.slot_of(key)

    def as_they_were(self, before: "Entries", gone: Value, key: Value) -> Claims:
        """That a key has what it had before, but for the one that is gone."""
        has, stayed = self.has(key), t.land(before.has(key), t.ne(self.key_bits, key, gone))
        yield "the keys that stay are there, and no others", t.iff(has, stayed)
        values = (each.chains.value(each.slot_of(key)) for each in (self, before))
        yield "they have their values", t.implies(has, t.eq(BITS, *values))


class Items:
    """The entries of a map as its abstract state reads them."""

    def __init__(self, facts, capacity: Value, entries: Entries) -> None:
        self.facts, self.name, self.capacity, self.entries = facts, "map", capacity, entries
        self.key_bits, self.identity = entries.key_bits, ("map", id(entries))

    def has(self, key: Value) -> Bool:
        self.facts.touch(self.name, key)
        return self.entries.has(key)

    def value(self, key: Value) -> Value:
        self.facts.touch(self.name, key)
        return self.entries.chains.value(self.entries.slot_of(key))

    def size(self) -> Value:
        return self.entries.chains.many


class Unbounded:
    """Any map with keys of one size. ``tag_of`` is the hash of a key."""

    def __init__(self, structs, facts, key_bytes, tag_of):
        self.facts, self.key_bytes, self.struct, self.slot = facts, key_bytes, structs["map"], structs["probe_slot"]
        self.capacity, self.mask, self.size = (t.var(name, BITS) for name in ("capacity", "mask", "size"))
        stride = chains.stride_bytes(key_bytes)
        key_sizes = (key_bytes, *([stride - key_bytes] if stride > key_bytes else []))
        self.slots, self.moved = (
            Array.unknown(name, self.slot.size_bytes, members_bytes(self.slot)) for name in ("slots", "moved slots")
        )
        self.keys, self.moved_keys = (Array.unknown(name, stride, key_sizes) for name in ("keys", "moved keys"))
        self.any_key = t.var("any key of the map", 8 * key_bytes)
        self.entries = Entries(
            chains.unknown("map", self.mask, self.size, *chains.members(self.slot, self.slots)),
            self._keys_in(self.keys), lambda key: t.app("slot of key", BITS, (8 * key_bytes, key)), 8 * key_bytes,
            lambda key: tag_of(key, key_bytes),
        )  # fmt: skip
        facts.universal(
            "map", lambda key: t.land(*(holds for _, holds in self.entries.of_slot(self.entries.slot_of(key))))
        )

    def _keys_in(self, array):
        return lambda slot: t.extract(array.read(slot), 8 * array.size_bytes, 8 * self.key_bytes - 1, 0)

    def lay(self, path):
        """A map in memory; its region."""
        slots = t.add(64, t.zext(self.mask, BITS, 64), 1)
        regions = [
            path.memory.add(name, t.scale(64, slots, array.size_bytes))
            for name, array in (("the slots", self.slots), ("the keys", self.keys))
        ]  # fmt: skip
        self.base, self.keys_base = (each.base for each in regions)
        region = path.memory.add("the map", self.struct.size_bytes)
        values = {
            "slots": regions[0].base, "keys": regions[1].base, "key_stride_bytes": self.keys.size_bytes,
            "mask": self.mask, "key_bytes": self.key_bytes, "capacity": self.capacity, "size": self.size,
        }  # fmt: skip
        for offset, size_bytes, name in fields_of(self.struct):
            region.cells |= {offset + k: (values[name], size_bytes, k) for k in range(size_bytes)}
        self.size_at = region.base + self.struct.field("size").offset
        self.places = [path.memory.key_of(each.base) for each in regions]
        path.memory.arrays = {**path.memory.arrays, **dict(zip(self.places, (self.slots, self.keys), strict=True))}
        for _, holds in self.given():
            path.hold(holds)
        return region

    def given(self):
        """What holds of every map, and that there is an unused slot."""
        slots = self.entries.chains
        yield from slots.sizes(self.capacity)
        yield from slots.of_position(self.size)
        yield from slots.of_slot(slots.unused)

    def changing(self, place):
        """What of a map in memory changes, besides slots and keys."""
        return (place.unknown("size"),)

    # ---- what becomes of it

    def is_untouched(self, path):
        """Whether nothing was written to slots and keys."""
        return [path.memory.arrays[key] for key in self.places] == [self.slots, self.keys]

    def entries_in(self, path, key):
        """The entries that are in memory, when a key may have been put or erased."""
        if self.is_untouched(path):
            return self.entries
        slots, keys = (path.memory.arrays[each] for each in self.places)
        at, old = self.changed(path), self.entries
        tag, value = chains.members(self.slot, slots)
        if tag(at) == 0:
            return self.as_if_closed({"slots": slots, "keys": keys}, at, key)
        chain = old.chains if path.possible(old.chains.used(at)) else old.chains.with_one_more(at)
        return replace(
            old, chains=replace(chain, tag=tag, value=value), key=self._keys_in(keys),
            slot_of=lambda other: t.ite(BITS, t.eq(old.key_bits, other, key), at, old.slot_of(other)),
        )  # fmt: skip

    # ---- while a gap is closed

    def loop_arrays(self):
        """What a loop changes that closes a gap, and what is there after any number of rounds."""
        return {"slots": (self.places[0], self.moved), "keys": (self.places[1], self.moved_keys)}

    def as_if_closed(self, arrays, gap, gone):
        """The entries, as if the gap that a key leaves were unused already."""
        key = self._keys_in(arrays["keys"])
        chain = chains.as_if_unused(self.entries.chains, self.slot, arrays["slots"], gap)
        return replace(self.entries, chains=chain, key=key, slot_of=self._slot_of(arrays["slots"], key))

    def _slot_of(self, slots, key):
        """The slot in which a key is, when slots that are used were written: those keys are there."""
        first = self.entries.slot_of if slots.name == self.slots.name else self._moved_slot_of
        tag, _ = chains.members(self.slot, slots)
        written = [at for at in slots.writes if tag(at) != 0]

        def slot_of(other):
            found = first(other)
            for at in written:
                found = t.ite(BITS, t.eq(8 * self.key_bytes, key(at), other), at, found)
            return found

        return slot_of

    def _moved_slot_of(self, key):
        return t.app("moved slot of key", BITS, (8 * self.key_bytes, key))

    def others(self, entries, gone):
        """What holds of any entries besides what holds of slots."""
        yield from entries.as_they_were(self.entries, gone, self.any_key)

    def others_before(self):
        """What is known besides of those that there are before."""
        yield from self.entries.of_slot(self.entries.slot_of(self.any_key))

    def others_at(self, entries, slot):
        """What is known of a slot's key and any one."""
        yield from chains.same_slot(entries, slot, entries.slot_of(self.any_key))
        for key in (self.any_key, entries.key(chains.ANY_SLOT)):
            yield from chains.same_key(entries, entries.key(slot), key)

    # ---- the invariant again

    def changed(self, path):
        """The slot that has changed, or else one that is not used."""
        slots = path.memory.arrays[self.places[0]]
        return slots.writes[-1] if slots.writes else self.entries.chains.unused

    def kept(self, path, entries):
        """What holds of the entries in memory afterwards: the invariant, at any slots and position."""
        size = path.memory.load(self.size_at, BITS // 8, 0)
        yield "the size is the number of used slots", t.eq(BITS, size, entries.chains.many)
        yield from entries.chains.sizes(self.capacity)
        yield from chains.kept(entries, self.changed(path))

    def given_to_keep(self, path, later, key):
        """What is known anyway where that is asked."""
        yield from chains.given_to_keep(self.entries, later, self.changed(path), key)

    def state(self, path, key):
        return Map(None, Items(self.facts, self.capacity, self.entries_in(path, key)))
