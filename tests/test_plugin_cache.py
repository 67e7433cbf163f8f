"""Behaviours kept from one run to the next: used where nothing has changed, and never believed where something has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
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


def test_what_a_contract_imports_is_part_of_it(project: Project) -> None:
    project.nf(source=calling("mystery(nf_state.wan_device)"))
    project.write("conftest.py", HOOK)
    project.pytester.syspathinsert()
    project.write("own_contracts.py", "    from weights import FACTOR\n" + CONTRACT.format(result="FACTOR * value"))
    project.write("weights.py", "from more.weights import FACTOR\n")
    project.write("more/weights.py", "FACTOR = 1\n")
    first = project.prove()
    assert all_proved(first) and not cached(first) and cached(project.prove())
    project.write("more/weights.py", "FACTOR = 0 * 1\n")  # of another size: Python looks at that and at full seconds
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
    for proof in project.proofs():
        proof.unlink()
    ran = project.prove()
    assert all_proved(ran) and not cached(ran)


# ---- proofs


def without_paths(content: bytes) -> bytes:
    kept = json.loads(content)
    del kept["paths"]
    return json.dumps(kept).encode()


@pytest.mark.parametrize("damage", (emptied, cut_short, replaced, of_another_key, without_paths))
def test_a_damaged_proof_is_made_again(project: Project, damage: Callable[[bytes], bytes]) -> None:
    project.prove()
    files = project.proofs()
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(damage(content))
    assert all_proved(project.prove())
    made = [json.loads(file.read_bytes()) for file in files]
    assert [each["paths"] for each in made] == [2, 2]


def test_what_is_not_proved_is_not_kept(project: Project) -> None:
    project.properties("def test_claim(step):\n    assert step.dropped\n", name="test_other.py")
    project.prove()
    assert len(project.proofs()) == 2


HELPED = """
    from claims import LIMIT, is_short

    def test_claim(step):
        assert is_short(step.packet.length, LIMIT)
"""
CLAIMS = """
    LIMIT = 1518

    def is_short(length, limit):
        return length <= limit
"""


@pytest.mark.parametrize(
    "name, text, now",
    [
        ("test_properties.py", HELPED.replace("assert is_short", "assert not is_short"), "Refuted"),
        ("claims.py", CLAIMS.replace("1518", "1000"), "Refuted"),
        ("claims.py", CLAIMS.replace("<=", "<"), "Refuted"),
        ("claims.py", CLAIMS + "    # says the same\n", "Proved"),
        ("conftest.py", "import claims\nclaims.LIMIT = 5\n", "Refuted"),
    ],
)
def test_a_proof_holds_only_for_what_it_was_about(project: Project, name: str, text: str, now: str) -> None:
    project.properties(HELPED)
    project.pytester.makepyfile(claims=CLAIMS)
    project.pytester.makeconftest("import claims\n")
    assert project.prove().verdict("test_claim") == "Proved"
    assert project.prove().records["test_claim"]["seconds"] == 0.0
    (project.path / name).write_text(textwrap.dedent(text) if name != "test_properties.py" else "")
    if name == "test_properties.py":
        project.properties(text)
    ran = project.prove()
    assert ran.verdict("test_claim") == now and ran.records["test_claim"]["seconds"] > 0.0


def test_data_that_a_module_read_is_part_of_what_a_proof_is_about(project: Project) -> None:
    (project.path / "limit.json").write_text("1518")
    project.properties("""
        import json, pathlib
        LIMIT = json.loads(pathlib.Path("limit.json").read_text())

        def test_claim(step):
            assert step.packet.length <= LIMIT
    """)
    assert [project.prove().verdict("test_claim") for _ in range(2)] == ["Proved", "Proved"]
    (project.path / "limit.json").write_text("60")
    assert project.prove().verdict("test_claim") == "Refuted"


READING = """
    import functools, importlib, json, pathlib

    class Limit:
        def __init__(self, limit):
            self.limit = limit

        def __call__(self, value):
            return value <= self.limit

        def __repr__(self):
            return f"Limit({self.limit})"

    def read():
        return json.loads(pathlib.Path("limit.json").read_text())

    def at_most(limit):
        def claim(value):
            return value <= limit
        return claim
"""


@pytest.mark.parametrize(
    "means",
    [
        "small = at_most(read())",
        "small = functools.partial(lambda limit, value: value <= limit, read())",
        "small = lambda value, limit=read(): value <= limit",
        "small = functools.cache(at_most)(read())",
        "small = Limit(read())",
        "small = Limit(read()).__call__",
        "__limit = read()\n    small = lambda value: value <= globals()['__limit']",
        "exec(f'def small(value):\\n    return value <= {read()}')",
        "limits = importlib.import_module('limits')\n    small = lambda value: value <= limits.LIMIT",
        "small = importlib.import_module('limits').small",
    ],
)
def test_data_that_functions_were_made_with_is_part_of_what_a_proof_is_about(project: Project, means: str) -> None:
    module = "LIMIT = {}\n\ndef small(value):\n    return value <= LIMIT\n"
    claim = "def test_claim(step):\n        assert small(step.packet.length)\n"
    project.properties(f"{READING}    {means}\n\n    {claim}")
    for limit, verdicts in (1518, ["Proved", "Proved"]), (60, ["Refuted"]):
        (project.path / "limit.json").write_text(str(limit))
        (project.path / "limits.py").write_text(module.format(limit))
        sys.modules.pop("limits", None)
        assert [project.prove().verdict("test_claim") for _ in verdicts] == verdicts
        assert limit != 1518 or len(project.proofs()) == 1


def test_a_proof_of_a_property_that_reads_files_is_not_kept(project: Project) -> None:
    (project.path / "limit.json").write_text("1518")
    project.properties("""
        import json, pathlib

        def test_claim(step):
            assert step.packet.length <= json.loads(pathlib.Path("limit.json").read_text())
    """)
    assert project.prove().verdict("test_claim") == "Proved"
    assert not project.proofs()
    (project.path / "limit.json").write_text("60")
    assert project.prove().verdict("test_claim") == "Refuted"


@pytest.mark.parametrize(
    ("means", "question"),
    [
        ("import os", "os.environ.get('STRICT')"),
        ("from os import environ", "'STRICT' in environ"),
        ("from os import getenv as asked", "asked('STRICT')"),
        ("import os\n    def ask():\n        return os.environ.get('STRICT')", "ask()"),
        ("import pathlib", "pathlib.Path('strict').exists()"),
        ("from os.path import exists", "exists('strict')"),
        ("import sys", "len(sys.argv) > 1"),
    ],
)
def test_a_proof_of_a_property_that_asks_the_world_is_not_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, means: str, question: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    project.properties(f"""
    {means}

    def test_claim(step):
        assert step.packet.length != 100 or not ({question})
    """)
    assert project.prove().verdict("test_claim") == "Proved"
    monkeypatch.setenv("STRICT", "1")
    monkeypatch.setattr(sys, "argv", ["pytest", "strict"])
    (project.path / "strict").touch()
    assert project.prove().verdict("test_claim") == "Refuted"


def test_a_proof_is_about_the_value_of_a_parameter(project: Project) -> None:
    claim = """
        @pytest.fixture
        def limit():
            return {}

        def test_claim(step, limit):
            assert step.packet.length <= limit
    """
    project.properties(claim.format("1518"))
    assert project.prove().verdict("test_claim") == "Proved"
    project.properties(claim.format("1000"))
    assert project.prove().verdict("test_claim") == "Refuted"


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
