"""Whether lpm_is_valid says yes of every valid table, whatever its capacity, and the steps for which that needs the
invariant (libvig/lpm/abstraction.py): each is a loop, shown by induction over its rounds."""

from properties.libvig.index_pool_validity import index_pool_is_valid
from properties.libvig.lpm_asking import holding_each
from properties.libvig.lpm_checks import OnValid, owned, owned_first, owned_more
from properties.libvig.lpm_proof import LpmProof
from properties.libvig.lpm_steps import low, lpm, steps, with_table
from properties.libvig.lpm_table_loops import TableLoops
from properties.libvig.lpm_validity_steps import said
from properties.libvig.map_slots import SLOTS as MAP_SLOTS, Slots
from properties.libvig.map_validity import map_is_valid
from pytest_vigor import term as t
from pytest_vigor.contract import TRUTH, Outcome, State, contract
from pytest_vigor.ghost.lpm import Lpm, parts
from pytest_vigor.refine.called import by_contract, returning
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import concluded


@contract(lpm=State(Lpm), returns=TRUTH)
def lpm_is_valid(call, lpm):
    return Outcome(True)


class _Valid(TableLoops):
    """Any valid table."""

    def __init__(self, library, *called):
        facts = Everywhere()
        self.any = lpm.Unbounded(facts)
        table = self.any.table
        slots = Slots(table.items, lambda key: self.any.known(slots=[steps.slot_of(parts(key)[0])]))
        super().__init__(library, facts, table, called, OnValid(library, self.any).models() | slots.models())


def _says_yes(end):
    return "it says yes", said(end)


# ---- slots, and how many of them have a group

SLOT, GROUP = t.var("any slot of some", 32), t.var("any group of some", 32)


def _one_slot_more(table, slot, groups):
    """With one slot more, one group more belongs to the slots if that one has one of these groups."""
    entry = table.entries.read(slot)
    has = t.land(steps.is_split(entry), t.ult(32, steps.value_of(entry), groups))
    return t.eq(32, owned(t.add(32, slot, 1), groups), t.add(32, owned(slot, groups), t.bit(has, 32)))


def _shown_of_groups(valid, claim, *slots):
    """Shows a claim of any number of groups by induction over it: what belongs to these numbers of slots is used."""
    valid.library.machine.search.is_shape_known = False
    path, *_ = with_table(valid.library, valid.table)
    known = [t.ult(32, SLOT, steps.SLOTS), t.ult(32, GROUP, valid.table.capacity), *valid.any.known(slots=[SLOT])]
    for each in slots:
        known += owned_first(each), owned_more(valid.table, each, GROUP)
    for condition in (*known, *valid.facts.defined):
        path.hold(condition)
    further = t.implies(claim(GROUP), claim(t.add(32, GROUP, 1)))
    holding_each(valid.library, path, [("of no groups", claim(0)), ("of one group more", further)], lambda _: [])


def _none_of_no_slots(groups):
    return t.eq(32, owned(0, groups), 0)


def slots_verdict(library):
    """Whether every slot is found valid, and as many have a group as groups belong to slots."""
    valid = _Valid(library, "index_pool_is_used")
    table = valid.table

    def returns(end, place):
        counted = t.eq(32, end.memory.load(place, 4, end.where), owned(steps.SLOTS, table.capacity))
        return [_says_yes(end), ("slots with groups are counted", counted)]

    def given(slot):
        yield from valid.any.known(addresses=[t.shl(32, slot, 8)], slots=[slot])
        yield _none_of_no_slots(table.capacity)
        yield t.implies(t.ult(32, slot, steps.SLOTS), _one_slot_more(table, slot, table.capacity))

    def prove():
        _shown_of_groups(valid, _none_of_no_slots, 0)
        _shown_of_groups(valid, lambda groups: _one_slot_more(table, SLOT, groups), SLOT, t.add(32, SLOT, 1))
        counted = [lambda slots: t.zext(owned(slots, table.capacity), 32, 64)]
        return valid.loop("lpm_are_slots_valid", steps.SLOTS, returns, given, counted, ["the groups"])

    return concluded(prove)


def groups_verdict(library):
    """Whether as many groups are in use as belong to slots: each one does."""
    valid = _Valid(library, "index_pool_is_used", "index_pool_capacity")
    table = valid.table

    def returns(end):
        return [("groups in use are counted", t.eq(32, low(end, "rax"), owned(steps.SLOTS, table.capacity)))]

    def given(groups):
        return [owned_first(steps.SLOTS), owned_more(table, steps.SLOTS, groups)]

    counted = [lambda groups: t.zext(owned(steps.SLOTS, groups), 32, 64)]
    return concluded(lambda: valid.loop("lpm_used_groups", table.capacity, returns, given, counted))


# ---- prefixes


def prefixes_verdict(library):
    """Whether every prefix is found valid."""
    valid = _Valid(library)
    return concluded(lambda: valid.loop("lpm_are_prefixes_valid", MAP_SLOTS, lambda end: [_says_yes(end)]))


STEPS = {
    "lpm_are_slots_valid": slots_verdict,
    "lpm_used_groups": groups_verdict,
    "lpm_are_prefixes_valid": prefixes_verdict,
}


# ---- all of it


class Validity(LpmProof):
    """The proof of lpm_is_valid."""

    def __init__(self, library):
        super().__init__(library, lpm_is_valid)

    def _models(self, library):
        steps_ = {"lpm_are_slots_valid": self._slots, "lpm_used_groups": self._groups}
        valid = {each.name: by_contract(each, self.facts) for each in (map_is_valid, index_pool_is_valid)}
        return valid | steps_ | {"lpm_are_prefixes_valid": self._prefixes}

    def _unchanged(self, path):
        """That the step is called on the table of which the invariant holds."""
        table = path.ghosts["prefixes"].items, path.ghosts["groups"].flows, path.memory.arrays[self.key]
        is_so = table == (self.table.items, self.table.groups, self.table.entries)
        is_so = is_so and path.registers.read("rdi") == self.laid["lpm"].place.address
        path.oblige(is_so, "contract", path.where, "the table is the one that there was")

    def _slots(self, path):
        self._unchanged(path)
        place = path.registers.read("rsi")
        returning(path, "lpm_are_slots_valid", 1, 8)
        path.memory.store(place, 4, owned(steps.SLOTS, self.table.capacity), path.where)
        return [path]

    def _groups(self, path):
        self._unchanged(path)
        returning(path, "lpm_used_groups", owned(steps.SLOTS, self.table.capacity), 32)
        return [path]

    def _prefixes(self, path):
        self._unchanged(path)
        returning(path, "lpm_are_prefixes_valid", 1, 8)
        return [path]
