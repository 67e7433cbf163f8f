"""Steps that lead from the state that nf_init leaves to one in which a refutation holds, found symbolically.

A refutation starts from an unknown state of which only the invariants hold. Here that state is said to be what some
steps make of the first one, and the solver is asked for all of it at once: configuration, packets, times. It need not
be the state that the refutation was first seen in. What is found is only a suggestion until the binary has run it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.behaviour import Path
from pytest_vigor.frame import Frame
from pytest_vigor.ghost.flows import Put
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.ghost.map import Map, Put as Kept
from pytest_vigor.ghost.vector import Vector, Written
from pytest_vigor.instance import TIME, Inputs, Instance, init_instance, input_conditions, instantiate
from pytest_vigor.smt import Sat, Solver
from pytest_vigor.subject import Model, Subject
from pytest_vigor.term import Bool, Value
from pytest_vigor.trace import PROCESS

STEPS_MAX = 3
#: Questions to the solver, and z3's resources for each: counted and not timed, so that a busy machine finds the same.
QUESTIONS_MAX, RESOURCES = 300, 1_000_000
SUGGESTIONS_MAX = 3


@dataclass(slots=True)
class Led(Model):
    """A refutation from the state that nf_init leaves. So many of its steps, of these entry points, come before the one
    that the claim is about."""

    entries: tuple[str, ...] = ()


@dataclass(slots=True)
class _Search:
    subject: Subject
    model: Model
    solver: Solver
    asked: int = 0
    known: int = 0  #: how many of the facts the solver has

    @contextmanager
    def beyond(self) -> Iterator[None]:
        """For what holds only within."""
        facts, known = self.model.facts, self.known
        mark = facts.mark()
        self.solver.push()
        try:
            yield
        finally:
            self.solver.pop()
            facts.reset(mark)
            self.known = known

    def possible(self, exact: bool) -> Sat | None:
        """An assignment, if the solver finds one."""
        facts = self.model.facts
        self.solver.add_all(facts.known[self.known :])
        self.known = len(facts.known)
        self.asked += 1
        answer = self.solver.check(exact=exact)
        return answer if isinstance(answer, Sat) else None

    def suggestions(self, count: int) -> Iterator[Led]:
        """Refutations that so many steps lead to."""
        for path in self.subject.behaviour.accepted:
            with self.beyond():
                start = init_instance(path, self.subject.contracts, self.model.facts)
                self.solver.add_all(start.conditions)
                yield from self._after(start, [], [], start.conditions, count)

    def _after(
        self, last: Instance, entries: list[str], steps: list[Instance], conditions: list[Bool], count: int
    ) -> Iterator[Led]:
        if self.asked > QUESTIONS_MAX:
            return
        if not count:
            yield from self._joined(last, entries, steps, conditions)
            return
        for entry, path in self._ways():
            with self.beyond():
                step = self._step(entry, path, last, len(steps))
                if not _adds(step, last):
                    continue
                before = steps[-1].inputs.now if steps else 0
                held = [*input_conditions(step.inputs, before), *step.conditions]
                self.solver.add_all(held)
                if self.possible(exact=False) is not None:
                    yield from self._after(step, [*entries, entry], [*steps, step], [*conditions, *held], count - 1)

    def _joined(
        self, last: Instance, entries: list[str], steps: list[Instance], conditions: list[Bool]
    ) -> Iterator[Led]:
        """The refutation from the state that these steps made."""
        facts, first = self.model.facts, self.model.steps[0]
        with self.beyond():
            same = [
                *(_same(first.old[name], last.new[name]) for name in first.old if name in last.new),
                *(t.eq(each.bits, t.var(f"state.{each.name}", each.bits), last.new_scalars[each.name])
                  for each in self.subject.behaviour.scalars if each.name in last.new_scalars),
                t.eq(64, TIME, steps[-1].inputs.now) if steps else True,
            ]  # fmt: skip
            self.solver.add_all(same)
            for name, state in last.new.items():
                for place in _placed(state):
                    facts.touch(name, place)
            answer = self.possible(exact=True)
            if answer is not None:
                held = [*conditions, *same, *self.model.conditions]
                yield Led(PROCESS, answer, [*steps, *self.model.steps], held, facts, self.model.broken, tuple(entries))

    def _ways(self) -> Iterator[tuple[str, Path]]:
        for entry, paths in self.subject.behaviour.paths.items():
            if entry != "nf_init":
                yield from ((entry, path) for path in paths if path.ending == "returned")

    def _step(self, entry: str, path: Path, last: Instance, number: int) -> Instance:
        tag = f"lead{number + 1}."
        now = t.zext(t.var(tag + b.NOW, b.TIME_BITS), b.TIME_BITS, 64)
        inputs = Inputs(0, 0, now, Frame(tag + b.PACKET))
        if entry == PROCESS:
            inputs = Inputs(t.var(tag + b.DEVICE, 16), t.var(tag + b.LENGTH, 16), now, Frame(tag + b.PACKET))
        facts, contracts = self.model.facts, self.subject.contracts
        return instantiate(path, contracts, facts, last.new, last.new_scalars, inputs, tag)


def led(subject: Subject, model: Model) -> Iterator[Led]:
    """Refutations like this one from the start, with few steps first. Use each before asking for the next."""
    if model.entry != PROCESS:
        return
    solver = Solver(subject.solver.translator, RESOURCES, statistics=subject.solver.statistics)
    solver.add_all(model.conditions)
    search, given = _Search(subject, model, solver), 0
    for count in range(STEPS_MAX + 1):
        for each in search.suggestions(count):
            yield each
            given += 1
            if given == SUGGESTIONS_MAX:
                return


def _same(old: Any, new: Any) -> Bool:
    """That an unknown state is the one that was made."""
    size = t.eq(32, old.items.size(), new.items.size()) if isinstance(old, Map) else True
    return t.land(size, old.same(new))


def _layers(state: Any) -> Iterator[Any]:
    layer: Any = None
    match state:
        case Pool():
            layer = state.flows
        case Map():
            layer = state.items
        case Vector():
            layer = state.records
    while layer is not None:
        yield layer
        layer = getattr(layer, "below", None)


def _placed(state: Any) -> Iterator[Value]:
    """The indices or keys at which something was put."""
    for layer in _layers(state):
        match layer:
            case Put() | Written():
                yield layer.index
            case Kept():
                yield layer.new_key


def _adds(step: Instance, last: Instance) -> bool:
    """Whether a step puts something into a structure, or changes a number of the NF's own."""
    numbers: Mapping[str, Value] = step.new_scalars
    return any(
        len(list(_placed(step.new[name]))) > len(list(_placed(last.new[name]))) for name in last.new
    ) or any(numbers[name] is not last.new_scalars.get(name) for name in numbers)

