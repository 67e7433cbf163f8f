"""The fuzz reading put together: build, play, and tell what was found. Imports neither a solver nor a lifter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_vigor import build
from pytest_vigor.binary import Binary, load
from pytest_vigor.contract import Contracts, collect, module_at
from pytest_vigor.counterexample import Counterexample, Obligation, Reach
from pytest_vigor.errors import CaptureError
from pytest_vigor.free_fields import free_fields
from pytest_vigor.fuzz import arguments
from pytest_vigor.fuzz.configurations import find
from pytest_vigor.fuzz.examples import Failing, Ground, Tally, try_out
from pytest_vigor.fuzz.play import Player
from pytest_vigor.fuzz.words import names, operands, words
from pytest_vigor.headers import Header, read_header
from pytest_vigor.network_function import NetworkFunction
from pytest_vigor.plain import broken_kinds, plain_step
from pytest_vigor.property.asserts import FAILURES
from pytest_vigor.property.steps import Beyond, Discarded, Step
from pytest_vigor.replay import MEMORY_BYTES, image_of, replay, situation
from pytest_vigor.trace import (
    BROKEN,
    MISMATCH,
    PROCESS,
    REFUSED,
    RETURNED,
    Run,
    Situation,
    Step as Given,
    StepResult,
)
from pytest_vigor.verdict import Fuzzed, Refuted, Replayed, Unknown

NATIVE_CPU_SECONDS = 2.0


@dataclass(slots=True)
class Tried:
    """An NF ready to be tried."""

    nf: NetworkFunction
    binary: Binary
    header: Header
    player: Player
    _ground: Ground | None = None

    @property
    def ground(self) -> Ground:
        """With configurations that it accepts, which takes a second: a replay brings its own."""
        if self._ground is None:
            found = find(self.player, self.header)
            code = b"".join(each.data for each in self.binary.segments if each.executable)
            numbers = (*self.header.constants.values(), *operands(code))
            accepted = arguments.find(self.player, self.header, found, numbers)
            self._ground = Ground(self.player, self.header, found, accepted, numbers)
        return self._ground


@dataclass(slots=True)
class Trials:
    """One session's work. ``seed`` decides which examples are tried, None leaves that to Hypothesis."""

    seed: int | None = None
    contract_modules: Sequence[Any] = ()
    tried: dict[NetworkFunction, Tried] = field(default_factory=dict)
    _contracts: Contracts | None = None

    @property
    def contracts(self) -> Contracts:
        """libVig's contracts and those that plugins brought."""
        if self._contracts is None:
            modules = [module_at(path) for path in build.contract_files()]
            self._contracts = collect([*modules, *self.contract_modules])
        return self._contracts

    def ready(self, nf: NetworkFunction) -> Tried:
        """The NF, not running yet."""
        found = self.tried.get(nf)
        if found is None:
            binary, libvig = load(nf.binary), build.build_libvig()
            files = [*build.contract_files(), *(Path(str(module.__file__)) for module in self.contract_modules)]
            header = read_header(nf.header, [build.libvig_root()])
            blank = situation(binary, header, libvig, files, b"", 0, ())
            player = Player(image_of(binary), blank, MEMORY_BYTES)
            found = self.tried[nf] = Tried(nf, binary, header, player)
        return found

    def verdict(
        self, nf: NetworkFunction, function: Callable[[Step], Any], origin: Callable[..., Any], claim: str,
        identity: str, examples: int | None = None,
    ) -> tuple[Fuzzed | Refuted | Unknown, Tally]:  # fmt: skip
        """What trying a property came to, and what was tried. ``origin`` is the function that the user wrote,
        ``identity`` its name in Hypothesis's database. With a number of ``examples``, always the same are tried."""
        tried = self.ready(nf)
        ground = tried.ground
        if not ground.configurations.accepted:
            return Fuzzed(0, 0), Tally()
        ground = replace(ground, words=words([origin], ground.words), names=names(origin))
        tally = try_out(ground, function, identity, self.seed, examples)
        if tally.unfit:
            return Unknown(tally.unfit, "report this: a contract, or libVig, is wrong"), tally
        if tally.failing is None:
            return Fuzzed(tally.examples, tally.reached), tally
        failing = _without_needless_steps(tried, function, tally.failing)
        run = replay(failing.situation, NATIVE_CPU_SECONDS)
        shown = counterexample(
            tried.header, failing.situation, run, failing.number, function, self.contracts, tried.nf.binary
        )
        if failing.others is None:
            shown = replace(shown, any_fields=self._free_fields(tried, function, failing))
        return Refuted(claim, shown), tally

    def _free_fields(self, tried: Tried, function: Callable[[Step], Any], failing: Failing) -> tuple[str, ...]:
        """The header fields of the packet that may have other values, together: the property fails all the same."""
        given, number = failing.situation, failing.number
        if number >= len(given.steps) or given.steps[number].entry != PROCESS:
            return ()

        def still_fails(packet: bytes) -> bool:
            return _still_fails(tried, function, failing, packet)

        return free_fields(given.steps[number].packet, still_fails)

    def reached(
        self, nf: NetworkFunction, function: Callable[[Step], Any], origin: Callable[..., Any], claim: str,
        identity: str, verdict: Refuted, examples: int,
    ) -> Refuted:  # fmt: skip
        """The refutation from a state that only fits the invariants, by packets that lead from the start to one like
        it, if such are found among some examples."""
        found, _ = self.verdict(nf, function, origin, claim, identity, examples)
        example = verdict.counterexample
        if isinstance(found, Refuted) and found.counterexample.confirmed:
            # The way through the C code is the path's that was found symbolically.
            return Refuted(claim, replace(found.counterexample, lines=example.lines))
        return Refuted(claim, replace(example, reach=Reach.NOT_FOUND))

    def replayed(
        self, nf: NetworkFunction, function: Callable[[Step], Any], claim: str, given: Situation | Sequence[Given]
    ) -> tuple[Replayed | Refuted, bool]:
        """A saved situation, or packets from the plainest configuration, run on the NF as it is now, with the property
        as a monitor at each packet; and whether it was saved for another build of the NF."""
        tried = self.ready(nf)
        blank = tried.player.blank
        if isinstance(given, Situation):
            now = replace(given, binary=blank.binary, libvig=blank.libvig, contracts=blank.contracts,
                          binary_digest=blank.binary_digest)  # fmt: skip
        else:
            now = blank.at(*self._plainest(tried, given), tuple(given))
        rebuilt = isinstance(given, Situation) and given.binary_digest != now.binary_digest
        run = replay(now, NATIVE_CPU_SECONDS)
        for number in range(max(1, len(run.steps))):
            is_packet = number < len(run.steps) and now.steps[number].entry == PROCESS
            if is_packet or run.ending not in (RETURNED, REFUSED):
                shown = counterexample(tried.header, now, run, number, function, self.contracts, nf.binary)
                if shown.message:
                    reach = Reach.FOUND if now.state is None else Reach.UNKNOWN
                    return Refuted(claim, replace(shown, reach=reach)), rebuilt
        return Replayed(len(run.steps)), rebuilt

    def _plainest(self, tried: Tried, steps: Sequence[Given]) -> tuple[bytes, int]:
        least = max(step.device for step in steps) + 1
        found = tried.ground.configurations
        for choice in range(len(found.tried[-1]) if found.accepted else 0):
            config, device_count = found.chosen([*[0] * (found.width - 1), choice * 16])
            if device_count >= least:
                return config, device_count
        raise CaptureError(
            f"the packets came on {least} devices, for which {tried.nf.name} was not found to accept a configuration",
            "replay a trace.json, which has its configuration with it",
        )

    def close(self) -> None:
        """Ends all processes."""
        for tried in self.tried.values():
            tried.player.stop()


