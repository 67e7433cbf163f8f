"""The numbers that stand in a property's module, in an NF's header and in its code: those that code is likely to
compare with. And what a property names."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

_SMALLEST = 16  #: below, numbers turn up by themselves
#: x86-64's instructions that compare a register with a number, or put one into it (Intel SDM volume 2, CMP and MOV).
#: Where instructions begin is not known, so some of what is found is none.
_OPERANDS = re.compile(
    rb"(?=\x83[\xf8-\xff](.)|\x3c(.)|\x80[\xf8-\xff](.)|\x66\x3d(..)|\x66\x81[\xf8-\xff](..)"
    rb"|\x3d(....)|\x81[\xf8-\xff](....)|[\x48\x49][\xb8-\xbf](.{8}))", re.DOTALL,
)  # fmt: skip


def words(functions: Iterable[Callable[..., Any]], constants: Iterable[int]) -> tuple[int, ...]:
    """Each with its neighbours."""
    found: dict[int, None] = {}
    for module in dict.fromkeys(inspect.getmodule(function) for function in functions):
        if module is not None:
            found |= dict.fromkeys(_literals(module.__file__ or ""))
    found |= dict.fromkeys(each for each in constants if each >= _SMALLEST)
    return tuple(dict.fromkeys(near for each in found for near in (each, each + 1, each - 1)))


def names(function: Callable[..., Any]) -> frozenset[str]:
    """What a property, and the functions of its project that it calls, name: fields of packets among other things. The
    numbers where ``byte`` is named are in it as ``byte 14``."""
    found: set[str] = set()
    left, seen = [function], set()
    while left:
        each = inspect.unwrap(left.pop())
        if each in seen or not inspect.isroutine(each) or (each.__module__ or "").startswith("pytest_vigor."):
            continue
        seen.add(each)
        codes = [*_codes(getattr(each, "__code__", None))]
        named = [name for code in codes for name in code.co_names]
        found.update(named)
        if "byte" in named:
            found.update(f"byte {value}" for code in codes for value in code.co_consts if type(value) is int)
        left += [known for known in map(getattr(each, "__globals__", {}).get, named) if callable(known)]
    return frozenset(found)


def _codes(code: Any) -> Iterator[CodeType]:
    """Code and what is defined within."""
    if inspect.iscode(code):
        yield code
        for each in code.co_consts:
            yield from _codes(each)


def operands(code: bytes) -> tuple[int, ...]:
    """The numbers that machine code is likely to compare with."""
    found = (int.from_bytes(next(filter(None, match.groups())), "little") for match in _OPERANDS.finditer(code))
    return tuple(dict.fromkeys(each for each in found if each >= _SMALLEST))


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
