"""How C data lies in memory: plain descriptions, without any C or ELF in them.

Everything here is immutable and hashable, and goes to JSON and back for the caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from pytest_vigor.errors import LayoutError

POINTER_BYTES = 8

# Where a binary is put to be looked at, and where the functions that it imports are made out to be. Far apart, so that
# an address's high part says what it belongs to.
IMAGE_BASE = 0x4000_0000
IMPORT_BASE = 0x7000_0000_0000


@dataclass(frozen=True, slots=True)
class Integer:
    """A number. `boolean` marks C's `bool`, of which only 0 and 1 are values."""

    size_bytes: int
    signed: bool = False
    big_endian: bool = False
    boolean: bool = False


@dataclass(frozen=True, slots=True)
class Bytes:
    """An array of `uint8_t`: an address or the like, read as one big-endian number."""

    count: int

    @property
    def size_bytes(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer; `target` is the C name of what it points at, such as "struct map"."""

    target: str

    @property
    def size_bytes(self) -> int:
        return POINTER_BYTES


@dataclass(frozen=True, slots=True)
class Array:
    """`count` elements in a row."""

    element: Type
    count: int

    @property
    def size_bytes(self) -> int:
        return self.element.size_bytes * self.count


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a struct, `offset` bytes from its start."""

    name: str
    offset: int
    type: Type


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct; `name` is its tag, or the typedef that names it, or "" if it has neither."""

    name: str
    size_bytes: int
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The member of that name."""
        return next((field for field in self.fields if field.name == name), None)


Type: TypeAlias = Integer | Bytes | Pointer | Array | Struct


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number inside some larger type: where it lies and the dotted path that a property writes to reach it."""

    path: str
    offset: int
    type: Integer | Bytes


@lru_cache(maxsize=256)  # each step of a run asks for those of the same few types
def scalars(of: Type) -> tuple[Scalar, ...]:
    """All numbers in a type, in memory order: `address.bytes`, `ports[2]`. Pointers are not numbers."""
    return tuple(_scalars(of, "", 0))


def _scalars(of: Type, path: str, offset: int) -> Iterator[Scalar]:
    match of:
        case Integer() | Bytes():
            yield Scalar(path, offset, of)
        case Array(element, count):
            for index in range(count):
                yield from _scalars(element, f"{path}[{index}]", offset + index * element.size_bytes)
        case Struct():
            for field in of.fields:
                inner = f"{path}.{field.name}" if path else field.name
                yield from _scalars(field.type, inner, offset + field.offset)


def padding(of: Type) -> tuple[tuple[int, int], ...]:
    """The byte ranges (start, end) that belong to no member, at any depth."""
    return tuple(_padding(of, 0))


def _padding(of: Type, base: int) -> Iterator[tuple[int, int]]:
    if isinstance(of, Array):
        for index in range(of.count):
            yield from _padding(of.element, base + index * of.element.size_bytes)
    elif isinstance(of, Struct):
        end = 0
        for field in of.fields:
            if field.offset > end:
                yield base + end, base + field.offset
            yield from _padding(field.type, base + field.offset)
            end = field.offset + field.type.size_bytes
        if of.size_bytes > end:
            yield base + end, base + of.size_bytes


def collapse(of: Type) -> Type:
    """A struct around one thing is that thing: `struct net_mac {uint8_t bytes[6];}` is a `Bytes(6)`."""
    while isinstance(of, Struct) and len(of.fields) == 1 and of.fields[0].type.size_bytes == of.size_bytes:
        of = of.fields[0].type
    return of


def to_json(of: Type) -> dict[str, Any]:
    """A type as plain dicts and lists."""
    match of:
        case Integer():
            return {
                "kind": "integer",
                "size_bytes": of.size_bytes,
                "signed": of.signed,
                "big_endian": of.big_endian,
                "boolean": of.boolean,
            }
        case Bytes():
            return {"kind": "bytes", "count": of.count}
        case Pointer():
            return {"kind": "pointer", "target": of.target}
        case Array():
            return {"kind": "array", "element": to_json(of.element), "count": of.count}
        case Struct():
            fields = [{"name": field.name, "offset": field.offset, "type": to_json(field.type)} for field in of.fields]
            return {"kind": "struct", "name": of.name, "size_bytes": of.size_bytes, "fields": fields}


def from_json(data: dict[str, Any]) -> Type:
    """The inverse of to_json."""
    match data:
        case {"kind": "integer", **rest}:
            return Integer(rest["size_bytes"], rest["signed"], rest["big_endian"], rest["boolean"])
        case {"kind": "bytes", "count": count}:
            return Bytes(count)
        case {"kind": "pointer", "target": target}:
            return Pointer(target)
        case {"kind": "array", "element": element, "count": count}:
            return Array(from_json(element), count)
        case {"kind": "struct", "name": name, "size_bytes": size_bytes, "fields": fields}:
            members = tuple(Field(field["name"], field["offset"], from_json(field["type"])) for field in fields)
            return Struct(name, size_bytes, members)
    raise LayoutError(f"no layout has the form {data!r}", "run pytest with --cache-clear")


def struct_from_json(data: dict[str, Any]) -> Struct:
    """The inverse of to_json where only a struct makes sense."""
    of = from_json(data)
    if not isinstance(of, Struct):
        raise LayoutError(f"expected a struct, not {data!r}", "run pytest with --cache-clear")
    return of
