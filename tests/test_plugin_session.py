"""pytest's own options with `--vigor`: selecting, stopping, repeating, spreading over processes, reporting."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from project import Project

pytest_plugins = ["pytester"]

MANY = """
    @pytest.mark.parametrize("byte", [0, 1])
    def test_runts(step, byte):
        assume(step.packet.length < 14)
        assert step.dropped

    def test_never_drops(step):
        assert not step.dropped

    def test_unchanged(step):
        for _, packet in step.sent:
            assert packet == step.packet

    def test_never_floods(step):
        assert not step.flooded
"""
NAMES = ["test_runts[0]", "test_runts[1]", "test_never_drops", "test_unchanged", "test_never_floods"]

HEAVY = ("angr", "archinfo", "claripy", "cle", "elftools", "hypothesis", "pycparser", "pyvex", "z3")
TELL_MODULES = f"""
    import json, sys

    def pytest_unconfigure(config):
        found = sorted(name for name in sys.modules if name.split(".")[0] in {HEAVY} or name.startswith("pytest_vigor"))
        with open("modules.json", "w") as file:
            json.dump(found, file)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf()
    project.properties(MANY)
    return project


def loaded_by(project: Project, *arguments: str) -> set[str]:
    """The modules of ours, and of what we rest on, that a run of pytest in a process of its own ends with."""
    project.write("conftest.py", TELL_MODULES)
    done = subprocess.run(project.command(*arguments), cwd=project.path, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return set(json.loads((project.path / "modules.json").read_text()))


def tops(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


# ---- what is loaded, and when


def test_pytest_without_properties_starts_as_if_the_plugin_were_not_there(project: Project) -> None:
    (project.path / "test_properties.py").unlink()
    project.write("test_ordinary.py", "def test_it():\n    assert True\n")
    loaded = loaded_by(project)
    assert tops(loaded) == {"pytest_vigor"}
    assert loaded == {"pytest_vigor", "pytest_vigor.plugin", "pytest_vigor.hooks"}


def test_trying_properties_loads_no_solver_and_no_lifter(project: Project) -> None:
    loaded = tops(loaded_by(project))
    assert "hypothesis" in loaded
    assert loaded.isdisjoint({"angr", "pyvex", "archinfo", "claripy", "cle", "z3"})


def test_collecting_builds_and_lifts_nothing(project: Project) -> None:
    assert tops(loaded_by(project, "--vigor", "--collect-only", "-q")) == {"pytest_vigor"}
    assert not list(project.path.glob("nfs/**/*.so"))
    assert not project.cached()


def test_a_cached_behaviour_is_judged_without_the_lifter(project: Project) -> None:
    project.prove("-k", "floods")
    loaded = tops(loaded_by(project, "--vigor", "-k", "floods"))
    assert "z3" in loaded
    assert loaded.isdisjoint({"angr", "pyvex", "archinfo", "claripy", "cle", "hypothesis", "pycparser"})


# ---- options


def test_collect_only_lists_the_same_ids_as_without_vigor(project: Project) -> None:
    listed = [project.run("--collect-only", "-q", *extra).output for extra in ((), ("--vigor",))]
    ids = [[line for line in each.splitlines() if "::" in line] for each in listed]
    assert ids[0] == ids[1] == [f"test_properties.py::{name}" for name in NAMES]


def test_expressions_select(project: Project) -> None:
    assert set(project.prove("-k", "runts or drops").outcomes) == {"test_runts[0]", "test_runts[1]", "test_never_drops"}
    assert set(project.prove("test_properties.py::test_never_floods").outcomes) == {"test_never_floods"}


def test_stopping_at_the_first_failure(project: Project) -> None:
    ran = project.prove("-x")
    assert list(ran.outcomes) == NAMES[:3]
    assert ran.outcomes["test_never_drops"] == "failed"


def test_last_failed_runs_what_was_not_proved(project: Project) -> None:
    project.prove()
    ran = project.prove("--lf")
    assert ran.outcomes == {"test_never_drops": "failed"}


def test_an_expected_refutation_is_an_xfail_and_nothing_else(project: Project) -> None:
    project.properties("""
        @pytest.mark.xfail(strict=True)
        def test_never_drops(step):
            assert not step.dropped

        @pytest.mark.xfail(strict=True)
        def test_never_floods(step):
            assert not step.flooded

        @pytest.mark.skip(reason="not now")
        def test_skipped(step):
            assert False
    """)
    ran = project.prove()
    assert ran.outcomes == {"test_never_drops": "skipped", "test_never_floods": "failed", "test_skipped": "skipped"}


def test_several_processes_come_to_the_same_verdicts(project: Project) -> None:
    ran = project.prove("-n", "2")
    assert ran.outcomes == {name: "failed" if name == "test_never_drops" else "passed" for name in NAMES}
    assert {record["nf"] for record in ran.records.values()} == {"gate"}
    assert "4 of 5 properties proved" in ran.output
    assert len(project.cached()) == 1


def test_errors_survive_the_way_between_processes(project: Project) -> None:
    project.properties("def test_it(step):\n    assert step.dropped\n", nf="nowhere")
    ran = project.prove("-n", "1")
    assert "'nowhere', which is not there" in ran.said("test_it")


def test_junit_xml_carries_verdicts(project: Project) -> None:
    project.prove("--junitxml", "out.xml")
    cases = {case.attrib["name"]: case for case in ElementTree.parse(project.path / "out.xml").iter("testcase")}
    assert list(cases) == NAMES
    failure = cases["test_never_drops"].find("failure")
    assert failure is not None and "REFUTED: never drops" in (failure.text or "")
    assert cases["test_unchanged"].find("failure") is None
    said = {
        name: json.loads(found.attrib["value"])["verdict"]
        for name, case in cases.items()
        if (found := case.find("properties/property[@name='vigor']")) is not None
    }
    assert said == {name: "Refuted" if name == "test_never_drops" else "Proved" for name in NAMES}


def test_the_cache_plugin_can_be_off(project: Project) -> None:
    ran = project.prove("-p", "no:cacheprovider", "-k", "floods")
    assert ran.outcomes == {"test_never_floods": "passed"}
    assert not (project.path / ".pytest_cache").exists()


def test_verbose_names_what_the_proof_rests_on(project: Project) -> None:
    output = project.prove("-v", "-k", "floods").output
    assert "CONTRACTS_HOLD" in output and "docs/assumptions.md" in output
    assert "CONTRACTS_HOLD" not in project.prove("-k", "floods").output


def test_markers_and_options_explain_themselves(project: Project) -> None:
    assert "@pytest.mark.nf(name, header=None)" in project.run("--markers").output
    text = project.run("--help").output
    assert "--vigor-cpu-seconds" in text and "--no-vigor" in text
