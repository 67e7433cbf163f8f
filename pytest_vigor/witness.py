"""A witness like one that is known: a model that breaks some conditions is mended, and mostly only a few values have to
become others.

Whether a sum can be right is a hard question about many unknown bytes and an easy one about two, so those of a packet's
checksums may always be others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.behaviour import PACKET
from pytest_vigor.frame import Frame
from pytest_vigor.packet import checksum_places
from pytest_vigor.smt import BRIEFLY, Rewriting, Sat, Solver, Unsat
from pytest_vigor.term import Bool, Term
from pytest_vigor.translation import factors

Leaf = tuple[Any, ...]
ROUNDS = 5  #: of leaving more open
TOGETHER = 3  #: places, before attempts are made while a property is still being run


class Witness:
    """What a model says of some conditions, and zero for all else. To keep it takes no memory of a solver."""

    __slots__ = ("_leaves", "_memo")

    def __init__(self, model: Sat, conditions: Sequence[Bool]) -> None:
        self._leaves: dict[Leaf, Any] = {}
        self._memo: dict[int, Any] = {}
        for each in conditions:
            t.evaluate(each, partial(self._value, model), self._memo)

    def holds(self, condition: Bool) -> bool:
        """Whether a condition holds."""
        return bool(t.evaluate(condition, partial(self._value, None), self._memo))

    def _value(self, model: Sat | None, leaf: Term, args: tuple[Any, ...]) -> Any:
        key = (leaf.op, leaf.data, leaf.width, args)
        if key not in self._leaves:
            self._leaves[key] = model.leaf(leaf, args) if model is not None else 0 if leaf.width else False
        return self._leaves[key]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A place in a property that a run came to. Whether some state and packet lead there is another question: of them
    ``conditions`` hold. ``model`` is one that came far, ``witnesses`` are some that led to others, and
    ``rewrite`` knows what equals what by then."""

    solver: Solver
    conditions: Sequence[Bool]
    model: Sat | None
    witnesses: deque[Witness]
    rewrite: Rewriting

    def is_known(self) -> bool:
        """Whether a model that there is leads there."""
        return any(all(each.holds(of) for of in self.conditions) for each in (self.model, *self.witnesses) if each)

    def attempts(self) -> Iterator[bool]:
        """Attempts at something that leads there and is like the model that came far: whether that is found."""
        for found in mended(self.solver, self.model, self.conditions) if self.model is not None else ():
            if found is not None:
                self.witnesses.append(Witness(found, self.conditions))
            yield found is not None

    def is_possible(self) -> bool:
        """Whether anything leads there; yes where the solver is unsure."""
        self.solver.follow(self.conditions)
        return not isinstance(self.solver.check(rewrite=self.rewrite), Unsat)


@dataclass(slots=True)
class Arrivals:
    """The asserts of a property that runs came to, until one ``is_reached``."""

    is_reached: bool = False
    _places: list[Arrival] = field(default_factory=list)
    _attempts: deque[Iterator[bool]] = field(default_factory=deque)

    def come(self, here: Arrival) -> None:
        """A run has come to an assert. Which one is reached is mostly known of a later one, so attempts are made only
        now and then."""
        self.is_reached = self.is_reached or here.is_known()
        if not self.is_reached:
            self._places.append(here)
            self._attempts.appendleft(here.attempts())
            if len(self._places) % TOGETHER == 0:
                self._attempt(len(self._attempts))

    def find(self) -> bool:
        """Whether some state and packet lead to an assert, found out now; yes where the solver is unsure."""
        while self._attempts and not self.is_reached:
            self._attempt(1)
        self.is_reached = self.is_reached or any(each.is_possible() for each in self._places)
        return self.is_reached

    def _attempt(self, most: int) -> None:
        """Makes attempts, at each place once before any is tried again."""
        for _ in range(most):
            attempts = self._attempts.popleft()
            for is_found in islice(attempts, 1):
                self._attempts.append(attempts)
                self.is_reached = self.is_reached or is_found
            if self.is_reached:
                return


def mended(solver: Solver, model: Sat, conditions: Sequence[Bool]) -> Iterator[Sat | None]:
    """Attempts at a model of all conditions that is like one that breaks some; the last that is found is one."""
    conditions = [part for each in conditions for part in t.conjuncts(each)]
    likeness = _Likeness(model, conditions)
    for _ in range(ROUNDS):
        left, chosen = likeness.fitting()
        if factors(left):
            return
        answer = solver.alone(chosen, left, BRIEFLY)
        yield answer if isinstance(answer, Sat) else None
        if not isinstance(answer, Unsat) or not likeness.leave_open(conditions[place] for place in answer.core):
            return


class _Likeness:
    """The values of a model, but for those that stand in the way."""

    def __init__(self, model: Sat, conditions: Sequence[Bool]) -> None:
        self._model, self._conditions = model, conditions
        self._open: set[Leaf] = set()
        leaves: dict[int, Term] = {}
        for each in conditions:
            t.leaves(each, leaves)
        places = [leaf.args[0] for leaf in leaves.values() if leaf.op == "app" and leaf.data[0] == PACKET]
        #: those that say where in the packet others are
        self._leading = {leaf for place in places for leaf in t.leaves(place)}
        byte = Frame(PACKET).byte
        for place in checksum_places(lambda place: model.value(byte(place))):
            self._leave_open(byte(place))

    def fitting(self) -> tuple[list[Bool], list[Bool]]:
        """The conditions with values put in, and that these are what they are. Those are left out with which a
        condition does not hold."""
        while True:
            left, chosen = self._given()
            broken = [each for each, rest in zip(self._conditions, left, strict=True) if rest is False]
            if not self.leave_open(broken):
                return left, chosen

    def leave_open(self, conditions: Iterable[Bool]) -> bool:
        """Leaves open what conditions depend on, where the bytes of a packet are only if that is all; whether any of
        that was given before."""
        before = len(self._open)
        for each in conditions:
            leaves = _outermost(each)
            for uid in leaves.keys() - self._leading or leaves:
                self._leave_open(leaves[uid])
        return len(self._open) > before

    def _leave_open(self, leaf: Any) -> None:
        self._open.add((leaf.op, leaf.data, tuple(self._model.value(each) for each in leaf.args)))

    def _given(self) -> tuple[list[Bool], list[Bool]]:
        chosen: list[Bool] = []

        def value(leaf: Term) -> Any:
            if (leaf.op, leaf.data, leaf.args) in self._open or any(isinstance(each, Term) for each in leaf.args):
                return None
            found = self._model.value(leaf)
            chosen.append(t.eq(leaf.width, leaf, found) if leaf.width else t.iff(leaf, found))
            return found

        memo: dict[int, Any] = {}
        return [t.substitute(each, value, memo) for each in self._conditions], chosen


def _outermost(condition: Bool) -> dict[int, Term]:
    """The leaves of a condition, without those that only say of what a function is the value."""
    found: dict[int, Term] = {}
    stack: list[Any] = [condition]
    while stack:
        term = stack.pop()
        if isinstance(term, Term) and term.op in t.LEAVES:
            found[term.uid] = term
        elif isinstance(term, Term):
            stack.extend(term.args)
    return found
