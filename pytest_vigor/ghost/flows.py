"""The layers of an index pool (indices with ages) and of a flow table (the same, with a key for each index)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Knowledge
from pytest_vigor.term import Bool, Value

INDEX_BITS = 32
TIME_BITS = 64


def identify(value: Value) -> Hashable:
    """A value as part of a layer's identity."""
    return value if isinstance(value, int) else ("term", value.uid)


class Flows(Protocol):
    """Which indices are used, since when, and by which key."""

    facts: Knowledge
    name: str
    capacity: Value
    key_bits: int
    identity: Hashable

    def used(self, index: Value) -> Bool: ...
    def age(self, index: Value) -> Value: ...
    def key(self, index: Value) -> Value: ...
    def has(self, key: Value) -> Bool: ...
    def find(self, key: Value) -> Value: ...


class Base:
    """An arbitrary state that satisfies the structure's invariant: indices are below the capacity, ages are not
    negative, and a key has one index."""

    def __init__(self, facts: Knowledge, name: str, key_bits: int, capacity: Value) -> None:
        self.facts, self.name, self.key_bits, self.capacity = facts, name, key_bits, capacity
        self.identity: Hashable = name
        facts.universal(name, self._valid)

    def _valid(self, index: Value) -> Bool:
        used = t.app(f"{self.name}.used", 0, (INDEX_BITS, index))
        age = t.app(f"{self.name}.age", TIME_BITS, (INDEX_BITS, index))
        valid = t.land(t.ult(INDEX_BITS, index, self.capacity), t.sle(TIME_BITS, 0, age))
        if self.key_bits:
            key = t.app(f"{self.name}.key", self.key_bits, (INDEX_BITS, index))
            found = t.app(f"{self.name}.find", INDEX_BITS, (self.key_bits, key))
            valid = t.land(valid, t.eq(INDEX_BITS, found, index))
        return t.implies(used, valid)

    def used(self, index: Value) -> Bool:
        self.facts.touch(self.name, index)
        return t.app(f"{self.name}.used", 0, (INDEX_BITS, index))

    def age(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return t.app(f"{self.name}.age", TIME_BITS, (INDEX_BITS, index))

    def key(self, index: Value) -> Value:
        self.facts.touch(self.name, index)
        return t.app(f"{self.name}.key", self.key_bits, (INDEX_BITS, index))

    def find(self, key: Value) -> Value:
        return self.facts.apply(f"{self.name}.find", INDEX_BITS, self.key_bits, key)

    def has(self, key: Value) -> Bool:
        index = self.find(key)
        return t.land(self.used(index), t.eq(self.key_bits, self.key(index), key))


class PlainBase:
    """A state given in full: the entries by index, each a key and an age."""

    def __init__(
        self, facts: Knowledge, name: str, key_bits: int, capacity: Value, entries: Mapping[int, tuple[int, int]]
    ) -> None:
        self.facts, self.name, self.key_bits, self.capacity = facts, name, key_bits, capacity
        self.entries = dict(entries)
        self.identity: Hashable = (name, "plain", tuple(sorted(self.entries.items())))

    def used(self, index: Value) -> Bool:
        if isinstance(index, int):
            return index in self.entries
        return t.lor(*(t.eq(INDEX_BITS, index, i) for i in self.entries))

    def _select(self, index: Value, position: int, width: int) -> Value:
        if isinstance(index, int):
            return self.entries[index][position] if index in self.entries else 0
        out: Value = 0
        for i, entry in self.entries.items():
            out = t.ite(width, t.eq(INDEX_BITS, index, i), entry[position], out)
        return out

    def age(self, index: Value) -> Value:
        return self._select(index, 1, TIME_BITS)

    def key(self, index: Value) -> Value:
        return self._select(index, 0, self.key_bits)

    def find(self, key: Value) -> Value:
        out: Value = 0
        for i, (k, _) in self.entries.items():
            out = t.ite(INDEX_BITS, t.eq(self.key_bits, key, k), i, out)
        return out

    def has(self, key: Value) -> Bool:
        return t.lor(*(t.eq(self.key_bits, key, k) for k, _ in self.entries.values()))


class _Layer:
    """What every layer shares with the state below it; a layer overrides what it changes."""

    def __init__(self, below: Flows, identity: Hashable) -> None:
        self.below, self.facts, self.name = below, below.facts, below.name
        self.key_bits, self.capacity = below.key_bits, below.capacity
        self.identity: Hashable = (type(self).__name__, below.identity, identity)

    def used(self, index: Value) -> Bool:
        return self.below.used(index)

    def age(self, index: Value) -> Value:
        return self.below.age(index)

    def key(self, index: Value) -> Value:
        return self.below.key(index)

    def has(self, key: Value) -> Bool:
        return self.below.has(key)

    def find(self, key: Value) -> Value:
        return self.below.find(key)


class Put(_Layer):
    """A key gets an index."""

    def __init__(self, below: Flows, new_key: Value, index: Value, time: Value) -> None:
        super().__init__(below, (identify(new_key), identify(index), identify(time)))
        self.new_key, self.index, self.time = new_key, index, time

    def _here(self, index: Value) -> Bool:
        return t.eq(INDEX_BITS, index, self.index)

    def used(self, index: Value) -> Bool:
        return t.lor(self._here(index), self.below.used(index))

    def age(self, index: Value) -> Value:
        return t.ite(TIME_BITS, self._here(index), self.time, self.below.age(index))  # type: ignore[no-any-return]

    def key(self, index: Value) -> Value:
        return t.ite(self.key_bits, self._here(index), self.new_key, self.below.key(index))  # type: ignore[no-any-return]

    def has(self, key: Value) -> Bool:
        return t.lor(t.eq(self.key_bits, key, self.new_key), self.below.has(key))

    def find(self, key: Value) -> Value:
        same = t.eq(self.key_bits, key, self.new_key)
        return t.ite(INDEX_BITS, same, self.index, self.below.find(key))  # type: ignore[no-any-return]


class Refreshed(_Layer):
    """An index gets a new age."""

    def __init__(self, below: Flows, index: Value, time: Value) -> None:
        super().__init__(below, (identify(index), identify(time)))
        self.index, self.time = index, time

    def age(self, index: Value) -> Value:
        here = t.eq(INDEX_BITS, index, self.index)
        return t.ite(TIME_BITS, here, self.time, self.below.age(index))  # type: ignore[no-any-return]


class Erased(_Layer):
    """An index becomes free."""

    def __init__(self, below: Flows, index: Value) -> None:
        super().__init__(below, identify(index))
        self.index = index

    def used(self, index: Value) -> Bool:
        return t.land(t.ne(INDEX_BITS, index, self.index), self.below.used(index))

    def has(self, key: Value) -> Bool:
        return t.land(self.below.has(key), t.ne(INDEX_BITS, self.below.find(key), self.index))


@dataclass(frozen=True, slots=True)
class Instant:
    """A time that a property computed: a number that may be wider than a time stamp."""

    value: Value
    bits: int
    signed: bool

    def after(self, age: Value) -> Bool:
        """Whether an age lies before this time."""
        width = max(TIME_BITS, self.bits + (not self.signed))
        widen = t.sext if self.signed else t.zext
        return t.slt(width, t.sext(age, TIME_BITS, width), widen(self.value, self.bits, width))


class Expired(_Layer):
    """Every index whose age lies before a time becomes free."""

    def __init__(self, below: Flows, before: Instant) -> None:
        super().__init__(below, (identify(before.value), before.bits, before.signed))
        self.before = before

    def used(self, index: Value) -> Bool:
        return t.land(self.below.used(index), t.lnot(self.before.after(self.below.age(index))))

    def has(self, key: Value) -> Bool:
        return t.land(self.below.has(key), t.lnot(self.before.after(self.below.age(self.below.find(key)))))
