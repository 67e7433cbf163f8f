"""How values are written for people: addresses as on a network card's label, C data by the fields of its type.

A property works with plain numbers. Those that are addresses know how they are written, and nothing else about them
differs from ``int``.
"""

from __future__ import annotations

from pytest_vigor.layout import Array, Bytes, Integer, Pointer, Struct, Type, collapse

MAC_BYTES, IPV4_BYTES, PORT_BYTES = 6, 4, 2
_NS = 1_000_000_000


class Mac(int):
    """A 48-bit address that prints as ``02:00:00:00:00:01``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return ":".join(f"{byte:02x}" for byte in int.to_bytes(self, MAC_BYTES, "big"))


class Ipv4(int):
    """A 32-bit address that prints as ``192.0.2.1``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return ".".join(str(byte) for byte in int.to_bytes(self, IPV4_BYTES, "big"))


def kind_of(of: Integer | Bytes) -> str:
    """What a number in C data is in all that it is likely to be: "mac", "ipv4", "port" or "number"."""
    if isinstance(of, Bytes):
        return "mac" if of.count == MAC_BYTES else "number"
    if of.big_endian and not of.signed:
        return {IPV4_BYTES: "ipv4", PORT_BYTES: "port"}.get(of.size_bytes, "number")
    return "number"


def address(value: int, of: Integer | Bytes) -> int:
    """A number of a C type, as an address where the type says that it is one."""
    kind = {"mac": Mac, "ipv4": Ipv4}.get(kind_of(of))
    return value if kind is None else kind(value)


def scalar(of: Integer | Bytes, bits: int) -> str:
    """A number, by the bits of its memory read as a little-endian number."""
    memory = bits.to_bytes(of.size_bytes, "little")
    if isinstance(of, Bytes):
        return repr(address(int.from_bytes(memory, "big"), of)) if of.count == MAC_BYTES else "0x" + memory.hex()
    if of.boolean and bits < 2:
        return "true" if bits else "false"
    value = int.from_bytes(memory, "big" if of.big_endian else "little", signed=of.signed)
    return repr(address(value, of))


def data(of: Type | None, bits: int) -> str:
    """C data as a property would write it; a struct's fields with their names. A plain number where no type is
    known."""
    if of is None:
        return f"{bits:#x}"
    of = collapse(of)
    match of:
        case Integer() | Bytes():
            return scalar(of, bits & ((1 << 8 * of.size_bytes) - 1))
        case Array(element, count):
            size = element.size_bytes
            return f"[{', '.join(data(element, part(bits, i * size, size)) for i in range(count))}]"
        case Struct():
            named = ((f.name, f.type, part(bits, f.offset, f.type.size_bytes)) for f in of.fields)
            return f"({', '.join(f'{name}={data(kind, bits)}' for name, kind, bits in named)})"
        case Pointer():
            return f"{bits:#x}"


def part(bits: int, offset: int, size_bytes: int) -> int:
    """Some bytes of memory that is given as a little-endian number."""
    return bits >> 8 * offset & ((1 << 8 * size_bytes) - 1)


def duration(value: int) -> str:
    """Nanoseconds, with many of them in words, too."""
    return f"{value} ({value / _NS:g} s)" if abs(value) >= _NS // 1000 else str(value)
