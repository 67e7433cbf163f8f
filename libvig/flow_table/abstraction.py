"""What the memory of a flow_table means."""

from itertools import combinations

from pytest_vigor import term as t
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.heap import Unknown, select
from pytest_vigor.refine.listed import Entry, ListedFlows

ages = beside(__file__, "../index_pool/ages.py")
probe = beside(__file__, "../map/probe.py")


def _keys(heap, table):
    """The key of each index."""
    of = table["probe"]
    return [
        heap.load(of["keys"] + index * of["key_stride_bytes"], of["key_bytes"])
        for index in range(table["ages"]["capacity"])
    ]


def _tag(heap, table):
    tags = [heap.tag(key, table["probe"]["key_bytes"]) for key in _keys(heap, table)]
    return lambda slot: select(32, slot["value"], tags)


def unknown(heap, table, parameters):
    capacity, of = parameters["capacity"], table["probe"]
    yield from ages.unknown(heap, table["ages"])
    # Tags are read when they are made, after the keys.
    yield from probe.unknown(heap, of, lambda slot: _tag(heap, table)(slot))
    for index in range(capacity):
        key = of["keys"] + index * of["key_stride_bytes"]
        yield Unknown(key, parameters["key_bytes"], 8 * parameters["key_bytes"], f"key {index}")


def by_value(heap, table):
    nodes, keys = table["ages"]["nodes"], table["probe"]["keys"]
    return (nodes, keys, ("older", "newer", "value")), (keys, keys + table["probe"]["key_bytes"], ("value",))


def invariant(heap, table, parameters):
    capacity, of = parameters["capacity"], table["probe"]
    yield "sizes are as allocated", t.land(
        t.eq(32, table["ages"]["capacity"], capacity),
        t.eq(32, of["key_bytes"], parameters["key_bytes"]),
        t.ule(32, 2 * capacity, t.add(32, of["mask"], 1)),
    )
    yield from ages.invariant(heap, table["ages"])
    slots = probe.slots(heap, of)
    yield "slots lead to indices", t.land(
        *(t.implies(probe.used(slot), t.ult(32, slot["value"], capacity)) for slot in slots)
    )
    yield from probe.invariant(heap, of)
    yield "no index is in two slots", probe.apart(heap, of, 32, lambda slot: slot["value"])
    yield "no key has two indices", _are_different(heap, table)
    yield "an index is used if a slot leads to it", _owned(heap, table)


def _are_different(heap, table):
    """Whether no two used indices have the same key."""
    used, keys = [each for each, _ in ages.ages_of(heap, table["ages"])], _keys(heap, table)
    key_bits = 8 * table["probe"]["key_bytes"]
    pairs = combinations(range(len(used)), 2)
    return t.lnot(t.lor(*(t.land(used[i], used[j], t.eq(key_bits, keys[i], keys[j])) for i, j in pairs)))


def _owned(heap, table):
    """Whether just the used indices have slots."""
    slots = probe.slots(heap, table["probe"])
    return t.land(*(
        t.iff(used, t.lor(*(t.land(probe.used(slot), t.eq(32, slot["value"], index)) for slot in slots)))
        for index, (used, _) in enumerate(ages.ages_of(heap, table["ages"]))
    ))  # fmt: skip


def state(heap, table, parameters, facts):
    ages_of = ages.ages_of(heap, table["ages"])
    entries = [Entry(used, key, age) for (used, age), key in zip(ages_of, _keys(heap, table), strict=True)]
    return FlowTable(None, ListedFlows(facts, "table", 8 * parameters["key_bytes"], entries))


Unbounded = beside(__file__, "everywhere.py").Unbounded
