"""Playing an NF natively: step after step, each at most once for all that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_vigor.native.client import Choices, Image, Native, Session
from pytest_vigor.trace import RETURNED, Situation, Step, StepResult

CPU_SECONDS = 0.15
WATCH_UP_TO = 256
REMEMBERED = 50_000
USUAL = Choices(0xA5, watch_up_to=WATCH_UP_TO)
OTHER_MEMORY = Choices(0x00, watch_up_to=WATCH_UP_TO)
GUARD_BEFORE = Choices(0xA5, guard_after=False)

Key = tuple[Choices, bytes, int, tuple[Step, ...]]


@dataclass(slots=True)
class Lane:
    """A native process for runs of the same choices, and where its session is."""

    native: Native
    session: Session | None = None
    at: Key | None = None

    def is_behind(self, key: Key) -> bool:
        """Whether the session can go on to these steps."""
        at, session = self.at, self.session
        return (
            session is not None and session.open and at is not None
            and at[:3] == key[:3] and at[3] == key[3][: len(at[3])]
        )  # fmt: skip

    def stop(self) -> None:
        """Ends the session, if there is one."""
        if self.session is not None:
            self.session.close()
        self.session = self.at = None


@dataclass(slots=True)
class Player:
    """One NF, played natively. The same steps from the same configuration have the same results, so those are
    remembered: other properties get to see mostly the same examples."""

    image: Image
    blank: Situation  #: of this NF, without configuration and steps
    memory_bytes: int
    remembered: dict[Key, StepResult] = field(default_factory=dict)
    lanes: dict[Choices, Lane] = field(default_factory=dict)

    def start(self) -> None:
        """Starts the process that is needed in any case, without waiting for it."""
        self._lane(USUAL).native.start()

    def play(self, config: bytes, device_count: int, choices: Choices = USUAL) -> Play:
        """A run from the state that nf_init leaves."""
        return Play(self, choices, config, device_count)

    def result(self, key: Key) -> StepResult:
        """What the last step of these does; with no steps, what nf_init does."""
        found = self.remembered.get(key)
        if found is None:
            self._go(key)
            found = self.remembered[key]
        return found

    def aside(self, key: Key, steps: Sequence[Step]) -> tuple[StepResult, ...]:
        """What steps do after others, without going on from there."""
        keys = [(*key[:3], (*key[3], *steps[: number + 1])) for number in range(len(steps))]
        found = [self.remembered[each] for each in keys if each in self.remembered]
        if len(found) == len(steps) or (found and found[-1].ending != RETURNED):
            return tuple(found)
        lane = self._go(key)
        assert lane.session is not None
        results = lane.session.aside(steps)
        self.remembered |= dict(zip(keys, results, strict=False))
        return results

    def stop(self) -> None:
        """Ends all processes."""
        for lane in self.lanes.values():
            lane.native.stop()
        self.lanes.clear()

    def _lane(self, choices: Choices) -> Lane:
        return self.lanes.setdefault(choices, Lane(Native(self.memory_bytes)))

    def _go(self, key: Key) -> Lane:
        choices, config, device_count, steps = key
        lane = self._lane(choices)
        if len(self.remembered) > REMEMBERED:
            self.remembered.clear()
        if not lane.is_behind(key):
            lane.stop()
            situation = self.blank.at(config, device_count, ())
            lane.session = Session.begin(lane.native, situation, self.image, choices, CPU_SECONDS)
            lane.at = (choices, config, device_count, ())
            self.remembered[lane.at] = lane.session.taken[-1]
        assert lane.session is not None and lane.at is not None
        for step in steps[len(lane.at[3]) :]:
            if not lane.session.open:
                break
            result = lane.session.step(step)
            lane.at = (choices, config, device_count, (*lane.at[3], step))
            self.remembered[lane.at] = result
        return lane


@dataclass(slots=True)
class Play:
    """A run that goes on step by step."""

    player: Player
    choices: Choices
    config: bytes
    device_count: int
    steps: tuple[Step, ...] = ()

    @property
    def key(self) -> Key:
        """What the run is remembered under."""
        return (self.choices, self.config, self.device_count, self.steps)

    @property
    def init(self) -> StepResult:
        """What nf_init did."""
        return self.player.result((self.choices, self.config, self.device_count, ()))

    def take(self, step: Step) -> StepResult:
        """Takes a step."""
        self.steps = (*self.steps, step)
        return self.player.result(self.key)

    def aside(self, steps: Sequence[Step]) -> tuple[StepResult, ...]:
        """What further steps would do, without taking them."""
        return self.player.aside(self.key, steps)

    def otherwise(self, choices: Choices) -> tuple[StepResult, ...]:
        """What nf_init and all steps so far do with other choices, up to where it ends."""
        out = []
        for count in range(len(self.steps) + 1):
            key = (choices, self.config, self.device_count, self.steps[:count])
            out.append(self.player.result(key))
            if out[-1].ending != RETURNED:
                break
        return tuple(out)

    def results(self) -> tuple[StepResult, ...]:
        """What nf_init and all steps so far did."""
        return self.otherwise(self.choices)
