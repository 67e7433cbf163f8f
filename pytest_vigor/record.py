"""C data as properties see it: numbers in host order, records with named fields, built from and turned into memory.

The bits of a value are those of its memory read as one little-endian number: byte 0 is the lowest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.layout import Array, Bytes, Field, Integer, Pointer, Struct, Type, collapse, scalars
from pytest_vigor.notation import address
from pytest_vigor.number import AnyValue, Number, Run, Truth, condition, fit, number, truth
from pytest_vigor.term import Value

WRITTEN_OUT = 4  #: structs in an array that is written out; of more, only how many there are is


class Record:
    """The fields of a struct, as attributes. Equal to another record, or to a mapping or tuple of its fields."""

    __slots__ = ("_fields", "_run", "_type")

    def __init__(self, run: Run, struct: Struct, fields: dict[str, Any]) -> None:
        self._run, self._type, self._fields = run, struct, fields

    def __getattr__(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(
                f"struct {self._type.name} has no field {name!r}; it has {', '.join(self._fields)}"
            ) from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields.values())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values, in the order of declaration."""
        return iter(self._fields.items())

    def __eq__(self, other: object) -> Any:
        if isinstance(other, AnyValue):
            return True
        if isinstance(other, Record):
            other = dict(other.items())
        if isinstance(other, tuple | list):
            other = dict(zip(self._fields, other, strict=True))
        if not isinstance(other, Mapping):
            return NotImplemented
        unknown = set(other) - set(self._fields)
        if unknown:
            raise AttributeError(f"struct {self._type.name} has no field {', '.join(sorted(unknown))}")
        return truth(self._run, t.land(*(condition(self._fields[name] == other[name]) for name in other)))

    def with_(self, **changes: Any) -> Record:
        """A copy with some fields changed."""
        unknown = set(changes) - set(self._fields)
        if unknown:
            raise AttributeError(f"struct {self._type.name} has no field {', '.join(sorted(unknown))}")
        return Record(self._run, self._type, {**self._fields, **changes})

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self._type.name}({', '.join(f'{name}={value!r}' for name, value in self._fields.items())})"


class Elements(Sequence[Any]):
    """The elements of an array, read when asked for. A symbolic index must be one of an element, or it is an
    IndexError, as with a number. Equal to a sequence of equal elements."""

    __slots__ = ("_bits", "_run", "_type")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, run: Run, array: Array, bits: Value) -> None:
        self._run, self._type, self._bits = run, array, bits

    def __len__(self) -> int:
        return self._type.count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not isinstance(index, Number):
            return self._decode(_element(self._type, self._bits, range(len(self))[index]))
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._decode(_chosen(self._type, self._bits, index.bits, index.term))

    def _decode(self, bits: Value) -> Any:
        return decode(self._run, collapse(self._type.element), bits)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, AnyValue):
            return True
        if not isinstance(other, Sequence):
            return NotImplemented
        if len(self) != len(other):
            return False
        return truth(self._run, t.land(*(condition(a == b) for a, b in zip(self, other, strict=True))))

    def __repr__(self) -> str:
        element = self._type.element
        if len(self) > WRITTEN_OUT and isinstance(element, Struct):
            return f"<{len(self)} of {element.name}>"
        return repr(list(self))


def _element(array: Array, bits: Value, index: int) -> Value:
    size = array.element.size_bytes
    return _slice(bits, array, index * size, size)


@lru_cache(maxsize=256)  # the same few elements are asked for again and again, in every run of a property
def _chosen(array: Array, bits: Value, width: int, index: Value) -> Value:
    """The element at an index that is one of an element: chosen number by number, so that a field of it is as simple
    as can be."""
    element = array.element
    indices = range(min(array.count, 1 << width))
    elements = [_element(array, bits, i) for i in indices]
    parts: list[tuple[int, Value]] = []
    end = element.size_bytes
    for leaf in sorted(scalars(element), key=lambda each: each.offset, reverse=True):
        size = leaf.type.size_bytes
        out = _slice(elements[0], element, leaf.offset, size)
        for i in indices[1:]:
            here = t.eq(width, index, i)
            out = t.ite(8 * size, here, _slice(elements[i], element, leaf.offset, size), out)
        parts += [(8 * (end - leaf.offset - size), 0), (8 * size, out)]
        end = leaf.offset
    return t.concat([*parts, (8 * end, 0)])


