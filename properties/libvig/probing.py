"""A function of a map or a flow table against its contract at every capacity: from any of which the invariant
(libvig/map/chains.py, and everywhere.py of each) holds, to one of which it holds again."""

from pytest_vigor import contract as c, term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.cycles import Cycle, Cycles
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import Laid, holding
from pytest_vigor.refine.refinement import Refinement

chains = beside(str(libvig_root() / "map" / "chains.py"), "chains.py")


class Probing(Refinement):
    """The proof of one function, with keys of one size."""

    def __init__(self, library, function, key_bytes):
        contract = library.contracts.by_name[function]
        (self.name, kind), *_ = ((name, k) for name, k in contract.parameters.items() if isinstance(k, c.State))
        super().__init__(library, contract, {self.name: {"key_bytes": key_bytes}})
        self.facts = Everywhere()
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
        search = chains.Search(self.any.entries, self.argument)
        return [
            Cycle(
                {"slot": search.first},
                holds=lambda now: search.holds(now["slot"]), left=lambda now: search.left(now["slot"]),
                given=lambda now: search.given(now["slot"]),
                round=lambda now, then: search.round(now["slot"], then["slot"]),
                ends=lambda now: search.ends(now["slot"]),
            )
        ]  # fmt: skip

    def _still_valid(self, end):
        return ()

    def _conclude(self, end, way, given, claims):
        end = end.fork()
        for condition in (*given, *self.facts.defined):
            end.hold(condition)
        for claim in claims:
            holding(self.library, end, [], [claim], self._told)
