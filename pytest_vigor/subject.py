"""An NF that is explored, with what is believed of it, ready to be judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_vigor.behaviour import Behaviour, Path
from pytest_vigor.contract import Contracts
from pytest_vigor.equalities import Settled
from pytest_vigor.ghost.facts import Facts, Mark
from pytest_vigor.headers import Header
from pytest_vigor.instance import (
    TIME,
    Instance,
    Owed,
    accepted_conditions,
    base_scalars,
    base_states,
    input_conditions,
    instantiate,
)
from pytest_vigor.invariant import Invariant, install
from pytest_vigor.smt import Answer, Sat, Solver, Unsat
from pytest_vigor.term import Bool, Value
from pytest_vigor.witness import Witness
from pytest_vigor.work import Work

WITNESSES = 8
SOLVERS = 8  #: for all paths


@dataclass(slots=True)
class Model:
    """An assignment that refutes something: the solver's answer, and what it was asked about."""

    entry: str
    answer: Sat
    steps: list[Instance]
    conditions: list[Bool]  #: everything that holds, for asking again with more
    facts: Facts
    broken: Owed | None = None


@dataclass(slots=True)
class Duty:
    """An obligation that is not shown to hold."""

    kind: str
    detail: str
    where: int
    entry: str
    model: Model | None  #: None where the solver was unsure
    reason: str = ""


@dataclass(slots=True)
class Subject:
    """An NF, explored, with what is believed of it."""

    behaviour: Behaviour
    header: Header
    contracts: Contracts
    invariants: list[Invariant]
    solver: Solver  #: its statistics say for which work it is asked
    accepted: Bool = True
    duties: list[Duty] = field(default_factory=list)
    prepared: dict[int, Prepared | None] = field(default_factory=dict)  #: paths, by their identity
    idle: Callable[[], int] = lambda: 0  #: how many other processors have nothing to do
    solvers: list[Solver] = field(default_factory=list)  #: for paths, in turn
    #: with which asserts of properties were last reached
    witnesses: deque[Witness] = field(default_factory=lambda: deque(maxlen=WITNESSES))

    @property
    def work(self) -> Work:
        return self.solver.statistics.work

    def another_solver(self) -> Solver:
        """A solver for a path: one of its own for as long as there are few. A solver takes megabytes, and to tell it
        what it is to forget for the next path takes time."""
        if len(self.solvers) < SOLVERS:
            solver = Solver(translator=self.solver.translator, statistics=self.solver.statistics)
        else:
            solver = self.solvers.pop(0)
        self.solvers.append(solver)
        return solver

    def prepare(self) -> None:
        self.accepted = accepted_conditions(self.behaviour, self.contracts)

    def prepare_path(self, path: Path) -> Prepared | None:
        """The path on the state between steps; None if nothing leads along it."""
        if id(path) not in self.prepared:
            self.prepared[id(path)] = Prepared.of(self, path)
        return self.prepared[id(path)]

    def begin(self, facts: Facts) -> tuple[dict[str, Any], dict[str, Value]]:
        """The state between steps: arbitrary, but for the invariants."""
        old, numbers = base_states(self.behaviour, facts), base_scalars(self.behaviour)
        install(self.invariants, facts, old, numbers)
        return old, numbers


@dataclass(slots=True)
class Prepared:
    """A path on the state between steps, ready for properties to be run on it. Paths that share a solver have it told
    anew what they do not have in common with the one before."""

    instance: Instance
    facts: Facts
    mark: Mark
    settled: Settled
    given: list[Bool]
    base: list[Bool]  #: all of this, what paths have in common first
    model: Sat | None  #: of the path; None where the solver is unsure
    solver: Solver
    answers: dict[tuple[Any, ...], Answer] = field(default_factory=dict)  #: to what was asked on runs so far

    @classmethod
    def of(cls, subject: Subject, path: Path) -> Prepared | None:
        """None if no state and input lead along the path."""
        facts = Facts()
        old, numbers = subject.begin(facts)
        believed = len(facts.known)
        instance = instantiate(path, subject.contracts, facts, old, numbers)
        inputs = [subject.accepted, *input_conditions(instance.inputs, TIME)]
        base = [*inputs, *facts.known[:believed], *instance.conditions, *facts.known[believed:]]
        settled = Settled()
        for condition in base:
            settled.add(condition)
        settled.settle()
        if settled.impossible:
            return None
        solver = subject.another_solver()
        solver.follow(base)
        answer = solver.check(exact=False)
        if isinstance(answer, Unsat):
            return None
        model = answer if isinstance(answer, Sat) else None
        return cls(instance, facts, facts.mark(), settled, [*inputs, *instance.conditions], base, model, solver)
