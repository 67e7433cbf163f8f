"""A refutation as people get it: the situation, what the native binary did there, and which claim fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_vigor.headers import Header
from pytest_vigor.trace import Run, Situation


@dataclass(frozen=True, slots=True)
class Counterexample:
    """``confirmed`` is whether the native binary, run from that situation, breaks the claim too; ``message`` is how:
    the failed assert with its plain values, or what became of the process."""

    header: Header
    situation: Situation
    run: Run
    message: str
    confirmed: bool
    entry: str
    obligation: str = ""
    source_lines: tuple[str, ...] = ()
    location: str = ""
    traceback: Any = None
