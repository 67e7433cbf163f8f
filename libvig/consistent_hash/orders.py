"""In which order a key visits backends, for any numbers of them and of slots: what there is to say of it."""

from collections.abc import Callable, Iterator

from pytest_vigor import term as t
from pytest_vigor.ghost.consistent_hash import RANK_BITS, ConsistentHash
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.term import Bool, Value

BITS = RANK_BITS
VISITS_PER_BACKEND = 4
ANY = t.var("any backend", BITS)

Claims = Iterator[tuple[str, Bool]]


class Order:
    """The order of one key. It begins at the slot ``first``; the one after that is ``skip`` further, and so on around
    the table. A backend's rank is the first visit at which it is met. One that is not met comes after those that are,
    by its number. So rank and the place of each visit are unknown functions of which this is known."""

    def __init__(
        self, table: ConsistentHash, key: Value, available: FlowTable, backend: Callable[[Value], Value],
        first: Value, skip: Value,
    ) -> None:  # fmt: skip
        self.table, self.key, self.available, self.backend = table, key, available, backend
        self.first, self.skip = first, skip
        self.visits = t.scale(BITS, table.backend_count, VISITS_PER_BACKEND)

    def rank(self, backend: Value) -> Value:
        """Where a backend is in the order."""
        return self.table.rank(self.key, backend)

    def place(self, visit: Value) -> Value:
        """The slot of a visit."""
        return t.app("place", BITS, (BITS, visit))

    def following(self, slot: Value) -> Value:
        """The slot after one."""
        further = t.add(BITS, slot, self.skip)
        around = t.sub(BITS, further, self.table.slot_count)
        return t.ite(BITS, t.ult(BITS, further, self.table.slot_count), further, around)

    def of_places(self, visit: Value) -> Claims:
        """What the slot of the first visit is, and of the one after a visit."""
        yield "the first visit", t.eq(BITS, self.place(0), self.first)
        after = self.following(self.place(visit))
        yield "the next visit", t.eq(BITS, self.place(t.add(BITS, visit, 1)), after)

    def of_rank(self, backend: Value) -> Claims:
        """What the rank of a backend is."""
        rank = self.rank(backend)
        met = t.eq(BITS, self.backend(self.place(rank)), backend)
        late = t.eq(BITS, rank, t.add(BITS, self.visits, backend))
        is_one = t.ult(BITS, backend, self.table.backend_count)
        yield "it is met, or late", t.implies(is_one, t.ite(0, t.ult(BITS, rank, self.visits), met, late))

    def of_visit(self, visit: Value, backend: Value) -> Claims:
        """A visit before a backend's rank does not meet it."""
        before = t.land(t.ult(BITS, visit, self.rank(backend)), t.ult(BITS, visit, self.visits))
        yield "not met before", t.implies(before, t.ne(BITS, self.backend(self.place(visit)), backend))

    # ---- while it is followed

    def is_available(self, backend: Value) -> Bool:
        """Whether a backend may be chosen."""
        return t.land(self.available.flows.used(backend), t.ult(BITS, backend, self.table.backend_count))

    def passed_none(self, rank: Value, backend: Value) -> Claims:
        """That a backend, if it is available, is not among those of a lower rank."""
        yield "what is available is not passed", t.implies(
            self.is_available(backend), t.ule(BITS, rank, self.rank(backend))
        )  # fmt: skip

    def asked_about(self) -> tuple[Value, ...]:
        """The backends that a claim may be about: any one, and those of which the contract speaks."""
        flows = self.available.flows
        return tuple(dict.fromkeys((ANY, *flows.facts.touched(flows.name))))
