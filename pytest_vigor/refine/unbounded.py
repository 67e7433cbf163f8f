"""A compiled function against its contract at every capacity: its structure's elements are an array as long as one
likes, and what holds of all of them is used where it is needed.

``libvig/<structure>/abstraction.py`` says as ``Unbounded`` what such memory means: ``lay`` puts it there, ``state`` is
the abstract state, ``row`` is what the elements are made of and ``row.after`` what has become of that when the abstract
state has changed, ``claims`` is the invariant, and ``known`` is the invariant of what some values are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.functions import Example, example
from pytest_vigor.refine.induction import Claims
from pytest_vigor.refine.library import Laid, Library, NotShown, Refuted, Unsettled
from pytest_vigor.refine.refinement import Alternative, Refinement
from pytest_vigor.term import Bool


def concluding(found: Example | bool | None, claims: Claims, told: Callable[[Any], list[str]]) -> None:
    """Raises NotShown unless there is no example of a claim that is wrong."""
    if found is None:
        raise NotShown(Unsettled("the solver gave up"))
    if not isinstance(found, bool):
        failing = [name for name, claim in claims if found.seen(claim) is False]
        raise NotShown(Refuted("\n".join(["; ".join(failing), *told(found)])))


class AtEveryCapacity(Refinement):
    """The proof of one function of a structure."""

    def __init__(self, library: Library, contract: c.Contract) -> None:
        super().__init__(library, contract, {})
        self.facts = self.everywhere = Everywhere()
        (self.name, kind), *_ = ((name, k) for name, k in contract.parameters.items() if isinstance(k, c.State))
        self.abstraction = library.abstractions[kind.cls.kind]  # type: ignore[attr-defined]
        self.any = self._any()
        self.key = 0

    def _any(self) -> Any:
        """Any structure of the kind."""
        assert self.abstraction.unbounded is not None
        return self.abstraction.unbounded(self.library.structs, self.everywhere)

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
        changed = way.outcome.changes.get(self.name)
        row = self.any.row if changed is None else self._row(changed.flows, end)
        claims = claims + [(f"afterwards {name}", holds) for name, holds in self.any.claims(end, self.key, row)]
        self._holding(end, given, claims)

    def _row(self, flows: Any, end: CallPath) -> Any:
        """What the elements are made of when the abstract state has changed."""
        return self.any.row.after(flows)

    def _holding(self, path: CallPath, given: list[Bool], claims: Claims, in_pairs: bool = True) -> None:
        """Raises NotShown unless all claims hold on a path. Whether they need to compare ages is ``in_pairs``."""
        wrong = t.lnot(t.land(*(claim for _, claim in claims)))
        concluding(self._example([*path.conditions(), *given, wrong], in_pairs), claims, self._told)

    def _is_possible(self, end: CallPath, condition: Bool) -> bool:
        return self._example([*end.conditions(), condition]) is not False

    def _example(self, asked: list[Bool], in_pairs: bool = True) -> Example | bool | None:
        """Values for what is asked, as far as instances of what holds everywhere tell."""
        asked = [*asked, *self.everywhere.known]
        known = self.any.known(*asked, in_pairs=in_pairs)
        return example([*dict.fromkeys([*asked, *self.everywhere.known, *known])])

    def _told(self, model: Any) -> list[str]:
        lines = super()._told(model)
        return [*lines, f"    capacity = {model.seen(self.any.capacity)}, used = {model.seen(self.any.row.used)}"]
