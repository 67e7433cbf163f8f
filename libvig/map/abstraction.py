"""What the memory of a map means."""

from pytest_vigor import term as t
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.heap import Unknown
from pytest_vigor.refine.listed import Entry, ListedItems

probe = beside(__file__, "probe.py")


def _key_address(heap, map, slot):
    of, place = map["probe"], (slot.address - map["probe"]["slots"]) // slot.struct.size_bytes
    return of["keys"] + place * of["key_stride_bytes"]


def _key(heap, map):
    return lambda slot: heap.load(_key_address(heap, map, slot), map["probe"]["key_bytes"])


def _tag(heap, map):
    key_of = _key(heap, map)
    return lambda slot: heap.tag(key_of(slot), map["probe"]["key_bytes"])


def unknown(heap, map, parameters):
    yield map.unknown("size", parameters["capacity"].bit_length())
    yield from probe.unknown(heap, map["probe"], _tag(heap, map))
    for slot in probe.slots(heap, map["probe"]):
        yield Unknown(_key_address(heap, map, slot), parameters["key_bytes"], 8 * parameters["key_bytes"], "key")


def invariant(heap, map, parameters):
    yield "sizes are as allocated", t.land(
        t.eq(32, map["capacity"], parameters["capacity"]),
        t.eq(32, map["probe"]["key_bytes"], parameters["key_bytes"]),
        t.ule(32, 2 * parameters["capacity"], t.add(32, map["probe"]["mask"], 1)),
    )
    yield "size is the number of used slots", t.eq(32, map["size"], probe.count(heap, map["probe"]))
    yield "there are no more than fit", t.ule(32, map["size"], map["capacity"])
    yield from probe.invariant(heap, map["probe"])
    key_bits = 8 * parameters["key_bytes"]
    yield "no key is in two slots", probe.apart(heap, map["probe"], key_bits, _key(heap, map))


def state(heap, map, parameters, facts):
    key_of = _key(heap, map)
    entries = [
        Entry(probe.used(slot), key_of(slot), slot["value"]) for slot in probe.slots(heap, map["probe"])
    ]
    key_bits = 8 * parameters["key_bytes"]
    return Map(None, ListedItems(facts, "map", key_bits, map["capacity"], map["size"], entries))


Unbounded = beside(__file__, "everywhere.py").Unbounded
