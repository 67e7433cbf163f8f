"""Whether a property ever reaches an assert: one that does not claims nothing."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

_OURS = str(Path(__file__).parent.parent)


@dataclass(slots=True)
class Noted:
    """What was seen."""

    reached: bool = False


@lru_cache(maxsize=256)
def assert_lines(path: str) -> frozenset[int]:
    """The lines of a source file on which asserts start."""
    source = "".join(linecache.getlines(path))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return frozenset()
    return frozenset(node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert))


@contextmanager
def watch_asserts() -> Iterator[Noted]:
    """Watches the lines that a property and the functions it calls execute, until the first assert. The watch is
    Python's own trace hook; a debugger's or a coverage tool's is put back as it was."""
    noted = Noted()
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if noted.reached or name.startswith((_OURS, "<")):
            return None
        if event == "line" and frame.f_lineno in assert_lines(name):
            noted.reached = True
            return None
        return trace

    sys.settrace(trace)
    try:
        yield noted
    finally:
        sys.settrace(before)
