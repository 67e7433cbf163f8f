"""A compiled function against its contract at every capacity: its structure's elements are an array as long as one
likes, and what holds of all of them is used where it is needed.

``libvig/<structure>/abstraction.py`` says as ``Unbounded`` what such memory means: ``lay`` puts it there, ``state`` is
the abstract state, ``row`` is what the elements are made of and ``row.after`` what has become of that when the abstract
state has changed, ``claims`` is the invariant, and ``known`` is the invariant of what some values are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.ghost.facts import COUNT_BITS, Extent, Facts, Predicate
from pytest_vigor.ghost.flows import INDEX_BITS
from pytest_vigor.refine.functions import Example, example
from pytest_vigor.refine.library import Laid, Library, NotShown, Refuted, Unsettled
from pytest_vigor.refine.listed import Entry
from pytest_vigor.refine.machine import CallPath
from pytest_vigor.refine.refinement import Alternative, Refinement
from pytest_vigor.term import Bool, Value


class Everywhere(Facts):
    """Knowledge about states of any capacity."""

    def __init__(self) -> None:
        super().__init__()
        self.concluding = False
        self._counts: dict[Hashable, tuple[Value, Predicate]] = {}

    @property
    def defined(self) -> list[Bool]:
        return self.known

    def count(
        self, identity: Hashable, name: str, capacity: Value, predicate: Predicate, extent: Extent
    ) -> Value:
        count = super().count(identity, name, capacity, predicate, extent)

        def counted(index: Value) -> Bool:
            return t.land(t.ult(INDEX_BITS, index, capacity), predicate(index))

        self._counts[identity] = count, counted
        return count

    def as_many(self, number: Value, exist: Bool, among: Predicate) -> None:
        """If there are so many indices, those ``among``, and a count is about just these, it is that number: unless
        there is an index that only one of both is about, it is."""
        for count, predicate in self._counts.values():
            other = t.var(f"not counted.{len(self.known)}", INDEX_BITS)
            same = t.iff(predicate(other), among(other))
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


class AtEveryCapacity(Refinement):
    """The proof of one function of a structure."""

    def __init__(self, library: Library, contract: c.Contract) -> None:
        super().__init__(library, contract, {})
        self.facts = Everywhere()
        (self.name, kind), *_ = ((name, k) for name, k in contract.parameters.items() if isinstance(k, c.State))
        self.abstraction = library.abstractions[kind.cls.kind]  # type: ignore[attr-defined]
        assert self.abstraction.unbounded is not None
        self.any = self.abstraction.unbounded(library.structs, self.facts)
        self.key = 0

    def _lay(self, path: CallPath) -> CallPath:
        region = self.any.lay(path)
        place = self.library.heap(path).at(region.base, self.abstraction.struct)
        self.laid[self.name] = Laid(self.abstraction, place, region, {}, ())
        self.key = path.memory.key_of(region.base)
        return path

    def _state(self, path: CallPath, name: str, **more: Any) -> Any:
        return self.any.state(path, self.key)

    def _still_valid(self, end: CallPath) -> Iterator[tuple[str, Bool]]:
        yield from ()  # what is depends on which way the contract goes

    def _conclude(self, end: CallPath, way: Alternative, given: list[Bool], claims: list[tuple[str, Bool]]) -> None:
        result = t.extract(end.registers.read("rax"), 64, INDEX_BITS - 1, 0)
        changed = way.outcome.changes.get(self.name)
        row = self.any.row if changed is None else self.any.row.after(changed.flows, result)
        claims = claims + [(f"afterwards {name}", holds) for name, holds in self.any.claims(end, self.key, row)]
        self.facts.as_many(result, *self.any.first(result))
        found = self._example([*end.conditions(), *given, t.lnot(t.land(*(claim for _, claim in claims)))])
        if found is None:
            raise NotShown(Unsettled("the solver gave up"))
        if not isinstance(found, bool):
            failing = [name for name, claim in claims if found.seen(claim) is False]
            raise NotShown(Refuted("\n".join(["; ".join(failing), *self._told(found)])))

    def _is_possible(self, end: CallPath, condition: Bool) -> bool:
        return self._example([*end.conditions(), condition]) is not False

    def _example(self, asked: list[Bool]) -> Example | bool | None:
        """Values for what is asked, as far as instances of what holds everywhere tell."""
        asked = [*asked, *self.facts.known]
        known = self.any.known(*asked)
        return example([*dict.fromkeys([*asked, *self.facts.known, *known])])

    def _told(self, model: Any) -> list[str]:
        lines = super()._told(model)
        return [*lines, f"    capacity = {model.seen(self.any.capacity)}, used = {model.seen(self.any.row.used)}"]
