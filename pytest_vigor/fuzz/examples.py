"""Hypothesis at work: runs that a property is tried on, at each of their packets, and the smallest that it fails on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st
from hypothesis.errors import Flaky

from pytest_vigor.fuzz.configurations import Configurations
from pytest_vigor.fuzz.plans import CALLED, STEPS_MAX, Plan, frame_of, plans, step_of as planned
from pytest_vigor.fuzz.play import GUARD_BEFORE, OTHER_MEMORY, Play, Player
from pytest_vigor.fuzz.scene import MANNERS, TIME_MAX, Manner, Scene
from pytest_vigor.headers import Header
from pytest_vigor.native.client import Choices
from pytest_vigor.notation import kind_of
from pytest_vigor.plain import broken_kinds, step_of
from pytest_vigor.property.asserts import FAILURES, watch_asserts
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import Beyond, Discarded, Step
from pytest_vigor.replay import difference
from pytest_vigor.trace import BROKEN, HUNG, MISMATCH, PROCESS, REFUSED, RETURNED, Situation, Step as Given, StepResult

#: As many examples as the profile says are to get to an assert, as with Hypothesis's own `assume`; so many times that
#: number are tried at most.
MORE = 5
#: Steps that may go into making a failing run smaller, counted and not timed: a busy machine shows the same. One
#: in which the NF hangs takes as long as many others, and so does a new start.
SHRINKING_STEPS, HUNG_STEPS, START_STEPS = 2_000, 100, 4
SHRINKING_SHARE = 20  #: as many for each example that is wanted, if these are few
LARGE = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Failing:
    """A run on which a property fails: at the step with this number, or after it, in what the property asked for then.
    ``others`` are the choices in which it shows, besides the usual ones; ``error`` is what the property raised."""

    situation: Situation
    number: int
    others: Choices | None
    error: BaseException


@dataclass(slots=True)
class Tally:
    """What was tried: examples are runs, ``reached`` those in which an assert was reached."""

    examples: int = 0
    steps: int = 0
    reached: int = 0
    failing: Failing | None = None
    unfit: str = ""  #: why the NF cannot be watched


class _Failed(Exception):
    """The property fails on this example."""


class _Enough(BaseException):
    """The budget is used up. Not an Exception, which Hypothesis would take for a failure of the property."""


@dataclass(frozen=True, slots=True)
class Ground:
    """An NF to try properties on."""

    player: Player
    header: Header
    configurations: Configurations
    accepted: Mapping[str, Sequence[bytes]]  #: arguments, by function
    words: tuple[int, ...]
    names: frozenset[str] = frozenset()  #: what the property speaks of


def try_out(
    ground: Ground, function: Callable[[Step], Any], identity: str, seed_: int | None, examples: int | None = None
) -> Tally:
    """Has Hypothesis look for a run on which a property fails, with the settings of the profile that is in force.

    ``identity`` is under which its database keeps what it found. With a seed, properties get to see the same runs as
    far as they do not differ in what they ask for. With a number of ``examples``, always the same are tried, and no
    others.
    """
    wanted = examples or settings().max_examples
    trying = _Trying(ground, function, wanted)
    base = settings() if examples is None else settings(database=None)

    @settings(
        base, max_examples=examples or MORE * wanted, deadline=None, report_multiple_bugs=False, print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in settings().phases if phase is not Phase.explain],
    )  # fmt: skip
    @given(st.data())
    def test(data: Any) -> None:
        trying.example(data)

    if examples is not None:
        seed_ = 0
    if seed_ is not None:
        test = seed(seed_)(test)
    # As Hypothesis's own plugin tells the cases of a parametrized test apart.
    test.hypothesis.inner_test._hypothesis_internal_add_digest = identity.encode()  # type: ignore[attr-defined]
    try:
        test()
    except (_Failed, _Enough):
        pass
    except Flaky:
        # So Hypothesis calls it, too, if it wanted to go on with an example that we began to be told enough in.
        if not trying.is_over():
            raise
    except _Unfit as unfit:
        trying.tally.unfit = str(unfit)
    return trying.tally


class _Unfit(Exception):
    """It is not the NF that is wrong."""


@dataclass(slots=True)
class _Trying:
    ground: Ground
    function: Callable[[Step], Any]
    wanted: int  #: examples
    tally: Tally = field(default_factory=Tally)
    found: bool = False
    shrunk: int = 0  #: steps that went into that
    size: tuple[int, ...] = ()  #: of the smallest failing run
    strategy: Any = None
    numbers: Any = None
    parts: Any = None

    def __post_init__(self) -> None:
        configurations = self.ground.configurations
        every = [*(kind_of(leaf.type) not in ("mac", "ipv4") for leaf in configurations.leaves), True]
        drawn = [number for number, is_drawn in enumerate(every) if is_drawn]
        rest = [number for number, is_drawn in enumerate(every) if not is_drawn]
        number, another = st.integers(0, LARGE), st.tuples(st.sampled_from(rest or [0]), st.integers(0, LARGE))

        def spread(values: tuple[tuple[int, ...], tuple[int, int]]) -> tuple[int, ...]:
            out = [0] * len(every)
            if rest:
                out[values[1][0]] = values[1][1]
            for where, value in zip(drawn, values[0], strict=True):
                out[where] = value
            return tuple(out)

        self.numbers = st.tuples(st.tuples(*[number] * len(drawn)), another).map(spread)
        self.strategy = plans(self.ground.header.entries)
        # Several lists, since the average length of one is five at most.
        lists = [st.lists(self.strategy, min_size=least, max_size=STEPS_MAX) for least in (1, 0, 0, 0, 0)]
        self.parts = st.tuples(st.integers(0, len(MANNERS) - 1), *lists)

    def example(self, data: Any) -> None:
        """One run."""
        numbers = data.draw(self.numbers)
        manner, *parts = data.draw(self.parts)
        planned_steps = [each for part in parts for each in part]
        if self.is_over():
            raise _Enough
        reached, is_shrinking = False, self.found
        try:
            reached = self._run(data, numbers, manner, planned_steps)
        except _Failed:
            reached = True
            self.found = True
            raise
        finally:
            if is_shrinking:
                self.shrunk += START_STEPS + len(planned_steps)
            else:
                self.tally.examples += 1
                self.tally.reached += reached

    def is_over(self) -> bool:
        """Whether nothing more is to be tried."""
        if self.found:
            return self.shrunk > min(SHRINKING_STEPS, SHRINKING_SHARE * self.wanted)
        return self.tally.examples >= self.wanted and self.tally.reached >= self.wanted

    def _keep(self, failing: Failing) -> None:
        """Keeps the smallest failing run: fewest steps, shortest packets, plainest numbers."""
        steps = failing.situation.steps
        size = (
            len(steps), sum(len(step.packet) for step in steps), failing.situation.device_count,
            sum(byte > 0 for byte in failing.situation.config),
            sum(step.now.bit_length() for step in steps), -sum(step.packet.count(0) for step in steps),
        )  # fmt: skip
        if not self.size or size <= self.size:
            self.size, self.tally.failing = size, failing

    def _run(self, data: Any, numbers: Sequence[int], manner: int, planned_steps: Sequence[Plan]) -> bool:
        """Whether an assert was reached; raises _Failed where one fails."""
        ground = self.ground
        config, device_count = ground.configurations.chosen(numbers)
        play = ground.player.play(config, device_count)
        if play.init.ending == REFUSED:
            config, device_count = ground.configurations.chosen([0] * ground.configurations.width)
            play = ground.player.play(config, device_count)
        scene = Scene(
            ground.header, ground.configurations.leaves, config, device_count, ground.words, Manner.of(manner),
            ground.accepted, ground.names,
        )
        init = play.init
        if init.ending == REFUSED:
            return False
        if init.ending != RETURNED:
            return self._try(data, play, scene, Given(), init)
        scene.figures = dict(init.scalars_new or {})
        reached = False
        for plan in planned_steps:
            step = planned(plan, scene, ground.header.entries)
            result = play.take(step)
            self.tally.steps += 1
            scene.add(step, result)
            if step.entry == PROCESS or result.ending != RETURNED:
                reached |= self._try(data, play, scene, step, result)
            if result.ending != RETURNED:
                break
        return reached

    def _try(self, data: Any, play: Play, scene: Scene, given_: Given, result: StepResult) -> bool:
        """The property, at the last step of a run."""
        if result.ending == HUNG and self.found:
            self.shrunk += HUNG_STEPS
        if result.ending in (MISMATCH, BROKEN):
            raise _Unfit(f"{result.function or 'what watches it'} {_FAULTY[result.ending]}: {result.detail}")
        asking = _Asking(self, data, play, scene, result)
        with watch_asserts() as noted:
            try:
                self.function(asking.step(given_, result))
            except Discarded:
                return noted.reached
            except (*FAILURES, Beyond) as error:
                self._keep(Failing(asking.situation(), max(0, len(play.steps) - 1), asking.others, error))
                raise _Failed from None
        return noted.reached


_FAULTY = {MISMATCH: "does not do what its contract says", BROKEN: "failed"}


@dataclass(slots=True)
class _Asking:
    """What a property asks for at a step that cannot be known before."""

    trying: _Trying
    data: Any
    play: Play
    scene: Scene
    result: StepResult
    others: Choices | None = None
    beside: list[Given] = field(default_factory=list)

    def situation(self) -> Situation:
        """The run so far."""
        blank = self.play.player.blank
        return blank.at(self.play.config, self.play.device_count, (*self.play.steps, *self.beside))

    def step(self, given_: Given, result: StepResult) -> Step:
        """The step as a property sees it."""

        def respected(kind: str) -> bool:
            return self._respected(kind, result)

        def following(device: Any, packet: Any, now: Any) -> Step:
            return self._following(given_, device, packet, now)

        return step_of(self.trying.ground.header, self.situation(), given_, result, respected, following)

    def _respected(self, kind: str, result: StepResult) -> bool:
        """Besides what everyone can see: two runs that differ in what nobody initialised must not differ in anything
        else, and what is read before a packet shows when a guard page is there."""
        count = self.play.device_count
        if kind in broken_kinds(result, count):
            return False
        if result.ending != RETURNED or kind not in ("initialised", "memory"):
            return True
        choices = OTHER_MEMORY if kind == "initialised" else GUARD_BEFORE
        other = self.play.otherwise(choices)
        if kind == "memory":
            fine = "memory" not in broken_kinds(other[-1], count)
        else:
            pair = [(result,), other[-1:]]
            fine = not difference(self.situation(), pair, [self.play.choices.filler, choices.filler])
        if not fine:
            self.others = choices
        return fine

    def _following(self, before: Given, device: Any, packet: Any, now: Any) -> Step:
        count = self.play.device_count
        if device is ...:
            device = self.data.draw(st.integers(0, count - 1))
        if packet is ...:
            _, content = frame_of(self.data.draw(self.trying.strategy.filter(_is_packet)), self.scene)
        else:
            assert isinstance(packet, Packet)
            content = packet.content()
        if now is ...:
            now = self.scene.time(self.data.draw(st.integers(0, LARGE)))
        if not 0 <= device < count or not before.now <= now <= TIME_MAX:
            raise Discarded
        step = Given(device=int(device), packet=content, now=int(now))
        self.beside.append(step)
        results = self.play.aside(self.beside)
        if len(results) < len(self.beside):
            raise Beyond(results[-1].detail if results else "the NF did not come back")
        return self.step(step, results[-1])


def _is_packet(plan: Plan) -> bool:
    return plan.made != CALLED

