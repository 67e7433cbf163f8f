"""An array in memory that is as long as one likes: an unknown function of the index, with what was written to it.

What is known of all its elements is a quantified invariant; whoever proves something says at which indices that is
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from pytest_vigor import term as t
from pytest_vigor.layout import Struct
from pytest_vigor.term import Bool, Value

INDEX_BITS = 32

Elements = Callable[[Value], Value]  #: an index to the element there


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Elements of ``size_bytes`` bytes; ``read`` tells each. They begin ``begin_bytes`` into their region. Of those
    that are structs, ``members_bytes`` are the sizes of the members, which may be written one by one. ``known`` is what
    holds of all that some value is made of; it is assumed of whatever is read. ``writes`` are the indices at which
    something was written, the last one last, to what had the ``name``."""

    size_bytes: int
    read: Elements
    begin_bytes: Value = 0
    members_bytes: tuple[int, ...] = ()
    known: Callable[[Value], Iterable[Bool]] = lambda value: ()
    writes: tuple[Value, ...] = ()
    name: str = ""

    @classmethod
    def unknown(cls, name: str, size_bytes: int, members_bytes: tuple[int, ...] = ()) -> Array:
        """An array of which nothing is known."""

        def read(index: Value) -> Value:
            return t.app(name, 8 * size_bytes, (INDEX_BITS, index))

        return cls(size_bytes, read, members_bytes=members_bytes, name=name)

    def written(self, index: Value, value: Value, skipped: int = 0, size_bytes: int = 0) -> Array:
        """The array with one element changed: no more of it than so many bytes after some skipped ones, if any."""
        end = skipped + size_bytes if size_bytes else self.size_bytes

        def read(other: Value) -> Value:
            here, old, width = t.eq(INDEX_BITS, other, index), self.read(other), 8 * self.size_bytes
            parts, low = [], 0
            for bits in (8 * each for each in self.members_bytes or (self.size_bytes,)):
                new, kept = (t.extract(each, width, low + bits - 1, low) for each in (value, old))
                changes = low < 8 * end and 8 * skipped < low + bits
                parts.append((bits, t.ite(bits, here, new, kept) if changes else kept))
                low += bits
            return t.concat(parts[::-1])

        return replace(self, read=read, writes=(*self.writes, index))

    def is_of_members(self, skipped: int, size_bytes: int) -> bool:
        """Whether some bytes of an element, after some skipped ones, are whole members of it."""
        ends = {0, self.size_bytes, *accumulate(self.members_bytes)}
        return skipped in ends and skipped + size_bytes in ends


def members_bytes(struct: Struct) -> tuple[int, ...]:
    """The sizes of the members of a struct that has no padding."""
    fields = sorted(struct.fields, key=lambda field: field.offset)
    sizes = tuple(field.type.size_bytes for field in fields)
    assert [0, *accumulate(sizes)] == [*(field.offset for field in fields), struct.size_bytes], "there is padding"
    return sizes


def packed(struct: Struct, values: Mapping[str, Value]) -> Value:
    """An element that is a struct, from its members."""
    fields = sorted(struct.fields, key=lambda field: field.offset, reverse=True)
    return t.concat([(8 * field.type.size_bytes, values[field.name]) for field in fields])


def member(struct: Struct, element: Value, name: str) -> Value:
    """A member of an element that is a struct."""
    field = struct.field(name)
    assert field is not None, f"struct {struct.name} has no member {name}"
    low = 8 * field.offset
    return t.extract(element, 8 * struct.size_bytes, low + 8 * field.type.size_bytes - 1, low)
