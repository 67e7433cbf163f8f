"""Whether index_pool_is_valid says yes of every valid pool, whatever its capacity: by induction over its two loops, of
which each goes round one of the rings."""

from dataclasses import dataclass

from pytest_vigor import term as t
from pytest_vigor.contract import TRUTH, Outcome, State, contract
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.refine.induction import Loop, by_induction
from pytest_vigor.refine.unbounded import AtEveryCapacity


@contract(pool=State(IndexPool), returns=TRUTH)
def index_pool_is_valid(call, pool):
    return Outcome(True)


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring of a pool: the positions of the row where it begins and ends."""

    row: object
    first: object
    end: object

    def node(self, rounds):
        """The one that comes next after so many rounds."""
        return self.row.order(t.add(32, self.first, rounds))

    def before(self, rounds):
        """The one before it; at first, that is the end."""
        at = t.add(32, self.first, rounds)
        return t.ite(32, t.eq(32, rounds, 0), self.row.order(self.end), self.row.order(t.sub(32, at, 1)))

    def left(self, _, rounds):
        yield "one is left", t.ult(32, rounds, t.sub(32, self.end, self.first))


class Validity(AtEveryCapacity):
    """The proof. After so many rounds, it has come as far along the ring."""

    def __init__(self, library):
        super().__init__(library, index_pool_is_valid)

    def _follow(self, path, passed, returns):
        row = self.any.row
        nodes = passed[0] + self.any.begin_bytes
        rings = Ring(row, 0, row.used), Ring(row, t.add(32, row.used, 1), t.add(32, row.capacity, 1))

        def number(which):
            return lambda rounds: t.zext(which(rounds), 32, 64)

        def address(which):
            bytes_ = self.any.node.size_bytes
            return lambda rounds: t.add(64, nodes, t.scale(64, t.zext(which(rounds), 32, 64), bytes_))

        def holding(_, at, given, claims, __):
            for claim in claims:
                self._holding(at, given, [claim])

        def given(ring):
            return lambda rounds: t.land(*self.any.here(ring.node(rounds)), *self.any.here(ring.before(rounds)))

        def ends(end):
            returns(end)
            return ()

        loops = [
            Loop(ring.left, None, ends, given(ring),
                 [of(which) for of in (number, address) for which in (ring.node, ring.before)], holding)
            for ring in rings
        ]  # fmt: skip
        return by_induction(self.library, path, index_pool_is_valid.name, passed, self.key, *loops)
