"""Judging a property over a Behaviour: the only place where ``Proved`` is made.

For each path of ``nf_process``, the property function is run on symbols. Where it branches, the solver says which ways
are possible and the function is run again for each. An assert that can fail is a refutation, with a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.ahead import Shared
from pytest_vigor.assumption import cited
from pytest_vigor.behaviour import Path
from pytest_vigor.equalities import Settled, same_arguments, uncut
from pytest_vigor.errors import VigorError
from pytest_vigor.frame import Frame
from pytest_vigor.instance import (
    Held,
    Inputs,
    Instance,
    Owed,
    input_conditions,
    instantiate,
)
from pytest_vigor.number import fit, number
from pytest_vigor.property.asserts import FAILURES, Noted, place_in_property, watch_asserts
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import FLOOD, Beyond, Discarded, Sent, State, Step
from pytest_vigor.record import fitted
from pytest_vigor.smt import Answer, Sat, Unsat, Unsure
from pytest_vigor.subject import Duty, Model, Prepared, Subject
from pytest_vigor.surroundings import files_opened
from pytest_vigor.symbols import config_record, view
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import TEXT
from pytest_vigor.verdict import Proved, Refuted, Unknown, Vacuous, Verdict
from pytest_vigor.watch import unwatched
from pytest_vigor.witness import Arrival, Arrivals
from pytest_vigor.work import Exhausted

DECISION_LIMIT = 2_000
STRAYS = 16  #: runs on a path that ask something else than what they were put off with
DOUBTS = 4  #: that a run goes on with before the solver has to look closer
LOOKED, REACHED = 1, 2
SUMS = 4  #: in a value that the solver had better not look into
PROBE = Path(None, "probe")  #: before anything has happened


@dataclass(slots=True)
class _Failure:
    """What a claim raised on a run, with a model of it."""

    error: BaseException
    model: Model


Decision: TypeAlias = "tuple[Bool | str, Any]"  #: what was asked, and the answer


class SymbolicRun:
    """One run of a property on one path, with its first decisions given."""

    def __init__(self, judge: Judging, prefix: list[Decision]) -> None:
        self.judge, self._prefix = judge, prefix
        self.decisions: list[Decision] = []
        self.conditions: list[Bool] = []
        self.is_over = False
        self.unanswered = ""  #: what something symbolic was asked for that it cannot tell

    @unwatched
    def decide(self, condition: Bool) -> bool:
        if isinstance(condition, bool):
            return condition
        self._must_go_on()
        judge = self.judge
        judge.subject.work.check()
        answer: bool | None = self._given(condition)
        if answer is None:
            decided = judge.decided(condition)
            answer = judge.branch(condition, self.decisions) if decided is None else decided
        self.decisions.append((condition, answer))
        self.suppose(condition if answer else t.lnot(condition))
        return answer

    def _must_go_on(self) -> None:
        if self.is_over:
            raise self.judge.end("asks about a value of an earlier run")

    def _given(self, question: Bool | str) -> Any:
        """The answer that this run was given; None where all are open. They are from there on where something else is
        asked than when the run was put off: less may be known now, and the property may remember something."""
        place = len(self.decisions)
        if place < len(self._prefix):
            asked, answer = self._prefix[place]
            if asked is question or (isinstance(asked, str) and asked == question):
                return answer
            self._prefix = self._prefix[:place]
            self.judge.stray()
        return None

    def suppose(self, condition: Bool) -> None:
        """Adds a condition to the run."""
        self.conditions.append(condition)
        self.judge.add(condition)

    @unwatched
    def assume(self, condition: Bool) -> None:
        if isinstance(condition, bool):
            if not condition:
                raise Discarded
            return
        self._must_go_on()
        decided = self.judge.decided(condition)
        if decided is False:
            raise Discarded
        if decided is None:  # whether it is possible is asked when something depends on that
            self.suppose(condition)

    def pick(self, count: int) -> int:
        """One of several, the others later."""
        question = f"one of {count}"
        chosen: int | None = self._given(question)
        if chosen is None:
            chosen = 0
            for other in range(count - 1, 0, -1):
                self.judge.later([*self.decisions, (question, other)])
        self.decisions.append((question, chosen))
        return chosen


class Judging:
    """One property on one path. The solver is told nothing before it has to be asked."""

    def __init__(
        self, subject: Subject, path: Path, prepared: Prepared, function: Callable[[Step], Any], arrivals: Arrivals
    ) -> None:
        self.subject, self.path, self.function, self.arrivals = subject, path, function, arrivals
        self.prepared, self.instance, self.facts = prepared, prepared.instance, prepared.facts
        self.given = prepared.given
        self.solver = prepared.solver
        self.work: list[tuple[list[Decision], Sat | None, int]] = []
        self._ended: Exception | None = None  #: why no more runs can be of use
        self._strays = 0
        self._unanswered = ""  #: what a run that found nothing wrong asked for in vain
        self.doubts = 0  #: how often this run went on though nobody knew whether it could
        self.looked = False  #: whether some run is not left out by what the property assumes
        self.broken: Duty | None = None
        self.impossible: dict[tuple[Any, ...], set[int]] = {}  #: beginnings of second steps, by the decisions before
        self._begin()

    def _begin(self) -> None:
        """Back to the start of the path."""
        self.facts.reset(self.prepared.mark)
        self.settled = self.prepared.settled.copy()
        self._model = self._latest = self.prepared.model
        self._learnt = len(self.facts.known)
        self._held: list[Bool] = []

    # ---- the solver, as a run sees it

    def add(self, condition: Bool) -> None:
        """From here on, on this run, the condition holds."""
        self._held.append(condition)
        self.settled.add(condition)
        if self._model is not None and not self._model.holds(condition):
            self._model = None

    def _learn(self) -> None:
        known = self.facts.known
        while self._learnt < len(known):
            self._learnt += 1
            self.add(known[self._learnt - 1])

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition plainly holds or fails here; raises Discarded where nothing can be so."""
        self._learn()
        decided = self.settled.decided(condition)
        if self.settled.impossible:
            raise Discarded
        return decided

    def ask(self, *conditions: Bool, exact: bool = True, hasty: bool = False) -> Answer:
        """The solver's answer to whether conditions can hold here."""
        self._learn()
        self.solver.follow([*self.prepared.base, *self._held])
        rewrite = partial(_settled_form, self.settled)
        return self.solver.check(*map(rewrite, conditions), exact=exact, hasty=hasty, rewrite=rewrite)

    def possible(self, condition: Bool = True, hasty: bool = False) -> bool:
        """Whether a condition can hold here; yes where the solver is unsure, or where it was to be quick and would have
        to look closer. Keeps the model that shows it."""
        self._learn()
        if self._model is not None and self._model.holds(condition):
            return True
        question = (*self._held, condition, hasty)
        answer = self.prepared.answers.get(question)
        if answer is None:
            answer = self.prepared.answers[question] = self.ask(condition, exact=False, hasty=hasty)
        if not isinstance(answer, Unsat):
            self._model = answer if isinstance(answer, Sat) else None
            self._latest = self._model or self._latest
            self.doubts += isinstance(answer, Unsure)
        return not isinstance(answer, Unsat)

    def _here(self) -> Arrival:
        """Where the run has come to."""
        self._learn()
        conditions, rewrite = [*self.prepared.base, *self._held], partial(_settled_form, self.settled)
        return Arrival(self.solver, conditions, self._latest, self.subject.witnesses, rewrite)

    def _enter(self, run: SymbolicRun, item: Held | Owed, impossible: set[int]) -> None:
        """Goes on along a path of a further step; raises Discarded where that is plainly impossible. Other paths that
        begin in the same way are impossible then, too. The solver is not asked: what the property says next mostly
        excludes more."""
        if self.settled.at_once(item.condition) is False:
            impossible.add(id(item.node))
            raise Discarded
        run.suppose(item.condition)

    def branch(self, condition: Bool, decisions: list[Decision]) -> bool:
        """Which way to go on; the other way later, if it is possible too."""
        decided = self._compared(condition)
        if decided is not None:
            return decided
        hasty, doubts = self.doubts < DOUBTS, self.doubts
        if not self.possible(condition, hasty):
            if not self.possible(t.lnot(condition), hasty):
                raise Discarded
            return False
        here = self._model, self.doubts
        self.doubts = doubts
        if self.possible(t.lnot(condition), hasty):
            self.later([*decisions, (condition, False)], self._model)
        self._model, self.doubts = here
        return True

    def _compared(self, condition: Bool) -> bool | None:
        """Whether a condition holds once it is known which places are the same whose contents it compares. Whether two
        places are is a small question, and whether their contents are a large one."""
        found = None
        for same in same_arguments(_settled_form(self.settled, condition)):
            if self._learn_if_so(same):
                found = self.decided(condition)
                if found is not None:
                    break
        return found

    def _learn_if_so(self, condition: Bool) -> bool:
        """Whether a condition is found to hold here, which is known from then on, and was not before."""
        if self.decided(condition) is not None or self.possible(t.lnot(condition)):
            return False
        self.add(condition)
        return True

    def later(self, decisions: list[Decision], model: Sat | None = None) -> None:
        """Schedules a run with these decisions; ``model`` is one in which they are possible."""
        if len(self.work) > DECISION_LIMIT:
            self._ended = Exhausted(f"{DECISION_LIMIT} cases on one path", "split the property")
            raise self._ended
        self.work.append((decisions, model, self.doubts))

    def stray(self) -> None:
        """A run asks something else than what it was put off with."""
        self._strays += 1
        if self._strays > STRAYS:
            raise self.end("does not do the same each time")

    def end(self, why: str) -> Exception:
        """No more runs can be of use, whatever the property makes of the error."""
        self._ended = VigorError(f"the property {why}", "keep nothing between runs")
        return self._ended

    # ---- running

    def run(self) -> _Failure | Unknown | None:
        """The first failure over all ways through the property, if any."""
        self.work = [([], None, 0)]
        while self.work:
            self.subject.work.check()
            prefix, model, self.doubts = self.work.pop()
            self._begin()
            self._model = model or self._model
            outcome = self._once(prefix)
            if self._ended is not None:  # which the property may have caught
                raise self._ended
            if outcome is not None:
                return outcome
        self.subject.work.check()
        if self._unanswered == TEXT:
            return Unknown(
                "the property makes text of what is symbolic, which is another one when it runs natively",
                "compare the values, and make text only in what an assert says",
            )
        if self._unanswered:
            return Unknown(
                f"the property goes on without an answer that something symbolic does not have: {self._unanswered}",
                "catch no errors of that kind; see docs/properties.md for what numbers can do",
            )
        return None

    def _once(self, prefix: list[Decision]) -> _Failure | Unknown | None:
        run = SymbolicRun(self, prefix)
        steps = [self.instance]
        step = self._step(run, self.instance, steps, "")
        noted = Noted()
        try:
            if self.arrivals.is_reached:  # watching is slow, and once is enough
                self.function(step)
            else:
                with watch_asserts() as noted:
                    self.function(step)
            self.looked = True
            self._unanswered = self._unanswered or run.unanswered
        except Discarded:  # be it for what a text says
            self._unanswered = self._unanswered or run.unanswered
        except Beyond:
            if self.possible():
                reason = self.path.reason or "a path ended before the NF returned"
                return Unknown(reason, "see docs/unknown.md", self.path.where)
        except FAILURES as error:
            self.looked = True
            if self.broken is not None:
                if self.broken.model is None:
                    return Unknown(f"the solver gave up ({self.broken.reason}) on: {self.broken.detail}", "report this")
                return _Failure(error, self.broken.model)
            answer = self.ask()
            self.arrivals.is_reached |= not isinstance(answer, Unsat)
            if isinstance(answer, Sat):
                conditions = [*self.given, *run.conditions]
                return _Failure(error, Model("nf_process", answer, steps, conditions, self.facts))
            if isinstance(answer, Unsure):
                return Unknown(f"the solver gave up ({answer.reason}) on {error or 'an assert'}", "simplify the claim")
        except Exhausted:
            raise
        except Exception:
            # Where no state leads, nothing that the property meets there counts.
            if not isinstance(self.ask(), Unsat):
                raise
        finally:
            run.is_over = True
        if noted.reached and not self.arrivals.is_reached:
            self.arrivals.come(self._here())
        return None

    def _step(self, run: SymbolicRun, instance: Instance, steps: list[Instance], tag: str) -> Step:
        subject, inputs = self.subject, instance.inputs
        ended = instance.path.ending == "returned"

        @unwatched
        def outcome() -> tuple[State, Sent, bool]:
            value = instance.value
            packet = Packet(run, self.facts, replace(instance.frame, limits=self.settled.known), inputs.length)
            new = view(subject.header, run, instance.new, instance.new_scalars)
            if value == b.NF_DROP & t.mask(32):
                return new, Sent(), False
            if value == b.NF_FLOOD & t.mask(32):
                return new, Sent([(FLOOD, packet)]), True
            return new, Sent([(number(run, value, 32, True), packet)]), False

        @unwatched
        def following(device: Any, packet: Any, now: Any) -> Step:
            then = f"step{len(steps) + 1}."
            if device is ...:
                device = number(run, t.var(then + b.DEVICE, 16), 16)
            if packet is ...:
                frame = Frame(then + b.PACKET, limits=self.settled.known)
                packet = Packet(run, self.facts, frame, t.var(then + b.LENGTH, 16))
            if now is ...:
                now = number(run, t.zext(t.var(then + b.NOW, b.TIME_BITS), b.TIME_BITS, 64), 64, True)
            inside, time = fit(now, 64, True)
            run.assume(inside)  # what a clock cannot show is not a time
            run.assume(t.sle(64, inputs.now, time))
            given = Inputs(fitted(run, device, 16), packet.length_bits, time, _opaque(packet.frame))
            for condition in input_conditions(given, inputs.now):
                run.assume(condition)
            for fits in uncut(each.value for each in given.frame.writes):
                self._learn_if_so(fits)
            paths = subject.behaviour.paths["nf_process"]
            impossible = self.impossible.setdefault(tuple(run.decisions), set())
            chosen = paths[run.pick(len(paths))]
            if chosen.last is not None and chosen.last.passes(impossible):
                raise Discarded
            self._learn()
            second = instantiate(
                chosen, subject.contracts, self.facts, instance.new, instance.new_scalars, given, then,
                watch=lambda item: self._enter(run, item, impossible),
            )  # fmt: skip
            self._learn()
            if self.settled.impossible:
                raise Discarded
            steps.append(second)
            return self._step(run, second, steps, then)

        def respected(kind: str) -> bool:
            self.broken = next((duty for duty in subject.duties if duty.kind == kind), None)
            return self.broken is None

        return Step(
            run, config=config_record(subject.header, run),
            device_count=number(run, t.var(b.DEVICE_COUNT, 16), 16),
            device=number(run, inputs.device, 16),
            packet=Packet(run, self.facts, replace(inputs.frame, limits=self.settled.known), inputs.length),
            now=number(run, inputs.now, 64, True),
            old=view(subject.header, run, instance.old, instance.old_scalars),
            outcome=outcome if ended else None, reason=instance.path.reason,
            respected=respected if not tag else None, following=following,
        )  # fmt: skip


