"""Searching one function from memory whose contents are symbols.

What memory holds is assumed to satisfy the structure's invariant from the start. So each obligation on the way is put
to the solver where it is met.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pytest_vigor import term as t
from pytest_vigor.binary import Binary
from pytest_vigor.explore.block import Block, Cursor, Leave, Registers, Split
from pytest_vigor.explore.memory import Failed, Region
from pytest_vigor.explore.path import PathState
from pytest_vigor.explore.search import Search
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.integers import impossible
from pytest_vigor.refine.clauses import Clauses
from pytest_vigor.refine.cuts import Cuts
from pytest_vigor.refine.functions import BRIEFLY, example
from pytest_vigor.refine.split_memory import Case, SplitMemory
from pytest_vigor.smt import DEFAULT_RESOURCES, Answer, Sat, Solver, Statistics, Unsat, Unsure, at_once
from pytest_vigor.term import Bool, Term, Value
from pytest_vigor.work import Work

FEW_RESOURCES = 200_000  #: before a question is asked case by case
EASY_RESOURCES = 50_000  #: before a question about memory of a known shape is asked as clauses
BRIEF_RESOURCES = 2_000_000  #: for each of several more attempts, where one got lost
AFRESH_RESOURCES = 10_000_000  #: to who has seen nothing before
MODELS_KEPT = 4  #: on a path, to know without asking that something is possible


@dataclass(frozen=True, slots=True)
class Broken:
    """An obligation that does not hold, or that the solver could not decide."""

    kind: str
    detail: str
    where: int
    model: Sat | None
    reason: str


class CallPath(PathState):
    """A path through one function."""

    search: CallSearch
    memory: SplitMemory

    def __init__(self, search: CallSearch, registers: Registers) -> None:
        super().__init__(search, registers)
        self.entry: tuple[Value, Value] = (0, 0)  #: the stack pointer and the base of thread-local storage
        self.saved = registers
        self.models: tuple[Sat, ...] = ()  #: assignments that satisfy all that holds
        self.cases: tuple[int, ...] = ()  #: the conditions by which it was split
        self.allocated: tuple[tuple[int, Value] | None, ...] = ()  #: for each calloc, where memory begins, and its size
        self.head = 0  #: the beginning of a loop at which it is
        self.is_past_head = False  #: whether it begins at a loop's beginning, where others stop

    @property
    def taken(self) -> tuple[Region, Value] | None:
        """What was allocated last, as it is now, and its size; None where there was no memory."""
        if not self.allocated or self.allocated[-1] is None:
            return None
        base, size = self.allocated[-1]
        return self.memory.regions[self.memory.key_of(base)], size

    def conditions(self) -> list[Bool]:
        """Everything that holds."""
        out: list[Bool] = []
        condition = self.condition
        while condition is not None:
            out.append(condition.condition)
            condition = condition.before
        return out

    def ask(self, *conditions: Bool) -> Answer:
        """Whether conditions can hold on it."""
        return self.search.ask(self, *conditions)

    def hold(self, condition: Bool) -> None:
        super().hold(condition)
        self.models = tuple(each for each in self.models if each.seen(condition) is True)

    def oblige(self, condition: Bool, kind: str, where: int, detail: str = "") -> None:
        if condition is True or self.decided(condition) is True:
            return
        answer = self.ask(t.lnot(condition))
        if not isinstance(answer, Unsat):
            model = answer if isinstance(answer, Sat) else None
            reason = "" if model else getattr(answer, "reason", "")
            self.search.broken.append(Broken(kind, detail, where, model, reason))
            raise Failed
        self.hold(condition)


class CallSearch(Search):
    """Explores functions whose obligations are decided as they are met."""

    def __init__(self, binary: Binary, cpu_seconds: float) -> None:
        work = Work()
        work.begin(f"{binary.path.name} against its contracts", cpu_seconds=cpu_seconds)
        super().__init__(binary, Facts(), work)
        self.cuts = Cuts()
        self.solver = Solver(self.cuts, exact=False, statistics=Statistics(work=work))
        self.clauses = Clauses(self.cuts)
        self.is_shape_known = False  #: whether all there is to choose among are places in memory
        self.broken: list[Broken] = []
        self.heads: Collection[int] = ()  #: where loops begin that paths are followed up to
        self.hasty = False  #: whether what is not easily seen to be impossible is as good as possible
        self.arrived: list[CallPath] = []  #: those that got there

    def ask(self, path: CallPath, *conditions: Bool) -> Answer:
        """Whether conditions can hold on a path."""
        for model in path.models:
            if all(model.seen(each) is True for each in conditions):
                return model
        self._sync(path)
        answer = self._by_cases(path, list(conditions))
        if isinstance(answer, Sat):
            path.models = (answer, *path.models[: MODELS_KEPT - 1])
        return answer

    def ask_easily(self, path: CallPath, condition: Bool) -> Answer:
        """Whether a condition can hold on a path, where that is easy."""
        for model in path.models:
            if model.seen(condition) is True:
                return model
        self._sync(path)
        self.solver.limit(FEW_RESOURCES)
        return self.solver.check(condition)

    def ask_at_once(self, path: CallPath, *conditions: Bool, resources: int = DEFAULT_RESOURCES) -> Answer:
        """Whether conditions can hold on a path, to who looks at everything at once."""
        return at_once([*self.facts.known, *path.conditions(), *conditions], resources)

    def ask_afresh(self, path: CallPath, condition: Bool, known: Sequence[Bool] | None = None) -> Answer:
        """Whether a condition can hold on a path, to who has seen nothing before; and of the path no more than what is
        ``known``, if that is given."""
        solver = Solver(self.cuts.anew(), AFRESH_RESOURCES if known is None else BRIEF_RESOURCES, exact=False)
        return solver.afresh([*(path.conditions() if known is None else known), condition])

    def _by_cases(self, path: CallPath, conditions: list[Bool]) -> Answer:
        """What the solver says; where that takes long, what it says of each case of an alternative among the
        conditions, or what can be said over the integers."""
        flat: list[Bool] = []
        for each in conditions:
            flat += t.conjuncts(each)
        self.solver.limit(EASY_RESOURCES if self.is_shape_known else FEW_RESOURCES)
        answer = self.solver.check(*flat)
        if isinstance(answer, Unsure) and self.is_shape_known:
            answer = self.clauses.ask([*self.facts.known, *path.conditions(), *flat])
        if not isinstance(answer, Unsure):
            return answer
        if path.memory.arrays and example([*self.facts.known, *path.conditions(), *flat], BRIEFLY) is False:
            return Unsat()
        choice = next((each for each in flat if isinstance(each, Term) and each.op == "lor"), None)
        if choice is None:
            if impossible(path.conditions(), flat):
                return Unsat()
            self.solver.limit(DEFAULT_RESOURCES)
            answer = self.solver.check(*flat)
            if isinstance(answer, Unsure):
                answer = self.ask_at_once(path, *flat, resources=BRIEF_RESOURCES)
            return answer
        flat.remove(choice)
        for each in choice.args:
            answer = self._by_cases(path, [*flat, each])
            if not isinstance(answer, Unsat):
                return answer
        return Unsat()

    def possible(self, path: PathState, *conditions: Bool) -> bool:
        assert isinstance(path, CallPath)
        decided = [path.decided(each) for each in conditions]
        if False in decided:
            return False
        asked = [each for each, known in zip(conditions, decided, strict=True) if known is None]
        answer = self.ask_easily(path, t.land(*asked)) if self.hasty else self.ask(path, *asked)
        return not isinstance(answer, Unsat)

    def join(self, a: PathState, b: PathState) -> PathState | None:
        if (
            isinstance(a, CallPath) and isinstance(b, CallPath) and a.cases == b.cases
            and a.allocated == b.allocated and a.memory.arrays == b.memory.arrays
        ):  # fmt: skip
            joined = super().join(a, b)
            if isinstance(joined, CallPath):
                joined.models = (*a.models, *b.models)[:MODELS_KEPT]
            return joined
        return None

    def execute(self, path: PathState, block: Block, cursor: Cursor | None) -> Leave:
        assert isinstance(path, CallPath)
        if block.address in self.heads and cursor is None:
            if not path.is_past_head:
                path.head = block.address
                self.arrived.append(path.fork())
                raise Failed
            path.is_past_head = False
        before = path.fork()
        try:
            return super().execute(path, block, cursor)
        except Case as case:
            vars(path).update(vars(before.fork()))
            path.memory.asker = path
            assert isinstance(path, CallPath)
            path.cases = (*path.cases, case.condition.uid)
            again = cursor or block.start
            return Split(case.condition, again, again)
