"""Long work says how far it is, stays within its budget, and can be stopped without loss."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from textwrap import dedent

import pytest
from project import ENDLESS, Project, heed_interrupts

from pytest_vigor.work import Exhausted, Work

pytest_plugins = ["pytester"]

# The same question, for ever.


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf()
    return project


# ---- what is told


def test_work_tells_steps_queries_and_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(1e9)
    monkeypatch.setattr("pytest_vigor.work.monotonic", lambda: next(clock))
    told: list[str] = []
    work = Work(told.append)
    work.begin("judging test_it of gate", of=4)
    work.ask()
    work.answered(0.25)
    work.at(2)
    assert told[0] == "judging test_it of gate: 0 of 4 paths"
    assert told[-1].startswith("judging test_it of gate: 2 of 4 paths, 1 queries (slowest 0.2 s), about ")


def test_work_without_a_known_end_tells_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(1e9)
    monkeypatch.setattr("pytest_vigor.work.monotonic", lambda: next(clock))
    told: list[str] = []
    work = Work(told.append)
    work.begin("exploring gate")
    work.at(3, waiting=5)
    assert told == ["exploring gate: 3 paths, 5 waiting"]


def test_budgets_are_of_the_work_that_was_begun_last() -> None:
    work = Work()
    work.begin("one", cpu_seconds=0)
    with pytest.raises(Exhausted, match="0 CPU seconds"):
        work.check()
    work.begin("another", cpu_seconds=1000)
    work.check()
    with pytest.raises(Exhausted, match="1 MiB of memory"):
        Work(memory_mib=1).check()


# ---- budgets


def test_time_that_runs_out_is_unknown_with_the_path_and_the_line(project: Project) -> None:
    project.properties(ENDLESS)
    ran = project.prove("--vigor-cpu-seconds", "2", "-s")
    assert ran.outcomes == {"test_quick": "passed", "test_endless": "failed"}
    said = ran.said("test_endless")
    assert ran.verdict("test_endless") == "Unknown"
    assert "the budget of 2 CPU seconds ran out on path 1 of 2, at line 15 of test_endless" in said
    assert "raise --vigor-cpu-seconds" in said
    assert "judging test_endless of gate: 0 of 2 paths" in ran.output


def test_memory_that_runs_out_is_unknown(project: Project) -> None:
    project.properties("def test_it(step):\n    assert not step.flooded\n")
    # In a process of its own: what z3 may take is for a whole process, and other tests were in this one.
    command = project.command("--vigor", "--vigor-memory", "1")
    ran = subprocess.run(command, cwd=project.path, capture_output=True, text=True)
    assert ran.returncode == 1 and "\nUNKNOWN: it\n" in ran.stdout
    assert "the budget of 1 MiB of memory" in ran.stdout
    assert "raise --vigor-memory" in ran.stdout
    assert project.prove().outcomes == {"test_it": "passed"}  # and nothing of it is remembered


def test_a_query_that_takes_too_much_memory_is_unsure() -> None:
    code = """
        from pytest_vigor import term as t
        from pytest_vigor.smt import Solver, Unsure, bound_memory
        bound_memory(1)
        factors = [t.zext(t.var(name, 31), 31, 64) for name in "pq"]
        odd = [t.ult(31, 1, t.var(name, 31)) for name in "pq"]
        solver = Solver(resources=4_000_000_000)
        answer = solver.check(t.eq(64, t.mul(64, *factors), 2147483647 * 1073741789 + 2), *odd)
        assert answer == Unsure("out of memory"), answer
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)


# ---- Ctrl-C


def test_ctrl_c_ends_a_query_at_once() -> None:
    code = """
        import os, signal, threading, time
        from pytest_vigor import term as t
        from pytest_vigor.smt import Solver, interruptible
        interruptible()
        factors = [t.zext(t.var(name, 31), 31, 64) for name in "pq"]
        odd = [t.ult(31, 1, t.var(name, 31)) for name in "pq"]
        solver = Solver(resources=4_000_000_000)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        try:
            solver.check(t.eq(64, t.mul(64, *factors), 2147483647 * 1073741789 + 2), *odd)
        except KeyboardInterrupt:
            assert time.monotonic() - started < 5
            print("stopped")
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], check=True, capture_output=True, text=True, timeout=120,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert done.stdout == "stopped\n"


def test_ctrl_c_tells_what_is_known_and_loses_nothing(project: Project) -> None:
    project.properties(ENDLESS)
    stopped = project.interrupted("--vigor", "-q")
    assert stopped.returncode == pytest.ExitCode.INTERRUPTED
    assert "while judging test_endless of gate" in stopped.stdout
    assert "1 of 1 property proved" in stopped.stdout  # test_quick
    assert len(project.cached()) == 1
    assert project.prove("-k", "quick").records["test_quick"]["cached"]