def _settled_form(settled: Settled, condition: Bool) -> Bool:
    settled.settle()
    return settled.equal(condition)  # type: ignore[no-any-return]


def _opaque(frame: Frame) -> Frame:
    """The frame, with what was computed from many sums opaque: checksums, which next to nothing depends on."""
    writes = (replace(each, value=t.opaque(8 * each.size_bytes, each.value)) if _sums(each.value) > SUMS else each
              for each in frame.writes)  # fmt: skip
    return replace(frame, writes=tuple(writes))


def _sums(value: Value) -> int:
    seen: set[int] = set()
    stack, count = [value], 0
    while stack:
        term = stack.pop()
        if isinstance(term, t.Term) and term.uid not in seen and term.op != "app":
            seen.add(term.uid)
            count += term.op == "add"
            stack.extend(term.args)
    return count


def _exhausted(budget: Exhausted, path: Path, place: int, of: int) -> Unknown:
    """Where the budget ran out: on which path, and in which line of the property."""
    found = place_in_property(budget)
    at = f"at line {found[1]} of {found[2]}" if found else "before the property was run on it"
    where = path.where or (path.last.event.where if path.last is not None else 0)
    return Unknown(f"the budget of {budget} ran out on path {place} of {of}, {at}", budget.remedy, where)


