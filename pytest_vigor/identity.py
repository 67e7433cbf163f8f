"""Questions that Python does not ask objects about: whether one is True, and of what type it is. Something symbolic is
neither, where the plain value that it stands for would be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from inspect import getattr_static
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pytest_vigor.dependence import closed_over, is_own_path

_ORDERS = ast.Lt | ast.LtE | ast.Gt | ast.GtE


def asked_about_identity(property_: Callable[..., Any]) -> str:
    """The line in which a property, or a function of its project that it names, first asks such a question; empty
    where none does."""
    for function in _functions(property_):
        code = function.__code__
        first, last = code.co_firstlineno, max(_lines(code))
        for line in _questions(code.co_filename):
            if first <= line <= last:
                return f"{Path(code.co_filename).name}:{line}"
    return ""


def _functions(property_: Callable[..., Any]) -> Iterator[FunctionType]:
    """A property and all functions of its project that it names, and so on."""
    waiting: list[Any] = [property_]
    seen: set[FunctionType] = set()
    while waiting:
        each = waiting.pop()
        each = getattr(each, "__func__", each)  # of a method
        waiting += [getattr(each, "__wrapped__", None)] if callable(each) else []
        if not isinstance(each, FunctionType) or each in seen or not is_own_path(each.__code__.co_filename):
            continue
        seen.add(each)
        yield each
        names = set(_names(each.__code__))
        names.add(each.__qualname__.split(".")[0])  # its class, of which it may call other methods
        named = [each.__globals__[name] for name in sorted(names) if name in each.__globals__]
        places = [value for value in named if isinstance(value, ModuleType | type)]
        waiting += [*named, *closed_over(each)]
        waiting += [getattr_static(place, name, None) for place in places for name in sorted(names)]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _lines(code: CodeType) -> Iterator[int]:
    yield code.co_firstlineno
    yield from (line for _, _, line in code.co_lines() if line is not None)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _lines(inner)


@cache
def _questions(path: str) -> tuple[int, ...]:
    """The lines of a file in which something is asked about identity."""
    file, found = Path(path), []
    for node in ast.walk(ast.parse(file.read_bytes() if file.is_file() else b"")):  # code may claim any file
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for operator, *pair in zip(node.ops, sides, sides[1:], strict=False):
                is_identity = isinstance(operator, ast.Is | ast.IsNot) and any(map(_is_truth, pair))
                if is_identity or (not isinstance(operator, _ORDERS) and any(map(_is_type, pair))):
                    found.append(node.lineno)
    return tuple(sorted(found))


def _is_truth(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _is_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"
