"""Questions about arrays of any length, asked over the integers: an unknown function of the index is one there too, and
one more or less is easy, where bit by bit a solver compares every index with every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import z3

from pytest_vigor.integers import Integers, at_work
from pytest_vigor.term import Bool, Term, Value

ATTEMPTS = (8_000_000, 20_000_000, 60_000_000)  #: z3's rlimit for each: where it gets lost once, it need not again
BRIEFLY = (1_000_000,)


class Functions(Integers):
    """One question. Nothing is lost but conditions that have no reading."""

    def tie_applications(self) -> None:
        """One argument has one value already."""

    def _number(self, term: Term) -> Any:
        if term.op != "app":
            return super()._number(term)
        name, widths = term.data
        sorts = [z3.IntSort(self.context)] * (len(widths) + 1)
        value = z3.Function(f"{name}/{widths}/{term.width}", *sorts)(*(self.number(each) for each in term.args))
        self.ties += [value >= term.lo, value <= term.hi]
        return value


class Example:
    """Values that satisfy all conditions."""

    def __init__(self, integers: Functions, model: z3.ModelRef) -> None:
        self._integers, self._model = integers, model

    def seen(self, value: Value) -> Any:
        """The value of a number or condition."""
        integers = self._integers
        if not isinstance(value, Term):
            return value
        found = self._model.eval(integers.number(value) if value.width else integers.truth(value), True)
        return found.as_long() if value.width else z3.is_true(found)


def example(conditions: Sequence[Bool], attempts: Sequence[int] = ATTEMPTS) -> Example | bool | None:
    """Values that satisfy conditions, False where there are none, None where the solver does not say; where some
    have no reading, there may be none either, and then it does not say."""
    integers = Functions()
    read: list[Any] = []
    unread = [each for each in conditions if not integers.take(each, read)]
    for seed, resources in enumerate(attempts):
        solver = z3.SolverFor("QF_UFLIA", ctx=integers.context)
        solver.set("rlimit", resources)
        solver.set("random_seed", seed)
        solver.set("ctrl_c", False)
        solver.add(*read, *integers.ties)
        with at_work(integers.context):
            answer = solver.check()
        if answer == z3.unsat:
            return False
        if answer == z3.sat:
            return None if unread else Example(integers, solver.model())
    return None
