"""What a session of libVig's proofs shows, in one process and in several. The proofs are made up here."""

import re
import time
from pathlib import Path

import pytest

from tests.project import Project

pytest_plugins = ["pytester"]
CONFTEST = Path(__file__).parents[1] / "properties" / "libvig" / "conftest.py"
VERDICTS = """
    from pytest_vigor.refine.library import Refuted, Shown

    def test_documented(shown):
        shown("f", "every size", [(1, Shown(1))])

    def test_undocumented(shown):
        shown("g", "every size", [(1, Shown(1))])

    def test_refuted(shown):
        shown("f", "every size", [({"capacity": 1}, Shown(1)), ({"capacity": 2}, Refuted("it is not so"))])

    def test_not_asked(shown):
        shown("f", "every size", [])
"""
#: C code that nothing but the end of its process ends, as a solver may be.
BUSY = """
    import hashlib
    from pathlib import Path

    def test_endless():
        Path("begun").touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""
PROCESSES = ("0", "2")


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    made = Project(pytester)
    made.write("properties/libvig/conftest.py", CONFTEST.read_text())
    made.write("docs/libvig_proofs.md", "| `f` | Proved | every size |\n")
    return made


@pytest.mark.parametrize("processes", PROCESSES)
def test_verdicts_are_listed_and_failures_shown(project: Project, processes: str) -> None:
    project.write("properties/libvig/test_made_up.py", VERDICTS)
    ran = project.run("-n", processes, "properties/libvig")
    assert ran.outcomes.pop("test_documented") == "passed"
    assert ran.outcomes == dict.fromkeys(("test_undocumented", "test_refuted", "test_not_asked"), "failed")
    rows = re.findall(r"^[fg]  .*$", ran.output, re.MULTILINE)
    assert [row.split(maxsplit=2) for row in rows] == [
        ["f", "Proved", "every size"], ["f", "Refuted", "{'capacity': 2}"], ["g", "Proved", "every size"],
    ]  # fmt: skip
    assert "docs/libvig_proofs.md lacks the row | `g` | Proved | every size |" in ran.texts["test_undocumented"]
    assert "f at {'capacity': 2}: Refuted(text='it is not so')" in ran.texts["test_refuted"]
    assert "nothing was asked of f" in ran.texts["test_not_asked"]


def test_the_longest_are_begun_first(project: Project) -> None:
    for name in ("test_a", "test_libvig_structures", "test_runtime", "test_z"):
        project.write(f"properties/libvig/{name}.py", f"def {name}(): pass")
    ran = project.run("properties/libvig")
    assert [*ran.outcomes] == ["test_runtime", "test_libvig_structures", "test_a", "test_z"]


def test_ctrl_c_ends_every_process_at_once(project: Project) -> None:
    project.write("properties/libvig/test_busy.py", BUSY)
    project.interrupted("-n", "1", "properties/libvig")
    assert time.time() - (project.path / "begun").stat().st_mtime < 8, "pytest-xdist's own patience is 15 seconds"
