"""The numbers that stand in a property's module and in an NF's header: those that code is likely to compare with."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

_SMALLEST = 16  #: below, numbers turn up by themselves


def words(functions: Iterable[Callable[..., Any]], constants: Iterable[int]) -> tuple[int, ...]:
    """Each with its neighbours."""
    found: dict[int, None] = {}
    for module in dict.fromkeys(inspect.getmodule(function) for function in functions):
        if module is not None:
            found |= dict.fromkeys(_literals(module.__file__ or ""))
    found |= dict.fromkeys(each for each in constants if each >= _SMALLEST)
    return tuple(dict.fromkeys(near for each in found for near in (each, each + 1, each - 1)))


@lru_cache(maxsize=64)
def _literals(path: str) -> tuple[int, ...]:
    try:
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(_integers(tree))


def _integers(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value >= _SMALLEST:
            yield node.value
