"""Follows the tutorial to the letter: ``python docs/tutorial.py FOLDER`` writes what its commands print into it,
``--check`` compares.

A block of shell is run, one with a file's name is written to that file, and a block of text is what the commands before
it print. ``fails`` marks commands that are to fail.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)(?: ([\w/.]+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def environment() -> dict[str, str]:
    """What the tutorial takes as given. The many packages that pytest-vigor needs come from this environment, to save
    their download; pytest-vigor itself is installed as the tutorial says."""
    foreign = ("PYTHON", "PYTEST", "VIRTUAL_ENV", "CI", "BUILD_NUMBER")  # in CI, pytest's summary is longer
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "CHECKOUT": str(ROOT), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "COLUMNS": "80"}


def follow(folder: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Does what the tutorial says in a folder; gives each block of text with what was really printed."""
    printed = ""
    for block in BLOCK.finditer(TUTORIAL.read_text()):
        language, word, text = block.groups()
        if language == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", text], cwd=folder, env=environment(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if (done.returncode != 0) != (word == "fails"):
                raise SystemExit(f"{text}exits with {done.returncode}:\n{done.stdout}")
            printed = done.stdout
            _lend(folder)
        elif language == "text":
            yield block, printed
        elif word:
            path = folder / word
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def _lend(folder: Path) -> None:
    """Lets the tutorial's environment use this one's packages, behind its own."""
    for site in folder.glob(".venv/lib/python*/site-packages"):
        (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


def stable(text: str) -> str:
    """Without what differs from one run or compiler to the next."""
    text = re.sub(r"^C lines on the way\n.*?\n\n", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\d+ obligations", "many obligations", text)
    return re.sub(r"\d+\.\d+ ?s\b( \(cached\))?( \(\d:\d\d:\d\d\))?", "… s", text).strip()


def main() -> int:
    """1 if the tutorial shows something else than is printed."""
    check, folder = "--check" in sys.argv, Path(sys.argv[1])
    old = TUTORIAL.read_text()
    new, end, wrong = "", 0, []
    for block, printed in follow(folder):
        shown = block[3]
        if stable(shown) != stable(printed):
            wrong.append(f"--- the tutorial shows\n{shown}--- but there is printed\n{printed}")
            shown = printed.rstrip("\n") + "\n"
        new += old[end : block.start(3)] + shown
        end = block.end(3)
    if not check:
        TUTORIAL.write_text(new + old[end:])
    print("\n".join(wrong))
    return 1 if check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
