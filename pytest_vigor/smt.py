"""The solver: Sat with a model, Unsat, or Unsure with its reason; nothing else, and no bool to mistake one for another.

Solvers are incremental ones for quantifier-free bit-vectors with uninterpreted functions. Budgets are z3's own resource
count, which is the same on a busy machine as on an idle one; wall time plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import z3
from z3 import z3core as c

from pytest_vigor import term as t
from pytest_vigor.integers import RESOURCES, example, impossible
from pytest_vigor.interrupt import on_interrupt
from pytest_vigor.room import at_work, interrupt
from pytest_vigor.term import Bool, Term
from pytest_vigor.translation import Translator, factors
from pytest_vigor.work import Work

Rewriting = Callable[[Bool], Bool]
SUMS_SHARE = 40  #: percent of the resources, for questions over the integers
SUMS_MOST = 1_600_000  #: of them
LATEST = 8  #: conditions that the question is likely about where nothing but these is asked
PATIENCE = 400_000  #: the same for a solver that is quick or gets lost: some tenths of a second
BRIEFLY = 200_000  #: the same where there are other ways to find out
EXAMPLES = (1, 1_000_000_000)  #: for factors that stand in the way of a model
QUICK = 20_000  #: for a first attempt over the integers, which is quick or gets lost, too
ATTEMPTS = 8  #: at a question asked for itself: how long one takes is a matter of luck
LEVEL = 4  #: conditions that the solver is told, and forgets, together
LEAST_MIB = 256
DEFAULT_RESOURCES = 20_000_000  #: z3's rlimit for one query: a few CPU seconds


@dataclass(frozen=True, slots=True)
class Unsat:
    """No assignment satisfies the query. ``core`` are the places of some conditions that are enough for that."""

    core: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsure:
    """The solver gave up; ``reason`` says how."""

    reason: str


class Sat:
    """An assignment that satisfies the query; values of terms that it leaves open are completed with zero."""

    __slots__ = ("_leaves", "_memo", "_model", "_translator")

    def __init__(self, model: Any, translator: Translator) -> None:
        self._model, self._translator = model, translator
        self._memo: dict[int, Any] = {}
        self._leaves: dict[tuple[Any, ...], Any] = {}

    def value(self, value: Any) -> Any:
        """The concrete ``int`` or ``bool`` of a value under this assignment."""
        return t.evaluate(value, self.leaf, self._memo)

    def holds(self, condition: Bool) -> bool:
        """The same of a condition; mostly z3 can tell, which is quicker."""
        if isinstance(condition, bool):
            return condition
        if not self._translator.products(condition):
            found = self._translator.model_truth(self._model, condition)
            if found is not None:
                return found
        return bool(self.value(condition))

    def seen(self, value: Any) -> Any:
        """The value as the solver sees it, for which what is uninterpreted there may be any function."""
        return self._translator.model_value(self._model, value, value.args) if isinstance(value, Term) else value

    def leaf(self, leaf: Term, args: tuple[Any, ...]) -> Any:
        """The value of a variable, or of a function at concrete arguments."""
        key = (leaf.op, leaf.data, leaf.width, args)
        if key not in self._leaves:
            self._leaves[key] = self._translator.model_value(self._model, leaf, args)
        return self._leaves[key]


Answer = Sat | Unsat | Unsure


def bound_memory(mib: float) -> None:
    """Has z3 give up, as Unsure, before it takes more memory than this in all; 0 is as much as there is. With less
    than ``LEAST_MIB`` it could not even be asked."""
    z3.set_param("memory_max_size", max(round(mib), LEAST_MIB) if mib else 0)


def interruptible() -> None:
    """Has Ctrl-C end a query at once. z3's own handler would make an Unsure of it, and interrupting z3 when it is not
    at work would break what it is asked to do next."""
    on_interrupt(interrupt)


def _incremental(context: Any, resources: int) -> Any:
    solver = z3.SolverFor("QF_UFBV", ctx=context)
    solver.set("rlimit", resources)
    solver.set("ctrl_c", False)
    return solver


@dataclass(slots=True)
class Statistics:
    """What the solver was asked so far, and in the course of which work."""

    queries: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0
    work: Work = field(default_factory=Work)

    @contextmanager
    def query(self) -> Iterator[None]:
        """Counts what happens inside as one query."""
        self.work.ask()
        start = process_time()
        yield
        spent = process_time() - start
        self.queries += 1
        self.seconds += spent
        self.slowest_seconds = max(self.slowest_seconds, spent)
        self.work.answered(spent)


def at_once(conditions: Iterable[Bool], resources: int = DEFAULT_RESOURCES) -> Answer:
    """Satisfiability of conditions to a solver that is asked nothing else: what may be rewritten as a whole, as many
    unknown functions of each other's values may, is often easy then."""
    asked: list[Bool] = [each for each in conditions if each is not True]
    answer: Answer = Unsure("")
    solver = Solver()
    for seed in range(ATTEMPTS):
        answer = solver._ask_bits(asked, resources, seed)
        if not isinstance(answer, Unsure):
            break
    return answer


