"""What a property names: the functions of its project, those that they name, and so on, and all else."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from inspect import getattr_static
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_vigor.dependence import closed_over, is_own_path


def named_by(property_: Callable[..., Any]) -> Iterator[Any]:
    """A property and all that it names; of a function of its project, what that names too."""
    waiting: list[Any] = [property_]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        each = getattr(each, "__func__", each)  # of a method
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [getattr_static(each, "__wrapped__", None)] if callable(each) else []
        if isinstance(each, FunctionType) and is_own_path(each.__code__.co_filename):
            waiting += _named_in(each)


def _named_in(function: FunctionType) -> Iterator[Any]:
    names = set(names_in(function.__code__))
    names.add(function.__qualname__.split(".")[0])  # its class, of which it may call other methods
    named = [function.__globals__[name] for name in sorted(names) if name in function.__globals__]
    named += [sys.modules[name] for name in _imported_in(function.__code__) if name in sys.modules]
    yield from named
    yield from closed_over(function)
    for place in named:
        if isinstance(place, ModuleType | type):
            yield from (getattr_static(place, name, None) for name in sorted(names))


def _imported_in(code: CodeType) -> Iterator[str]:
    """The names of the modules that code imports when it runs."""
    yield from (each.argval for each in dis.get_instructions(code) if each.opname == "IMPORT_NAME")
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imported_in(inner)


def own_functions(property_: Callable[..., Any]) -> Iterator[FunctionType]:
    """The functions of its project among what a property names, with itself."""
    for each in named_by(property_):
        if isinstance(each, FunctionType) and is_own_path(each.__code__.co_filename):
            yield each


def names_in(code: CodeType) -> Iterator[str]:
    """The names that code looks up, in modules and in objects."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)


def lines_of(code: CodeType) -> range:
    """The lines of its source file, as far as they come to anything."""
    return range(code.co_firstlineno, max(_lines(code)) + 1)


def _lines(code: CodeType) -> Iterator[int]:
    yield code.co_firstlineno
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _lines(inner)
