"""What probe.h keeps: slots in which every search finds its key before it meets an unused one."""

from itertools import combinations

from pytest_vigor import term as t


def slots(heap, probe):
    return heap.array(probe["slots"], heap.structs["probe_slot"].size_bytes, probe["mask"] + 1, "probe_slot")


def unknown(heap, probe, tag_of):
    """The contents of a slot. Its tag is 0 or that of the key, which ``tag_of`` gives."""
    for slot in slots(heap, probe):
        def tag(used, slot=slot):
            return t.ite(32, t.eq(1, used, 1), tag_of(slot), 0)

        yield slot.unknown("tag", 1, tag)
        yield slot.unknown("value")


def used(slot):
    return t.ne(32, slot["tag"], 0)


def invariant(heap, probe):
    mask, all_slots = probe["mask"], slots(heap, probe)
    width = max(mask.bit_length(), 1)
    reached = []
    for place, slot in enumerate(all_slots):
        start = t.extract(slot["tag"], 32, width - 1, 0)
        for back in range(1, mask + 1):
            passed = [used(all_slots[(place - step) & mask]) for step in range(1, back + 1)]
            begins = t.eq(width, start, (place - back) & mask)
            reached.append(t.implies(t.land(used(slot), begins), t.land(*passed)))
    yield "no search meets an unused slot before its key's", t.land(*reached)


def apart(heap, probe, width, value_of):
    """Whether no two used slots have the same of something."""
    pairs = combinations(slots(heap, probe), 2)
    return t.land(
        *(t.lnot(t.land(used(a), used(b), t.eq(width, value_of(a), value_of(b)))) for a, b in pairs)
    )


def count(heap, probe):
    """How many slots are used."""
    total = 0
    for slot in slots(heap, probe):
        total = t.add(32, total, t.bit(used(slot), 32))
    return total
