"""What is known of base states, without quantifiers: universal facts are instantiated at the terms that are read."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_vigor import term as t
from pytest_vigor.term import Bool, Term, Value

COUNT_BITS = 32

Predicate = Callable[[Any], Bool]
Extent = Callable[[], Iterable[int]]
Definition = Callable[[Value], None]


class Knowledge(Protocol):
    """How a ghost value learns about its base, and says what holds of all indices or keys."""

    def touch(self, domain: str, value: Value) -> None:
        """Says that a base is read at this index or key."""

    def fact(self, condition: Bool) -> None:
        """Adds something that holds in every state."""

    def universal(self, domain: str, predicate: Predicate) -> None:
        """Adds something that holds at every index or key of a domain."""

    def forall(
        self, identity: Hashable, domain: str, width: int, predicate: Predicate, extent: Extent
    ) -> Bool:
        """Whether a predicate holds at every index or key; ``extent`` lists them where the state is plain."""

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        """How many indices below a capacity a predicate holds at."""

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        """The value of an unknown function of a key."""

    def fresh(self, name: str, width: int, identity: Hashable, define: Definition | None = None) -> Value:
        """A value about which nothing is known but what ``define`` adds when it is made, or what is added then."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in what is known."""

    known: int
    touched: dict[str, dict[Value, None]]
    universals: dict[str, list[Predicate]]
    foralls: dict[Hashable, Bool]
    fresh: dict[Hashable, Value]
    applied: dict[str, dict[Term, Value]]


class Facts:
    """Knowledge about symbolic states.

    ``known`` grows as states are read; whoever asks the solver asserts what was added since. Each entry is true of
    every state (a Skolem constant is defined by it), so asserting more than needed is sound, and instantiating
    universals at too few terms only ever weakens what is known: it may cost a proof, never make one.
    """

    def __init__(self) -> None:
        self.known: list[Bool] = []
        self._touched: dict[str, dict[Value, None]] = {}
        self._universals: dict[str, list[Predicate]] = {}
        self._foralls: dict[Hashable, Bool] = {}
        self._fresh: dict[Hashable, Value] = {}
        self._applied: dict[str, dict[Term, Value]] = {}

    def fact(self, condition: Bool) -> None:
        if condition is not True:
            self.known.append(condition)

    def touch(self, domain: str, value: Value) -> None:
        touched = self._touched.setdefault(domain, {})
        if value not in touched:
            touched[value] = None
            for predicate in list(self._universals.get(domain, ())):
                self.fact(predicate(value))

    def universal(self, domain: str, predicate: Predicate) -> None:
        universals = self._universals.setdefault(domain, [])
        if predicate in universals:
            return
        universals.append(predicate)
        for value in list(self._touched.get(domain, ())):
            self.fact(predicate(value))

    def forall(
        self, identity: Hashable, domain: str, width: int, predicate: Predicate, extent: Extent
    ) -> Bool:
        found = self._foralls.get(identity)
        if found is None:
            number = len(self._foralls)
            holds = t.var(f"forall.{number}", 0)
            witness = t.var(f"witness.{number}", width)
            self._foralls[identity] = found = holds
            self.touch(domain, witness)
            self.fact(t.lor(holds, t.lnot(predicate(witness))))
            self.universal(domain, lambda value: t.implies(holds, predicate(value)))
        return found

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        count = self.fresh(f"{name}.count", COUNT_BITS, ("count", identity))
        self.fact(t.ule(COUNT_BITS, count, capacity))
        return count

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        value = t.app(name, width, (key_bits, key))
        # That equal keys have equal values a solver knows of itself. But keys that are put together of bytes it finds
        # equal only bit by bit, one value of all their bits after the other.
        if isinstance(key, Term) and key.op not in ("var", "app"):
            applied = self._applied.setdefault(name, {})
            if key not in applied:
                for other, other_value in applied.items():
                    equal = t.eq(width, value, other_value) if width else t.iff(value, other_value)  # type: ignore[arg-type]
                    self.fact(t.implies(t.eq(key_bits, key, other), equal))
                applied[key] = value
        return value

    def fresh(self, name: str, width: int, identity: Hashable, define: Definition | None = None) -> Value:
        found = self._fresh.get(identity)
        if found is None:
            found = self._fresh[identity] = t.var(f"{name}.{len(self._fresh)}", width)
            if define is not None:
                define(found)
        return found

    def mark(self) -> Mark:
        """Everything known so far, to come back to."""
        return Mark(
            len(self.known),
            {name: dict(values) for name, values in self._touched.items()},
            {name: list(predicates) for name, predicates in self._universals.items()},
            dict(self._foralls), dict(self._fresh),
            {name: dict(values) for name, values in self._applied.items()},
        )  # fmt: skip

    def reset(self, mark: Mark) -> None:
        """Forgets what has become known since a mark."""
        del self.known[mark.known :]
        self._touched = {name: dict(values) for name, values in mark.touched.items()}
        self._universals = {name: list(predicates) for name, predicates in mark.universals.items()}
        self._foralls, self._fresh = dict(mark.foralls), dict(mark.fresh)
        self._applied = {name: dict(values) for name, values in mark.applied.items()}

    def touched(self, domain: str) -> tuple[Value, ...]:
        """Where the base has been read."""
        return tuple(self._touched.get(domain, ()))


class Plain:
    """Knowledge about plain values: the base tells, and whatever is asked is computed."""

    def touch(self, domain: str, value: Value) -> None:
        """Nothing to learn."""

    def fact(self, condition: Bool) -> None:
        """Nothing to learn."""

    def universal(self, domain: str, predicate: Predicate) -> None:
        """Nothing to learn."""

    def forall(
        self, identity: Hashable, domain: str, width: int, predicate: Predicate, extent: Extent
    ) -> Bool:
        return all(predicate(value) is True for value in extent())

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        return sum(predicate(value) is True for value in extent())

    def apply(self, name: str, width: int, key_bits: int, key: Value) -> Value:
        raise LookupError(f"{name} is not determined by plain values")

    def fresh(self, name: str, width: int, identity: Hashable, define: Definition | None = None) -> Value:
        raise LookupError(f"{name} is not determined by plain values")
