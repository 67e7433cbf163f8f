"""Whether a network function keeps its obligations: those that its paths have met."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from pytest_vigor import term as t
from pytest_vigor.ahead import Shared
from pytest_vigor.behaviour import Path
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.instance import TIME, Owed, init_instance, input_conditions, instantiate
from pytest_vigor.smt import Sat, Unsat, Unsure
from pytest_vigor.subject import Duty, Model, Subject
from pytest_vigor.term import Bool


def obligations(subject: Subject) -> list[Duty]:
    """Those obligations, of all entry points, that are not shown to hold under the invariants."""
    out: list[Duty] = []
    seen: set[tuple[int, str]] = set()
    paths = [(entry, path) for entry, paths in subject.behaviour.paths.items() for path in paths]

    def elsewhere(entry: str, path: Path) -> bytes | None:
        """That all on a path hold is for another process to say; which do not is not."""
        broken: list[Duty] = []
        _discharge(subject, entry, path, seen, broken)
        return None if broken else b""

    with closing(Shared([partial(elsewhere, *each) for each in paths], 0, subject.idle)) as shared:
        for done, (entry, path) in enumerate(paths):
            if shared.found(done, subject.work.check) is None:
                _discharge(subject, entry, path, seen, out)
            subject.work.at(done + 1)
    return out


def _discharge(subject: Subject, entry: str, path: Path, seen: set[tuple[int, str]], out: list[Duty]) -> None:
    if path.ending != "stuck" and not any(True for _ in path.events()):
        return
    facts = Facts()
    if entry == "nf_init":
        instance = init_instance(path, subject.contracts, facts)
        given: list[Bool] = []
    else:
        old, numbers = subject.begin(facts)
        instance = instantiate(path, subject.contracts, facts, old, numbers)
        given = [subject.accepted, *(input_conditions(instance.inputs, TIME) if entry == "nf_process" else [])]
    owed = [item for item in instance.items if isinstance(item, Owed) and (id(item.node), item.detail) not in seen]
    stuck_duty = path.ending == "stuck"
    if not any(item.condition is not True for item in owed) and not stuck_duty:
        seen.update((id(item.node), item.detail) for item in owed)
        return
    solver, so_far = subject.solver, list(given)
    solver.follow([])
    solver.push()
    solver.add_all(given)
    asserted = 0
    fresh = {id(item) for item in owed}
    for item in instance.items:
        if isinstance(item, Owed) and id(item) in fresh and item.condition is not True:
            seen.add((id(item.node), item.detail))
            solver.add_all(facts.known[asserted:])
            asserted = len(facts.known)
            answer = solver.check(t.lnot(item.condition))
            if not isinstance(answer, Unsat):
                conditions = [*so_far, t.lnot(item.condition)]
                model = Model(entry, answer, [instance], conditions, facts, item) if isinstance(answer, Sat) else None
                reason = answer.reason if isinstance(answer, Unsure) else ""
                out.append(Duty(item.kind, item.detail, item.where, entry, model, reason))
        solver.add(item.condition)
        so_far.append(item.condition)
    if stuck_duty:
        solver.add_all(facts.known[asserted:])
        answer = solver.check()
        if not isinstance(answer, Unsat):
            model = Model(entry, answer, [instance], so_far, facts) if isinstance(answer, Sat) else None
            out.append(Duty(f"stuck:{path.kind}", path.reason, path.where, entry, model))
    solver.pop()
