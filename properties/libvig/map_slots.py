"""What map_slots and map_slot tell whoever inspects a map, at every capacity: how many slots there are, and the key and
the value in each that is used. And what stands in for them where a function calls them."""

from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.explore.entry import short
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.called import returning, yes_or_no
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import NotShown, Unsettled, block, concluded, holding, unbroken

everywhere = beside(str(libvig_root() / "map" / "everywhere.py"), "everywhere.py")
SLOT = t.var("argument slot", 32)
SLOTS = t.var("slots of the map", 32)
VALUE_BYTES = 4


class Slots:
    """The functions where they are called on a map: each slot holds nothing, or a key that is present with its value,
    and each key that is present is in one. ``known`` is what else holds of a key in a slot. That it is the only one
    there is used of the keys ``anywhere``."""

    def __init__(self, items, known=lambda key: (), anywhere=()):
        self.items, self.known, self.anywhere = items, known, anywhere

    def slot_of(self, key):
        """The slot of a key that is present."""
        return t.app("slot of a key", 32, (self.items.key_bits, key))

    def is_in_one(self, key):
        """That a key that is present is in a slot that there is."""
        return t.implies(self.items.has(key), t.ult(32, self.slot_of(key), SLOTS))

    def models(self):
        return {"map_slots": self.slots, "map_slot": self.slot}

    def _on_the_map(self, path, function):
        on = path.handles.get(path.registers.read("rdi"))
        is_it = on is not None and getattr(path.ghosts[on], "items", None) is self.items
        path.oblige(is_it, "contract", path.where, f"{function} is called on the map")

    def slots(self, path):
        self._on_the_map(path, "map_slots")
        returning(path, "map_slots", SLOTS, 32)
        return [path]

    def slot(self, path):
        self._on_the_map(path, "map_slot")
        slot = t.extract(path.registers.read("rsi"), 64, 31, 0)
        key_at, value_at = path.registers.read("rdx"), path.registers.read("rcx")
        used, unused = yes_or_no(path, "map_slot")
        key = t.var(f"key in a slot ({path.calls})", self.items.key_bits)
        used.hold(t.land(self.items.has(key), *self.known(key), *self.items.facts.defined))
        used.hold(t.eq(32, self.slot_of(key), slot))
        for each in self.anywhere:
            here = t.land(self.items.has(each), t.eq(32, self.slot_of(each), slot))
            used.hold(t.implies(here, t.eq(self.items.key_bits, each, key)))
            unused.hold(t.lnot(here))
        used.memory.store(key_at, self.items.key_bits // 8, key, path.where)
        used.memory.store(value_at, VALUE_BYTES, self.items.value(key), path.where)
        return [used, unused]


def _called(library, key_bytes, function):
    """Any map that may not be changed, what is known of it, the places for results, and the paths on which a function
    returns."""
    facts, path = Everywhere(), library.machine.start()
    library.machine.search.is_shape_known = False
    library.machine.search.broken.clear()
    others = {*path.memory.regions}
    any_map = everywhere.Unbounded(library.structs, facts, key_bytes, library.tag)
    region = any_map.lay(path)
    for number in path.memory.regions.keys() - others:
        path.memory.regions[number].writable = False
    out = [block(path, name, bytes_, t.var(f"{name} before", 8 * bytes_)) for name, bytes_ in
           (("the key", key_bytes), ("the value", VALUE_BYTES))]  # fmt: skip
    for _, holds in any_map.entries.of_slot(SLOT):
        path.hold(holds)
    arguments = [region.base, short(SLOT, 32), *(each.base for each in out)]
    returned, stuck = library.machine.call(path, function, arguments)
    unbroken(library, lambda _: [])
    if stuck or not returned:
        raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
    return any_map, out, returned


def _told(any_map, out, end):
    items, chains = any_map.state(end, 0).items, any_map.entries.chains
    said = t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)
    key, value = (end.memory.load_bytes(each.base, each.size_bytes, 0) for each in out)
    is_used = t.land(chains.exists(SLOT), chains.used(SLOT))
    yield "it says whether the slot is used", t.iff(said, is_used)
    yield "the key is present", t.implies(said, items.has(key))
    slot_of = any_map.entries.slot_of
    yield "it is the key in that slot", t.implies(said, t.eq(32, slot_of(key), SLOT))
    other = t.var("any key", items.key_bits)
    here = t.land(items.has(other), t.eq(32, slot_of(other), SLOT))
    yield "no other key is there", t.implies(here, t.land(said, t.eq(items.key_bits, other, key)))
    yield "every key is in a slot", t.implies(items.has(other), chains.exists(slot_of(other)))
    yield "the value is its", t.implies(said, t.eq(32, value, items.value(key)))
    for name, found, each in (("the key", key, out[0]), ("the value", value, out[1])):
        bits = 8 * each.size_bytes
        yield f"{name} stays as it is", t.lor(said, t.eq(bits, found, t.var(f"{name} before", bits)))


def slots_verdict(library, key_bytes):
    """Whether map_slots tells how many slots there are."""

    def prove():
        any_map, _, returned = _called(library, key_bytes, "map_slots")
        for end in returned:
            many = t.extract(end.registers.read("rax"), 64, 31, 0)
            claim = "the number of slots", t.eq(32, many, t.add(32, any_map.mask, 1))
            holding(library, end, [], [claim], lambda _: [])
        return len(returned)

    return concluded(prove)


def slot_verdict(library, key_bytes):
    """Whether map_slot tells the key and the value in a slot that is used, and of others that they are not."""

    def prove():
        any_map, out, returned = _called(library, key_bytes, "map_slot")
        for end in returned:
            holding(library, end, [], [*_told(any_map, out, end)], lambda _: [])
        return len(returned)

    return concluded(prove)


VERDICTS = {"map_slots": slots_verdict, "map_slot": slot_verdict}
