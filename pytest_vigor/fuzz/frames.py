"""Frames with headers, and the values that stand in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_vigor.packet import (
    ETHER_BYTES,
    HEADERS,
    IPV4_BYTES,
    TCP_BYTES,
    TRANSPORTS,
    TYPE_IPV4,
    UDP_BYTES,
)

PAYLOAD_BYTES = 8
ENDS_OFFSET = HEADERS["ipv4"]["src"].offset_bits // 8  #: from where on an IPv4 header has its addresses

#: The fields that hold what packets have in common, by what they hold.
KINDS = {
    ("ether", "dst"): "mac", ("ether", "src"): "mac", ("ipv4", "src"): "ipv4", ("ipv4", "dst"): "ipv4",
    ("tcpudp", "src_port"): "port", ("tcpudp", "dst_port"): "port",
}  # fmt: skip
#: Those that change places in a reply.
ENDS = ((("ether", "dst"), ("ether", "src")), (("ipv4", "dst"), ("ipv4", "src")),
        (("tcpudp", "dst_port"), ("tcpudp", "src_port")))  # fmt: skip


def starts(frame: bytes) -> dict[str, int]:
    """Where the headers begin that a frame has room for, going by its types and lengths."""
    if len(frame) < ETHER_BYTES:
        return {}
    out = {"ether": 0}
    if get(frame, 0, "ether", "type") != TYPE_IPV4 or len(frame) < ETHER_BYTES + IPV4_BYTES:
        return out
    out["ipv4"] = ETHER_BYTES
    name, size_bytes = TRANSPORTS.get(get(frame, ETHER_BYTES, "ipv4", "protocol"), ("", 0))
    start = ETHER_BYTES + 4 * get(frame, ETHER_BYTES, "ipv4", "ihl")
    if name and start + size_bytes <= len(frame):
        out |= {name: start, "tcpudp": start}
    return out


def get(frame: bytes, start: int, header: str, name: str) -> int:
    """A field of a header that starts there, in host order."""
    field = HEADERS[header][name]
    first, end = _extent(start, field.offset_bits, field.size_bits)
    below = 8 * end - 8 * start - field.offset_bits - field.size_bits
    return int.from_bytes(frame[first:end], "big") >> below & ((1 << field.size_bits) - 1)


def put(frame: bytearray, start: int, header: str, name: str, value: int) -> None:
    """Sets a field of a header that starts there."""
    field = HEADERS[header][name]
    first, end = _extent(start, field.offset_bits, field.size_bits)
    below = 8 * end - 8 * start - field.offset_bits - field.size_bits
    mask = (1 << field.size_bits) - 1
    whole = int.from_bytes(frame[first:end], "big") & ~(mask << below) | (value & mask) << below
    frame[first:end] = whole.to_bytes(end - first, "big")


def _extent(start: int, offset_bits: int, size_bits: int) -> tuple[int, int]:
    return start + offset_bits // 8, start + (offset_bits + size_bits + 7) // 8


def seen(frame: bytes) -> Iterator[tuple[str, int]]:
    """The addresses and ports in a frame, with what they are."""
    found = starts(frame)
    for (header, name), kind in KINDS.items():
        if header in found:
            yield kind, get(frame, found[header], header, name)


def reply(frame: bytes) -> bytes:
    """The frame with its ends exchanged."""
    out, found = bytearray(frame), starts(frame)
    for (header, one), (_, other) in ENDS:
        if header in found:
            start = found[header]
            first, second = get(frame, start, header, one), get(frame, start, header, other)
            put(out, start, header, one, second)
            put(out, start, header, other, first)
    return bytes(out)


def datagram(fields: Mapping[tuple[str, str], int], protocol: int, header_words: int = IPV4_BYTES // 4) -> bytearray:
    """A frame that holds an IPv4 datagram of a protocol, with a few bytes of data; `fields` are set in it."""
    name, size_bytes = TRANSPORTS.get(protocol, ("", 0))
    header_bytes = 4 * header_words
    total = header_bytes + size_bytes + PAYLOAD_BYTES
    frame = bytearray(ETHER_BYTES + total)
    start = ETHER_BYTES + header_bytes
    plain = {
        ("ether", "type"): TYPE_IPV4, ("ipv4", "version"): 4, ("ipv4", "ihl"): header_words,
        ("ipv4", "total_length"): total, ("ipv4", "ttl"): 64, ("ipv4", "protocol"): protocol,
        ("tcp", "data_offset"): TCP_BYTES // 4, ("udp", "length"): UDP_BYTES + PAYLOAD_BYTES,
    }  # fmt: skip
    places = {"ether": 0, "ipv4": ETHER_BYTES, name: start, "tcpudp": start}
    for (header, field), value in {**plain, **fields}.items():
        if header in places and (name or header != "tcpudp"):
            put(frame, places[header], header, field, value)
    return frame


def fix_checksums(frame: bytearray) -> None:
    """Sets the checksums of IPv4, TCP and UDP (RFC 1071) to what they should be."""
    found = starts(bytes(frame))
    if "ipv4" not in found:
        return
    header_bytes = 4 * get(bytes(frame), ETHER_BYTES, "ipv4", "ihl")
    put(frame, ETHER_BYTES, "ipv4", "checksum", 0)
    put(frame, ETHER_BYTES, "ipv4", "checksum", checksum(frame[ETHER_BYTES : ETHER_BYTES + header_bytes]))
    total = get(bytes(frame), ETHER_BYTES, "ipv4", "total_length")
    for name in ("tcp", "udp"):
        if name in found:
            start = found[name]
            segment_end = max(start, min(len(frame), ETHER_BYTES + total))
            put(frame, start, name, "checksum", 0)
            protocol = get(bytes(frame), ETHER_BYTES, "ipv4", "protocol")
            ends = bytes(frame[ETHER_BYTES + ENDS_OFFSET : ETHER_BYTES + IPV4_BYTES])
            pseudo = ends + bytes([0, protocol]) + (segment_end - start).to_bytes(2, "big")
            value = checksum(pseudo + frame[start:segment_end])
            # A UDP checksum of 0 means that there is none (RFC 768).
            put(frame, start, name, "checksum", value or (0xFFFF if name == "udp" else 0))


def checksum(content: bytes | bytearray) -> int:
    """The Internet checksum of RFC 1071."""
    padded = bytes(content) + bytes(len(content) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
