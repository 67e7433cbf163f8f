"""The random use of a structure as a Hypothesis state machine, which makes what it finds small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, note, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.libvig.compiled import Library
from tests.libvig.play import Play
from tests.libvig.structures import Structure

T = TypeVar("T")


class Drawn:
    """Choices of Hypothesis. Earlier options and smaller numbers are simpler."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))


class Machine(RuleBasedStateMachine):
    """One structure, used at random. What is compared after each use is in `Subject`."""

    library: ClassVar[Library]
    structure: ClassVar[Structure]

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.play = Play(self.library, self.structure, Drawn(data))
        note(f"{self.structure.name}: {dict(self.play.subject.parameters)}")

    @rule(data=st.data())
    def use(self, data: st.DataObject) -> None:
        self.play.choices = Drawn(data)
        if self.play.step():
            note(self.play.subject.log[-1])


def run(library: Library, structure: Structure, examples: int, steps: int = 50, is_repeatable: bool = False) -> None:
    """Runs the state machine. If ``is_repeatable``, each time with the same examples."""
    machine = type("Use", (Machine,), {"library": library, "structure": structure})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=is_repeatable,
            database=None,
            phases=(Phase.generate, Phase.shrink),  # explaining traces every line, for minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
