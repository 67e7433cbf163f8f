"""What ``map_is_valid`` and ``flow_table_is_valid`` have found out of contents wherever one of their loops begins anew:
both look at one slot, or at one index, after the other."""

from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.heap import select
from pytest_vigor.refine.validity import BEGINNING, Cut, Cuts

maps, tables = (
    beside(str(libvig_root() / name / "abstraction.py"), "abstraction.py") for name in ("map", "flow_table")
)
probe, ages = maps.probe, tables.ages


def _is_first(heap, of, place, tag, key, key_of):
    """That a search for a key meets only used slots on its way to a slot, and none in which the key is."""
    mask, slots = of["mask"], probe.slots(heap, of)
    width, key_bits = max(mask.bit_length(), 1), 8 * of["key_bytes"]

    def is_passed(slot):
        same = t.land(t.eq(32, slot["tag"], tag), t.eq(key_bits, key_of(slot), key))
        return t.land(probe.used(slot), t.lnot(same))

    begin = t.extract(tag, 32, width - 1, 0)
    return t.land(*(
        t.implies(
            t.eq(width, begin, (place - back) & mask),
            t.land(*(is_passed(slots[(place - step) & mask]) for step in range(1, back + 1))),
        )
        for back in range(1, mask + 1)
    ))  # fmt: skip


# ---- a map: its slots are counted, then each is looked at


def _map(heap, map, loop, rounds):
    if loop == BEGINNING:
        return Cut(())
    of, key_of = map["probe"], maps._key(heap, map)

    def is_found(place):
        slot = probe.slots(heap, of)[place]
        key = key_of(slot)
        tagged = t.eq(32, slot["tag"], heap.tag(key, of["key_bytes"]))
        found = t.land(tagged, _is_first(heap, of, place, slot["tag"], key, key_of))
        return f"slot {place} is found", t.implies(probe.used(slot), found)

    counted = [
        ("the size is how many are used", t.eq(32, map["size"], probe.count(heap, of))),
        ("there are no more than fit", t.ule(32, map["size"], map["capacity"])),
    ]  # fmt: skip
    return Cut(counted if rounds == 0 else [is_found(rounds - 1)], counted)


OF_SLOTS = (
    "slots lead to indices", "no search meets an unused slot before its key's", "no index is in two slots",
    "no key has two indices", "an index is used if a slot leads to it",
)  # fmt: skip

# ---- a flow table: its rings, then each slot, then each index


def _total(conditions):
    total = 0
    for each in conditions:
        total = t.add(32, total, t.bit(each, 32))
    return total


def _table(heap, table, loop, rounds):
    rings = [*ages.invariant(heap, table["ages"])]
    of_rings = {name for name, _ in rings}
    if loop == BEGINNING:
        return Cut((), left_out=OF_SLOTS)
    of, used = table["probe"], [used for used, _ in ages.ages_of(heap, table["ages"])]
    slots, capacity = probe.slots(heap, of), len(used)

    def leads(slot):
        index = slot["value"]
        there = t.land(t.ult(32, index, capacity), select(0, index, used))
        return "it leads to a used index", t.implies(probe.used(slot), there)

    if loop == 0:
        known = [leads(slot) for slot in slots[:rounds]]
        found = known[-1:] if rounds else rings
        counts = _total(used), _total(probe.used(slot) for slot in slots[:rounds])
        return Cut(found, known, [t.zext(count, 32, 64) for count in counts], of_rings)
    led = [leads(slot) for slot in slots]
    counted = ("as many slots as indices are used", t.eq(32, probe.count(heap, of), _total(used)))
    known = [*led, counted]
    found = [_index(heap, table, used, rounds - 1)] if rounds else [led[-1], counted]
    return Cut(found, known, left_out=of_rings)


def _index(heap, table, used, index):
    """That the search for the key of an index leads to it."""
    of, keys = table["probe"], tables._keys(heap, table)
    key = keys[index]
    tag = heap.tag(key, of["key_bytes"])

    def leads(place, slot):
        here = t.land(t.eq(32, slot["tag"], tag), t.eq(32, slot["value"], index))
        return t.land(here, _is_first(heap, of, place, tag, key, lambda slot: select(32, slot["value"], keys)))

    found = t.lor(*(leads(place, slot) for place, slot in enumerate(probe.slots(heap, of))))
    return f"index {index} is found", t.implies(used[index], found)


CUTS = {"map": Cuts((1,), _map), "flow_table": Cuts((2, 3), _table)}
