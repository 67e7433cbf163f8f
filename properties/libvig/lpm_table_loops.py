"""Functions that are one loop over a longest-prefix-match table that nothing changes, by induction over its rounds."""

from properties.libvig.lpm_asking import knowing
from properties.libvig.lpm_steps import with_table
from pytest_vigor import term as t
from pytest_vigor.explore.entry import CALLEE_SAVED
from pytest_vigor.refine.called import by_contract
from pytest_vigor.refine.induction import Loop, by_induction
from pytest_vigor.refine.library import block

NUMBER_BYTES = 4


class TableLoops:
    """A table, what is known of it, and a library in which some functions are ``called`` by contract, and others are
    what ``models`` say."""

    def __init__(self, library, facts, table, called, models):
        self.facts, self.table = facts, table
        contracts = {name: by_contract(library.contracts.by_name[name], facts) for name in called}
        self.library = library.modelling(contracts | models)

    def loop(self, function, many, returns, given=lambda rounds: (), registers=(), out=(), seen=lambda rounds: ()):
        """The proof of a function that makes so many rounds, with places for numbers that it gives ``out``. ``seen`` is
        what it has seen after some rounds, and ``given`` what else is known then."""

        def known(rounds):
            return t.land(*given(rounds), *self.facts.defined)

        def holds(at, rounds):
            kept = map(at.registers.read, CALLEE_SAVED)
            counts = t.lor(*(t.eq(64, register, t.zext(rounds, 32, 64)) for register in kept))
            return [("one is left", t.ult(32, rounds, many)), ("rounds are counted", counts), *seen(rounds)]

        path, key, region = with_table(self.library, self.table)
        path.memory.regions[key].writable = False
        places = [block(path, name, NUMBER_BYTES, t.var(f"{name} before", 32)).base for name in out]
        path.hold(known(0))
        loop = Loop(holds, None, lambda end: returns(end, *places), known, registers, knowing(self.facts), t.mask(32))
        return by_induction(self.library, path, function, [region.base, *places], key, loop)