@dataclass(slots=True)
class _OnPath:
    """What comes of a property on a path."""

    looked: bool = False
    outcome: _Failure | Unknown | None = None

    @classmethod
    def of(cls, subject: Subject, path: Path, function: Callable[[Step], Any], arrivals: Arrivals) -> _OnPath:
        """``arrivals`` are those at asserts of the property, on whatever path."""
        prepared = subject.prepare_path(path)
        if prepared is None:
            return cls()
        judging = Judging(subject, path, prepared, function, arrivals)
        outcome = judging.run()
        return cls(judging.looked, outcome)


class _OnPaths:
    """What comes of a property on one path after another. If that takes long, other processes do the last ones."""

    def __init__(self, subject: Subject, paths: Sequence[Path], function: Callable[[Step], Any]) -> None:
        self.subject, self.paths, self.function = subject, paths, function
        self.arrivals = Arrivals()
        self._shared = Shared([partial(self._elsewhere, path) for path in paths], 1, subject.idle)

    def at(self, place: int) -> _OnPath:
        """On the path at this place, to which this process comes now."""
        path, found = self.paths[place], self._shared.found(place, self.subject.work.check)
        if found is None:
            arrivals = self.arrivals if path is not PROBE else Arrivals(self.arrivals.is_reached)
            return _OnPath.of(self.subject, path, self.function, arrivals)
        if path is not PROBE:
            self.arrivals.is_reached |= bool(found[0] & REACHED)
        return _OnPath(bool(found[0] & LOOKED))

    def _elsewhere(self, path: Path) -> bytes | None:
        """What another process can say: that nothing fails. If the property reads files, this one has to know."""
        arrivals = Arrivals(self.arrivals.is_reached)
        with files_opened() as opened:
            on = _OnPath.of(self.subject, path, self.function, arrivals)
        if on.outcome is not None or opened:
            return None
        self.arrivals.is_reached = arrivals.find()
        return bytes([on.looked * LOOKED | self.arrivals.is_reached * REACHED])

    def close(self) -> None:
        """Ends other processes."""
        self._shared.close()


