"""Questions about arrays of any length, asked over the integers: an unknown function of the index is one there too, and
one more or less is easy, where bit by bit a solver compares every index with every other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_vigor.arithmetic import Model
from pytest_vigor.integers import Integers
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
        value = self.z.applied(f"{name}/{widths}/{term.width}", *(self.number(each) for each in term.args))
        self.ties += [value >= term.lo, value <= term.hi]
        return value


class Example:
    """Values that satisfy all conditions."""

    def __init__(self, integers: Functions, model: Model) -> None:
        self._integers, self._model = integers, model

    def seen(self, value: Value) -> Any:
        """The value of a number or condition."""
        integers = self._integers
        if not isinstance(value, Term):
            return value
        return self._model.value(integers.number(value) if value.width else integers.truth(value), complete=True)


def example(conditions: Sequence[Bool], attempts: Sequence[int] = ATTEMPTS) -> Example | bool | None:
    """Values that satisfy conditions, False where there are none, None where the solver does not say; where some
    have no reading, there may be none either, and then it does not say."""
    integers = Functions()
    read: list[Any] = []
    unread = [each for each in conditions if not integers.take(each, read)]
    for seed, resources in enumerate(attempts):
        answer = integers.z.solved("QF_UFLIA", [*read, *integers.ties], resources, seed)
        if answer is False:
            return False
        if isinstance(answer, Model):
            return None if unread else Example(integers, answer)
    return None
