"""Behaviours kept from one run to the next: used where nothing has changed, and never believed where something has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from project import GATE, GATE_HEADER, Project, Ran, calling

pytest_plugins = ["pytester"]

PROPERTIES = """
    def test_never_floods(step):
        assert not step.flooded

    def test_inside_goes_outside(step):
        assume(step.packet.length >= 14 and step.device != step.config.wan_device)
        assert step.sent == [(step.config.wan_device, step.packet)]
"""
FLOODING = GATE.replace("return nf_state.wan_device;", "return NF_FLOOD;")


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf()
    project.properties(PROPERTIES)
    return project


def cached(ran: Ran) -> bool:
    """Whether nothing was explored."""
    said = {record["cached"] for record in ran.records.values()}
    assert len(said) == 1
    summaries = [line for line in ran.output.splitlines() if line.startswith("gate: ")]
    assert ["cached" in line for line in summaries] == [True in said]
    return True in said


def all_proved(ran: Ran) -> bool:
    return set(ran.outcomes.values()) == {"passed"} and len(ran.outcomes) == 2


def test_the_second_run_explores_nothing(project: Project) -> None:
    first, second = project.prove(), project.prove()
    assert all_proved(first) and all_proved(second)
    assert not cached(first) and cached(second)
    drop = ("cached", "seconds", "explore_seconds")
    for name, record in first.records.items():
        other = second.records[name]
        assert {k: v for k, v in record.items() if k not in drop} == {k: v for k, v in other.items() if k not in drop}


def test_a_changed_property_uses_what_is_kept(project: Project) -> None:
    project.prove()
    project.properties("def test_new_claim(step):\n    assert step.dropped\n", name="test_other.py")
    ran = project.prove("test_other.py")
    assert ran.verdict("test_new_claim") == "Refuted" and cached(ran)


def test_a_refutation_over_a_kept_behaviour_is_the_same(project: Project) -> None:
    project.properties("def test_claim(step):\n    assert step.dropped\n")
    first, second = project.prove(), project.prove()
    assert cached(second)
    assert first.said("test_claim") == second.said("test_claim")


def test_a_changed_binary_is_explored_anew(project: Project) -> None:
    project.prove()
    project.nf(source=FLOODING)
    ran = project.prove()
    assert not cached(ran)
    assert [ran.verdict(name) for name in ran.outcomes] == ["Refuted", "Refuted"]
    project.nf()
    back = project.prove()
    assert all_proved(back) and cached(back)


def test_a_changed_header_is_explored_anew(project: Project) -> None:
    project.prove()
    project.nf(header=GATE_HEADER.replace("wan_device; };", "outside; };", 1), source=GATE.replace(
        "config->wan_device", "config->outside"
    ))  # fmt: skip
    ran = project.prove()
    assert not cached(ran)
    assert "has no field 'wan_device'; it has outside" in ran.said("test_inside_goes_outside")


CONTRACT = """
    from pytest_vigor.contract import U16, Outcome, contract

    @contract(value=U16, returns=U16)
    def mystery(call, value):
        return Outcome({result})
"""
HOOK = """
    import own_contracts

    def pytest_vigor_contracts():
        return [own_contracts]
"""


def test_a_changed_contract_is_explored_anew(project: Project) -> None:
    project.nf(source=calling("mystery(nf_state.wan_device)"))
    project.write("conftest.py", HOOK)
    project.pytester.syspathinsert()
    project.write("own_contracts.py", CONTRACT.format(result="value"))
    first = project.prove()
    assert all_proved(first) and not cached(first) and cached(project.prove())
    project.write("own_contracts.py", CONTRACT.format(result="0 * value"))
    changed = project.prove("-k", "outside")
    assert not cached(changed)
    assert changed.outcomes == {"test_inside_goes_outside": "failed"}


def test_a_budget_that_ran_out_is_not_remembered(project: Project) -> None:
    first = project.prove("--vigor-cpu-seconds", "0")
    assert {first.verdict(name) for name in first.outcomes} == {"Unknown"}
    assert all_proved(project.prove())


# ---- damage


def emptied(_: bytes) -> bytes:
    return b""


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def replaced(_: bytes) -> bytes:
    return b"\x00\xff garbage \xfe" * 50


def of_another_key(content: bytes) -> bytes:
    return content.replace(json.loads(content)["key"].encode(), b"0" * 40)


def without_nodes(content: bytes) -> bytes:
    kept = json.loads(content)
    del kept["behaviour"]["nodes"][1:]
    return json.dumps(kept).encode()


def with_an_invariant_nobody_guessed(content: bytes) -> bytes:
    kept = json.loads(content)
    kept["invariants"] = ["packets are never flooded"]
    return json.dumps(kept).encode()


def of_other_types(content: bytes) -> bytes:
    kept = json.loads(content)
    kept["behaviour"]["terms"] = {"0": None}
    kept["header"] = []
    return json.dumps(kept).encode()


DAMAGES = (
    emptied, cut_short, replaced, of_another_key, without_nodes, with_an_invariant_nobody_guessed, of_other_types
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=[each.__name__ for each in DAMAGES])
def test_a_damaged_file_is_explored_anew(project: Project, damage: Callable[[bytes], bytes]) -> None:
    project.prove()
    (file,) = project.cached()
    file.write_bytes(damage(file.read_bytes()))
    ran = project.prove()
    assert all_proved(ran) and not cached(ran)


# ---- other processes

SLOW_CONFTEST = """
    import os, time
    import pytest_vigor.explore.explorer as explorer

    original = explorer.Explorer.step_paths

    def step_paths(self, entry):
        with open("explorations", "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(float(os.environ.get("EXPLORING_SECONDS", "0")))
        return original(self, entry)

    explorer.Explorer.step_paths = step_paths
"""


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear"
        time.sleep(0.02)


def test_a_process_killed_while_exploring_leaves_a_usable_cache(project: Project) -> None:
    project.write("conftest.py", SLOW_CONFTEST)
    environment = {**os.environ, "EXPLORING_SECONDS": "60"}
    process = subprocess.Popen(
        project.command("--vigor"), cwd=project.path, env=environment, stdout=subprocess.DEVNULL
    )
    wait_for(project.path / "explorations")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not project.cached()
    ran = project.prove()
    assert all_proved(ran) and not cached(ran)
    assert cached(project.prove())


def test_of_two_processes_at_once_one_explores(project: Project) -> None:
    project.write("conftest.py", SLOW_CONFTEST)
    environment = {**os.environ, "EXPLORING_SECONDS": "1"}
    processes = [
        subprocess.Popen(
            project.command("--vigor"), cwd=project.path, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len(set((project.path / "explorations").read_text().split())) == 1
    assert sorted("cached" in output for output in outputs) == [False, True]
