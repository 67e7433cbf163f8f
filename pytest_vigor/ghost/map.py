"""The abstract map: fixed-size keys to numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Protocol, Self

from pytest_vigor import term as t
from pytest_vigor.ghost.facts import Knowledge, Plain
from pytest_vigor.ghost.flows import identify
from pytest_vigor.layout import Type, collapse
from pytest_vigor.number import Number, Run, Truth, number, truth
from pytest_vigor.record import decode, encode, fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import tell, tell_of_text
from pytest_vigor.watch import unwatched

SIZE_BITS = 32
VALUE_BITS = 32
SPARE = 0xD0  #: where keys begin that are of no interest


class Items(Protocol):
    """Which keys are present, with which values, and how many there are."""

    facts: Knowledge
    name: str
    capacity: Value
    key_bits: int
    identity: Hashable

    def has(self, key: Value) -> Bool: ...
    def value(self, key: Value) -> Value: ...
    def size(self) -> Value: ...
    def keys(self) -> frozenset[int]: ...


class Base:
    """An arbitrary state of at most ``capacity`` entries."""

    def __init__(self, facts: Knowledge, name: str, key_bits: int, capacity: Value) -> None:
        self.facts, self.name, self.key_bits, self.capacity = facts, name, key_bits, capacity
        self.identity: Hashable = name
        self._size = t.var(f"size of {name}", SIZE_BITS)  # a name that no field has
        facts.fact(t.ule(SIZE_BITS, self._size, capacity))
        facts.universal(name, self._counted)

    def _counted(self, key: Value) -> Bool:
        present = t.app(f"{self.name}.has", 0, (self.key_bits, key))
        return t.implies(present, t.ult(SIZE_BITS, 0, self._size))

    def has(self, key: Value) -> Bool:
        self.facts.touch(self.name, key)
        return self.facts.apply(f"{self.name}.has", 0, self.key_bits, key)  # type: ignore[return-value]

    def value(self, key: Value) -> Value:
        self.facts.touch(self.name, key)
        return self.facts.apply(f"{self.name}.value", VALUE_BITS, self.key_bits, key)

    def size(self) -> Value:
        return self._size

    def keys(self) -> frozenset[int]:
        raise TypeError(f"the keys of the symbolic map {self.name} cannot be listed")


class PlainBase:
    """A state given in full."""

    def __init__(
        self, name: str, key_bits: int, capacity: Value, items: Mapping[int, int], facts: Knowledge | None = None
    ) -> None:
        self.facts: Knowledge = facts or Plain()
        self.name, self.key_bits, self.capacity, self.items = name, key_bits, capacity, dict(items)
        self.identity: Hashable = (name, "plain", tuple(sorted(self.items.items())))

    def has(self, key: Value) -> Bool:
        if isinstance(key, int):
            return key in self.items
        return t.lor(*(t.eq(self.key_bits, key, k) for k in self.items))

    def value(self, key: Value) -> Value:
        if isinstance(key, int):
            return self.items.get(key, 0)
        out: Value = 0
        for k, v in self.items.items():
            out = t.ite(VALUE_BITS, t.eq(self.key_bits, key, k), v, out)
        return out

    def size(self) -> Value:
        return len(self.items)

    def keys(self) -> frozenset[int]:
        return frozenset(self.items)


class Put:
    """A key gets a value."""

    def __init__(self, below: Items, key: Value, value: Value) -> None:
        self.below, self.facts, self.name = below, below.facts, below.name
        self.key_bits, self.capacity, self.new_key, self.new_value = below.key_bits, below.capacity, key, value
        self.identity: Hashable = ("Put", below.identity, identify(key), identify(value))

    def has(self, key: Value) -> Bool:
        return t.lor(t.eq(self.key_bits, key, self.new_key), self.below.has(key))

    def value(self, key: Value) -> Value:
        same = t.eq(self.key_bits, key, self.new_key)
        return t.ite(VALUE_BITS, same, self.new_value, self.below.value(key))  # type: ignore[no-any-return]

    def size(self) -> Value:
        return t.add(SIZE_BITS, self.below.size(), t.bit(t.lnot(self.below.has(self.new_key)), SIZE_BITS))

    def keys(self) -> frozenset[int]:
        assert isinstance(self.new_key, int)
        return self.below.keys() | {self.new_key}


class Erased:
    """A key goes."""

    def __init__(self, below: Items, key: Value) -> None:
        self.below, self.facts, self.name = below, below.facts, below.name
        self.key_bits, self.capacity, self.old_key = below.key_bits, below.capacity, key
        self.identity: Hashable = ("Erased", below.identity, identify(key))

    def has(self, key: Value) -> Bool:
        return t.land(t.ne(self.key_bits, key, self.old_key), self.below.has(key))

    def value(self, key: Value) -> Value:
        return self.below.value(key)

    def size(self) -> Value:
        return t.sub(SIZE_BITS, self.below.size(), t.bit(self.below.has(self.old_key), SIZE_BITS))

    def keys(self) -> frozenset[int]:
        return self.below.keys() - ({self.old_key} if isinstance(self.old_key, int) else frozenset())


class Map:
    """A finite map from keys to 32-bit numbers (libVig's ``map``). ``key_type`` as for a flow table."""

    kind = "map"
    __slots__ = ("items", "key_type", "run")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, run: Run, items: Items, key_type: Type | None = None) -> None:
        self.run, self.items, self.key_type = run, items, key_type

    def _key(self, key: Any) -> Value:
        if self.key_type is not None:
            return encode(self.run, self.key_type, key)
        return fitted(self.run, key, self.items.key_bits)

    @property
    def key_bits(self) -> int:
        """The size of a key."""
        return self.items.key_bits

    @property
    def capacity(self) -> int | Number:
        """How many entries there can be."""
        return number(self.run, self.items.capacity, SIZE_BITS)

    @property
    def size(self) -> int | Number:
        """How many entries there are."""
        return number(self.run, self.items.size(), SIZE_BITS)

    @property
    def full(self) -> bool | Truth:
        """Whether there are as many entries as there can be."""
        return truth(self.run, t.eq(SIZE_BITS, self.items.size(), self.items.capacity))

    def has(self, key: Any) -> bool | Truth:
        """Whether a key is present."""
        return truth(self.run, self.items.has(self._key(key)))

    @unwatched
    def __contains__(self, key: Any) -> bool:
        return bool(self.has(key))

    @unwatched
    def __getitem__(self, key: Any) -> int | Number:
        """The value of a key; KeyError where it is absent."""
        bits = self._key(key)
        if not truth(self.run, self.items.has(bits)):
            raise KeyError(key)
        return number(self.run, self.items.value(bits), VALUE_BITS)

    def put(self, key: Any, value: Any) -> Map:
        """The state in which a key has a value."""
        return self._with(Put(self.items, self._key(key), fitted(self.run, value, VALUE_BITS)))

    def erase(self, key: Any) -> Map:
        """The state in which a key is absent."""
        return self._with(Erased(self.items, self._key(key)))

    def for_run(self, run: Run, of: Type | None = None) -> Self:
        """The same state, whose reads belong to a run; ``of`` is how that run writes keys or records."""
        return type(self)(run, self.items, of)

    def _with(self, items: Items) -> Map:
        return Map(self.run, items, self.key_type)

    def __eq__(self, other: object) -> Any:
        return truth(self.run, self.same(other)) if isinstance(other, Map) else NotImplemented

    def same(self, other: Map) -> Bool:
        """Equality: the same keys with the same values. Decided at one arbitrary key."""
        mine, theirs = self.items, other.items
        if mine.identity == theirs.identity:
            return True

        def alike(key: Value) -> Bool:
            present = mine.has(key)
            same_value = t.eq(VALUE_BITS, mine.value(key), theirs.value(key))
            return t.land(t.iff(present, theirs.has(key)), t.implies(present, same_value))

        def extent() -> Iterable[int]:
            return mine.keys() | theirs.keys()

        identity = ("equal", mine.identity, theirs.identity)
        return t.land(
            t.eq(SIZE_BITS, mine.capacity, theirs.capacity),
            mine.facts.forall(identity, mine.name, mine.key_bits, alike, extent),
        )

    def entries(self) -> dict[int, int]:
        """Every entry of a plain state."""
        if not isinstance(self.items.facts, Plain):
            tell(self.run, "a list of entries")
        out = {}
        for key in sorted(self.items.keys()):
            if self.items.has(key) is True:
                value = self.items.value(key)
                assert isinstance(value, int)
                out[key] = value
        return out

    def __repr__(self) -> str:
        if not isinstance(self.items.facts, Plain):
            tell_of_text(self.run)
            return f"<map {self.items.name}>"
        return f"{{{', '.join(f'{self.key_of(key)!r} -> {value}' for key, value in self.entries().items())}}}"

    def spare(self, number: int) -> int:
        """A key for an entry that is of no interest, one for each number."""
        return (SPARE + number) & t.mask(self.key_bits)

    def key_of(self, bits: int) -> Any:
        """A key as a property writes it, by its bits."""
        return bits if self.key_type is None else decode(self.run, collapse(self.key_type), bits)
