"""What the memory of an index_pool means."""

from itertools import islice

from pytest_vigor import term as t
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import Array, member, members_bytes
from pytest_vigor.refine.everywhere import IndexedFlows
from pytest_vigor.refine.listed import Entry, ListedFlows

ages = beside(__file__, "ages.py")
rings = beside(__file__, "rings.py")


def unknown(heap, pool, parameters):
    return ages.unknown(heap, pool["ages"])


def invariant(heap, pool, parameters):
    yield "the capacity is as allocated", t.eq(32, pool["ages"]["capacity"], parameters["capacity"])
    yield from ages.invariant(heap, pool["ages"])


def state(heap, pool, parameters, facts):
    entries = [Entry(used, 0, age) for used, age in ages.ages_of(heap, pool["ages"])]
    return IndexPool(None, ListedFlows(facts, "pool", 0, entries))


class Unbounded:
    """The same at any capacity: the nodes are an array, of which there is a row (rings.py)."""

    LINE_BYTES = 64
    NAME = "pool"

    def __init__(self, structs, facts):
        self.facts, self.struct, self.node = facts, structs["index_pool"], structs["ages_node"]
        self.capacity = t.var("capacity", 32)
        self.any = rings.Unknown(self.NAME, self.capacity)
        self.row, self.new, self.later = self.any.row, rings.Rings.new(self.capacity), {}
        self.begin_bytes = -(-self.struct.size_bytes // self.LINE_BYTES) * self.LINE_BYTES

    def members(self, address):
        """Where a pool at an address has which numbers besides its nodes, and of how many bytes."""
        values = {"nodes": address + self.begin_bytes, "stride_bytes": self.node.size_bytes, "capacity": self.capacity}
        outer = self.struct.field("ages")
        for field in outer.type.fields:
            yield address + outer.offset + field.offset, field.type.size_bytes, values[field.name]

    def array(self, row, begin_bytes):
        """The nodes as a row makes them."""
        element = lambda node: row.element(self.node, node)  # noqa: E731
        return Array(self.node.size_bytes, element, begin_bytes, members_bytes(self.node), self.here)

    def member(self, element, name):
        """A member of a node in the array."""
        return member(self.node, element, name)

    def given(self):
        """What holds of every pool, besides what is known of its nodes."""
        yield t.land(t.ult(32, 0, self.capacity), t.ule(32, self.capacity, rings.CAPACITY_MAX))
        yield from self.known(self.row.used)

    def here(self, value):
        return self.known(value, in_pairs=False, named=True)

    def known(self, *values, in_pairs=True, named=False):
        """What is known of all that values are made of: of ages ``in_pairs`` or one by one, and unless rows are to be
        ``named`` only, what each is by one that came before."""
        nodes, conditions = [], []
        for many, later in reversed(self.later.items()):
            there, known = later.known([*values, *conditions], in_pairs)
            if not named:
                known += self._ties(many, later, [*values, *conditions, *known], in_pairs)
            nodes += there
            conditions += [t.implies(t.ule(32, many, self.row.used), each) for each in known]
        there, known = self.any.known([*values, *conditions], in_pairs)
        for node in (*nodes, *there):
            self.facts.touch(self.NAME, node)
        return conditions + known

    def _ties(self, many, later, values, in_pairs):
        """What a row from which so many have expired is, by the row with one more. By the row from which none has, too,
        where ages are compared; otherwise it is enough how many are used."""
        before = self.later.get(t.sub(32, many, 1))
        if before:
            return later.is_same(values, before.row.without(1))
        ties = later.is_same(values, self.row.without(many))
        return ties if in_pairs else islice(ties, 1)

    def without(self, many):
        """The row when so many of the used indices have expired, as one of its own: so is every row of which the
        invariant holds. It is the other one where a question is asked."""
        if isinstance(many, int):
            return self.row.without(many)
        return self.later.setdefault(many, rings.Unknown(f"{self.NAME} without {t.show(many)}", self.capacity)).row

    def first(self, many):
        """Whether there are so many nodes, and which are the first of the row: as many, because each has a position of
        its own, and together they have the first ones."""
        row = self.row
        exist = t.ule(32, many, row.nodes)
        return exist, lambda node: t.land(t.ult(32, node, row.nodes), t.ult(32, row.position(node), many))

    def lay(self, path):
        """A pool in memory; its region."""
        size = t.add(64, self.begin_bytes, t.scale(64, t.zext(self.row.nodes, 32, 64), self.node.size_bytes))
        region = path.memory.add("the pool", size)
        for address, size_bytes, value in self.members(region.base):
            for k in range(size_bytes):
                region.cells[address - region.base + k] = value, size_bytes, k
        key = path.memory.key_of(region.base)
        path.memory.arrays = {**path.memory.arrays, key: self.array(self.row, self.begin_bytes)}
        for condition in self.given():
            path.hold(condition)
        return region

    def state(self, path, key):
        array = path.memory.arrays[key]

        def entry(index):
            age = self.member(array.read(index), "age")
            return Entry(ages.is_used(age), 0, age)

        return IndexPool(None, IndexedFlows(self.facts, "pool", self.capacity, entry))

    def claims(self, path, key, row):
        """That memory holds what a row says, and the invariant holds of that: at any nodes and position."""
        one, other, at = (t.var(f"any {what}", 32) for what in ("node", "other node", "position"))
        found, expected = (each.read(one) for each in (path.memory.arrays[key], self.array(row, 0)))
        for field in self.node.fields:
            values = (self.member(each, field.name) for each in (found, expected))
            same = t.eq(8 * field.type.size_bytes, *values)
            yield f"{field.name} is as the rings say", t.implies(t.ult(32, one, row.nodes), same)
        for claims in (row.ends(), row.of_node(one), row.of_age(one), row.of_position(at), row.of_nodes(one, other)):
            yield from claims
