"""How long proving takes: ``python benchmarks/prove.py [NF ...]``.

For each network function under nfs/ that has properties/test_NF.py, prints the medians of several runs of

cold    ``pytest --vigor properties/test_NF.py`` with an empty cache: all its properties, the whole process
warm    one property of that file, over the Behaviour that a cold run left: what a new property costs

as wall-clock time, with the CPU time of the cold run; then the paths of nf_process, the questions that the solver was
asked in a cold run, and the largest amount of memory that the cold process had. Binaries are built beforehand.

``--klint PATH`` names a checkout of Klint (https://github.com/dslab-epfl/klint), set up as its ReadMe.md says. Each
round then also runs, for every NF that both have, after ``make compile-NF`` there,

    PYTHON tool/klint.py libnf nf/NF/libnf.so nf/NF/spec.py

in that folder, and the last column says how many times longer that took than our cold run. ``--klint-python`` is the
interpreter with Klint's dependencies; ``--klint-command`` replaces the whole line, with {nf} for the name.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
TOLD = (0, 1)  #: pytest's status where all tests ran
KLINT = "{python} tool/klint.py libnf nf/{nf}/libnf.so nf/{nf}/spec.py"


@dataclass(frozen=True)
class Took:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    memory_bytes: int


@dataclass
class Measured:
    """All runs for one NF."""

    cold: list[Took] = field(default_factory=list)
    warm: list[Took] = field(default_factory=list)
    klint: list[Took] = field(default_factory=list)
    paths: int = 0
    properties: int = 0
    proved: int = 0
    queries: int = 0


def timed(command: Sequence[str], folder: Path, allowed: Sequence[int] = (0,)) -> Took:
    """Runs a command to its end; what it prints is shown only if it fails."""
    with tempfile.TemporaryFile() as output:
        started = perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in allowed:
            output.seek(0)
            tail = output.read().decode(errors="replace").splitlines()[-15:]
            raise SystemExit("\n".join([f"status {process.returncode} of: {shlex.join(command)}", *tail]))
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def pytest_command(target: str, cache: Path, *more: str) -> list[str]:
    """Proves what a node id or file names."""
    return [sys.executable, "-m", "pytest", "-q", "--vigor", "-o", f"cache_dir={cache}", *more, target]


def properties_of(nf: str) -> list[str]:
    """The ids of an NF's properties."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"properties/test_{nf}.py"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if "::" in line]


def counted(nf: str, measured: Measured, folder: Path) -> None:
    """One more cold run, not timed, that counts."""
    xml, count = folder / "report.xml", folder / "queries"
    command = pytest_command(
        f"properties/test_{nf}.py", folder / "counted", "--junitxml", str(xml), "-p", "benchmarks.count_queries"
    )
    environment = {**os.environ, "QUERIES_FILE": str(count), "PYTHONPATH": os.pathsep.join(
        [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    )}  # fmt: skip
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if ended.returncode not in TOLD:
        raise SystemExit(f"status {ended.returncode} of: {shlex.join(command)}\n{ended.stdout[-2000:]}")
    found = ElementTree.parse(xml).iterfind(".//property[@name='vigor']")
    records = [json.loads(each.attrib["value"]) for each in found]
    if not records:
        raise SystemExit(f"no verdict in what pytest says:\n{ended.stdout[-2000:]}")
    measured.paths, measured.properties = records[0]["paths"], len(records)
    measured.proved = sum(record["verdict"] == "Proved" for record in records)
    measured.queries = int(count.read_text())


def measure(nfs: Sequence[str], runs: int, klint: argparse.Namespace | None) -> Iterator[tuple[str, Measured]]:
    """Runs everything, in turn."""
    for nf in nfs:
        measured = Measured()
        first, *_ = properties_of(nf)
        has_klint = klint is not None and (klint.klint / "nf" / nf).is_dir()
        if klint is not None and has_klint and not klint.klint_command:
            subprocess.run(["make", f"compile-{nf}"], cwd=klint.klint, check=True)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for run in range(runs):
                cache = folder / str(run)
                measured.cold.append(timed(pytest_command(f"properties/test_{nf}.py", cache), ROOT, TOLD))
                measured.warm.append(timed(pytest_command(first, cache), ROOT, TOLD))
                if klint is not None and has_klint and run < klint.klint_runs:
                    line = (klint.klint_command or KLINT).format(nf=nf, python=shlex.quote(str(klint.klint_python)))
                    measured.klint.append(timed(shlex.split(line), klint.klint))
            counted(nf, measured, folder)
        yield nf, measured


def row(nf: str, measured: Measured, with_klint: bool) -> list[str]:
    """The numbers of one NF as text."""
    cold = median(each.seconds for each in measured.cold)
    out = [
        nf,
        f"{cold:.2f}",
        f"{median(each.cpu_seconds for each in measured.cold):.2f}",
        f"{median(each.seconds for each in measured.warm):.2f}",
        f"{measured.proved} of {measured.properties}",
        str(measured.paths),
        str(measured.queries),
        f"{median(each.memory_bytes for each in measured.cold) / 1e6:.0f}",
    ]
    if with_klint and measured.klint:
        seconds = median(each.seconds for each in measured.klint)
        memory = median(each.memory_bytes for each in measured.klint)
        out += [f"{seconds:.1f}", f"{memory / 1e6:.0f}", f"{seconds / cold:.1f}"]
    elif with_klint:
        out += ["", "", ""]
    return out


TITLES = ["NF", "cold (s)", "CPU (s)", "warm (s)", "proved", "paths", "queries", "memory (MB)"]
KLINT_TITLES = ["Klint (s)", "Klint (MB)", "times longer"]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nfs", nargs="*", metavar="NF", help="which; all that have properties, unless given")
    parser.add_argument("-n", "--runs", type=int, default=5, help="how often each is run (default: 5)")
    parser.add_argument("--klint", type=Path, metavar="PATH", help="a checkout of Klint to compare with")
    parser.add_argument("--klint-python", default="python3", metavar="PYTHON", help="with Klint's dependencies")
    parser.add_argument("--klint-command", default="", metavar="LINE", help=f"instead of: {KLINT}")
    parser.add_argument("--klint-runs", type=int, default=1, metavar="N", help="it takes minutes (default: 1)")
    arguments = parser.parse_args()
    names = sorted(path.name for path in (ROOT / "nfs").iterdir())
    there = [name for name in names if (ROOT / "properties" / f"test_{name}.py").is_file()]
    unknown = sorted(set(arguments.nfs) - set(there))
    if unknown:
        parser.error(f"no properties for {', '.join(unknown)}; there are {', '.join(there)}")
    if arguments.runs < 1:
        parser.error("it takes one run at least")
    chosen = arguments.nfs or there
    build = [sys.executable, "-m", "pytest_vigor", "build", "--libvig", *(f"nfs/{nf}" for nf in chosen)]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    with_klint = arguments.klint is not None
    rows = [TITLES + (KLINT_TITLES if with_klint else [])]
    for nf, measured in measure(chosen, arguments.runs, arguments if with_klint else None):
        rows.append(row(nf, measured, with_klint))
    print(f"medians of {arguments.runs} runs on {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the end")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for each in rows:
        first, *others = (f"{text:>{width}}" for text, width in zip(each, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]))


if __name__ == "__main__":
    main()
