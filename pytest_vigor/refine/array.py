"""An array in memory that is as long as one likes: an unknown function of the index, with what was written to it.

What is known of all its elements is a quantified invariant; whoever proves something says at which indices that is
needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_vigor import term as t
from pytest_vigor.term import Value

INDEX_BITS = 32

Elements = Callable[[Value], Value]  #: an index to the element there


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Elements of ``size_bytes`` bytes; ``read`` tells each."""

    size_bytes: int
    read: Elements

    @classmethod
    def unknown(cls, name: str, size_bytes: int) -> Array:
        """An array of which nothing is known."""
        return cls(size_bytes, lambda index: t.app(name, 8 * size_bytes, (INDEX_BITS, index)))

    def written(self, index: Value, value: Value) -> Array:
        """The array with one element changed."""
        width = 8 * self.size_bytes
        return Array(
            self.size_bytes, lambda other: t.ite(width, t.eq(INDEX_BITS, other, index), value, self.read(other))
        )
