"""A longest-prefix-match table in memory, and what stands in for its steps where a function calls them."""

from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import LENGTH_MAX, VALUE_MAX, parts
from pytest_vigor.ghost.map import Map
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.called import returning, yes_or_no

lpm = beside(str(libvig_root() / "lpm" / "abstraction.py"), "abstraction.py")
steps = lpm.steps

PREFIX, LENGTH = t.var("argument prefix", 32), t.var("argument length", 32)
ANY_ADDRESS, ANY_LENGTH, ANY_SLOT, ANY_GROUP, ANY_POSITION = (
    t.var(f"any {what}", 32) for what in ("address", "length", "slot", "group", "position")
)
ANY_PREFIX = t.var("any prefix", 64)
ANY_PREFIX_ADDRESS, ANY_PREFIX_LENGTH = parts(ANY_PREFIX)
OWN_ADDRESS = t.band(32, PREFIX, 0xFFFFFF00)  # the first in the slot of a prefix
LONGER_AT = t.var("where one is longer", 32)
NEXT = t.var("the next shorter", 32)


def low(path, register):
    return t.extract(path.registers.read(register), 64, 31, 0)


def with_entries(library, entries, capacity):
    """A path on which there are entries, their key, and where they are."""
    path = library.machine.start()
    path.hold(t.land(t.ult(32, 0, capacity), t.ule(32, capacity, lpm.CAPACITY_MAX)))
    size_bytes = t.scale(64, t.zext(lpm.entries_of(capacity), 32, 64), steps.ENTRY_BYTES)
    region = path.memory.add("the entries", size_bytes)
    key = path.memory.key_of(region.base)
    path.memory.arrays = {key: entries}
    return path, key, region.base


def with_table(library, table):
    """A path on which there is a table, the key of its entries, and the table's region. That its parts do not overlap
    is shown of lpm_alloc."""
    path, key, base = with_entries(library, table.entries, table.capacity)
    struct = library.structs["lpm"]
    region = path.memory.add("the table", struct.size_bytes, writable=False)
    prefixes, groups = (path.memory.add(name, 0) for name in ("the prefixes", "the groups"))
    for member, value in (("entries", base), ("prefixes", prefixes.base), ("groups", groups.base)):
        at = struct.field(member).offset
        region.cells |= {at + k: (value, 8, k) for k in range(8)}
    path.ghosts |= {"prefixes": Map(None, table.items), "groups": IndexPool(None, table.groups)}
    path.handles |= {prefixes.base: "prefixes", groups.base: "groups"}
    return path, key, region


class Steps:
    """The steps by what is shown of them. What that assumes is an obligation; what it says of all slots, addresses or
    lengths is used at arbitrary ones."""

    def __init__(self, table):
        self.table, self.count = table, lpm.entries_of(table.capacity)

    def models(self):
        names = ("cover", "cover_slots", "any_is_longer", "next_shorter")
        return {f"lpm_{name}": getattr(self, name) for name in names}

    @staticmethod
    def _entries(path):
        key = path.memory.key_of(t.split_base(64, path.registers.read("rdi"))[0])
        return key, path.memory.arrays[key]

    @staticmethod
    def _covered(path, step, key, array):
        path.memory.arrays = {**path.memory.arrays, key: array}
        returning(path, step)
        return [path]

    def _oblige(self, path, step, *conditions):
        path.hold(t.land(*self.table.items.facts.defined))
        for condition in conditions:
            path.oblige(condition, "contract", path.where, step)

    def _lie_inside(self, first, many):
        return t.land(t.ule(32, first, self.count), t.ule(32, many, t.sub(32, self.count, first)))

    def cover(self, path):
        key, array = self._entries(path)
        first, many, length, entry = (low(path, register) for register in ("rsi", "rdx", "rcx", "r8"))
        self._oblige(path, "lpm_cover", self._lie_inside(first, many), t.ule(32, length, steps.ANY_LENGTH))
        return self._covered(path, "lpm_cover", key, steps.covered(array, first, many, length, entry))

    def cover_slots(self, path):
        key, array = self._entries(path)
        first, many, length, entry = (low(path, register) for register in ("rsi", "rdx", "rcx", "r8"))
        owner = self.table.row.owner
        self._oblige(
            path, "lpm_cover_slots", t.ule(32, first, steps.SLOTS), t.ule(32, many, t.sub(32, steps.SLOTS, first)),
            t.ule(32, length, steps.FIRST_BITS), t.ult(32, entry, steps.SPLIT),
            steps.split_well(array, ANY_SLOT, owner, self.table.capacity),
        )  # fmt: skip
        covered = steps.covered_slots(array, first, many, length, entry, owner)
        return self._covered(path, "lpm_cover_slots", key, covered)

    def any_is_longer(self, path):
        """Either one is, somewhere, or none is."""
        _, array = self._entries(path)
        first = low(path, "rsi")
        self._oblige(path, "lpm_any_is_longer", self._lie_inside(first, steps.GROUP))

        def is_short(at):
            return steps.is_at_most(array.read(t.add(32, first, at)), steps.FIRST_BITS)

        some, none = yes_or_no(path, "lpm_any_is_longer")
        some.hold(t.land(t.ult(32, LONGER_AT, steps.GROUP), t.lnot(is_short(LONGER_AT))))
        for address in (OWN_ADDRESS, ANY_ADDRESS, ANY_PREFIX_ADDRESS):
            none.hold(is_short(t.band(32, address, 0xFF)))
        return [some, none]

    def next_shorter(self, path):
        prefix, length = low(path, "rsi"), low(path, "rdx")
        items = path.ghosts["prefixes"].items
        small = t.implies(items.has(ANY_PREFIX), t.ule(32, items.value(ANY_PREFIX), VALUE_MAX))
        self._oblige(path, "lpm_next_shorter", t.ule(32, length, LENGTH_MAX), small)
        returning(path, "lpm_next_shorter", NEXT, 32)
        for any_length in (ANY_LENGTH, ANY_PREFIX_LENGTH):
            for _, holds in steps.is_next_shorter(items, prefix, length, NEXT, any_length):
                path.hold(holds)
        return [path]
