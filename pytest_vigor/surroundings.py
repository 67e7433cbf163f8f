"""What a property asks of the world around it, of which a digest knows nothing: no such proof is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

from pytest_vigor.dependence import is_own_path
from pytest_vigor.named import named_by, names_in

_OURS = frozenset({"/proc/self/statm"})  #: read by this tool itself while a property runs
_PROGRAMS = (".py", ".pyc", ".so")
_WORLD = frozenset({
    "ctypes", "datetime", "genericpath", "getpass", "glob", "importlib", "io", "locale", "nt", "os", "pathlib",
    "platform", "posix", "posixpath", "random", "secrets", "shutil", "socket", "subprocess", "sys", "tempfile", "time",
    "uuid",
})  # fmt: skip
_CHANCE = frozenset({"random", "secrets", "uuid"})
_KNOWING = _WORLD | {"__import__", "eval", "exec", "input", "open"}

_opened: list[str] | None = None
_is_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        path = str(arguments[0])
        if path not in _OURS and not path.endswith(_PROGRAMS):
            _opened.append(path)


@contextmanager
def files_opened() -> Iterator[list[str]]:
    """The files that are opened meanwhile, but for imported modules."""
    global _opened, _is_hooked
    if not _is_hooked:
        sys.addaudithook(_hook)
        _is_hooked = True
    before, _opened = _opened, []
    try:
        yield _opened
    finally:
        _opened = before


def names_the_world(property_: Callable[..., Any]) -> bool:
    """Whether a property names something that knows of more than its arguments: the environment, files, the time."""
    return any(_is_of(_WORLD, each) or _uses(_KNOWING, each) for each in named_by(property_))


def is_never_the_same(property_: Callable[..., Any]) -> bool:
    """Whether a property names something that gives another answer each time: an iterator, or chance."""
    return any(isinstance(each, Iterator) or _is_of(_CHANCE, each) for each in named_by(property_))


def _uses(names: frozenset[str], value: Any) -> bool:
    is_own = isinstance(value, FunctionType) and is_own_path(value.__code__.co_filename)
    return is_own and not names.isdisjoint(names_in(value.__code__))


def _is_of(modules: frozenset[str], value: Any) -> bool:
    """Whether something is one of these modules, or theirs."""
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] in modules
    if isinstance(value, FunctionType) and is_own_path(value.__code__.co_filename):
        return False
    makers = (value, type(value), type(getattr(value, "__self__", None)))
    return any(str(getattr(each, "__module__", None)).partition(".")[0] in modules for each in makers)
