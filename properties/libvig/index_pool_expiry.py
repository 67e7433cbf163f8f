"""Whether expiring does what its contract says of an index pool or a flow table of any capacity: by induction over the
indices that it releases, which are the oldest ones, one after the other."""

from pytest_vigor import term as t
from pytest_vigor.refine.induction import ANY_INDEX, Loop, by_induction, same_array
from pytest_vigor.refine.split_memory import ARGUMENT
from pytest_vigor.refine.unbounded import AtEveryCapacity

MANY = t.var("how many have expired", 32)
ANY_NODE, OTHER_NODE, ANY_POSITION = (t.var(f"any {what}", 32) for what in ("node", "other node", "position"))


def _count(end):
    return t.extract(end.registers.read("rax"), 64, 31, 0)


class Expiry(AtEveryCapacity):
    """The proof. After so many rounds, as many of the used indices have been released, and the next one is too old."""

    def __init__(self, library, function="index_pool_expire_before"):
        super().__init__(library, library.contracts.by_name[function])

    def _follow(self, path, passed, returns):
        self._rows(path.fork())
        row, begin_bytes = self.any.row, self.any.begin_bytes
        path.hold(t.ult(32, ANY_INDEX, row.nodes))

        def holds(at, rounds):
            yield from self._stays_valid(at)
            then = self.any.without(rounds)
            yield "one is left", t.land(t.ule(32, rounds, row.used), t.ult(32, rounds, row.used))
            yield "it is too old", t.slt(64, then.age(then.order(0)), t.var(f"{ARGUMENT}time", 64))

        def array(rounds):
            return self.any.array(self.any.without(rounds), begin_bytes)

        def given(rounds):
            then = self.any.without(rounds)
            return t.land(*self.any.known(then.age(then.order(0)), in_pairs=False, named=True))

        def oldest(rounds):
            return t.zext(self.any.without(rounds).order(0), 32, 64)

        def ends(end):
            left, before = array(_count(end)), self.everywhere.mark()
            self._holding(end, [], [*self._stays_valid(end), *same_array(end, self.key, left)], in_pairs=False)
            end.memory.arrays = {**end.memory.arrays, self.key: left}
            self.everywhere.as_many(_count(end), *self.any.first(_count(end)))
            returns(end)
            self.everywhere.reset(before)  # what another end counts is of no use
            return ()

        def holding(_, at, given, claims, __):
            self._holding(at, given, claims, in_pairs=False)

        loop = Loop(holds, array, ends, given, (oldest,), holding)
        return by_induction(self.library, path, self.contract.name, passed, self.key, loop)

    def _stays_valid(self, path):
        """What else holds wherever a round begins or ends."""
        return ()

    def _holding(self, path, given, claims, in_pairs=True):
        """Each claim is asked about by itself, which needs less to be known."""
        for claim in claims:
            super()._holding(path, given, [claim], in_pairs)

    def _row(self, flows, end):
        return self.any.without(_count(end))

    def _rows(self, path):
        """What is left of a row is one, and each round leaves one index fewer of it."""
        path.hold(t.ule(32, MANY, self.any.row.used))
        row = self.any.row.without(MANY)
        claims = (row.ends(), row.of_node(ANY_NODE), row.of_age(ANY_NODE), row.of_position(ANY_POSITION),
                  row.of_nodes(ANY_NODE, OTHER_NODE))  # fmt: skip
        self._holding(path, [], [claim for each in claims for claim in each])
        one, further = row.without(1), self.any.row.without(t.add(32, MANY, 1))
        path.hold(t.ult(32, MANY, self.any.row.used))
        self._holding(path, [], [
            ("the next one leaves", t.eq(32, one.used, further.used)),
            ("the others keep their order", t.eq(32, one.order(ANY_POSITION), further.order(ANY_POSITION))),
            ("they move up", t.eq(32, one.position(ANY_NODE), further.position(ANY_NODE))),
            ("they keep their ages", t.eq(64, one.age(ANY_NODE), further.age(ANY_NODE))),
        ])  # fmt: skip
