"""The documentation is true: its examples are proved, its outputs are printed, its tables are those of the code."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import Project

from pytest_vigor.assumption import ASSUMPTIONS
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import Lpm
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.packet import HEADERS
from pytest_vigor.property.steps import Step

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pytest_vigor"
DOCS = ROOT / "docs"
OUTPUTS = runpy.run_path(str(DOCS / "outputs.py"))
FENCED: re.Pattern[str] = OUTPUTS["FENCED"]
IMPORTS = 'import pytest\nfrom pytest_vigor import FLOOD, assume\n\npytestmark = pytest.mark.nf("bridge")\n\n'


def text(name: str) -> str:
    return (DOCS / name).read_text()


# ---- examples


@pytest.mark.parametrize("document", ["README.md", "docs/properties.md", "docs/contracts.md"])
def test_examples_are_proved(document: str, pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    shutil.copytree(ROOT / "nfs/bridge", project.path / "nfs/bridge", ignore=shutil.ignore_patterns("*.so", ".vigor"))
    expected = set()
    for number, (language, path, code) in enumerate(FENCED.findall((ROOT / document).read_text())):
        if path:
            project.write(path, code)
        elif language == "python":
            project.write(f"test_fragment{number}.py", IMPORTS + code)
        if language == "python":
            expected |= {node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)}
    pytester.syspathinsert()
    ran = project.prove()
    assert set(ran.outcomes) == {name for name in expected if name.startswith("test_")} != set()
    assert set(ran.outcomes.values()) == {"passed"}, ran.texts


def test_outputs_are_what_is_printed() -> None:
    done = subprocess.run([sys.executable, DOCS / "outputs.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_output_that_is_made_is_shown() -> None:
    shown = {name for path in OUTPUTS["DOCUMENTS"] for _, name, _, _ in OUTPUTS["MARKED"].findall(path.read_text())}
    assert shown == set(OUTPUTS["SCENARIOS"])


def test_links_lead_somewhere() -> None:
    for path in OUTPUTS["DOCUMENTS"]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{path.name}: {target}"


def test_files_that_are_named_exist() -> None:
    """Those written as `tests/...` and the like; made-up ones are named otherwise."""
    for path in OUTPUTS["DOCUMENTS"]:
        for name in re.findall(r"`((?:tests|libvig|nfs|properties|benchmarks|docs)/[\w/.]*\w/?)`", path.read_text()):
            assert (ROOT / name).exists() or name == "properties/test_own.py", f"{path.name}: {name}"


# ---- tables


def test_every_assumption_is_explained_and_nothing_else() -> None:
    section = re.compile(r"^## (\w+)\n\n\*(.+?)\*\n\n(.+?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    sections = section.findall(text("assumptions.md"))
    assert [(name, claim) for name, claim, _ in sections] == [(each.name, f"{each.text}.") for each in ASSUMPTIONS]
    assert all(len(explanation.split()) > 20 for _, _, explanation in sections)


def test_assumptions_that_the_code_cites_exist() -> None:
    names = {each.name for each in ASSUMPTIONS}
    for path in PACKAGE.rglob("*.py"):
        for cited in re.findall(r"assumptions? ((?:[A-Z]+_[A-Z_]+(?:, | and )?)+)", path.read_text()):
            assert set(re.findall(r"[A-Z_]+", cited)) <= names, f"{path.name} cites {cited}"


def test_every_module_is_in_the_architecture() -> None:
    table = re.findall(r"^\| \d? ?\| (.+?) \| ", text("architecture.md"), re.MULTILINE)
    listed = [name for cell in table for name in re.findall(r"`(\w+)`", cell)]
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(listed) == there - {"__init__", "_libvig"}
    assert len(listed) == len(set(listed))


def rows(document: str, heading: str) -> dict[str, str]:
    """The table under a heading's first column: cell to the rest of its row."""
    lines = iter(text(document).splitlines())
    found = {}
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    break
                first, _, rest = row.removeprefix("| ").partition(" | ")
                found[first.strip("`")] = rest
    assert found, f"{document} has no table of {heading}"
    return found