def _without_needless_steps(tried: Tried, function: Callable[[Step], Any], failing: Failing) -> Failing:
    """The failing run without the steps before that make no difference: Hypothesis's time may have run out."""
    if failing.others is not None:  # it takes more than one run to see it
        return failing
    for number in reversed(range(failing.number)):
        given = failing.situation
        fewer = replace(given, steps=(*given.steps[:number], *given.steps[number + 1 :]))
        if _fails_at(tried, function, fewer, failing.number - 1):
            failing = replace(failing, situation=fewer, number=failing.number - 1)
    return failing


def _still_fails(tried: Tried, function: Callable[[Step], Any], failing: Failing, packet: bytes) -> bool:
    steps = list(failing.situation.steps)
    steps[failing.number] = replace(steps[failing.number], packet=packet)
    return _fails_at(tried, function, replace(failing.situation, steps=tuple(steps)), failing.number)


def _fails_at(tried: Tried, function: Callable[[Step], Any], given: Situation, number: int) -> bool:
    """Whether a property fails at a step of a run."""
    play = tried.player.play(given.config, given.device_count)
    for step in given.steps:
        if play.take(step).ending != RETURNED:
            break
    init, *steps = play.results()
    return number < len(steps) and bool(fails(tried.header, given, Run(init, tuple(steps)), number, function)[0])


