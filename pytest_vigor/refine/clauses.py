"""Questions about memory of a known shape, asked as clauses.

What is in which slot, and which node comes after which, are choices among few. The usual solver guesses at them one by
one, and may get lost for long; as clauses such a question is a matter of a tenth of a second, nearly whatever it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import z3
from z3 import z3core as c

from pytest_vigor.refine.cuts import Cuts
from pytest_vigor.room import at_work
from pytest_vigor.smt import Answer, Sat, Unsat, Unsure
from pytest_vigor.term import Bool

#: Unknown functions become numbers, of which equal arguments are told to give equal ones; then numbers become bits.
STEPS = ("simplify", "propagate-values", "ackermannize_bv", "simplify", "bit-blast", "sat")


RESOURCES = 3_000_000  #: z3's rlimit for one attempt: less than half a second
ATTEMPTS = 8  #: how long one takes is a matter of luck


class Clauses:
    """A solver that remembers nothing from one question to the next. Some terms are unknown functions to it."""

    def __init__(self, cuts: Cuts) -> None:
        self._translator = cuts.anew()

    def ask(self, conditions: Iterable[Bool]) -> Answer:
        """Whether conditions can hold together."""
        context = self._translator.context
        asked = [self._translator.simple(each) for each in conditions]
        answer: Answer = Unsure("")
        for seed in range(ATTEMPTS):
            solver = z3.Then(*(z3.Tactic(step, context) for step in STEPS), ctx=context).solver()
            solver.set("rlimit", RESOURCES)
            solver.set("random_seed", seed)
            solver.set("ctrl_c", False)
            for each in asked:
                c.Z3_solver_assert(context.ref(), solver.solver, each)
            answer = self._check(solver)
            if not isinstance(answer, Unsure):
                break
        return answer

    def _check(self, solver: z3.Solver) -> Answer:
        with at_work(self._translator.context):
            try:
                found = solver.check()
            except z3.Z3Exception as error:
                return Unsure(str(error))
        if found == z3.unsat:
            return Unsat()
        return Sat(solver.model(), self._translator) if found == z3.sat else Unsure(solver.reason_unknown())
