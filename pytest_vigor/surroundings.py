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
    return any(_is_of_world(each) for each in named_by(property_))


def _is_of_world(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] in _WORLD
    if isinstance(value, FunctionType) and is_own_path(value.__code__.co_filename):
        return not _KNOWING.isdisjoint(names_in(value.__code__))
    makers = (value, type(value), type(getattr(value, "__self__", None)))
    modules = (getattr(each, "__module__", None) for each in makers)
    return any(str(module).partition(".")[0] in _WORLD for module in modules)