def judge(
    subject: Subject, function: Callable[[Step], Any], claim: str, looked: set[int] | None = None
) -> Verdict:
    """The verdict on a property of an explored NF, on the budget of the subject's work. ``looked`` gets the places of
    those paths of nf_process that the property's assumptions do not leave out."""
    unknown: Unknown | None = None
    paths = list(subject.behaviour.paths.get("nf_process", ()))
    if subject.duties:  # also where no path goes on after a broken obligation, the property may ask about it
        paths.insert(0, PROBE)
    subject.work.of = len(paths)
    with closing(_OnPaths(subject, paths, function)) as on_paths:
        for number_, path in enumerate(paths):
            try:
                subject.work.at(number_)
                on = on_paths.at(number_)
            except Exhausted as budget:
                return _exhausted(budget, path, number_ + 1, len(paths))
            if on.looked and looked is not None and path is not PROBE:
                looked.add(number_ - (paths[0] is PROBE))
            if isinstance(on.outcome, _Failure):
                return Refuted(claim, on.outcome.model)
            if isinstance(on.outcome, Unknown) and path is not PROBE:
                unknown = unknown or on.outcome
        try:
            reached = unknown is not None or on_paths.arrivals.find()
        except Exhausted as budget:
            return _exhausted(budget, paths[-1], len(paths), len(paths))
    stuck = [duty for duty in subject.duties if duty.kind.startswith("stuck:")]
    if not subject.behaviour.accepted and not stuck:
        return Unknown("nf_init accepts no configuration", "let it return true for some")
    if unknown is not None:
        return unknown
    if not reached and subject.behaviour.accepted:
        return Vacuous("no assert of this property is reached on any path")
    if stuck:
        return Unknown(stuck[0].detail, "see docs/unknown.md", stuck[0].where)
    if subject.duties:
        first = subject.duties[0]
        return Unknown(
            f"the claim holds as long as the NF keeps its obligations, but it breaks one: {first.detail}",
            "see what properties/test_every_nf.py says of this NF",
            first.where,
        )
    return Proved(len(paths), cited())


