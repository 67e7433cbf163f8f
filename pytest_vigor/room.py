"""A context of z3: what is made in it, when z3 is at work in it, and how that is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import z3
from z3 import z3core as c

_asked: list[z3.Context] = []


@contextmanager
def at_work(context: z3.Context) -> Iterator[None]:
    """While z3 answers a question in a context. To interrupt it at any other time would break what comes next."""
    _asked.append(context)
    try:
        yield
    finally:
        _asked.remove(context)


def interrupt() -> None:
    """Ends what z3 is at, if anything."""
    for context in list(_asked):
        context.interrupt()


class Room:
    """A context of its own, with expressions that live as long as it does. z3 takes much longer to delete a context
    whose expressions were not released before."""

    def __init__(self) -> None:
        self.context = z3.Context()
        self.ref = self.context.ref()
        self._kept: list[Any] = []
        self._release = c.Z3_dec_ref  # at the interpreter's end, modules may go before this

    def keep(self, ast: Any) -> Any:
        """The expression, which stays."""
        c.Z3_inc_ref(self.ref, ast)
        self._kept.append(ast)
        return ast

    def keep_sort(self, sort: Any) -> Any:
        """The sort, which stays."""
        self.keep(c.Z3_sort_to_ast(self.ref, sort))
        return sort

    def keep_function(self, function: Any) -> Any:
        """The function, which stays."""
        self.keep(c.Z3_func_decl_to_ast(self.ref, function))
        return function

    def __del__(self) -> None:
        while self._kept:
            self._release(self.ref, self._kept.pop())
