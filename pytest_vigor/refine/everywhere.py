"""Abstract states of any capacity, whose entries are functions of the index, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.ghost.flows import INDEX_BITS
from pytest_vigor.refine.listed import Entry
from pytest_vigor.term import Bool, Value


class Everywhere(Facts):
    """Knowledge about states of any capacity."""

    def __init__(self) -> None:
        super().__init__()
        self.concluding = False

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        return t.app(name, width, (key_bits, key))  # that equal keys have equal values the solver knows

    @property
    def defined(self) -> list[Bool]:
        return self.known


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
