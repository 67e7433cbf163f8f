"""The names and types that an NF's header gives to what its state holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_vigor.headers import Header, StateObject
from pytest_vigor.layout import Array, Bytes, Integer, Scalar, Struct, Type, collapse, scalars
from pytest_vigor.notation import data, part, scalar


@dataclass(frozen=True, slots=True)
class Names:
    """Reads keys and records of structures by the structures' names."""

    header: Header

    def _object(self, name: str) -> StateObject | None:
        return next((each for each in self.header.state_objects if each.name == name), None)

    def key(self, name: str, bits: int) -> str:
        """A key of a structure."""
        found = self._object(name)
        return data(None if found is None else found.key, bits)

    def record(self, name: str, bits: int) -> str:
        """A record of a structure, as one text."""
        found = self._object(name)
        if found is None or found.record is None:
            return data(None, bits)
        return f"({', '.join(f'{leaf.path}={number(leaf, bits)}' for leaf in leaves(found.record))})"

    def fields(self, name: str, bits: int) -> Iterator[tuple[str, str]]:
        """The numbers in a record with the paths that lead to them: ``.device``, or "" where it is one number."""
        found = self._object(name)
        if found is None or found.record is None:
            yield "", data(None, bits)
            return
        for leaf in leaves(found.record):
            yield (f".{leaf.path}" if leaf.path else ""), number(leaf, bits)

    def argument(self, entry: str, content: bytes | None) -> str:
        """What another entry point is called with."""
        declared = next((each.argument for each in self.header.entries if each.name == entry), None)
        if declared is None or content is None:
            return ""
        bits = int.from_bytes(content, "little")
        return ", ".join(f"{leaf.path}={number(leaf, bits)}" for leaf in leaves(declared))

    def figure(self, path: str, bits: int) -> str:
        """A number in the state, by its path."""
        for leaf in () if self.header.state is None else scalars(self.header.state):
            if leaf.path == path:
                return scalar(leaf.type, bits)
        return str(bits)


def leaves(of: Type, path: str = "", offset: int = 0) -> Iterator[Scalar]:
    """The numbers in a type, by the paths that a property writes: within it, a struct around one thing is that
    thing."""
    match of:
        case Integer() | Bytes():
            yield Scalar(path, offset, of)
        case Array(element, count):
            for index in range(count):
                yield from leaves(collapse(element), f"{path}[{index}]", offset + index * element.size_bytes)
        case Struct():
            for field in of.fields:
                inner = f"{path}.{field.name}" if path else field.name
                yield from leaves(collapse(field.type), inner, offset + field.offset)


def number(leaf: Scalar, bits: int) -> str:
    """A number in memory that is given as one little-endian number."""
    return scalar(leaf.type, part(bits, leaf.offset, leaf.type.size_bytes))
