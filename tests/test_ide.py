"""pytest as IDEs call it: collecting first, single tests by their ids from any folder, their reporters, a debugger."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from project import Project

pytest_plugins = ["pytester"]

PROPERTIES = """
    def test_never_floods(step):
        assert not step.flooded

    def test_never_drops(step):
        length = step.packet.length
        assert not step.dropped

    def test_nothing(step):
        assume(step.packet.length > 1518)
        assert step.dropped
"""

# Uses of a session, its items and its reports as VS Code's plugin for pytest makes them.
REPORTER = """
    import json, os

    told = {"items": [], "results": {}}

    def pytest_report_teststatus(report, config):
        if report.when == "call" or (report.when == "setup" and report.skipped):
            told["results"].setdefault(report.nodeid, [report.outcome, report.longreprtext])

    def pytest_exception_interact(node, call, report):
        told["results"].setdefault(node.nodeid, [call.excinfo.typename, report.longreprtext])

    def pytest_sessionfinish(session, exitstatus):
        for item in session.items:
            told["items"].append([str(item.path), item.name, item.location[1] + 1, item.parent.name])
        with open(os.environ["TOLD"], "w") as file:
            json.dump(told, file)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf()
    project.properties(PROPERTIES)
    project.write("ide/ide_reporter.py", REPORTER)
    return project


def call(project: Project, folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What a reporter of an IDE is told, and what is printed, when it calls pytest in a folder."""
    told = project.path / "told.json"
    paths = f"{project.path / 'ide'}:{project.environment.get('PYTHONPATH', '')}"
    done = subprocess.run(
        project.command(*arguments), cwd=folder, capture_output=True, text=True,
        env={**project.environment, "TOLD": str(told), "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return json.loads(told.read_text()) if told.exists() else {}, done.stdout


def test_collecting_lists_properties_with_their_lines(project: Project) -> None:
    told, _ = call(project, project.path, "-p", "ide_reporter", f"--rootdir={project.path}", "--collect-only")
    file = project.path / "test_properties.py"
    lines = file.read_text().splitlines()
    assert [item[1] for item in told["items"]] == ["test_never_floods", "test_never_drops", "test_nothing"]
    for path, name, line, parent in told["items"]:
        assert (path, parent) == (str(file), "test_properties.py")
        assert lines[line - 1].startswith(f"def {name}(")
    assert not list(project.path.glob("nfs/**/*.so"))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_one_property_is_run_by_its_path(project: Project, elsewhere: bool) -> None:
    folder = project.path
    if elsewhere:
        folder = project.path / "somewhere" / "else"
        folder.mkdir(parents=True)
    name = f"{project.path / 'test_properties.py'}::test_never_drops"
    told, _ = call(project, folder, "-p", "ide_reporter", f"--rootdir={project.path}", "--vigor", name)
    (result,) = told["results"].items()
    assert result[0] == "test_properties.py::test_never_drops"
    assert result[1][1].startswith("REFUTED: never drops") and "CONFIRMED" in result[1][1]


def test_a_reporter_is_told_every_verdict(project: Project) -> None:
    told, _ = call(project, project.path, "-p", "ide_reporter", "--vigor", "test_properties.py")
    texts = {name.rpartition("::")[2]: text for name, (_, text) in told["results"].items()}
    assert texts["test_never_floods"] == ""
    assert texts["test_never_drops"].startswith("REFUTED: ")
    assert texts["test_nothing"].startswith("VACUOUS: ")


def test_the_ini_file_makes_the_run_button_prove(project: Project) -> None:
    project.pytester.makeini("[pytest]\nvigor = true\naddopts = -p no:hypothesispytest")
    told, _ = call(project, project.path, "-p", "ide_reporter", "test_properties.py::test_never_drops")
    assert told["results"]["test_properties.py::test_never_drops"][1].startswith("REFUTED: ")


def test_the_reporter_of_pycharm_gets_the_text(project: Project) -> None:
    pytest.importorskip("teamcity", reason="needs pip install teamcity-messages")
    _, printed = call(project, project.path, "--teamcity", "--vigor", "test_properties.py")
    events = re.findall(r"##teamcity\[.*\]$", printed, re.MULTILINE)
    (failed,) = [line for line in events if line.startswith("##teamcity[testFailed") and "never_drops" in line]
    assert "REFUTED: never drops" in failed and "Configuration" in failed
    finished = [line for line in events if line.startswith("##teamcity[testFinished")]
    assert len(finished) == 3


def test_the_plugin_adds_little_to_the_start_of_pytest() -> None:
    benchmark = Path(__file__).parent.parent / "benchmarks/start.py"
    done = subprocess.run([sys.executable, benchmark, "--rounds", "7", "--limit", "50"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- a debugger


DEBUGGER = """
    import bdb, json, linecache, sys

    file, line, out = sys.argv[1], int(sys.argv[2]), []

    class Debugger(bdb.Bdb):
        def user_line(self, frame):
            if frame.f_code.co_filename == file and frame.f_lineno == line:
                length = frame.f_locals["length"]
                out.append([type(length).__name__, str(length)])
            self.set_continue()

        def set_continue(self):  # the original lets go where no breakpoint is left
            self._set_stopinfo(self.botframe, None, -1)

    debugger = Debugger()
    linecache.getlines(file)
    assert debugger.set_break(file, line) is None

    def run():
        import pytest
        pytest.main(["-q", "--vigor", f"{file}::test_never_drops"])

    debugger.runcall(run)
    with open("hits.json", "w") as stream:
        json.dump(out, stream)
"""


def test_a_breakpoint_in_a_property_is_hit_on_symbols_and_on_plain_numbers(project: Project) -> None:
    file = project.path / "test_properties.py"
    line = file.read_text().splitlines().index("    assert not step.dropped") + 1
    project.write("debugger.py", dedent(DEBUGGER))
    done = subprocess.run(
        [project.command()[0], "debugger.py", str(file), str(line)], cwd=project.path, capture_output=True, text=True,
        env=project.environment,
    )  # fmt: skip
    assert "REFUTED: never drops" in done.stdout, done.stdout + done.stderr
    hits = json.loads((project.path / "hits.json").read_text())
    kinds = [kind for kind, _ in hits]
    assert kinds[0] == "Number" and "int" in kinds  # judged first, then confirmed natively
    assert all(text.isdigit() for kind, text in hits if kind == "int")
