"""What the memory of a flow table means at any capacity: slots and records are arrays, each as long as one likes.

The ages of its indices are those of an index pool (../index_pool/rings.py), its slots those of a map
(../map/chains.py). Which slot leads to an index, and which index a key has, are functions (ghost state): so no index
has two slots, and no key two indices.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from pytest_vigor import term as t
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array, member, members_bytes
from pytest_vigor.refine.heap import fields_of
from pytest_vigor.term import Bool, Value

chains = beside(__file__, "../map/chains.py")
rings = beside(__file__, "../index_pool/rings.py")
made_of = beside(__file__, "entries.py")

BITS = 32
INDEX_OF = "index of key"
ANY_INDEX = t.var("any index of the table", BITS)
Claims = Iterator[tuple[str, Bool]]
Function = Callable[[Value], Value]


class Unbounded:
    """Any flow table with keys of one size. ``tag_of`` is the hash of a key."""

    def __init__(self, structs, facts, key_bytes, tag_of):
        self.facts, self.key_bytes, self.struct = facts, key_bytes, structs["flow_table"]
        self.slot, self.node = structs["probe_slot"], structs["ages_node"]
        self.capacity, self.mask = t.var("capacity", BITS), t.var("mask", BITS)
        self.any = rings.Unknown("table", self.capacity)
        self.row = self.any.row
        self.slots, self.moved = (
            Array.unknown(name, self.slot.size_bytes, members_bytes(self.slot)) for name in ("slots", "moved slots")
        )
        self.padding_bytes = chains.stride_bytes(self.node.size_bytes + key_bytes) - self.node.size_bytes - key_bytes
        key_bits = 8 * key_bytes
        self.entries = made_of.Entries(
            chains.unknown("table", self.mask, self.row.used, *chains.members(self.slot, self.slots)), self.row,
            lambda index: t.app("key at", key_bits, (BITS, index)), lambda index: t.app("slot to", BITS, (BITS, index)),
            lambda key: t.app(INDEX_OF, BITS, (key_bits, key)), key_bits, lambda key: tag_of(key, key_bytes),
        )  # fmt: skip
        self.records = self.array(self.entries)
        facts.universal("table", lambda index: t.land(*(holds for _, holds in self.entries.of_index(index))))

    # ---- records

    def array(self, entries):
        """The records of entries."""
        sizes = (*members_bytes(self.node), self.key_bytes, *([self.padding_bytes] if self.padding_bytes else []))

        def read(index):
            padding = t.app("padding", 8 * self.padding_bytes, (BITS, index)) if self.padding_bytes else 0
            node = 8 * self.node.size_bytes, entries.row.element(self.node, index)
            return t.concat([(8 * self.padding_bytes, padding), (entries.key_bits, entries.key_at(index)), node])

        return Array(sum(sizes), read, members_bytes=sizes, known=self.here)

    def member(self, record, name):
        """A member of the node in a record."""
        bits = 8 * self.node.size_bytes
        return member(self.node, t.extract(record, 8 * self.records.size_bytes, bits - 1, 0), name)

    def key_in(self, record):
        """The key in a record."""
        low = 8 * self.node.size_bytes
        return t.extract(record, 8 * self.records.size_bytes, low + 8 * self.key_bytes - 1, low)

    def here(self, value):
        return self.any.known([value], in_pairs=False)[1] if any(map(self.any.is_of, t.leaves(value).values())) else ()

    # ---- in memory

    def lay(self, path):
        """A flow table in memory, of which holds what is so of every one; its region."""
        region = self.place(path)
        for _, holds in self.given():
            path.hold(holds)
        return region

    def place(self, path):
        """Memory with a flow table; its region."""
        counts = t.add(64, t.zext(self.mask, BITS, 64), 1), t.zext(self.row.nodes, BITS, 64)
        slots, records = (
            path.memory.add(name, t.scale(64, count, array.size_bytes))
            for name, count, array in zip(("slots", "records"), counts, (self.slots, self.records), strict=True)
        )  # fmt: skip
        self.base = slots.base
        region = path.memory.add("the flow table", self.struct.size_bytes)
        values = {
            "slots": slots.base, "mask": self.mask,
            "keys": records.base + self.node.size_bytes, "key_stride_bytes": self.records.size_bytes,
            "key_bytes": self.key_bytes, "capacity": self.capacity,
            "nodes": records.base, "stride_bytes": self.records.size_bytes,
        }  # fmt: skip
        for offset, size_bytes, name in fields_of(self.struct):
            region.cells |= {offset + k: (values[name], size_bytes, k) for k in range(size_bytes)}
        self.keys = [path.memory.key_of(each.base) for each in (slots, records)]
        arrays = dict(zip(self.keys, (self.slots, self.records), strict=True))
        path.memory.arrays = {**path.memory.arrays, **arrays}
        return region

    def given(self):
        """What holds of every table, and that there is an unused slot."""
        slots = self.entries.chains
        yield from slots.sizes(self.capacity)
        yield from slots.of_position(self.row.used)
        yield from slots.of_slot(slots.unused)

    def known(self, values):
        """What is known of the ages of all that values are made of."""
        nodes, conditions = self.any.known(values)
        for node in nodes:
            self.facts.touch("table", node)
        return [*conditions, *self.facts.known]

    def is_of_row(self, value):
        """Whether a value is made of nothing but ages, their row, and numbers that are the same throughout."""
        leaves = [leaf for leaf in t.leaves(value).values() if leaf is not self.mask]
        return all(leaf.op == "var" or leaf.data[0] == INDEX_OF or self.any.is_of(leaf) for leaf in leaves)

    def changing(self, place):
        """What of a flow table in memory changes, besides slots and records: nothing."""
        return ()

    # ---- what becomes of it

    def is_untouched(self, path):
        """Whether nothing was written to slots and records."""
        return [path.memory.arrays[key] for key in self.keys] == [self.slots, self.records]

    def entries_in(self, path, key):
        """The entries that are in memory, with the ages that there were before, when a key may have been put."""
        if self.is_untouched(path):
            return self.entries
        slots, records = (path.memory.arrays[each] for each in self.keys)
        old, (tag, value) = self.entries, chains.members(self.slot, slots)
        new = replace(
            old, chains=replace(old.chains, tag=tag, value=value), key_at=lambda index: self.key_in(records.read(index))
        )
        if not slots.writes:
            return new
        at = slots.writes[-1]
        if tag(at) == 0:
            chain = replace(old.chains.with_one_less(at), tag=tag, value=value)
            return replace(new, chains=chain, slot_to=self._slot_to(slots))
        index, chain = value(at), replace(old.chains.with_one_more(at), tag=tag, value=value)
        return replace(
            new, chains=chain, slot_to=lambda other: t.ite(BITS, t.eq(BITS, other, index), at, old.slot_to(other)),
            index_of=lambda other: t.ite(BITS, t.eq(old.key_bits, other, key), index, old.index_of(other)),
        )  # fmt: skip

    def _slot_to(self, slots):
        """The slot that leads to an index, when slots that are used were written: they lead to what they say."""
        tag, value = chains.members(self.slot, slots)
        written = [at for at in slots.writes if tag(at) != 0]
        first = self.entries.slot_to if slots.name == self.slots.name else self._moved_slot_to

        def slot_to(index):
            found = first(index)
            for at in written:
                found = t.ite(BITS, t.eq(BITS, value(at), index), at, found)
            return found

        return slot_to

    def _moved_slot_to(self, index):
        return t.app("moved slot to", BITS, (BITS, index))

    def of_row(self, path, entries):
        """That the records hold the nodes that a row says, and what holds of it: at any nodes and position."""
        row, array = entries.row, path.memory.arrays[self.keys[1]]
        one, other, at = (t.var(f"any {what}", BITS) for what in ("node", "other node", "position"))
        found, expected = (each.read(one) for each in (array, self.array(entries)))
        for field in self.node.fields:
            same = t.eq(8 * field.type.size_bytes, self.member(found, field.name), self.member(expected, field.name))
            yield f"{field.name} is as the rings say", t.implies(t.ult(BITS, one, row.nodes), same)
        for claims in (row.ends(), row.of_node(one), row.of_age(one), row.of_position(at), row.of_nodes(one, other)):
            yield from claims

    # ---- while a gap is closed

    def loop_arrays(self):
        """What a loop changes that closes a gap, and what is there after any number of rounds."""
        return {"slots": (self.keys[0], self.moved)}

    def as_if_closed(self, arrays, gap, index):
        """The entries, as if the gap that an index leaves were unused already."""
        slots = arrays["slots"]
        chain = chains.as_if_unused(self.entries.chains, self.slot, slots, gap)
        return replace(self.entries, chains=chain, row=self.row.released(index), slot_to=self._slot_to(slots))

    def others(self, entries, gone):
        """What holds of any entries besides what holds of slots."""
        yield from entries.of_index(ANY_INDEX)

    def others_before(self):
        """The same of those that there are before."""
        yield from self.entries.of_index(ANY_INDEX)

    def others_at(self, entries, slot):
        """The same of what a slot leads to."""
        yield from entries.of_index(entries.chains.value(slot))
        yield from chains.same_slot(entries, slot, entries.slot_to(ANY_INDEX))

    def changed(self, path):
        """The slot that has changed, or else one that is not used."""
        slots = path.memory.arrays[self.keys[0]]
        return slots.writes[-1] if slots.writes else self.entries.chains.unused

    def kept(self, path, entries):
        """What holds of the entries in memory afterwards: the invariant, at any slots, index and position."""
        yield from chains.kept(entries, self.changed(path))
        yield from entries.of_index(ANY_INDEX)

    def given_to_keep(self, path, later, key):
        """What is known anyway where that is asked."""
        entries = self.entries
        yield from chains.given_to_keep(entries, later, self.changed(path), key)
        yield from entries.of_index(ANY_INDEX)
        for at in (entries.key_at(ANY_INDEX), later.key_at(ANY_INDEX)):
            yield from chains.same_key(entries, at, key)

    def state(self, path, key):
        return FlowTable(None, made_of.Keyed(self, path.memory.arrays[self.keys[1]]))
