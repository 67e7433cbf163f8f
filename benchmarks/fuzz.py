"""How many bugs the fuzz reading finds: ``python benchmarks/fuzz.py [--nf NF] [--rounds N] [--seed N] [NAME ...]``.

For each network function that is broken on purpose (tests/wrong/), runs plain ``pytest`` on the property that should
catch it, in a project of its own, and prints the CPU time of that process and all its children until it ended. It is
found if the property was refuted and confirmed within ``--seconds``. CPU time, of which a busy machine does not take
more, is what the run would take as real time on an idle one: pytest and the network function take turns.

With ``--whole``, the run is ``pytest -x properties/``: every property, until the first that is refuted. ``--rounds``
repeats each with other seeds. With ``--least``, ends with 1 if a smaller share than that is found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from test_wrong import ALL, Wrong, build  # noqa: E402

ENDED = (0, 1)  #: pytest's status where all tests ran


@dataclass(frozen=True, slots=True)
class Look:
    """What one run came to: `caught` are the properties that were refuted and confirmed."""

    caught: tuple[str, ...]
    cpu_seconds: float
    examples: int


def look(wrong: Wrong, seed: int, whole: bool) -> Look:
    """Tries the properties of a broken network function."""
    with tempfile.TemporaryDirectory() as temporary:
        root, report = Path(temporary), Path(temporary) / "report.xml"
        build(wrong, root)
        chosen = ["-x", "properties"]
        if not whole:
            module = "test_every_nf" if "[" in wrong.caught_by else f"test_{wrong.nf}"
            chosen = [f"properties/{module}.py::{wrong.caught_by}"]
        else:
            # Of what every NF is asked, those that are not there would be errors.
            chosen += ["-k", f"test_{wrong.nf} or {wrong.nf}"]
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "junit_logging=no",
                   f"--hypothesis-seed={seed}", f"--junitxml={report}", *chosen]  # fmt: skip
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, cwd=root, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode not in ENDED:
                output.seek(0)
                raise SystemExit(f"{wrong.name}: pytest ended with {process.returncode}\n{output.read().decode()}")
        caught, examples = [], 0
        for case in ElementTree.parse(report).iter("testcase"):
            for each in case.iterfind(".//property[@name='vigor']"):
                record = json.loads(each.attrib["value"])
                examples += record["examples"]
                if record["verdict"] == "Refuted" and record["confirmed"]:
                    caught.append(case.get("name") or "")
    return Look(tuple(caught), usage.ru_utime + usage.ru_stime, examples)


def looks(chosen: list[Wrong], seeds: range, whole: bool) -> Iterator[tuple[Wrong, Look]]:
    """All of them."""
    for wrong in chosen:
        for seed in seeds:
            yield wrong, look(wrong, seed, whole)


def main() -> int:
    """1 if too few are found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; all in tests/wrong/, unless given")
    parser.add_argument("--nf", help="only variants of this network function")
    parser.add_argument("--rounds", type=int, default=1, help="how often each, with seed after seed (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--seconds", type=float, default=20.0, help="within which a bug is to be found (default: 20)")
    parser.add_argument("--whole", action="store_true", help="try all properties, until the first that fails")
    parser.add_argument("--least", type=float, metavar="PERCENT", help="what share has to be found")
    given = parser.parse_args()
    chosen = [each for each in ALL if (not given.names or each.name in given.names) and given.nf in (None, each.nf)]
    if missing := set(given.names) - {each.name for each in chosen}:
        parser.error(f"tests/wrong/ has no {', '.join(sorted(missing))}")
    found = total = 0
    for wrong, seen in looks(chosen, range(given.seed, given.seed + given.rounds), given.whole):
        expected = {wrong.caught_by, *wrong.also}
        is_found = bool(expected & {*seen.caught}) and seen.cpu_seconds <= given.seconds
        total, found = total + 1, found + is_found
        word = "found" if is_found else "late" if seen.caught else "MISSED"
        what = ", ".join(seen.caught) if given.whole else wrong.caught_by
        print(f"{word:6} {seen.cpu_seconds:6.1f} s {seen.examples:5} examples  {wrong.name}: {what}", flush=True)
    share = 100 * found / max(1, total)
    print(f"{found} of {total} found within {given.seconds:g} s of CPU time each: {share:.1f} %")
    return int(given.least is not None and share < given.least)


if __name__ == "__main__":
    sys.exit(main())
