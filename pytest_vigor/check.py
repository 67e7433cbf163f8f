"""Putting it together: build, explore or remember, believe, judge, and confirm natively. The only composer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any

from pytest_vigor import behaviour as b, build, term as t
from pytest_vigor.binary import Binary, load
from pytest_vigor.contract import Contracts, Scalar, collect, module_at
from pytest_vigor.counterexample import Counterexample, Reach
from pytest_vigor.dependence import Dependence
from pytest_vigor.errors import VigorError
from pytest_vigor.footprint import Lavish
from pytest_vigor.free_fields import free_in
from pytest_vigor.headers import Header, header_digest, read_header
from pytest_vigor.instance import Owed
from pytest_vigor.invariant import Prover, candidates
from pytest_vigor.judge import judge
from pytest_vigor.layout import IMAGE_BASE
from pytest_vigor.minimise import concretise, same_choices
from pytest_vigor.network_function import NetworkFunction
from pytest_vigor.obligations import obligations
from pytest_vigor.plain import broken, plain_step
from pytest_vigor.property.asserts import FAILURES
from pytest_vigor.property.steps import Beyond, Discarded, Step
from pytest_vigor.reach import led
from pytest_vigor.render.states import is_initial
from pytest_vigor.replay import image_of, replay, situation
from pytest_vigor.smt import Solver, Statistics, bound_memory, interruptible
from pytest_vigor.store import Store
from pytest_vigor.subject import Duty, Model, Subject
from pytest_vigor.symbols import struct_bits
from pytest_vigor.trace import BROKEN, HUNG, MISMATCH, PROCESS, REFUSED, Call, Run, Situation, Step as Given
from pytest_vigor.verdict import Proved, Refuted, Unknown, Verdict
from pytest_vigor.work import Exhausted, Work

ATTEMPTS = 4
NATIVE_CPU_SECONDS = 2.0


class Unwanted(Exception):
    """There is another verdict, and nobody wants to know which."""


@dataclass(slots=True)
class Explored:
    """An NF ready to be judged, with what it took. ``given_up`` is why it is not."""

    nf: NetworkFunction
    binary: Binary
    subject: Subject
    terms: t.Apart
    cached: bool
    seconds: float
    given_up: Unknown | None = None
    told: bool = False  #: whether a report has it already
    lines: Any = None

    def source_lines(self) -> Any:
        """The C source lines of the binary, read when they are first wanted."""
        if self.lines is None:
            from pytest_vigor.lines import Lines

            self.lines = Lines(self.nf.binary)
        return self.lines


@dataclass(slots=True)
class Checker:
    """One session's work."""

    store: Store
    cpu_seconds: float = 300.0
    work: Work = field(default_factory=Work)
    contract_modules: Sequence[Any] = ()
    only_proofs: bool = False  #: whether no other verdict is wanted
    idle: Callable[[], int] = lambda: 0  #: how many other processors have nothing to do
    explored: dict[NetworkFunction, Explored] = field(default_factory=dict)
    _contracts: tuple[Contracts, str] | None = None
    _binaries: dict[NetworkFunction, tuple[Binary, str]] = field(default_factory=dict)
    _lavish: Lavish = field(init=False)
    _session: str = field(default_factory=lambda: token_hex(8))  #: which processes that it has begun share

    def __post_init__(self) -> None:
        bound_memory(self.work.memory_mib)
        interruptible()
        self._lavish = Lavish()

    def close(self) -> None:
        """Leaves the process as it was found, but for what z3 may take."""
        self._lavish.close()

    @property
    def contracts(self) -> Contracts:
        """libVig's contracts and those that plugins brought."""
        return self._declared()[0]

    def _declared(self) -> tuple[Contracts, str]:
        """The contracts, and a digest of all that they say."""
        if self._contracts is None:
            modules = [*map(module_at, build.contract_files()), *self.contract_modules]
            self._contracts = collect(modules), Dependence().of_modules(modules)
        return self._contracts

    @property
    def _contract_files(self) -> list[Path]:
        return [*build.contract_files(), *(Path(str(module.__file__)) for module in self.contract_modules)]

    def identified(self, nf: NetworkFunction) -> tuple[Binary, str]:
        """The NF's binary, and a digest of all that its Behaviour depends on."""
        if nf not in self._binaries:
            binary = load(nf.binary)
            header = header_digest(nf.header, [build.libvig_root()])
            self._binaries[nf] = binary, self.store.key(binary.digest, header, self._declared()[1])
        return self._binaries[nf]

    # ---- exploring

    def explore(self, nf: NetworkFunction) -> Explored:
        """The NF's Behaviour and what holds between its steps: from the cache, or found out now."""
        known = self.explored.get(nf)
        terms = t.keep_apart(None if known is None else known.terms)
        if known is not None:
            return known
        started = perf_counter()
        binary, key = self.identified(nf)
        given_up = None
        with self.store.lock(key):
            subject, cached = self._remember(nf, key)
            if subject is None:
                subject, given_up = self._explore(nf, binary, key)
        self.work.end()
        out = Explored(nf, binary, subject, terms, cached, perf_counter() - started, given_up)
        for duty in subject.duties:
            self._look_for_hang(out, duty)
        self.explored[nf] = out
        return out

    def _idle(self) -> int:
        return 0 if self.only_proofs else self.idle()  # the others are busy with what is only for them

    def _solver(self) -> Solver:
        return Solver(statistics=Statistics(work=self.work))

    def _remember(self, nf: NetworkFunction, key: str) -> tuple[Subject | None, bool]:
        """What is kept of an NF, and whether another session has found it out."""
        kept = self.store.get(key)
        if kept is None:
            return None, False
        try:
            subject = self._subject(kept["behaviour"], Header.from_json(kept["header"]), kept["invariants"])
            if not kept["discharged"]:
                self.work.begin(f"obligations of {nf.name}", cpu_seconds=self.cpu_seconds)
                subject.duties = obligations(subject)
        except (KeyError, TypeError, ValueError, IndexError, VigorError, Exhausted):
            return None, False  # damaged, or of another version: explored anew
        return subject, kept.get("session") != self._session

    def _subject(self, dumped: Any, header: Header, invariants: Sequence[str]) -> Subject:
        """What is believed of an NF, from its Behaviour as it is kept; its obligations are not looked at."""
        behaviour = b.load(dumped)
        subject = Subject(behaviour, header, self.contracts, [], self._solver(), idle=self._idle)
        subject.prepare()
        known = {each.text: each for guess in candidates(behaviour, header) for each in guess.variants()}
        subject.invariants = [known[text] for text in invariants]
        return subject

    def _explore(self, nf: NetworkFunction, binary: Binary, key: str) -> tuple[Subject, Unknown | None]:
        from pytest_vigor.explore.explorer import explore

        header = read_header(nf.header, [build.libvig_root()])
        self.work.begin(f"exploring {nf.name}", cpu_seconds=self.cpu_seconds)
        behaviour = explore(binary, header, self.contracts, self.work)
        subject = Subject(behaviour, header, self.contracts, [], self._solver(), idle=self._idle)
        subject.prepare()
        unfinished = any(path.kind == "budget" for paths in behaviour.paths.values() for path in paths)
        self.work.begin(f"what holds between steps of {nf.name}", cpu_seconds=self.cpu_seconds, unit="rounds")
        try:
            prover = Prover(behaviour, self.contracts, subject.accepted, subject.solver, self._idle)
            subject.invariants = prover.invariants(candidates(behaviour, header))
            self.work.go_on(f"obligations of {nf.name}", of=sum(map(len, behaviour.paths.values())))
            subject.duties = obligations(subject)
        except Exhausted as budget:
            return subject, Unknown(f"the budget of {budget} ran out on {self.work}", budget.remedy)
        if unfinished:
            return subject, None  # with a larger budget it may come out otherwise
        self.store.put(
            key,
            {
                "behaviour": b.dump(behaviour),
                "header": header.to_json(),
                "invariants": [each.text for each in subject.invariants],
                "discharged": not subject.duties,
                "session": self._session,
            },
        )
        return subject, None

    def _look_for_hang(self, explored: Explored, duty: Duty) -> None:
        """A loop that exploring gave up on is endless if the native binary hangs in it too."""
        if duty.kind != "stuck:termination" or duty.model is None:
            return
        attempt = self._native(explored, duty.model, [])
        last = duty.model.steps[0].path.last
        if attempt is not None and attempt[1].ending == HUNG and last is not None:
            duty.kind = "termination"
            duty.model.broken = Owed(False, duty.kind, duty.detail, duty.where, last)

    # ---- judging

    def verdict(
        self, nf: NetworkFunction, function: Callable[[Step], Any], claim: str, name: str = "a property",
        looked: set[int] | None = None, reach: bool = False,
    ) -> Verdict:  # fmt: skip
        """The verdict on a property; a refutation comes with a :class:`Counterexample`. ``looked`` gets the places of
        those paths of nf_process that the property's assumptions do not leave out. With ``reach``, steps from the
        start that lead to a refutation are looked for."""
        explored = self.explore(nf)
        if explored.given_up is not None:
            return explored.given_up
        self.work.begin(f"judging {name} of {nf.name}", cpu_seconds=self.cpu_seconds)
        verdict = judge(explored.subject, function, claim, looked)
        if self.only_proofs and not isinstance(verdict, Proved):
            raise Unwanted
        if isinstance(verdict, Refuted):
            explored, verdict = self._as_if_alone(explored, function, verdict)
        self.work.end()
        if isinstance(verdict, Unknown):
            return self._located(explored, verdict)
        if not isinstance(verdict, Refuted):
            return verdict
        shown = self._confirm(explored, verdict.counterexample, function)
        if not isinstance(shown, Counterexample):
            return shown
        if reach and shown.confirmed and shown.run.steps and not is_initial(shown):
            shown = self._led(explored, verdict.counterexample, function) or shown
        if shown.confirmed and verdict.counterexample.broken is None:
            shown = replace(shown, any_fields=self._free_fields(explored, verdict.counterexample, function, shown))
        unset = next((duty for duty in explored.subject.duties if duty.kind == "initialised"), None)
        if shown.confirmed or unset is None or verdict.counterexample.broken is not None:
            return Refuted(claim, shown)
        return self._located(explored, Unknown(
            f"it is refuted only by what uninitialised memory would have to hold: {unset.detail}",
            "see what properties/test_every_nf.py says of this NF", unset.where,
        ))  # fmt: skip

    def _as_if_alone(
        self, explored: Explored, function: Callable[[Step], Any], verdict: Refuted
    ) -> tuple[Explored, Refuted]:
        """The refutation that is found where nothing was asked before: which one a solver finds depends on its past,
        and people are to see the same each time."""
        believed = explored.subject
        texts, kept = [each.text for each in believed.invariants], b.dump(believed.behaviour)
        terms = t.keep_apart()
        alone = self._subject(kept, believed.header, texts)
        try:
            alone.duties = obligations(alone) if believed.duties else []
        except Exhausted:
            return explored, verdict
        again = replace(explored, subject=alone, terms=terms)
        for duty in alone.duties:
            self._look_for_hang(again, duty)
        found = judge(alone, function, verdict.claim)
        return (again, found) if isinstance(found, Refuted) else (explored, verdict)

    def _located(self, explored: Explored, verdict: Unknown) -> Unknown:
        """The verdict, with the C source line that it is about."""
        line = explored.source_lines().at(verdict.where) if verdict.where else None
        if line is None:
            where = f" (at {verdict.where - IMAGE_BASE:#x} in the binary)" if verdict.where else ""
        else:
            where = f" ({Path(line.file).name}:{line.line})"
        return replace(verdict, reason=verdict.reason + where)

    def _native(self, explored: Explored, model: Model, pinned: list[Any]) -> tuple[Situation, Run] | None:
        found = concretise(explored.subject, model, pinned)
        if found is None:
            return None
        if found.argument is not None or found.entry not in ("nf_process", "nf_init"):
            steps: tuple[Given, ...] = (Given(found.entry, argument=found.argument),)
        else:
            steps = tuple(Given(device=device, packet=packet, now=now) for device, packet, now in found.steps)
        given = situation(
            explored.binary, explored.subject.header, build.build_libvig(), self._contract_files, found.config,
            found.device_count, steps, found.state, found.scalars,
        )  # fmt: skip
        return given, replay(given, NATIVE_CPU_SECONDS)

    def _confirm(
        self, explored: Explored, model: Model, function: Callable[[Step], Any]
    ) -> Counterexample | Unknown:
        pinned: list[Any] = []
        shown: Counterexample | None = None
        for _ in range(ATTEMPTS):
            attempt = self._native(explored, model, pinned)
            if attempt is None:
                break
            given, run = attempt
            message, error = self._fails(explored, model, function, given, run)
            shown = self._shown(explored, model, given, run, message, error)
            if message or model.broken is not None or not run.steps:
                return shown
            choices = same_choices(model, [[self._returned(call) for call in step.calls] for step in run.steps])
            if not choices or all(any(c is p for p in pinned) for c in choices):
                return shown
            pinned.extend(choices)
        if shown is None:
            return Unknown("a refutation was found, but no state could be made of it", "report this")
        if pinned:
            return Unknown(
                "a refutation was found only where libVig would choose otherwise than it does",
                "claim only what holds whichever index is chosen, or report this",
            )
        return shown

    def _led(
        self, explored: Explored, model: Model, function: Callable[[Step], Any]
    ) -> Counterexample | None:
        """The refutation with all steps from the start, if some are found with which the binary shows it."""
        subject = explored.subject
        arguments = {each.name: each.argument for each in subject.header.entries}
        for each in led(subject, model):
            found = concretise(subject, each)
            if found is None:
                continue
            steps = []
            for number, (device, packet, now) in enumerate(found.steps):
                entry = each.entries[number] if number < len(each.entries) else PROCESS
                if entry == PROCESS:
                    steps.append(Given(device=device, packet=packet, now=now))
                    continue
                declared, content = arguments[entry], None
                if declared is not None:
                    bits = int(found.answer.value(struct_bits(declared, f"{each.steps[number].tag}argument")))
                    content = bits.to_bytes(declared.size_bytes, "little")
                steps.append(Given(entry, argument=content))
            given = situation(
                explored.binary, subject.header, build.build_libvig(), self._contract_files, found.config,
                found.device_count, steps,
            )  # fmt: skip
            run, number = replay(given, NATIVE_CPU_SECONDS), len(each.entries)
            if number >= len(run.steps):
                continue
            message, error = self._fails(explored, each, function, given, run, number)
            if message:
                shown = self._shown(explored, model, given, run, message, error)
                return replace(shown, number=number, reach=Reach.FOUND)
        return None

    def _returned(self, call: Call) -> dict[str, int]:
        """The numbers that a native call returned: what its contract may have left it to choose."""
        contract = self.contracts.get(call.function)
        if contract is None or not isinstance(contract.returns, Scalar) or not isinstance(call.result, int):
            return dict(call.outs)
        return {**call.outs, "result": call.result}

    def _fails(
        self, explored: Explored, model: Model, function: Callable[[Step], Any], given: Situation, run: Run,
        number: int = 0,
    ) -> tuple[str, BaseException | None]:  # fmt: skip
        """How the native run breaks the claim at the step with that number; empty if it does not."""
        if model.broken is not None:
            results = run.steps or (run.init,)
            return next((how for each in results if (how := broken(each, run, given.device_count))), ""), None
        if not run.steps:
            return "", None
        try:
            function(plain_step(explored.subject.header, given, run, number))
        except FAILURES as error:
            if isinstance(error, AssertionError):
                return str(error) or "assertion failed", error
            return f"{type(error).__name__}: {error}", error
        except (Discarded, Beyond):
            return "", None
        return "", None

    def _free_fields(
        self, explored: Explored, model: Model, function: Callable[[Step], Any], shown: Counterexample
    ) -> tuple[str, ...]:
        """What of the packet does not matter to the claim."""

        def fails(given: Situation, run: Run) -> bool:
            return bool(self._fails(explored, model, function, given, run, shown.number)[0])

        return free_in(shown.situation, image_of(explored.binary), NATIVE_CPU_SECONDS, fails, shown.number)

    def _shown(
        self, explored: Explored, model: Model, given: Situation, run: Run, message: str, error: BaseException | None
    ) -> Counterexample:
        from pytest_vigor import evidence
        from pytest_vigor.explore.lift import Lifter
        from pytest_vigor.explore.vex_unmodelled import Unmodelled

        lines, lifter = explored.source_lines(), Lifter(explored.binary.code)

        def block_bytes(address: int) -> int:
            try:
                return lifter.block(address).size_bytes
            except Unmodelled:
                return 1

        return Counterexample(
            explored.subject.header, given, run, message,
            confirmed=bool(message) and run.ending not in (REFUSED, MISMATCH, BROKEN),
            entry=model.entry,
            obligation=evidence.obligation(lines, model, block_bytes),
            location=evidence.failed_assert(error),
            lines=evidence.passed(lines, model, block_bytes),
            fault=evidence.fault(lines, run),
            signatures=evidence.signatures(self.contracts, run),
        )  # fmt: skip


__all__ = ["Checker", "NetworkFunction", "Proved"]
