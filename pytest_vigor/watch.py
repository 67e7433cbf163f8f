"""Python's trace hook, for who watches what a property does and not what we do: a watched interpreter is some times
slower, whatever it is that it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_hook: Any = None


@contextmanager
def watching(trace: Any) -> Iterator[None]:
    """Has the trace function see what is run inside, but for what is ``unwatched``. Nobody else has the hook."""
    global _hook
    _hook = trace
    sys.settrace(trace)
    try:
        yield
    finally:
        _hook = None
        sys.settrace(None)


def unwatch() -> None:
    """Ends the watch: enough has been seen."""
    if _hook is not None:
        sys.settrace(None)


def unwatched(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which is of no interest to who watches, and runs nothing that is."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        hook = _hook
        if hook is None or sys.gettrace() is not hook:
            return function(*args, **kwargs)
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(hook)

    return run
