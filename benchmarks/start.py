"""What the plugin adds to the start of pytest: ``python benchmarks/start.py [--rounds N] [--limit MS]``.

Runs pytest on a project without properties, in turn with and without the plugin (``-p no:vigor``), and prints the
medians of their CPU time, which is nearly the same on a busy machine, and the median of the differences. With
``--limit``, ends with 1 if that difference is larger.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median


def milliseconds(folder: Path, *arguments: str) -> float:
    """The CPU time of one run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    before = _spent_seconds()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return 1000 * (_spent_seconds() - before)


def _spent_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def measure(rounds: int) -> tuple[float, float, float]:
    """Medians with the plugin, without it, and of the difference."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "test_ordinary.py").write_text("def test_it():\n    assert True\n")
        milliseconds(folder), milliseconds(folder, "-p", "no:vigor")  # compiles what is not compiled yet
        pairs = [(milliseconds(folder), milliseconds(folder, "-p", "no:vigor")) for _ in range(rounds)]
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a - b for a, b in pairs)


def main() -> int:
    """1 if the plugin adds more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, metavar="MS")
    given = parser.parse_args()
    with_, without, difference = measure(given.rounds)
    print(f"CPU time with the plugin {with_:.0f} ms, without {without:.0f} ms: it adds {difference:.0f} ms")
    return int(given.limit is not None and difference > given.limit)


if __name__ == "__main__":
    sys.exit(main())
