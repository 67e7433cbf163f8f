"""Whether a property ever reaches an assert: one that does not claims nothing."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from pytest_vigor.named import lines_of, own_functions
from pytest_vigor.watch import unwatch, watching

_OURS = str(Path(__file__).parent.parent)
#: What a claim raises where it does not hold: besides a failed assert, that there is no such entry, or no such number.
FAILURES = (AssertionError, LookupError, ValueError)


def place_in_property(error: BaseException) -> tuple[str, int, str] | None:
    """File, line and function at which an error left a property, or a function that the property calls."""
    found: tuple[str, int, str] | None = None
    entry: TracebackType | None = error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        if not code.co_filename.startswith((_OURS, "<")):
            found = code.co_filename, entry.tb_lineno, code.co_name
        entry = entry.tb_next
    return found


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


def has_assert(property_: Callable[..., Any]) -> bool:
    """Whether there is an assert in a property, or in a function of its project that it names."""
    codes = [each.__code__ for each in own_functions(property_)]
    return any(not assert_lines(code.co_filename).isdisjoint(lines_of(code)) for code in codes)


def _either(one: Any, other: Any, frame: FrameType, event: str, argument: Any) -> Any:
    """Lets two trace functions see an event; gives what both want to see the frame's next ones with."""
    one = one and one(frame, event, argument)
    other = other and other(frame, event, argument)
    if one is None or other is None:
        return one or other
    return partial(_either, one, other)


@contextmanager
def watch_asserts() -> Iterator[Noted]:
    """Watches the lines that a property and the functions it calls execute, until the first assert. The watch is
    Python's own trace hook; a debugger or a coverage tool that has it goes on seeing everything."""
    noted = Noted()
    before = sys.gettrace()
    solver = sys.modules.get("z3")  # the largest of what properties run without knowing it
    aside = (_OURS, "<", *([str(Path(str(solver.__file__)).parent)] if solver is not None else []))

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if noted.reached or name.startswith(aside):
            return None
        if event == "line" and frame.f_lineno in assert_lines(name):
            noted.reached = True
            unwatch()
            return None
        return trace

    def both(frame: FrameType, event: str, argument: Any) -> Any:
        return _either(trace, before, frame, event, argument)

    if before is None:
        with watching(trace):
            yield noted
        return
    sys.settrace(both)
    try:
        yield noted
    finally:
        sys.settrace(before)