def test_header_fields_are_all_there() -> None:
    table = rows("properties.md", "header")
    fields = {name: re.findall(r"`(\w+)`", rest.rsplit(" | ", 1)[-1]) for name, rest in table.items()}
    assert fields == {name: list(each) for name, each in HEADERS.items()}


def test_what_is_said_of_structures_is_what_they_have() -> None:
    classes = {each.kind: each for each in (FlowTable, IndexPool, Lpm, Map, Vector, ConsistentHash)}
    table = rows("properties.md", "structure")
    assert set(table) == set(classes)
    for kind, rest in table.items():
        for name in re.findall(r"`\.(\w+)", rest):
            assert hasattr(classes[kind], name), f"{kind} has no {name}"


def test_a_steps_members_are_all_there() -> None:
    listed = {name for cell in rows("properties.md", "name") for name in re.findall(r"step\.(\w+)", cell)}
    members = {name for name in vars(Step) if not name.startswith("_")}
    assert listed == members | {"packet", "device", "now", "config", "old"}


def reasons() -> Iterator[tuple[str, str]]:
    """Every reason for Unknown in the code, with … for what varies, and the file that gives it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and node.args:
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name in ("Stop", "Unknown", "Unsupported"):
                    yield from ((said, path.name) for said in sayings(node.args[0]))
            elif isinstance(node, ast.Assign) and "reason" in {getattr(each, "id", "") for each in node.targets}:
                yield from ((said, path.name) for said in sayings(node.value) if path.name == "judge.py")


def sayings(value: ast.expr) -> Iterator[str]:
    """The text of an expression, as far as it is literal."""
    match value:
        case ast.Constant(value=str(said)) if said:
            yield said
        case ast.JoinedStr(values=parts):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in parts)
        case ast.BoolOp(values=values):
            for each in values:
                yield from sayings(each)


def test_every_reason_for_unknown_is_explained() -> None:
    explained = set(rows("unknown.md", "reason"))
    for reason, file in reasons():
        assert reason in explained, f"docs/unknown.md does not explain what {file} says: {reason}"
    given = {reason for reason, _ in reasons()}
    assert explained <= given, f"nobody says {explained - given}"


def test_kinds_of_obligations_are_those_of_the_code() -> None:
    listed = re.search(r"obligation of this kind: (.*?)\.\n", text("properties.md"), re.DOTALL)
    assert listed is not None
    assert re.findall(r'"(\w+)"', listed[1]) == re.findall(r'"(\w+)"', Step.respects.__doc__ or "")


def test_options_are_those_of_the_plugin() -> None:
    from pytest_vigor import plugin

    listed = {name for cell in rows("properties.md", "option") for name in re.findall(r"--vigor[\w-]*", cell)}
    given = set(re.findall(r'"(--vigor[\w-]*)"', Path(plugin.__file__).read_text()))
    assert listed == given


def test_options_of_run_are_those_of_the_command() -> None:
    import argparse

    from pytest_vigor.command import run

    commands = argparse.ArgumentParser().add_subparsers()
    run.register(commands)
    given = {name for action in commands.choices["run"]._actions for name in action.option_strings}
    listed = {name for cell in rows("running.md", "option") for name in re.findall(r"--[a-z]+", cell)}
    assert listed == given - {"-h", "--help"}


def test_counters_of_a_runtime_are_all_explained() -> None:
    declared = re.findall(r"uint64_t (\w+);", (ROOT / "libvig/runtime/counters.h").read_text())
    explained = set(rows("running.md", "counter, by device"))
    frames = {name for name in declared if name in ("received", "copies", "sent", "missed") or "dropped_" in name}
    assert explained == frames


def test_the_refusal_that_is_shown_is_one_that_is_given() -> None:
    shown = re.search(r"```text\nnat\.toml: (.*)\n```", text("running.md"))
    assert shown is not None
    assert f'"it.toml: {shown[1]}"' in (ROOT / "tests/test_configuration.py").read_text()
