"""Abstract states whose entries are listed, each a term: what the memory of a structure of known capacity means."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Definition, Extent, Predicate
from pytest_vigor.ghost.flows import INDEX_BITS, TIME_BITS, identify
from pytest_vigor.ghost.map import VALUE_BITS
from pytest_vigor.term import Bool, Value


class Finite:
    """Knowledge about states of a known capacity: what holds of every index is what holds of each.

    Whether something holds of every key can only be concluded, at an arbitrary one, and never assumed.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.defined: list[Bool] = []  #: what is true of the values that were asked for
        self.concluding = False  #: whether what is asked now is only ever to be shown
        self._fresh: dict[Hashable, Value] = {}

    def touch(self, domain: str, value: Value) -> None:
        """Nothing to learn."""

    def fact(self, condition: Bool) -> None:
        if condition is not True:
            self.defined.append(condition)

    def universal(self, domain: str, predicate: Predicate) -> None:
        for index in range(self.capacity):
            self.fact(predicate(index))

    def forall(
        self, identity: Hashable, domain: str, width: int, predicate: Predicate, extent: Extent
    ) -> Bool:
        if width == INDEX_BITS and domain.endswith(INDEXED):
            return t.land(*(predicate(index) for index in range(self.capacity)))
        assert self.concluding, "what holds of every key cannot be assumed"
        return predicate(t.var(f"any key of {width} bits", width))

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        total: Value = 0
        for index in range(self.capacity):
            total = t.add(INDEX_BITS, total, t.bit(predicate(index), INDEX_BITS))
        return total

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        return t.app(name, width, (key_bits, key))

    def fresh(self, name: str, width: int, identity: Hashable, define: Definition | None = None) -> Value:
        found = self._fresh.get(identity)
        if found is None:
            found = self._fresh[identity] = t.var(f"{name}.{len(self._fresh)}", width)
            if define is not None:
                define(found)
        return found


INDEXED = " by index"  #: how the names of states end of which indices, not keys, are the domain


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: whether it is there, its key and its value or age."""

    used: Bool
    key: Value
    value: Value


def _any(entries: Sequence[Entry], width: int, which: Sequence[Bool], values: Sequence[Value]) -> Value:
    out: Value = 0
    for here, value in zip(which, values, strict=True):
        out = t.ite(width, here, value, out)
    return out


class ListedFlows:
    """An index pool's or a flow table's entries, by index."""

    def __init__(self, facts: Finite, name: str, key_bits: int, entries: Sequence[Entry]) -> None:
        self.facts, self.name, self.key_bits, self.entries = facts, name + INDEXED, key_bits, tuple(entries)
        self.capacity: Value = len(self.entries)
        self.identity: Hashable = (name, tuple(_identity(each) for each in self.entries))

    def _here(self, index: Value) -> list[Bool]:
        return [t.eq(INDEX_BITS, index, i) for i in range(len(self.entries))]

    def used(self, index: Value) -> Bool:
        here = self._here(index)
        return t.lor(*(t.land(same, each.used) for same, each in zip(here, self.entries, strict=True)))

    def age(self, index: Value) -> Value:
        return _any(self.entries, TIME_BITS, self._here(index), [each.value for each in self.entries])

    def key(self, index: Value) -> Value:
        return _any(self.entries, self.key_bits, self._here(index), [each.key for each in self.entries])

    def _holds(self, key: Value) -> list[Bool]:
        return [t.land(each.used, t.eq(self.key_bits, key, each.key)) for each in self.entries]

    def find(self, key: Value) -> Value:
        return _any(self.entries, INDEX_BITS, self._holds(key), range(len(self.entries)))

    def has(self, key: Value) -> Bool:
        return t.lor(*self._holds(key))


class ListedItems:
    """A map's entries, in any order."""

    def __init__(
        self, facts: Finite, name: str, key_bits: int, capacity: Value, size: Value, entries: Sequence[Entry]
    ) -> None:
        self.facts, self.name, self.key_bits, self.capacity = facts, name, key_bits, capacity
        self._size, self.entries = size, tuple(entries)
        self.identity: Hashable = (name, identify(size), tuple(_identity(each) for each in self.entries))

    def _holds(self, key: Value) -> list[Bool]:
        return [t.land(each.used, t.eq(self.key_bits, key, each.key)) for each in self.entries]

    def has(self, key: Value) -> Bool:
        return t.lor(*self._holds(key))

    def value(self, key: Value) -> Value:
        return _any(self.entries, VALUE_BITS, self._holds(key), [each.value for each in self.entries])

    def size(self) -> Value:
        return self._size

    def keys(self) -> frozenset[int]:
        raise TypeError(f"the keys of the symbolic map {self.name} cannot be listed")


class ListedRecords:
    """A vector's records."""

    def __init__(
        self, facts: Finite, name: str, record_bits: int, records: Sequence[Value], loans: tuple[Value, ...] = ()
    ) -> None:
        self.facts, self.name, self.record_bits = facts, name + INDEXED, record_bits
        self.capacity: Value = len(records)
        self.records, self.loans = tuple(records), loans
        self.identity: Hashable = (name, tuple(identify(each) for each in records))

    def at(self, index: Value) -> Value:
        here = [t.eq(INDEX_BITS, index, i) for i in range(len(self.records))]
        out: Value = 0
        for same, record in zip(here, self.records, strict=True):
            out = t.ite(self.record_bits, same, record, out)
        return out


def _identity(entry: Entry) -> Hashable:
    parts = (entry.used, entry.key, entry.value)
    return tuple(part.uid if isinstance(part, t.Term) else ("plain", part) for part in parts)
