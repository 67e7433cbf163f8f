"""The abstract index pool, and what the flow table shares with it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Self

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Knowledge, Plain
from pytest_vigor.ghost.flows import (
    INDEX_BITS,
    TIME_BITS,
    Base,
    Erased,
    Expired,
    Flows,
    Instant,
    PlainBase,
    Put,
    Refreshed,
    identify,
)
from pytest_vigor.layout import Type
from pytest_vigor.number import Number, Run, Truth, fit, number, truth
from pytest_vigor.record import fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import tell, tell_of_text
from pytest_vigor.watch import unwatched


def index_bits(value: Any) -> tuple[Bool, Value]:
    """Whether a number can be an index at all, and its bits."""
    return fit(value, INDEX_BITS)


class Indices:
    """The used indices: a set that one can ask about."""

    __slots__ = ("_pool",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @unwatched
    def __contains__(self, index: Any) -> bool:
        return bool(self._pool.uses(index))

    def __eq__(self, other: object) -> bool:
        raise TypeError("the used indices are not compared as such: compare the states")

    def __iter__(self) -> Any:
        if isinstance(self._pool.flows, PlainBase):
            return iter(sorted(self._pool.flows.entries))
        if isinstance(self._pool.flows.facts, Plain):
            return iter(self._pool.entries())
        tell(self._pool.run, "a list of used indices")
        raise TypeError("the used indices of a symbolic state cannot be listed; ask `index in ....indices`")


class Pool:
    """Indices from 0 up to a capacity, each free, or used since some time."""

    kind = "index_pool"
    __slots__ = ("flows", "run")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, run: Run, flows: Flows) -> None:
        self.run, self.flows = run, flows

    def _with(self, flows: Flows) -> Self:
        return type(self)(self.run, flows)

    def for_run(self, run: Run, of: Type | None = None) -> Self:
        """The same state, whose reads belong to a run; ``of`` is how that run writes keys or records."""
        return type(self)(run, self.flows)

    # ---- reading

    @property
    def capacity(self) -> int | Number:
        """How many indices there are."""
        return number(self.run, self.flows.capacity, INDEX_BITS)

    @property
    def indices(self) -> Indices:
        """The used indices."""
        return Indices(self)

    def uses(self, index: Any) -> bool | Truth:
        """Whether an index is used."""
        inside, bits = index_bits(index)
        return truth(self.run, t.land(inside, self.flows.used(bits)))

    def is_free(self, index: Any) -> bool | Truth:
        """Whether an index exists and is not used."""
        inside, bits = index_bits(index)
        exists = t.ult(INDEX_BITS, bits, self.flows.capacity)
        return truth(self.run, t.land(inside, exists, t.lnot(self.flows.used(bits))))

    def age(self, index: Any) -> int | Number:
        """When a used index was last taken or refreshed."""
        return number(self.run, self.flows.age(fitted(self.run, index, INDEX_BITS)), TIME_BITS, True)

    @property
    def full(self) -> bool | Truth:
        """Whether every index is used."""
        flows = self.flows

        def used(index: Value) -> Bool:
            return t.implies(t.ult(INDEX_BITS, index, flows.capacity), flows.used(index))

        return truth(self.run, self._forall("full", used))

    def ages_at_most(self, time: Any) -> bool | Truth:
        """Whether no age lies after a time."""
        flows, limit = self.flows, fitted(self.run, time, TIME_BITS, True)

        def early(index: Value) -> Bool:
            return t.implies(flows.used(index), t.sle(TIME_BITS, flows.age(index), limit))

        return truth(self.run, self._forall(("ages_at_most", identify(limit)), early))

    def count_before(self, time: Any) -> int | Number:
        """How many used indices have an age before a time."""
        expired = self.expire_before(time).flows
        assert isinstance(expired, Expired)
        if isinstance(self.flows, PlainBase):
            return sum(expired.before.after(age) is True for _, age in self.flows.entries.values())
        flows, before = self.flows, expired.before

        def early(index: Value) -> Bool:
            return t.land(flows.used(index), before.after(flows.age(index)))

        count = flows.facts.count(expired.identity, flows.name, flows.capacity, early, self._extent)
        return number(self.run, count, INDEX_BITS)

    def _forall(self, what: Hashable, predicate: Any) -> Bool:
        return self.flows.facts.forall(
            (what, self.flows.identity), self.flows.name, INDEX_BITS, predicate, self._extent
        )

    def _extent(self) -> Iterable[int]:
        assert isinstance(self.flows.capacity, int)
        return range(self.flows.capacity)

    # ---- layers

    def expire_before(self, time: Any) -> Self:
        """The state without the indices whose age lies before a time."""
        if isinstance(time, Number):
            inside, bits = fit(time, TIME_BITS, True)
            # Nearly always it is a time like any other, and then the state is the very one that the NF made.
            fits = self.run.decide(inside)
            instant = Instant(bits, TIME_BITS, True) if fits else Instant(time.term, time.bits, time.signed)
        else:
            bits = max(TIME_BITS, time.bit_length() + 1)
            instant = Instant(time & t.mask(bits), bits, True)
        return self._with(Expired(self.flows, instant))

    def refresh(self, index: Any, time: Any) -> Self:
        """The state with an index as old as a time."""
        bits = fitted(self.run, index, INDEX_BITS)
        return self._with(Refreshed(self.flows, bits, fitted(self.run, time, TIME_BITS, True)))

    def erase(self, index: Any) -> Self:
        """The state with an index free."""
        return self._with(Erased(self.flows, fitted(self.run, index, INDEX_BITS)))

    # ---- comparing

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Pool) or other.kind != self.kind:
            return NotImplemented
        return truth(self.run, self.same(other))

    def same(self, other: Pool) -> Bool:
        """Equality: the same indices used, with the same ages and keys. Decided at one arbitrary index."""
        mine, theirs = self.flows, other.flows
        if mine.identity == theirs.identity:
            return True

        def alike(index: Value) -> Bool:
            return t.land(
                t.iff(mine.used(index), theirs.used(index)),
                t.implies(
                    mine.used(index),
                    t.land(
                        t.eq(TIME_BITS, mine.age(index), theirs.age(index)),
                        t.eq(mine.key_bits, mine.key(index), theirs.key(index)) if mine.key_bits else True,
                    ),
                ),
            )

        identity = ("equal", mine.identity, theirs.identity)
        return t.land(
            t.eq(INDEX_BITS, mine.capacity, theirs.capacity),
            mine.facts.forall(identity, mine.name, INDEX_BITS, alike, self._extent),
        )

    # ---- making

    @staticmethod
    def base_flows(facts: Knowledge, name: str, key_bits: int, capacity: Value) -> Flows:
        """An arbitrary valid state."""
        return Base(facts, name, key_bits, capacity)

    @staticmethod
    def plain_flows(name: str, key_bits: int, capacity: Value, entries: Mapping[int, tuple[int, int]]) -> Flows:
        """A state given in full."""
        return PlainBase(Plain(), name, key_bits, capacity, entries)

    def entries(self) -> dict[int, tuple[int, int]]:
        """Every used index of a plain state, with its key (0 for an index pool) and its age."""
        flows = self.flows
        return {
            index: (self._plain(flows.key(index)) if flows.key_bits else 0, self._plain(flows.age(index)))
            for index in self._extent()
            if flows.used(index) is True
        }

    def __repr__(self) -> str:
        if isinstance(self.flows.facts, Plain):
            return f"{{{', '.join(f'{index}, age {age}' for index, (_, age) in self.entries().items())}}}"
        tell_of_text(self.run)
        return f"<index pool {self.flows.name}>"

    @staticmethod
    def _plain(value: Value) -> int:
        assert isinstance(value, int)
        return value


class IndexPool(Pool):
    """An allocator of indices with ages (libVig's ``index_pool``)."""

    __slots__ = ()

    def take(self, index: Any, time: Any) -> IndexPool:
        """The state with a free index used since a time."""
        bits = fitted(self.run, index, INDEX_BITS)
        return self._with(Put(self.flows, 0, bits, fitted(self.run, time, TIME_BITS, True)))
