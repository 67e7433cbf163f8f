"""What is so where lpm_is_valid says yes, whatever the table holds: the entry of each address is that of its longest
prefix, so that lpm_search is right. Its map and its index pool are valid ones."""

from properties.libvig.lpm_asking import knowing
from properties.libvig.lpm_checks import Checks
from properties.libvig.lpm_steps import (
    ANY_ADDRESS,
    ANY_LENGTH,
    ANY_PREFIX,
    ANY_SLOT,
    lpm,
    steps,
    with_table,
)
from properties.libvig.lpm_table_loops import NUMBER_BYTES, TableLoops
from properties.libvig.lpm_validity_steps import said
from properties.libvig.map_slots import SLOTS as MAP_SLOTS, Slots
from pytest_vigor import term as t
from pytest_vigor.ghost import flows, map as maps
from pytest_vigor.ghost.lpm import KEY_BITS, VALUE_MAX, parts, well_formed
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.called import returning, yes_or_no
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import NotShown, Unsettled, concluded, unbroken


def _slot_of(key):
    return steps.slot_of(parts(key)[0])


def _group_is_used(table, slot):
    """That a slot's entry, if it names a group, names one that is in use."""
    entry = table.entries.read(slot)
    group = steps.value_of(entry)
    well = t.land(t.eq(32, entry, t.bor(32, steps.SPLIT, group)), table.groups.used(group))
    return t.implies(steps.is_split(entry), well)


class _Any(TableLoops):
    """Any table at all."""

    def __init__(self, library, *called):
        facts, capacity = Everywhere(), lpm.CAPACITY
        items, groups = maps.Base(facts, "prefixes", KEY_BITS, capacity), flows.Base(facts, "groups", 0, capacity)
        row = lpm.Unbounded(Everywhere(), capacity).table.row
        table = lpm.Table(capacity, Array.unknown("entries", steps.ENTRY_BYTES), items, groups, row)
        self.slots = Slots(items, lambda key: [_group_is_used(table, _slot_of(key))], [ANY_PREFIX])
        models = Checks(library, table, ANY_ADDRESS).models() | self.slots.models()
        super().__init__(library, facts, table, called, models)

    def right_entry(self, address):
        """That the entry of an address is 0 or that of a prefix of it, and its slot's group is in use."""
        table = self.table
        present = steps.is_of_a_prefix(table.items, address, table.entry_of(address))
        return t.land(*(holds for _, holds in present), _group_is_used(table, steps.slot_of(address)))

    def right_prefix(self, key, address):
        """That a key that is present is a prefix, and an address that begins with it has the entry of one as long."""
        (prefix, length), table = parts(key), self.table
        theirs = t.eq(32, steps.masked(address, length), prefix)
        covered = t.implies(theirs, steps.is_at_least(table.entry_of(address), length))
        sound = t.land(well_formed(prefix, length), t.ule(32, table.items.value(key), VALUE_MAX), covered)
        return t.implies(table.items.has(key), sound)


def slots_verdict(library):
    """Whether the entry of each address is right."""
    any_table = _Any(library, "index_pool_is_used")

    def right(address, slots):
        return t.implies(t.ult(32, steps.slot_of(address), slots), any_table.right_entry(address))

    def seen(slots):
        return [("what was looked at is right", right(ANY_ADDRESS, slots))]

    def before(slots):
        """What was seen of the slot before: so it is of all addresses."""
        return [right(t.sub(32, ANY_ADDRESS, steps.GROUP), slots)]

    def returns(end, _):
        return [("all is right if it says yes", t.implies(said(end), any_table.right_entry(ANY_ADDRESS)))]

    return concluded(lambda: any_table.loop(
        "lpm_are_slots_valid", steps.SLOTS, returns, before, out=["the groups"], seen=seen
    ))  # fmt: skip


def prefixes_verdict(library):
    """Whether each prefix is right, where the groups that slots name are in use."""
    any_table = _Any(library)

    def right():
        return any_table.right_prefix(ANY_PREFIX, ANY_ADDRESS)

    def seen(slots):
        looked_at = t.ult(32, any_table.slots.slot_of(ANY_PREFIX), slots)
        return [("what was looked at is right", t.implies(looked_at, right()))]

    def given(_):
        return [any_table.slots.is_in_one(ANY_PREFIX), _group_is_used(any_table.table, ANY_SLOT)]

    def returns(end):
        return [("all is right if it says yes", t.implies(said(end), right()))]

    return concluded(lambda: any_table.loop("lpm_are_prefixes_valid", MAP_SLOTS, returns, given, seen=seen))


STEPS = {"lpm_are_slots_valid": slots_verdict, "lpm_are_prefixes_valid": prefixes_verdict}


# ---- all of it


class _Answers:
    """What lpm_is_valid calls: each says yes, and then that is so which was shown of it, or no."""

    def __init__(self, any_table):
        self.table, self.address = any_table, 0
        self.prefix = steps.prefix_of(ANY_ADDRESS, ANY_LENGTH)

    def models(self):
        return {
            "map_is_valid": lambda path: self._either(path, "map_is_valid"),
            "index_pool_is_valid": lambda path: self._either(path, "index_pool_is_valid"),
            "lpm_are_slots_valid": self._slots, "lpm_used_groups": self._groups,
            "lpm_are_prefixes_valid": self._prefixes,
        }  # fmt: skip

    @staticmethod
    def _either(path, function, *so_if_yes):
        yes, no = yes_or_no(path, function)
        yes.hold(t.land(*so_if_yes))
        return [yes, no]

    def _called(self, path):
        on_it = path.registers.read("rdi") == self.address
        path.oblige(on_it, "contract", path.where, "steps are called on the table")

    def _slots(self, path):
        self._called(path)
        place = path.registers.read("rsi")
        in_use = _group_is_used(self.table.table, ANY_SLOT)
        yes, no = self._either(path, "lpm_are_slots_valid", self.table.right_entry(ANY_ADDRESS), in_use)
        yes.memory.store(place, NUMBER_BYTES, t.var("slots with groups", 32), yes.where)
        return [yes, no]

    def _groups(self, path):
        returning(path, "lpm_used_groups", t.var("groups in use", 32), 32)
        return [path]

    def _prefixes(self, path):
        self._called(path)
        path.oblige(_group_is_used(self.table.table, ANY_SLOT), "contract", path.where, "groups are in use")
        return self._either(path, "lpm_are_prefixes_valid", self.table.right_prefix(self.prefix, ANY_ADDRESS))


def verdict(library):
    """Whether, if lpm_is_valid says yes, the entry of each address is that of its longest prefix."""
    any_table = _Any(library)
    table, answers = any_table.table, _Answers(any_table)
    library = library.modelling(answers.models())

    def prove():
        path, key, region = with_table(library, table)
        path.memory.regions[key].writable = False
        answers.address = region.base
        library.machine.search.is_shape_known = False
        returned, stuck = library.machine.call(path, "lpm_is_valid", [region.base])
        unbroken(library, lambda _: [])
        if stuck or not returned:
            raise NotShown(Unsettled(stuck[0].reason if stuck else "it never returns"))
        for end in returned:
            right = table.of_addresses(ANY_ADDRESS, ANY_LENGTH)
            claims = [(name, t.implies(said(end), holds)) for name, holds in right]
            knowing(any_table.facts)(library, end, [], claims, lambda _: [])
        return len(returned)

    return concluded(prove)
