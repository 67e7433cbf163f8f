"""A structure in memory, read as C declares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.layout import Pointer, Struct
from pytest_vigor.term import Value

Load = Callable[[int, int], Value]  #: address and size in bytes to a little-endian number


@dataclass(frozen=True, slots=True)
class Unknown:
    """Bytes whose content is not fixed by how the structure was allocated: ``bits`` of them are a symbol, the rest
    are zero. ``form`` makes the content of that symbol and of the other contents, where it is not the symbol itself.
    Either is no restriction, because the invariant says that there is no other content."""

    address: int
    size_bytes: int
    bits: int
    name: str
    form: Callable[[Value], Value] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A struct at an address. ``place["member"]`` is a number, or the place of a struct inside it."""

    heap: Heap
    address: int
    struct: Struct

    def __getitem__(self, name: str) -> Any:
        field = self.struct.field(name)
        assert field is not None, f"struct {self.struct.name} has no member {name}"
        if isinstance(field.type, Struct):
            return Place(self.heap, self.address + field.offset, field.type)
        value = self.heap.load(self.address + field.offset, field.type.size_bytes)
        assert isinstance(value, int) or not isinstance(field.type, Pointer), f"{name} is not where it was allocated"
        return value

    def unknown(self, name: str, bits: int = 0, form: Callable[[Value], Value] | None = None) -> Unknown:
        """A member as something whose content is not fixed."""
        field = self.struct.field(name)
        assert field is not None, f"struct {self.struct.name} has no member {name}"
        size_bytes = field.type.size_bytes
        return Unknown(self.address + field.offset, size_bytes, bits or 8 * size_bytes, name, form)


@dataclass(frozen=True, slots=True)
class Heap:
    """Memory as an abstraction reads it. ``tag`` is the library's hash of a key."""

    load: Load
    structs: Mapping[str, Struct]
    tag: Callable[[Value, int], Value]

    def at(self, address: Value, struct: str) -> Place:
        """The struct of that tag at an address."""
        assert isinstance(address, int)
        return Place(self, address, self.structs[struct])

    def array(self, address: Value, stride_bytes: Value, count: int, struct: str) -> list[Place]:
        """Structs in a row."""
        assert isinstance(address, int) and isinstance(stride_bytes, int)
        return [self.at(address + i * stride_bytes, struct) for i in range(count)]


def select(width: int, index: Value, values: list[Value]) -> Value:
    """The value at an index that is below their number."""
    if isinstance(index, int):
        return values[index]
    out = values[-1]
    for place in reversed(range(len(values) - 1)):
        out = t.ite(width, t.eq(32, index, place), values[place], out)
    return out


def fields_of(struct: Struct, begin: int = 0) -> Iterator[tuple[int, int, str]]:
    """Where a struct has its members, how many bytes each has, and its name; also those of structs in it."""
    for field in struct.fields:
        if isinstance(field.type, Struct):
            yield from fields_of(field.type, begin + field.offset)
        else:
            yield begin + field.offset, field.type.size_bytes, field.name
