"""Packet headers as properties see them: where each field lies, and when a header is there.

Fields are given as (name, offset in bits from the header's start, size in bits). Sources: IEEE 802.3 clause 3
(Ethernet), RFC 791 section 3.1 (IPv4), RFC 9293 section 3.1 (TCP), RFC 768 (UDP).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_vigor.notation import Ipv4, Mac

ETHER_BYTES, IPV4_BYTES, TCP_BYTES, UDP_BYTES = 14, 20, 20, 8
TYPE_IPV4, PROTOCOL_TCP, PROTOCOL_UDP = 0x0800, 6, 17
#: The headers that follow IPv4's, by its protocol, with their sizes without options.
TRANSPORTS = {PROTOCOL_TCP: ("tcp", TCP_BYTES), PROTOCOL_UDP: ("udp", UDP_BYTES)}


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A field, by its position in the header. ``form`` is how people write it: as a number, "hex", "mac" or
    "ipv4"."""

    name: str
    offset_bits: int
    size_bits: int
    form: str = "number"


def _fields(*fields: tuple[str, int, int] | tuple[str, int, int, str]) -> dict[str, HeaderField]:
    return {field[0]: HeaderField(*field) for field in fields}


HEADERS: dict[str, dict[str, HeaderField]] = {
    "ether": _fields(("dst", 0, 48, "mac"), ("src", 48, 48, "mac"), ("type", 96, 16, "hex")),
    "ipv4": _fields(
        ("version", 0, 4), ("ihl", 4, 4), ("tos", 8, 8), ("total_length", 16, 16), ("identification", 32, 16),
        ("flags", 48, 3, "hex"), ("fragment_offset", 51, 13), ("ttl", 64, 8), ("protocol", 72, 8),
        ("checksum", 80, 16, "hex"), ("src", 96, 32, "ipv4"), ("dst", 128, 32, "ipv4"),
    ),
    "tcp": _fields(
        ("src_port", 0, 16), ("dst_port", 16, 16), ("sequence_number", 32, 32), ("acknowledgement_number", 64, 32),
        ("data_offset", 96, 4), ("reserved", 100, 4), ("flags", 104, 8, "hex"), ("window", 112, 16),
        ("checksum", 128, 16, "hex"), ("urgent_pointer", 144, 16),
    ),
    "udp": _fields(("src_port", 0, 16), ("dst_port", 16, 16), ("length", 32, 16), ("checksum", 48, 16, "hex")),
    "tcpudp": _fields(("src_port", 0, 16), ("dst_port", 16, 16)),
}  # fmt: skip


def value_of(field: HeaderField, value: int) -> int:
    """A field's value, as an address where it is one."""
    if field.form == "mac":
        return Mac(value)
    return Ipv4(value) if field.form == "ipv4" else value


def written(field: HeaderField, value: int) -> str:
    """A field's value as people write it."""
    if field.form == "hex":
        return f"{value:#0{2 + (field.size_bits + 3) // 4}x}"
    return repr(value_of(field, value))


def checksum_places(byte: Callable[[int], int]) -> frozenset[int]:
    """Where in a frame checksums may be, of IPv4, TCP and UDP: offsets in bytes. ``byte`` gives what is at one."""
    transport = ETHER_BYTES + 4 * (byte(ETHER_BYTES) & 15)
    starts = {"ipv4": ETHER_BYTES, "tcp": transport, "udp": transport}
    firsts = (
        start + field.offset_bits // 8
        for name, start in starts.items() for field in HEADERS[name].values() if field.name == "checksum"
    )  # fmt: skip
    return frozenset(place for first in firsts for place in (first, first + 1))
