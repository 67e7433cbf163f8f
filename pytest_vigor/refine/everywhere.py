"""Abstract states of any capacity, whose entries are functions of the index, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import COUNT_BITS, Extent, Facts, Predicate
from pytest_vigor.ghost.flows import INDEX_BITS
from pytest_vigor.refine.listed import Entry
from pytest_vigor.term import Bool, Value


class Everywhere(Facts):
    """Knowledge about states of any capacity."""

    def __init__(self) -> None:
        super().__init__()
        self.concluding = False
        self._counts: dict[Hashable, tuple[Value, Predicate]] = {}

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        return t.app(name, width, (key_bits, key))  # that equal keys have equal values the solver knows

    @property
    def defined(self) -> list[Bool]:
        return self.known

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        count = super().count(identity, name, capacity, predicate, extent)
        self._counts[identity] = count, lambda index: t.land(t.ult(INDEX_BITS, index, capacity), predicate(index))
        return count

    def as_many(self, number: Value, exist: Bool, among: Predicate) -> None:
        """Says that, if so many indices exist, it is just as many that are ``among`` them: what is counted is then that
        number, unless there is an index that is only among these or only counted."""
        for count, counted in self._counts.values():
            other = t.var(f"not counted.{len(self.known)}", INDEX_BITS)
            same = t.iff(counted(other), among(other))
            self.fact(t.implies(t.land(exist, same), t.eq(COUNT_BITS, count, number)))


class IndexedFlows:
    """An index pool's entries as functions of the index."""

    def __init__(self, facts: Everywhere, name: str, capacity: Value, entry: Callable[[Value], Entry]) -> None:
        self.facts, self.name, self.capacity, self._entry, self.key_bits = facts, name, capacity, entry, 0
        self.identity: Hashable = (name, entry)

    def used(self, index: Value) -> Bool:
        self.facts.touch(self.name, index)
        return t.land(t.ult(INDEX_BITS, index, self.capacity), self._entry(index).used)

    def age(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return self._entry(index).value

    def key(self, index: Value) -> Value:
        return 0

    def has(self, key: Value) -> Bool:
        raise TypeError(f"{self.name} has no keys")

    def find(self, key: Value) -> Value:
        raise TypeError(f"{self.name} has no keys")
