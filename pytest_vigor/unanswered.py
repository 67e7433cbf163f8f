"""Questions to which something symbolic has no answer, where the plain value that it stands for would have one. Its run
is told of them: a property may catch the error, or take the text that it gets for what it is natively."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from pytest_vigor.dependence import is_own_path

TEXT = "text"
_PACKAGE = str(Path(__file__).parent)
_READERS = ("_pytest", "pydevd", "_pydevd", "debugpy")  #: beginnings of folders and files of who writes for people
_DEBUGGERS = ("pdb.py", "bdb.py")
_TEXTS = ("__repr__", "__str__", "__format__")
_OF_OBJECTS = frozenset(vars(object)) - {"__repr__", "__str__", "__format__", "__hash__", "__eq__", "__ne__", "__lt__",
                                         "__le__", "__gt__", "__ge__"}  # fmt: skip


def tell(run: Any, what: str) -> None:
    """Tells a run what something symbolic was asked for."""
    if not getattr(run, "unanswered", True):
        run.unanswered = what


def tell_of_text(run: Any) -> None:
    """Tells a run that something symbolic is made text, unless it is for the message of an assert or for a debugger."""
    if not getattr(run, "unanswered", True) and _is_for_property(sys._getframe(2)):
        run.unanswered = TEXT


def _is_for_property(frame: FrameType | None) -> bool:
    """Whether it is the property that text is made for, rather than pytest or a debugger, or a message of ours."""
    while frame is not None:
        code = frame.f_code
        path = Path(code.co_filename)
        if path.name in _DEBUGGERS or any(part.startswith(_READERS) for part in path.parts):
            return False
        if code.co_filename.startswith(_PACKAGE) and not any(name in code.co_qualname for name in _TEXTS):
            return False
        if is_own_path(code.co_filename):
            return True
        frame = frame.f_back
    return False


def refuse(cls: type, plain: Iterable[type]) -> None:
    """Has instances of a class refuse, and tell their run of, all that those of plain types can do and they cannot."""
    names = {name for each in plain for name in vars(each)} - _OF_OBJECTS - {"__getnewargs__"}
    for name in sorted(names - set(vars(cls))):
        setattr(cls, name, property(_refusal(name)))


def _refusal(name: str) -> Any:
    def asked(value: Any) -> Any:
        tell(value.run, name)
        if name.startswith("__"):
            raise TypeError(f"a symbolic value has no {name}: what that comes to is not known here")
        raise AttributeError(f"a symbolic value has no {name!r}: what that comes to is not known here", name=name)

    return asked