def swap_bytes(value: Value, count: int) -> Value:
    """The bytes of a value in the other order."""
    if isinstance(value, int):
        return int.from_bytes((value & ((1 << 8 * count) - 1)).to_bytes(count, "little"), "big")
    return t.concat([(8, t.extract(value, 8 * count, 8 * i + 7, 8 * i)) for i in range(count)])


def decode(run: Run, of: Type, bits: Value) -> Any:
    """What a property sees of memory with these bits."""
    match of:
        case Integer(size_bytes, signed, big_endian):
            bits = swap_bytes(bits, size_bytes) if big_endian else bits
            return _as_written(number(run, bits, 8 * size_bytes, signed), of)
        case Bytes(count):
            return _as_written(number(run, swap_bytes(bits, count), 8 * count), of)
        case Array():
            return Elements(run, of, bits)
        case Struct():
            fields = {
                field.name: decode(run, collapse(field.type), _slice(bits, of, field.offset, field.type.size_bytes))
                for field in of.fields
                if not isinstance(field.type, Pointer)
            }
            return Record(run, of, fields)
    raise TypeError(f"{of} is not data")


def _as_written(value: int | Number, of: Integer | Bytes) -> int | Number:
    return address(value, of) if isinstance(value, int) else value


def _slice(bits: Value, of: Type, offset: int, size: int) -> Value:
    return t.extract(bits, 8 * of.size_bytes, 8 * (offset + size) - 1, 8 * offset)


def encode(run: Run, of: Type, value: Any) -> Value:
    """The bits of memory that holds a value; padding is zero. Raises ValueError for a number that does not fit."""
    if not isinstance(value, Record | Mapping | tuple | list | Elements):
        of = collapse(of)
    match of:
        case Integer(size_bytes, signed, big_endian):
            bits = _fitted(run, value, 8 * size_bytes, signed)
            return swap_bytes(bits, size_bytes) if big_endian else bits
        case Bytes(count):
            if isinstance(value, bytes):
                value = int.from_bytes(value, "big")
            return swap_bytes(_fitted(run, value, 8 * count, False), count)
        case Array(element, count):
            if len(value) != count:
                raise ValueError(f"{len(value)} values for an array of {count}")
            return t.concat([(8 * element.size_bytes, encode(run, element, v)) for v in reversed(value)])
        case Struct():
            return _encode_struct(run, of, value)
    raise TypeError(f"{of} is not data")


def _encode_struct(run: Run, of: Struct, value: Any) -> Value:
    if isinstance(value, Record):
        value = dict(value.items())
    if isinstance(value, tuple | list):
        value = dict(zip((field.name for field in of.fields), value, strict=True))
    names = [field.name for field in of.fields]
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise TypeError(f"struct {of.name} wants the fields {', '.join(names)}, not {value!r}")
    parts: list[tuple[int, Value]] = []
    end = of.size_bytes
    for field in sorted(of.fields, key=_offset, reverse=True):
        size = field.type.size_bytes
        parts.append((8 * (end - field.offset - size), 0))
        parts.append((8 * size, encode(run, field.type, value[field.name])))
        end = field.offset
    return t.concat([*parts, (8 * end, 0)])


def _offset(field: Field) -> int:
    return field.offset


def _fitted(run: Run, value: int | Number, bits: int, signed: bool) -> Value:
    inside, out = fit(int(value) if isinstance(value, bool) else value, bits, signed)
    if inside is not True and not (inside is not False and run.decide(inside)):
        raise ValueError(f"{value!r} does not fit in {bits} bits")
    return out


def fitted(run: Run, value: Any, bits: int, signed: bool = False) -> Value:
    """The bits of a number in a field of that width; ValueError where it does not fit."""
    if isinstance(value, Truth):
        return t.bit(value.term, bits)
    return _fitted(run, value, bits, signed)
