"""What probe.h keeps: slots in which every search finds its key before it meets an unused one."""

from itertools import combinations

from pytest_vigor import term as t


def slots(heap, probe):
    return heap.array(probe["slots"], probe["stride_bytes"], probe["mask"] + 1, "probe_slot")


def extent(heap, probe):
    """The addresses of all slots."""
    return probe["slots"], probe["slots"] + (probe["mask"] + 1) * probe["stride_bytes"]


def used(slot):
    return t.ne(32, slot["tag"], 0)


def invariant(heap, probe, key_of):
    """``key_of`` gives the key of a slot."""
    mask, key_bytes, all_slots = probe["mask"], probe["key_bytes"], slots(heap, probe)
    keys = [key_of(slot) for slot in all_slots]
    tags = [t.implies(used(slot), t.eq(32, slot["tag"], heap.tag(key, key_bytes)))
            for slot, key in zip(all_slots, keys, strict=True)]
    yield "tags are those of the keys", t.land(*tags)
    width = max(mask.bit_length(), 1)
    reached = []
    for place, slot in enumerate(all_slots):
        start = t.extract(slot["tag"], 32, width - 1, 0)
        distance = t.sub(width, place, start)
        for back in range(1, mask + 1):
            passed = t.land(used(slot), t.ule(width, back, distance))
            reached.append(t.implies(passed, used(all_slots[(place - back) & mask])))
    yield "no search meets an unused slot before its key's", t.land(*reached)
    apart = [
        t.lnot(t.land(used(all_slots[i]), used(all_slots[j]), t.eq(8 * key_bytes, keys[i], keys[j])))
        for i, j in combinations(range(mask + 1), 2)
    ]
    yield "no key is in two slots", t.land(*apart)


def count(heap, probe):
    """How many slots are used."""
    total = 0
    for slot in slots(heap, probe):
        total = t.add(32, total, t.bit(used(slot), 32))
    return total
