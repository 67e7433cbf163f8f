"""Questions that Python does not ask objects about: which object one is, and of what type. Of something symbolic, the
answers are not those that there are of the plain value that it stands for."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from pytest_vigor.named import lines_of, own_functions

_NAMES = ("id", "type")  #: of functions that ask
_ATTRIBUTES = ("is_", "is_not")  #: likewise, of the module operator
_METHODS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")  #: of int, they have no answer for symbols


def asked_about_identity(property_: Callable[..., Any]) -> str:
    """The line in which a property, or a function of its project that it names, first asks such a question; empty
    where none does."""
    for function in own_functions(property_):
        code = function.__code__
        lines = lines_of(code)
        for line, names in _questions(code.co_filename):
            if line in lines and not any(_is_no_number(function, name) for name in names):
                return f"{Path(code.co_filename).name}:{line}"
    return ""


def _is_no_number(function: FunctionType, name: str) -> bool:
    """Whether a name that a function has from its module is of an object that nothing symbolic stands for."""
    is_global = name in function.__code__.co_names and name in function.__globals__
    return is_global and not isinstance(function.__globals__[name], int)


@cache
def _questions(path: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The lines of a file in which something is asked about identity, and the names of what it is compared with: with
    an object that nothing symbolic stands for, the answer is right."""
    file, found = Path(path), []
    for node in ast.walk(ast.parse(file.read_bytes() if file.is_file() else b"")):  # code may claim any file
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            for operator, *pair in zip(node.ops, sides, sides[1:], strict=False):
                if isinstance(operator, ast.Is | ast.IsNot) and not any(map(_is_nothing, pair)):
                    found.append((node.lineno, tuple(each.id for each in pair if isinstance(each, ast.Name))))
        elif isinstance(node, ast.Name | ast.Attribute) and _asks(node):
            found.append((node.lineno, ()))
    return tuple(sorted(found))


def _asks(node: ast.Name | ast.Attribute) -> bool:
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Load) and node.id in (*_NAMES, *_ATTRIBUTES)
    return node.attr in (*_ATTRIBUTES, *_METHODS)


def _is_nothing(node: ast.expr) -> bool:
    """Whether it is None, or the dots that stand for anything."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is ...)
