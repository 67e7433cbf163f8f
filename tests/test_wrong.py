"""Network functions that are broken on purpose: each is refuted by the property that should catch it, and by no other.

Each file in tests/wrong/ makes one of a shipped network function by replacing a passage of its C, so it stays a variant
of what is shipped. It says what is wrong, which property should catch that (its report is kept as a snapshot) and of
which other properties the same mistake is a violation.

With UPDATE_SNAPSHOTS=1 in the environment, the snapshots are written instead of compared.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import z3

from pytest_vigor.compiler import find_compiler

ROOT = Path(__file__).resolve().parent.parent
WRONG = ROOT / "tests" / "wrong"
SNAPSHOTS = WRONG / "snapshots"
MADE_WITH = SNAPSHOTS / "made-with.txt"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"
SECONDS = 3000  # of real time, and so on a busy machine: they take ten


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one property."""

    verdict: str
    confirmed: bool  #: whether a refutation was seen on the native binary too
    text: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A broken variant of a shipped network function."""

    name: str
    nf: str
    wrong: str
    file: str
    replace: str
    by: str
    caught_by: str
    also: tuple[str, ...]


def read(path: Path) -> Wrong:
    given = tomllib.loads(path.read_text())
    nf = path.stem.split("_")[0]
    also = tuple(given.pop("also", ()))
    return Wrong(name=path.stem, nf=nf, file=given.pop("file", f"{nf}.c"), also=also, **given)


ALL = [read(path) for path in sorted(WRONG.glob("*.toml"))]
NFS = sorted({wrong.nf for wrong in ALL})


def build(wrong: Wrong, root: Path) -> None:
    """The variant, and the properties of its kind, laid out as in a project of its own."""
    folder = root / "nfs" / wrong.nf
    folder.mkdir(parents=True)
    for source in sorted((ROOT / "nfs" / wrong.nf).glob("*.[ch]")):
        shutil.copy(source, folder)
    source = folder / wrong.file
    shipped = source.read_text()
    assert shipped.count(wrong.replace) == 1, f"{wrong.file} must contain this once:\n{wrong.replace}"
    source.write_text(shipped.replace(wrong.replace, wrong.by))
    (root / "properties").mkdir()
    for source in sorted((ROOT / "properties").glob("*.py")):
        if source.stem in (f"test_{wrong.nf}", "test_every_nf") or not source.stem.startswith("test_"):
            shutil.copy(source, root / "properties")
    (root / "pytest.ini").write_text("[pytest]\n")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Keeps the bytecode of what is imported from one process to the next: compiling it takes a third of their time."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}


def outcomes(root: Path, environment: dict[str, str]) -> dict[str, Outcome]:
    """Proves the properties of a project in a process of its own."""
    report = root / "report.xml"
    without = [f"-pno:{plugin}" for plugin in ("cacheprovider", "xdist", "hypothesispytest")]
    command = [sys.executable, "-m", "pytest", "--vigor", "--vigor-reach", "0", *without, "-o",
               "junit_logging=no", f"--junitxml={report}", "properties"]  # fmt: skip
    ran = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode in (0, 1) and report.is_file(), ran.stdout + ran.stderr
    out = {}
    for case in ElementTree.parse(report).iter("testcase"):
        found = [each.get("value") for each in case.iter("property") if each.get("name") == "vigor"]
        assert found, f"{case.get('name')} ended without a verdict:\n{ran.stdout}"
        record = json.loads(found[0] or "")
        failure = case.find("failure")
        text = (failure.text or "") if failure is not None else ""
        out[case.get("name") or ""] = Outcome(record["verdict"], record["confirmed"], text)
    return out


def normalised(text: str, root: Path) -> str:
    """A report without what differs from machine to machine or from run to run."""
    text = text.replace(str(root), "<project>").replace(str(ROOT), "<pytest-vigor>")
    text = re.sub(r"/tmp/[\w./-]+", "<tmp>", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", text)
    text = re.sub(r"\b0x[0-9a-f]{5,}\b", "<address>", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def toolchain() -> str:
    """What a snapshot depends on besides this repository."""
    compiler = find_compiler().run(["--version"], ROOT).stdout.splitlines()[0]
    return f"{compiler}\nz3 {z3.get_version_string()}\n"


@pytest.mark.parametrize("wrong", ALL, ids=lambda wrong: wrong.name)
def test_wrong_nf_is_refuted(wrong: Wrong, tmp_path: Path, environment: dict[str, str]) -> None:
    build(wrong, tmp_path)
    found = outcomes(tmp_path, environment)

    refuted = {name for name, outcome in found.items() if outcome.verdict == "Refuted"}
    assert refuted == {wrong.caught_by, *wrong.also}, wrong.wrong
    assert not [name for name in refuted if not found[name].confirmed], "not seen on the native binary"

    shown, snapshot = normalised(found[wrong.caught_by].text, tmp_path), SNAPSHOTS / f"{wrong.name}.txt"
    if UPDATE:
        SNAPSHOTS.mkdir(exist_ok=True)
        MADE_WITH.write_text(toolchain())
        snapshot.write_text(shown)
    elif toolchain() == MADE_WITH.read_text():
        assert shown == snapshot.read_text(), "if the report is meant to look like this, run with UPDATE_SNAPSHOTS=1"


def test_snapshots_are_of_this_toolchain() -> None:
    if toolchain() != MADE_WITH.read_text():
        pytest.skip(f"reports are compared only with {MADE_WITH.read_text().strip()!r}")
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == {wrong.name for wrong in ALL} | {MADE_WITH.stem}


def test_every_property_catches_something() -> None:
    caught = {(wrong.nf, name) for wrong in ALL for name in (wrong.caught_by, *wrong.also)}
    caught |= {(nf, name.split("[")[0]) for nf, name in caught}
    for path in sorted((ROOT / "properties").glob("test_*.py")):
        names = re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
        nf = path.stem.removeprefix("test_")
        if nf == "every_nf":
            missed = [name for name in names if not any((nf, f"{name}[{nf}]") in caught for nf in NFS)]
        else:
            missed = [name for name in names if (nf, name) not in caught]
        assert not missed, f"no wrong network function is refuted by these of {path.name}"


def test_every_wrong_nf_says_what_is_wrong_in_a_sentence() -> None:
    assert all(re.fullmatch(r"[A-Z][^\n]*\.", wrong.wrong) for wrong in ALL)
    assert len(ALL) >= 20
    assert all(sum(wrong.nf == nf for wrong in ALL) >= 10 for nf in NFS)
