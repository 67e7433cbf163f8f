"""What lpm_slots and lpm_slot tell whoever inspects a table: what map_slots and map_slot tell of its prefixes, at every
capacity."""

from properties.libvig.lpm_asking import holding_each
from properties.libvig.lpm_steps import ANY_PREFIX, low, lpm, with_table
from properties.libvig.map_slots import SLOT, SLOTS, VALUE_BYTES, Slots
from pytest_vigor import term as t
from pytest_vigor.explore.entry import short
from pytest_vigor.ghost.lpm import KEY_BITS
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import NotShown, Unsettled, block, concluded, unbroken

OUT = (("the prefix", KEY_BITS // 8), ("the value", VALUE_BYTES))


def _before(name, size_bytes):
    return t.var(f"{name} before", 8 * size_bytes)


def _number(end, slots, out):
    yield "it is the number of slots", t.eq(32, low(end, "rax"), SLOTS)


def _told(end, slots, out):
    items = slots.items
    said = t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)
    prefix, value = (end.memory.load_bytes(each.base, each.size_bytes, 0) for each in out)
    here = t.land(items.has(prefix), t.eq(32, slots.slot_of(prefix), SLOT))
    yield "the prefix is present, and in that slot", t.implies(said, here)
    yield "the value is its", t.implies(said, t.eq(32, value, items.value(prefix)))
    other = t.land(items.has(ANY_PREFIX), t.eq(32, slots.slot_of(ANY_PREFIX), SLOT))
    yield "no other prefix is there", t.implies(other, t.land(said, t.eq(KEY_BITS, ANY_PREFIX, prefix)))
    for (name, size_bytes), found in zip(OUT, (prefix, value), strict=True):
        yield f"{name} stays as it is", t.lor(said, t.eq(8 * size_bytes, found, _before(name, size_bytes)))


CLAIMS = {"lpm_slots": _number, "lpm_slot": _told}


def verdict(library, function):
    """Whether the function tells what the map tells, and changes nothing."""

    def prove():
        table = lpm.Unbounded(Everywhere()).table
        slots = Slots(table.items, anywhere=[ANY_PREFIX])
        modelled = library.modelling(slots.models())
        path, _, region = with_table(modelled, table)
        out = [block(path, *each, _before(*each)) for each in OUT]
        returned, stuck = modelled.machine.call(path, function, [region.base, short(SLOT, 32), *(o.base for o in out)])
        unbroken(modelled, lambda _: [])
        if stuck or not returned:
            raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
        for end in returned:
            holding_each(modelled, end, CLAIMS[function](end, slots, out), lambda _: [])
        return len(returned)

    return concluded(prove)