@dataclass(slots=True)
class Solver:
    """An incremental stack of assertions.

    Products and quotients of unknowns are uninterpreted at first. Where that leaves something possible, the model is
    tried with real ones, then the question is asked over the integers, and only then bit by bit. ``exact`` False
    stops after the first of these: then a Sat may not be one.
    """

    translator: Translator = field(default_factory=lambda: Translator(abstract=True))
    resources: int = DEFAULT_RESOURCES
    statistics: Statistics = field(default_factory=Statistics)
    exact: bool = True
    depth: int = 0
    _solver: Any = None
    _stack: list[Bool] = field(default_factory=list)
    _marks: list[int] = field(default_factory=list)
    _followed: list[tuple[Bool, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._solver = _incremental(self.translator.context, min(self.resources, BRIEFLY))
        self._solver.push()  # from the first level on it works incrementally, which is much the faster way here

    @property
    def conditions(self) -> Sequence[Bool]:
        """What the stack holds."""
        return self._stack

    def limit(self, resources: int) -> None:
        """Sets the budget of each further query."""
        if resources != self.resources:
            self.resources = resources
            self._solver.set("rlimit", min(resources, BRIEFLY))

    def push(self) -> None:
        self._solver.push()
        self._marks.append(len(self._stack))
        self.depth += 1

    def pop(self, levels: int = 1) -> None:
        if levels:
            self._solver.pop(levels)
            del self._stack[self._marks[-levels] :]
            del self._marks[-levels:]
            self.depth -= levels

    def follow(self, conditions: Sequence[Bool]) -> None:
        """Has the stack hold exactly these conditions. What they begin with in common with those before stays as it is:
        to tell a solver something is dearer than to ask it."""
        self.pop(self.depth - len(self._followed))  # what was told for a question that was broken off
        levels = kept = 0
        for level in self._followed:
            if tuple(conditions[kept : kept + len(level)]) != level:
                break
            levels, kept = levels + 1, kept + len(level)
        self.pop(len(self._followed) - levels)
        del self._followed[levels:]
        for first in range(kept, len(conditions), LEVEL):
            level = tuple(conditions[first : first + LEVEL])
            self._followed.append(level)
            self.push()
            self.add_all(level)

    def add(self, condition: Bool) -> None:
        if condition is not True:
            self._stack.append(condition)
            c.Z3_solver_assert(self._solver.ctx.ref(), self._solver.solver, self.translator.simple(condition))

    def add_all(self, conditions: Iterable[Bool]) -> None:
        for condition in conditions:
            self.add(condition)

    def check(
        self, *conditions: Bool, exact: bool = True, hasty: bool = False, rewrite: Rewriting | None = None
    ) -> Answer:  # fmt: skip
        """Satisfiability of the stack together with ``conditions``. Where that need not be ``exact``, a Sat may not be
        one; where it may be ``hasty``, only what is quick is tried. ``rewrite`` gives conditions another form,
        equivalent where all of them hold, for questions over the integers."""
        for place, condition in enumerate(conditions):
            if condition is False:
                return Unsat((place,))
        with self.statistics.query():
            quickly = rewrite is not None and any(map(self.translator.products, conditions))
            if quickly and self._is_impossible(conditions, rewrite, QUICK):
                return Unsat()
            answer = self._ask(self._solver, self.translator, conditions)
            if isinstance(answer, Unsure) and self.resources > BRIEFLY:
                if not quickly and self._is_impossible(conditions, rewrite, QUICK):
                    return Unsat()
                answer = answer if hasty else self._otherwise(conditions, exact, rewrite)
            if exact and self.exact and not isinstance(answer, Unsat):
                answer = self._exactly(answer, conditions, rewrite)
        return answer

    def alone(self, given: Sequence[Bool], asked: Sequence[Bool], resources: int) -> Answer:
        """Whether what is asked can hold where what is given does, without the stack, as far as that can be said with
        some resources. The core of an Unsat are places in ``asked``."""
        with self.statistics.query():
            solver, bits = self._of_bits(given, min(self.resources, resources))
            return self._ask(solver, bits, tuple(asked))

    def _is_impossible(self, conditions: tuple[Bool, ...], rewrite: Rewriting | None, resources: int) -> bool:
        """Whether it is found over the integers that conditions cannot hold together with the stack."""
        plain = [rewrite(each) for each in self._stack] if rewrite is not None else self._stack
        asked = [rewrite(each) for each in conditions] if rewrite is not None else list(conditions)
        return impossible(plain, asked or plain[-LATEST:], resources)

    def _otherwise(self, conditions: tuple[Bool, ...], exact: bool, rewrite: Rewriting | None) -> Answer:
        """The answer to what the incremental solver gave up on, and what is not quickly seen over the integers: by
        looking at everything at once, or else over the integers after all."""
        if not exact and any(self.translator.products(each) for each in (*self._stack, *conditions)):
            return Unsure("the question is about products, and its answer need not be exact")
        answer = self._afresh(conditions, self.resources)
        if isinstance(answer, Unsure) and self._is_impossible(conditions, rewrite, RESOURCES):
            return Unsat()
        return answer

    def _ask(self, solver: Any, translator: Translator, conditions: tuple[Bool, ...]) -> Answer:
        ctx = solver.ctx.ref()
        asked = [translator.simple(condition) for condition in conditions if condition is not True]
        with at_work(solver.ctx):
            try:
                found = c.Z3_solver_check_assumptions(ctx, solver.solver, len(asked), (c.Ast * len(asked))(*asked))
            except z3.Z3Exception as error:
                said = error.args[0]
                return Unsure(said.decode() if isinstance(said, bytes) else str(said))
        match found:
            case -1:
                return Unsat(self._core(solver, translator, conditions) if len(conditions) > 1 else ())
            case 1:
                return Sat(z3.ModelRef(c.Z3_solver_get_model(ctx, solver.solver), solver.ctx), translator)
        return Unsure(str(c.Z3_solver_get_reason_unknown(ctx, solver.solver)))

    def afresh(self, conditions: Sequence[Bool]) -> Answer:
        """Satisfiability of the stack together with ``conditions``, to who has seen nothing before: where unknown
        functions of each other's values matter, that may be easy."""
        return self._afresh(tuple(conditions), self.resources, self.translator)

    def _afresh(self, conditions: tuple[Bool, ...], resources: int, translator: Translator | None = None) -> Answer:
        """The answer of a solver that has seen nothing before, and so may look at everything at once."""
        translator = translator or Translator(abstract=self.translator.abstract)
        ctx = translator.context
        steps = ("simplify", "propagate-values", "ackermannize_bv", "simplify", "smt")
        solver = z3.Then(*(z3.Tactic(step, ctx) for step in steps), ctx=ctx).solver()
        solver.set("rlimit", resources)
        solver.set("ctrl_c", False)
        for each in (*self._stack, *conditions):
            c.Z3_solver_assert(solver.ctx.ref(), solver.solver, translator.simple(each))
        answer = self._ask(solver, translator, ())
        return Unsat(tuple(range(len(conditions)))) if isinstance(answer, Unsat) else answer

    def _exactly(self, answer: Answer, conditions: tuple[Bool, ...], rewrite: Rewriting | None) -> Answer:
        """The answer where products and quotients are what they are."""
        translator = self.translator
        if not any(translator.products(each) for each in (*self._stack, *conditions)):
            return answer
        if isinstance(answer, Sat) and all(answer.value(each) for each in (*self._stack, *conditions)):
            return answer
        everything = (*self._stack, *conditions)
        plain = [rewrite(each) for each in everything] if rewrite is not None else everything
        asked = [each for each in plain if translator.products(each)]
        bits = Translator()
        little = min(PATIENCE, self.resources)
        found: Answer = Unsure("")
        for resources in (little, self.resources):  # most questions are easy in one of these ways
            if impossible(plain, asked, min(resources * SUMS_SHARE // 100, SUMS_MOST)):
                return Unsat()
            example = self._by_example(everything, answer) if resources == little else None
            if example is not None:
                return example
            solver = _incremental(bits.context, resources)
            for each in self._stack:
                c.Z3_solver_assert(solver.ctx.ref(), solver.solver, bits(each))
            found = self._ask(solver, bits, conditions)
            if not isinstance(found, Unsure):
                break
        return found

    def _by_example(self, everything: tuple[Bool, ...], answer: Answer) -> Sat | None:
        """A model with some factors and divisors chosen beforehand: with these, products are sums, and what satisfies
        these over the integers is tried."""
        unknowns = factors(everything)
        choices = [dict.fromkeys(unknowns, value) for value in EXAMPLES]
        if isinstance(answer, Sat):
            choices.insert(0, {leaf: answer.value(leaf) for leaf in unknowns})
        for chosen in choices if unknowns else ({},):
            memo: dict[int, Any] = {}
            values = {leaf.uid: value & t.mask(leaf.width) for leaf, value in chosen.items()}
            rewritten = [t.substitute(each, lambda leaf, v=values: v.get(leaf.uid), memo) for each in everything]  # type: ignore[misc]
            if any(each is False for each in rewritten):
                continue
            equal = [t.eq(leaf.width, leaf, values[leaf.uid]) for leaf in chosen]
            hints = example(rewritten)
            if hints:
                hinted = [t.eq(h.width, h, v) if h.width else h if v else t.lnot(h) for h, v in hints.items()]
                found = self._ask_bits([*rewritten, *equal], hints=hinted)
                if isinstance(found, Sat):
                    return found
            if chosen:
                found = self._ask_bits([*rewritten, *equal])
                if isinstance(found, Sat):
                    return found
        return None

    def _ask_bits(
        self, conditions: list[Bool], resources: int = PATIENCE, seed: int = 0, hints: Sequence[Bool] = ()
    ) -> Answer:
        """The answer of a solver that is asked nothing else. It heeds hints but for some that stand in the way."""
        solver, bits = self._of_bits(conditions, resources, seed)
        answer, left = self._ask(solver, bits, tuple(hints)), list(hints)
        while isinstance(answer, Unsat) and left:
            left = [hint for place, hint in enumerate(left) if place not in answer.core] if answer.core else []
            answer = self._ask(solver, bits, tuple(left))
        return answer

    @staticmethod
    def _of_bits(conditions: Sequence[Bool], resources: int, seed: int = 0) -> tuple[Any, Translator]:
        """A solver for these conditions, in which products are what they are."""
        bits = Translator()
        solver = z3.SolverFor("QF_UFBV", ctx=bits.context)
        solver.set("rlimit", resources)
        solver.set("random_seed", seed)
        solver.set("ctrl_c", False)
        for each in conditions:
            c.Z3_solver_assert(solver.ctx.ref(), solver.solver, bits(each))
        return solver, bits

    def _core(self, solver: Any, translator: Translator, conditions: tuple[Bool, ...]) -> tuple[int, ...]:
        """Which of the conditions that were asked about the solver's refutation used."""
        ctx = solver.ctx.ref()
        found = c.Z3_solver_get_unsat_core(ctx, solver.solver)
        c.Z3_ast_vector_inc_ref(ctx, found)
        size = c.Z3_ast_vector_size(ctx, found)
        used = {c.Z3_get_ast_id(ctx, c.Z3_ast_vector_get(ctx, found, k)) for k in range(size)}
        c.Z3_ast_vector_dec_ref(ctx, found)
        return tuple(
            place for place, condition in enumerate(conditions)
            if c.Z3_get_ast_id(ctx, translator.simple(condition)) in used
        )  # fmt: skip
