"""A function of a map or a flow table against its contract at every capacity: from any of which the invariant
(libvig/map/chains.py and searching.py, and everywhere.py of each) holds, to one of which it holds again."""

from dataclasses import replace

from pytest_vigor import contract as c, term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.cycles import Cycle, Cycles, in_turn
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.functions import example
from pytest_vigor.refine.library import Laid, NotShown, Refuted, Unsettled
from pytest_vigor.refine.refinement import Refinement
from pytest_vigor.smt import Unsat

chains, searching = (beside(str(libvig_root() / "map" / name), name) for name in ("chains.py", "searching.py"))

#: The loops of functions, in the order in which they are met.
LOOPS = {
    "map_get": ["search"], "map_put": ["search", "room"], "flow_table_find": ["search"],
    "flow_table_find_and_refresh": ["search"], "flow_table_put": ["room"], "flow_table_restore": ["search", "room"],
}  # fmt: skip


class Probing(Refinement):
    """The proof of one function, with keys of one size."""

    def __init__(self, library, contract, key_bytes):
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
        self.laid[self.name] = Laid(self.abstraction, place, region, {}, self.any.changing(place))
        return path

    def _state(self, path, name, **more):
        return self.any.state(path, self.argument)

    def _follow(self, path, passed, returns):
        ends = 0
        for end in Cycles(self.library, self.contract.name, self._cycles(), self._told).ends(path, passed):
            returns(end)
            ends += 1
        return ends

    def _cycles(self):
        entries = self.any.entries
        search = searching.Search(entries, self.argument)
        rooms = [searching.Room(entries.chains, search.tag, chains.BETWEEN, used) for used in (True, False)]
        loops = {"search": lambda _: [self._cycle(search)], "room": lambda _: [self._cycle(room) for room in rooms]}
        return [loops[each] for each in LOOPS.get(self.contract.name, ())]

    def _cycle(self, said, first=None):
        """What is said of a search, that begins at the first slot in question: unless given, as it says itself."""
        return Cycle(
            {"slot": said.first if first is None else first},
            holds=lambda now: said.holds(now["slot"]), left=lambda now: said.left(now["slot"]),
            given=lambda now: said.given(now["slot"]), round=lambda now, then: said.round(now["slot"], then["slot"]),
            ends=lambda now, _: self._left(said, now["slot"]),
        )  # fmt: skip

    def _left(self, search, slot):
        self.left_at[slot] = None
        return search.ends(slot)

    def _still_valid(self, end):
        return ()

    def _is_possible(self, end, condition):
        if not end.possible(condition) or isinstance(self.search.ask_afresh(end, condition), Unsat):
            return False
        return self.name != "table" or self._example(end, condition) is not False

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in (*given, *self.facts.defined):
            end.hold(condition)
        self._in_turn(end, claims)
        if self.any.is_untouched(end):
            return
        entries = self.any.entries_in(end, self.argument)
        if self.name == "table":
            entries = replace(entries, row=self.any.row.after(way.outcome.changes[self.name].flows))
        for _, condition in self.any.given_to_keep(end, entries, self.argument):
            end.hold(condition)
        self._before_kept(end)
        afterwards = ((f"afterwards {name}", claim) for name, claim in self.any.kept(end, entries))
        self._in_turn(end, afterwards)
        if self.name == "table":
            self._over_integers(end, [(f"afterwards {name}", claim) for name, claim in self.any.of_row(end, entries)])

    def _before_kept(self, end):
        """Steps of the argument why the invariant holds at a return."""

    def _in_turn(self, end, claims):
        """Raises NotShown unless all claims hold at a return, each where those before it do."""
        for claim in claims:
            wrong = t.lnot(claim[1])
            is_of_row = self.name == "table" and wrong is not False and self.any.is_of_row(wrong)
            if is_of_row and self._example(end, wrong) is False:
                if wrong is True:
                    return  # there is no such path
                end.hold(claim[1])
            else:
                in_turn(self.library, end, [claim], self._told)

    def _over_integers(self, end, claims):
        """The same of ages and their row, which solvers cannot do bit by bit."""
        found = self._example(end, t.lnot(t.land(*(claim for _, claim in claims))))
        if found is None:
            raise NotShown(Unsettled("the solver gave up on " + "; ".join(name for name, _ in claims)))
        if found is not False:
            failing = [name for name, claim in claims if found.seen(t.substitute(claim, self._named(end), {})) is False]
            raise NotShown(Refuted("; ".join(failing)))

    def _example(self, end, condition):
        """What can be at a return, as far as ages and their row tell; False if nothing, and None if nobody knows. What
        is about more than that is left out."""
        named = self._named(end)
        parts = condition.args if isinstance(condition, t.Term) and condition.op == "land" else (condition,)
        asked = [t.substitute(each, named, {}) for each in (*end.conditions(), *self.facts.known, *parts)]
        asked = [each for each in asked if self.any.is_of_row(each)]
        asked += [each for each in self.any.known(asked) if self.any.is_of_row(each)]
        return example([*dict.fromkeys(asked)])

    def _named(self, end):
        """What the slots at which searches ended are known to hold, to put in place of that."""
        entries, found = self.any.entries, {}
        for slot in self.left_at:
            word, index = self.any.slots.read(slot), entries.index_of(self.argument)
            same = t.eq(32, entries.chains.value(slot), index)
            if isinstance(self.search.ask_afresh(end, t.lnot(same)), Unsat):
                found[word] = t.concat([(32, index), (32, entries.chains.tag(slot))])
        return found.get