def counterexample(
    header: Header, given: Situation, run: Run, number: int, function: Callable[[Step], Any], contracts: Contracts,
    binary: Path,
) -> Counterexample:  # fmt: skip
    """A native run from the initial state as a counterexample to a property, at the step with that number."""
    from pytest_vigor import evidence
    from pytest_vigor.lines import Lines

    message, error, kind = fails(header, given, run, number, function)
    result = run.steps[number] if number < len(run.steps) else run.last
    lines = Lines(binary)
    fault = evidence.fault(lines, run)
    return Counterexample(
        header, given, run, message,
        confirmed=bool(message) and run.ending not in (REFUSED, MISMATCH, BROKEN),
        entry=result.entry,
        obligation=Obligation(kind, _owed(kind, result, given.device_count), fault) if kind else None,
        location=evidence.failed_assert(error),
        fault=fault,
        signatures=evidence.signatures(contracts, run),
        number=number,
        reach=Reach.FOUND,
    )  # fmt: skip


def fails(
    header: Header, given: Situation, run: Run, number: int, function: Callable[[Step], Any]
) -> tuple[str, BaseException | None, str]:
    """How a property fails at a step of a native run: its words, what it raised, and which obligation it is about.
    All empty where it does not fail."""
    asked: list[str] = []
    if number >= len(run.steps):  # it is nf_init that went wrong
        return _obligation(run.init, given.device_count)
    step = plain_step(header, given, run, number, asked)
    try:
        function(step)
    except Discarded:
        return "", None, ""
    except Beyond:
        return _obligation(run.last, given.device_count)
    except AssertionError as error:
        return str(error) or "assertion failed", error, asked[-1] if asked else ""
    except FAILURES as error:
        return f"{type(error).__name__}: {error}", error, ""
    return "", None, ""


def _obligation(result: StepResult, device_count: int) -> tuple[str, BaseException | None, str]:
    if result.ending in (RETURNED, REFUSED):
        return "", None, ""
    kinds = sorted(broken_kinds(result, device_count), key=_ORDER.index)
    return result.detail or result.ending, None, kinds[0] if kinds else ""


_ORDER = ("jump", "memory", "division", "crash", "contract", "termination", "result", "initialised")


def _owed(kind: str, result: StepResult, device_count: int) -> str:
    """An obligation of this kind, in words, as it was broken."""
    match kind:
        case "result":
            return f"nf_process returns a device (0 to {device_count - 1}), NF_DROP or NF_FLOOD"
        case "initialised":
            return "what it does"
        case "crash" if result.fault is not None:
            return f"that no {result.fault.signal} stops it"
    return (result.detail or result.ending).splitlines()[0]

