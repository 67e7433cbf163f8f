"""A function of a map or a flow table against its contract at every capacity: from any of which the invariant
(libvig/map/chains.py, and everywhere.py of each) holds, to one of which it holds again."""

from pytest_vigor import contract as c, term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.cycles import Cycle, Cycles, in_turn
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.functions import example
from pytest_vigor.refine.library import Laid, NotShown, Refuted, Unsettled
from pytest_vigor.refine.refinement import Refinement
from pytest_vigor.smt import Unsat

chains = beside(str(libvig_root() / "map" / "chains.py"), "chains.py")


class Probing(Refinement):
    """The proof of one function, with keys of one size."""

    def __init__(self, library, function, key_bytes):
        contract = library.contracts.by_name[function]
        (self.name, kind), *_ = ((name, k) for name, k in contract.parameters.items() if isinstance(k, c.State))
        super().__init__(library, contract, {self.name: {"key_bytes": key_bytes}})
        self.facts, self.search.hasty = Everywhere(), True
        self.left_at = {}
        self.abstraction = library.abstractions[kind.cls.kind]
        self.any = self.abstraction.unbounded(library.structs, self.facts, key_bytes, library.tag)
        self.argument = t.var("argument key", 8 * key_bytes)

    def _lay(self, path):
        region = self.any.lay(path)
        place = self.library.heap(path).at(region.base, self.abstraction.struct)
        self.laid[self.name] = Laid(self.abstraction, place, region, {}, ())
        return path

    def _state(self, path, name, **more):
        return self.any.state(path)

    def _follow(self, path, passed, returns):
        ends = 0
        for end in Cycles(self.library, self.contract.name, self._cycles(), self._told).ends(path, passed):
            returns(end)
            ends += 1
        return ends

    def _cycles(self):
        if "key" not in self.contract.parameters:
            return []
        search = chains.Search(self.any.entries, self.argument)
        return [
            Cycle(
                {"slot": search.first},
                holds=lambda now: search.holds(now["slot"]), left=lambda now: search.left(now["slot"]),
                given=lambda now: search.given(now["slot"]),
                round=lambda now, then: search.round(now["slot"], then["slot"]),
                ends=lambda now: self._left(search, now["slot"]),
            )
        ]  # fmt: skip

    def _left(self, search, slot):
        self.left_at[slot] = None
        return search.ends(slot)

    def _still_valid(self, end):
        return ()

    def _is_possible(self, end, condition):
        return end.possible(condition) and not isinstance(self.search.ask_afresh(end, condition), Unsat)

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in (*given, *self.facts.defined):
            end.hold(condition)
        in_turn(self.library, end, claims, self._told)
        if self.any.is_untouched(end):
            return
        entries = self.any.after(way.outcome.changes[self.name].flows)
        for _, condition in self.any.known_of_any():
            end.hold(condition)
        afterwards = ((f"afterwards {name}", claim) for name, claim in self.any.of_entries(end, entries))
        in_turn(self.library, end, afterwards, self._told)
        self._kept_over_integers(end, list(self.any.of_row(end, entries)))

    def _kept_over_integers(self, end, claims):
        """The same of what the solver cannot do bit by bit."""
        named = self._named(end)
        asked = [*end.conditions(), t.lnot(t.land(*(claim for _, claim in claims)))]
        asked = [t.substitute(each, named, {}) for each in asked]
        asked += self.any.known(asked)
        found = example([each for each in dict.fromkeys(asked) if self.any.is_of_row(each)])
        if found is None:
            raise NotShown(Unsettled("the solver gave up on what holds afterwards"))
        if found is not False:
            failing = [name for name, claim in claims if found.seen(t.substitute(claim, named, {})) is False]
            raise NotShown(Refuted("afterwards " + "; ".join(failing)))

    def _named(self, end):
        """What the slots at which searches ended are known to hold, to put in place of that."""
        entries, found = self.any.entries, {}
        for slot in self.left_at:
            word, index = self.any.slots.read(slot), entries.index_of(self.argument)
            same = t.eq(32, entries.chains.value(slot), index)
            if isinstance(self.search.ask_afresh(end, t.lnot(same)), Unsat):
                found[word] = t.concat([(32, index), (32, entries.chains.tag(slot))])
        return found.get
