"""A function of a longest-prefix-match table against its contract at every capacity: from any table of which the
invariant (libvig/lpm/abstraction.py) holds, to one of which it holds again. Where the function calls a step, or a
function of a map or an index pool, that one's claim stands in for it."""

from properties.libvig.lpm_asking import holding_each
from properties.libvig.lpm_steps import (
    ANY_ADDRESS,
    ANY_GROUP,
    ANY_LENGTH,
    ANY_POSITION,
    ANY_PREFIX,
    ANY_PREFIX_ADDRESS,
    ANY_PREFIX_LENGTH,
    ANY_SLOT,
    LENGTH,
    LONGER_AT,
    OWN_ADDRESS,
    PREFIX,
    Steps,
    lpm,
    steps,
    with_table,
)
from pytest_vigor import term as t
from pytest_vigor.ghost.lpm import LENGTH_MAX, Lpm, key
from pytest_vigor.refine.called import by_contract
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import Laid
from pytest_vigor.refine.refinement import Refinement

ADDRESS = t.var("argument address", 32)
LONGER_ADDRESS = t.bor(32, OWN_ADDRESS, t.band(32, LONGER_AT, 0xFF))
ANY_OTHERS = (ANY_SLOT, ANY_GROUP, ANY_POSITION, ANY_PREFIX)
CALLED = ("map_get", "map_put", "map_erase", "map_size", "index_pool_take", "index_pool_release")


def instances(function, table):
    """Where a function's proof needs the invariant: at addresses, lengths at addresses, slots and positions."""
    size = table.items.size()
    match function:
        case "lpm_search":
            lengths = [(ADDRESS, length) for length in range(LENGTH_MAX + 1)]
            return [ADDRESS], lengths, [lpm.slot_of(ADDRESS)], []
        case "lpm_add":
            addresses, lengths, positions = [ANY_ADDRESS], [(ANY_ADDRESS, ANY_LENGTH)], [ANY_POSITION, size]
        case "lpm_remove":
            addresses = [ANY_ADDRESS, OWN_ADDRESS, LONGER_ADDRESS, ANY_PREFIX_ADDRESS]
            lengths = [(ANY_ADDRESS, ANY_LENGTH), (OWN_ADDRESS, ANY_LENGTH), (ANY_PREFIX_ADDRESS, ANY_PREFIX_LENGTH)]
            positions = [ANY_POSITION, t.sub(32, size, 1), table.row.number(key(PREFIX, LENGTH))]
        case _:
            return [], [], [], []
    return addresses, lengths, [ANY_SLOT, *map(lpm.slot_of, [*addresses, PREFIX])], positions


class LpmProof(Refinement):
    """The proof of one function."""

    def __init__(self, library, contract):
        self.facts = facts = Everywhere()
        self.any = lpm.Unbounded(facts)
        self.table, self.key = self.any.table, 0
        super().__init__(library.modelling(self._models(library)), contract, {})
        self.facts = facts

    def _models(self, library):
        """What stands in for the functions that it calls."""
        models = {name: by_contract(library.contracts.by_name[name], self.facts) for name in CALLED}
        return models | Steps(self.table).models()

    def _lay(self, path):
        path, self.key, region = with_table(self.library, self.table)
        place = self.library.heap(path).at(region.base, "lpm")
        self.laid["lpm"] = Laid(self.library.abstractions["lpm"], place, region, {}, ())
        for condition in self.any.known(*instances(self.contract.name, self.table)):
            path.hold(condition)
        return path

    def _state(self, path, name, **more):
        return Lpm(None, path.ghosts["prefixes"].items)

    def _still_valid(self, end):
        return ()  # how the ghost state changes depends on what was called

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in given:
            end.hold(condition)
        claims = [*claims, *self._kept(end)]
        for condition in self.facts.defined:
            end.hold(condition)
        for case in self._cases(end):
            if self._is_possible(end, case):
                at = end.fork()
                at.hold(case)
                self._holding(at, claims)

    def _cases(self, end):
        """Where the solver needs help: how long the longest prefix of the address is."""
        if self.contract.name != "lpm_search":
            return [True]
        above = t.lshr(32, self.table.entry_of(ADDRESS), 24)
        cases = [t.eq(32, above, each) for each in range(LENGTH_MAX + 2)]
        self._holding(end, [("there is no other length", t.lor(*cases))])
        return cases

    def _holding(self, end, claims):
        holding_each(self.library, end, claims, self._told)

    def _kept(self, end):
        """The invariant afterwards, at any address, length, slot, group, position and prefix."""
        array, items, groups = (
            end.memory.arrays[self.key], end.ghosts["prefixes"].items, end.ghosts["groups"].flows,
        )  # fmt: skip
        table = self.table
        if array is table.entries and items is table.items and groups is table.groups:
            return
        longer = steps.longest_in(array, LONGER_ADDRESS)  # where a group stays in use, a prefix for which it does
        table.items.has(longer)
        for condition in self.any.known(positions=[table.row.number(longer)]):
            end.hold(condition)
        after = table.after(array, items, groups, longer)
        for name, holds in (*after.of_addresses(ANY_ADDRESS, ANY_LENGTH), *after.of_others(*ANY_OTHERS)):
            yield f"afterwards {name}", holds
