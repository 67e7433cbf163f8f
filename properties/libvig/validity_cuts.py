"""What ``map_is_valid`` and ``flow_table_is_valid`` have found out of contents wherever one of their loops begins anew:
both look at one slot after the other."""

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


def _is_found(heap, of, place, key_of):
    """That the search for the key of a slot, if it is used, leads to it."""
    slot = probe.slots(heap, of)[place]
    return t.implies(probe.used(slot), _is_first(heap, of, place, slot["tag"], key_of(slot), key_of))


# ---- a map: its slots are counted, then each is looked at


def _map(heap, map, loop, rounds):
    if loop == BEGINNING:
        return Cut(())
    of, key_of = map["probe"], maps._key(heap, map)

    def is_found(place):
        slot = probe.slots(heap, of)[place]
        tagged = t.eq(32, slot["tag"], heap.tag(key_of(slot), of["key_bytes"]))
        found = t.land(t.implies(probe.used(slot), tagged), _is_found(heap, of, place, key_of))
        return f"slot {place} is found", found

    counted = [
        ("the size is how many are used", t.eq(32, map["size"], probe.count(heap, of))),
        ("there are no more than fit", t.ule(32, map["size"], map["capacity"])),
    ]  # fmt: skip
    return Cut(counted if rounds == 0 else [is_found(rounds - 1)], counted)


# ---- a flow table: its rings, then where each slot leads, then each slot


def _total(conditions):
    total = 0
    for each in conditions:
        total = t.add(32, total, t.bit(each, 32))
    return total


def _table(heap, table, loop, rounds):
    rings = [*ages.invariant(heap, table["ages"])]
    of_rings = {name for name, _ in rings}

    def breaks(name):
        return (name in of_rings) == (loop == BEGINNING)

    if loop == BEGINNING:
        return Cut((), breaks=breaks)
    of, used = table["probe"], [used for used, _ in ages.ages_of(heap, table["ages"])]
    slots, capacity = probe.slots(heap, of), len(used)
    leading = [
        t.implies(probe.used(slot), t.land(t.ult(32, slot["value"], capacity), select(0, slot["value"], used)))
        for slot in slots
    ]  # fmt: skip

    def tagged(place):
        tag = t.eq(32, slots[place]["tag"], tables._tag(heap, table)(slots[place]))
        return f"slot {place} has the tag of its key", t.implies(probe.used(slots[place]), tag)

    if loop == 0:
        known = [("slots lead to used indices", each) for each in leading[:rounds]]
        found = [known[-1], tagged(rounds - 1)] if rounds else rings
        counts = _total(used), _total(probe.used(slot) for slot in slots[:rounds])
        held = [t.zext(count, 32, 64) for count in counts]
        return Cut(found, known, held, breaks, _cases(slots[rounds], capacity) if rounds < len(slots) else (True,))
    counted = ("as many slots as indices are used", t.eq(32, probe.count(heap, of), _total(used)))
    known = [("slots lead to used indices", t.land(*leading)), counted]
    if rounds == 0:
        return Cut([*known, tagged(len(slots) - 1)], known, breaks=breaks)
    keys = tables._keys(heap, table)

    def key_of(slot):
        return select(8 * of["key_bytes"], slot["value"], keys)

    found = [(f"slot {rounds - 1} is found", _is_found(heap, of, rounds - 1, key_of))]
    if rounds == len(slots):
        known.append(("no key is in two slots", probe.apart(heap, of, 8 * of["key_bytes"], key_of)))
        known.append(("an index is used if a slot leads to it", tables._owned(heap, table)))
        known.append(("no key has two indices", tables._are_different(heap, table)))
    return Cut(found, known, breaks=breaks)


def _cases(slot, capacity):
    """Where a slot may lead."""
    values = [t.eq(32, slot["value"], index) for index in range(capacity)]
    return [*values, t.lnot(t.lor(*values))]


CUTS = {"map": Cuts((1,), _map), "flow_table": Cuts((2, 3), _table)}
