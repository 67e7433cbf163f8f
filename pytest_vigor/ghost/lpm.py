"""The abstract longest-prefix-match table: IPv4 prefixes to numbers (RFC 4632 section 5.1).

What it holds is a map whose keys are prefixes; which of these an address begins with is asked length by length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.ghost import map as maps
from pytest_vigor.ghost.facts import Knowledge
from pytest_vigor.ghost.map import VALUE_BITS, Items, Map, PlainBase
from pytest_vigor.number import Number, Truth, number, truth
from pytest_vigor.record import fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.watch import unwatched

ADDRESS_BITS = 32
LENGTH_BITS = 32
LENGTH_MAX = 32
KEY_BITS = ADDRESS_BITS + LENGTH_BITS  #: as in memory: the prefix, then its length
VALUE_MAX = (1 << 24) - 1


def key(prefix: Value, length: Value) -> Value:
    """A prefix of a length as the key of a map."""
    return t.concat([(LENGTH_BITS, length), (ADDRESS_BITS, prefix)])


def parts(of: Value) -> tuple[Value, Value]:
    """The prefix and the length of a key."""
    length = t.extract(of, KEY_BITS, KEY_BITS - 1, ADDRESS_BITS)
    return t.extract(of, KEY_BITS, ADDRESS_BITS - 1, 0), length


def first_bits(address: Value, length: int) -> Value:
    """An address with the bits beyond a length 0."""
    if length == 0:
        return 0
    kept = t.extract(address, ADDRESS_BITS, ADDRESS_BITS - 1, ADDRESS_BITS - length)
    return t.concat([(length, kept), (ADDRESS_BITS - length, 0)])


def well_formed(prefix: Value, length: Value) -> Bool:
    """Whether a length is one of prefixes, and the prefix has no bits beyond it."""
    beyond = t.band(ADDRESS_BITS, prefix, t.lshr(ADDRESS_BITS, t.mask(ADDRESS_BITS), length))
    return t.land(t.ule(LENGTH_BITS, length, LENGTH_MAX), t.eq(ADDRESS_BITS, beyond, 0))


class Base(maps.Base):
    """An arbitrary state of at most ``capacity`` prefixes."""

    def __init__(self, facts: Knowledge, name: str, capacity: Value) -> None:
        super().__init__(facts, name, KEY_BITS, capacity)
        facts.universal(name, self._sound)

    def _sound(self, of: Value) -> Bool:
        present = t.app(f"{self.name}.has", 0, (self.key_bits, of))
        value = t.app(f"{self.name}.value", VALUE_BITS, (self.key_bits, of))
        return t.implies(present, t.land(well_formed(*parts(of)), t.ule(VALUE_BITS, value, VALUE_MAX)))


@dataclass(frozen=True, slots=True)
class Route:
    """The longest prefix of an address: how long it is, and its value."""

    length: int | Number
    value: int | Number


class Lpm(Map):
    """A finite map from IPv4 prefixes to 24-bit numbers (libVig's ``lpm``). A key is a prefix with its length."""

    kind = "lpm"
    __slots__ = ()
    __hash__ = None

    @classmethod
    def state(cls, facts: Knowledge, name: str, parameters: Mapping[str, Value], run: Any, of: Any, empty: bool) -> Lpm:
        """The state of a table as it is made, or an arbitrary one."""
        capacity = parameters["capacity"]
        made: Items = PlainBase(name, KEY_BITS, capacity, {}, facts) if empty else Base(facts, name, capacity)
        return cls(run, made)

    def _key(self, key_: Any) -> Value:
        if not isinstance(key_, tuple):
            return fitted(self.run, key_, KEY_BITS)
        prefix, length = key_
        return key(fitted(self.run, prefix, ADDRESS_BITS), fitted(self.run, length, LENGTH_BITS))

    def _with(self, items: Items) -> Lpm:
        return Lpm(self.run, items)

    def key_of(self, bits: int) -> str:
        """A prefix as it is written, such as 192.0.2.0/24."""
        return written(bits)

    def spare(self, number: int) -> int:
        """A prefix for an entry that is of no interest: that of a single address."""
        return LENGTH_MAX << ADDRESS_BITS | super().spare(number)

    def is_prefix(self, prefix: Any, length: Any) -> bool | Truth:
        """Whether the length is one of prefixes, and the prefix has no bits beyond it."""
        return truth(self.run, well_formed(*parts(self._key((prefix, length)))))

    # ---- the longest match

    def _candidates(self, address: Value) -> list[tuple[int, Bool, Value]]:
        """Each length, the longest first, whether the address has a prefix of it, and its value."""
        found = []
        for length in reversed(range(LENGTH_MAX + 1)):
            candidate = key(first_bits(address, length), length)
            found.append((length, self.items.has(candidate), self.items.value(candidate)))
        return found

    def matches(self, address: Any, length: int) -> bool | Truth:
        """Whether the address has a prefix of that length."""
        bits = fitted(self.run, address, ADDRESS_BITS)
        return truth(self.run, self.items.has(key(first_bits(bits, length), length)))

    @unwatched
    def covers(self, address: Any) -> bool | Truth:
        """Whether the address has any prefix."""
        candidates = self._candidates(fitted(self.run, address, ADDRESS_BITS))
        return truth(self.run, t.lor(*(present for _, present, _ in candidates)))

    def longest(self, address: Any) -> Route | None:
        """The longest prefix of the address; None if it has none."""
        if not self.covers(address):
            return None
        length: Value = 0
        value: Value = 0
        for bits, present, held in reversed(self._candidates(fitted(self.run, address, ADDRESS_BITS))):
            length, value = t.ite(LENGTH_BITS, present, bits, length), t.ite(VALUE_BITS, present, held, value)
        return Route(number(self.run, length, LENGTH_BITS), number(self.run, value, VALUE_BITS))


def prefix_of(bits: int) -> tuple[int, int]:
    """The prefix and the length of a key that is known."""
    return bits & t.mask(ADDRESS_BITS), bits >> ADDRESS_BITS


def written(bits: int) -> str:
    """A key as prefixes are written: 192.0.2.0/24."""
    prefix, length = prefix_of(bits)
    return f"{'.'.join(str(byte) for byte in prefix.to_bytes(4, 'big'))}/{length}"
