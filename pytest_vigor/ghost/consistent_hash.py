"""The abstract consistent-hash table: which backend each key prefers among those that are available.

Each key puts all backends in an order of its own, and prefers the first that is available. Which order that is says
nothing but the compiled table; here it is a rank, an unknown function of key and backend that gives no two backends of
a key the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Self

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Knowledge, Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.flows import INDEX_BITS, identify
from pytest_vigor.ghost.index_pool import index_bits
from pytest_vigor.layout import Type
from pytest_vigor.number import Number, Run, Truth, number, truth
from pytest_vigor.record import encode, fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import tell, tell_of_text
from pytest_vigor.watch import unwatched

RANK_BITS = 32

#: Which of some backends a key prefers, given the bits of the key.
Preference = Callable[[int, Collection[int]], int]


class ConsistentHash:
    """A fixed choice of a backend for each key and each set of available ones (libVig's ``consistent_hash``).

    Available are the used indices of a flow table that are below ``backends``. ``shares`` are the slots that each
    backend has in a plain table, and ``preference`` tells what such a table chooses, where somebody can.
    """

    kind = "consistent_hash"
    __slots__ = ("backend_count", "facts", "key_bits", "key_type", "name", "preference", "run", "shares", "slot_count")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, run: Run, facts: Knowledge, name: str, key_bits: int, backends: Value, slots: Value,
        key_type: Type | None = None, *, shares: Mapping[int, int] | None = None, preference: Preference | None = None,
    ) -> None:  # fmt: skip
        self.run, self.facts, self.name, self.key_bits, self.key_type = run, facts, name, key_bits, key_type
        self.backend_count, self.slot_count = backends, slots
        self.shares, self.preference = dict(shares or {}), preference

    @classmethod
    def state(
        cls, facts: Knowledge, name: str, parameters: Mapping[str, Value], run: Any, of: Any, empty: bool
    ) -> ConsistentHash:
        """The state of a table with the parameters of its allocation, which is the only one it has."""
        key_bytes = parameters["key_bytes"]
        assert isinstance(key_bytes, int)
        return cls(run, facts, name, 8 * key_bytes, parameters["backends"], parameters["slots"], of)

    @classmethod
    def plain(
        cls, run: Run, name: str, key_bits: int, shares: Mapping[int, int], preference: Preference | None = None
    ) -> ConsistentHash:
        """The state of a compiled table, by the slots that each backend has."""
        slots = sum(shares.values())
        return cls(run, Plain(), name, key_bits, len(shares), slots, shares=shares, preference=preference)

    def for_run(self, run: Run, of: Type | None = None) -> Self:
        """The same state, whose reads belong to a run; ``of`` is how that run writes keys."""
        return type(self)(
            run, self.facts, self.name, self.key_bits, self.backend_count, self.slot_count, of,
            shares=self.shares, preference=self.preference,
        )  # fmt: skip

    @property
    def identity(self) -> Hashable:
        """What two states have in common that are the same."""
        return (self.name, tuple(sorted(self.shares.items())))

    def _key(self, key: Any) -> Value:
        if self.key_type is not None:
            return encode(self.run, self.key_type, key)
        return fitted(self.run, key, self.key_bits)

    # ---- reading

    @property
    def capacity(self) -> int | Number:
        """How many backends there can be."""
        return number(self.run, self.backend_count, INDEX_BITS)

    @property
    def slots(self) -> int | Number:
        """How many slots were asked for; those of a plain table, of which there may be more."""
        return number(self.run, self.slot_count, INDEX_BITS)

    def can_choose(self, available: FlowTable) -> bool | Truth:
        """Whether any backend is available."""
        return truth(self.run, self._any(available))

    @unwatched
    def preferred(self, key: Any, available: FlowTable) -> int | Number | None:
        """The index of the backend that a key prefers among those available; None if there is none."""
        bits = self._key(key)
        if not truth(self.run, self._any(available)):
            return None
        if not isinstance(self.facts, Plain):
            return number(self.run, self._first(bits, available), INDEX_BITS)
        if self.preference is None:
            raise LookupError(f"which backends {self.name} prefers is not known here")
        assert isinstance(bits, int)
        return self.preference(bits, [index for index in available.entries() if self._is_available(available, index)])

    def prefers(self, key: Any, index: Any, available: FlowTable) -> bool | Truth:
        """Whether a key prefers the backend with an index to all others that are available. On plain values this is
        only whether the backend is available: which of those it should be, nobody but the compiled table knows."""
        inside, bits = index_bits(index)
        chosen = t.land(inside, self._is_available(available, bits))
        if not isinstance(self.facts, Plain):
            chosen = t.land(chosen, t.eq(INDEX_BITS, bits, self._first(self._key(key), available)))
        return truth(self.run, chosen)

    def _is_available(self, available: FlowTable, index: Value) -> Bool:
        return t.land(available.flows.used(index), t.ult(INDEX_BITS, index, self.backend_count))

    def _any(self, available: FlowTable) -> Bool:
        flows = available.flows
        none = flows.facts.forall(
            ("none available", identify(self.backend_count), flows.identity), flows.name, INDEX_BITS,
            lambda index: t.lnot(self._is_available(available, index)), available.entries,
        )  # fmt: skip
        return t.lnot(none)

    def rank(self, key: Value, index: Value) -> Value:
        """A number that is lower for backends which a key prefers; no two have the same. All three are bits."""
        order = self.facts.apply(f"{self.name}.order", self.key_bits, self.key_bits, key)
        return t.app(f"{self.name}.rank", RANK_BITS, (self.key_bits, order), (INDEX_BITS, index))

    def _first(self, key: Value, available: FlowTable) -> Value:
        """The available index of the lowest rank; anything where there is none."""
        flows, any_ = available.flows, self._any(available)

        def define(first: Value) -> None:
            def behind(index: Value) -> Bool:
                before = t.ult(RANK_BITS, self.rank(key, first), self.rank(key, index))
                same = t.eq(INDEX_BITS, index, first)
                return t.implies(self._is_available(available, index), t.lor(same, before))

            flows.facts.fact(t.implies(any_, self._is_available(available, first)))
            flows.facts.universal(flows.name, behind)

        identity = ("preferred", self.identity, identify(key), flows.identity)
        return flows.facts.fresh(f"{self.name}.preferred", INDEX_BITS, identity, define)

    # ---- comparing and showing

    def __eq__(self, other: object) -> Any:
        return truth(self.run, self.same(other)) if isinstance(other, ConsistentHash) else NotImplemented

    def same(self, other: ConsistentHash) -> Bool:
        """Equality: the same table, as nothing about it ever changes."""
        return self.identity == other.identity

    def entries(self) -> dict[int, int]:
        """How many slots each backend has in a plain table."""
        if not isinstance(self.facts, Plain):
            tell(self.run, "a list of entries")
            raise TypeError(f"the entries of the symbolic consistent hash {self.name} cannot be listed")
        return dict(self.shares)

    def __repr__(self) -> str:
        if isinstance(self.facts, Plain):
            return f"<consistent hash {self.name} of {self.slot_count} slots for {self.backend_count} backends>"
        tell_of_text(self.run)
        return f"<consistent hash {self.name}>"
