"""Packets in properties: fields by name, presence as truth, expected packets with ``...`` for any value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.frame import OFFSET_BITS, Frame, Write
from pytest_vigor.ghost.facts import Knowledge
from pytest_vigor.number import Run, Truth, number, truth
from pytest_vigor.packet import (
    ETHER_BYTES,
    HEADERS,
    IPV4_BYTES,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    TCP_BYTES,
    TYPE_IPV4,
    UDP_BYTES,
    HeaderField,
    value_of,
)
from pytest_vigor.property.checksums import checksum_is_right
from pytest_vigor.record import fitted
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import tell, tell_of_text
from pytest_vigor.watch import unwatched


class AbsentHeader(Exception):
    """A field was read of a header that the packet need not have."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Bytes that an expected packet leaves open."""

    offset: Value
    size_bytes: int


def _without(frame: Frame, wildcards: tuple[Wildcard, ...]) -> Frame:
    """The frame without those writes that only touch bytes that are left open anyway."""

    def is_open(write: Write) -> bool:
        distances = ((t.sub(OFFSET_BITS, write.offset, each.offset), each.size_bytes) for each in wildcards)
        return any(isinstance(d, int) and d + write.size_bytes <= size for d, size in distances)

    return replace(frame, writes=tuple(write for write in frame.writes if not is_open(write)))


class Header:
    """One header of a packet: its fields as attributes; true where the packet has it."""

    __slots__ = ("_name", "_packet")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, packet: Packet, name: str) -> None:
        self._packet, self._name = packet, name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Header):
            raise TypeError("headers are not compared as such: compare their fields, or the packets")
        return NotImplemented

    @unwatched
    def __bool__(self) -> bool:
        return bool(self.present)

    @property
    def present(self) -> bool | Truth:
        """Whether the packet has this header, whole."""
        return truth(self._packet.run, self._packet.presence(self._name))

    @property
    def offset(self) -> Any:
        """Where the header starts, in bytes from the start of the packet."""
        return number(self._packet.run, self._packet.start(self._name), OFFSET_BITS)

    @property
    @unwatched
    def checksum_is_right(self) -> bool | Truth:
        """Whether the checksum is right, over all that it covers. A UDP datagram may be without one (RFC 768)."""
        self._must_be_there("checksum_is_right")
        return truth(self._packet.run, checksum_is_right(self._packet, self._name))

    @unwatched
    def __getattr__(self, name: str) -> Any:
        field = HEADERS[self._name].get(name)
        if field is None:
            raise AttributeError(f"{self._name} has no field {name!r}; it has {', '.join(HEADERS[self._name])}")
        self._must_be_there(name)
        packet = self._packet
        value = number(packet.run, packet.field(self._name, field), field.size_bits)
        return value_of(field, value) if isinstance(value, int) else value

    def _must_be_there(self, name: str) -> None:
        there = self._packet.there
        if self._name not in there and self:
            there.add(self._name)
        if self._name not in there:
            raise AbsentHeader(
                f"packet.{self._name}.{name} is read where the packet has no {self._name} header: "
                f"say assume(packet.{self._name}) first"
            )

    def __repr__(self) -> str:
        return f"<{self._name}>"

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and values of the fields."""
        return ((name, getattr(self, name)) for name in HEADERS[self._name])


class Packet:
    """A packet's bytes and length, with its headers decoded by field. Numbers are in host order."""

    __slots__ = ("any_bytes", "facts", "frame", "length_bits", "run", "there")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, run: Run, facts: Knowledge, frame: Frame, length: Value, any_bytes: tuple[Wildcard, ...] = ()
    ) -> None:
        self.run, self.facts, self.frame, self.length_bits, self.any_bytes = run, facts, frame, length, any_bytes
        self.there: set[str] = set()  #: headers that are known to be there: on a run, what is so stays so

    @property
    def length(self) -> Any:
        """In bytes, without the frame check sequence."""
        return number(self.run, self.length_bits, OFFSET_BITS)

    @property
    def ether(self) -> Header:
        return Header(self, "ether")

    @property
    def ipv4(self) -> Header:
        return Header(self, "ipv4")

    @property
    def tcp(self) -> Header:
        return Header(self, "tcp")

    @property
    def udp(self) -> Header:
        return Header(self, "udp")

    @property
    def tcpudp(self) -> Header:
        """The ports, of TCP or of UDP."""
        return Header(self, "tcpudp")

    def byte(self, offset: Any) -> Any:
        """The byte at an offset below the length."""
        at = fitted(self.run, offset, OFFSET_BITS)
        if not truth(self.run, t.ult(OFFSET_BITS, at, self.length_bits)):
            raise IndexError(offset)
        return number(self.run, self.frame.byte(at), 8)

    # ---- where headers are

    def start(self, header: str) -> Value:
        """The offset of a header that is there."""
        if header == "ether":
            return 0
        if header == "ipv4":
            return ETHER_BYTES
        return t.add(OFFSET_BITS, ETHER_BYTES, self.header_bytes())

    def header_bytes(self) -> Value:
        """The length of the IPv4 header, which must be there."""
        ihl = t.extract(self.frame.byte(ETHER_BYTES), 8, 3, 0)
        return t.zext(t.concat([(4, ihl), (2, 0)]), 6, OFFSET_BITS)

    def presence(self, header: str) -> Bool:
        """Whether a header is there, whole and of the length that it claims."""
        frame, length = self.frame, self.length_bits
        ether = t.ule(OFFSET_BITS, ETHER_BYTES, length)
        if header == "ether":
            return ether
        # As C code for a little-endian machine has it, so that what a path knows need not be shown to the solver.
        total = t.zext(frame.read_big_endian(ETHER_BYTES + 2, 2), 16, 32)
        header_bytes, room = t.zext(self.header_bytes(), OFFSET_BITS, 32), t.zext(length, OFFSET_BITS, 32)
        ipv4 = t.land(
            t.ule(OFFSET_BITS, ETHER_BYTES + IPV4_BYTES, length),
            t.eq(16, frame.read(12, 2), int.from_bytes(TYPE_IPV4.to_bytes(2, "big"), "little")),
            t.eq(4, t.extract(frame.byte(ETHER_BYTES), 8, 7, 4), 4),
            t.ule(32, IPV4_BYTES, header_bytes),
            t.ule(32, header_bytes, total),
            t.ule(32, total, t.sub(32, room, ETHER_BYTES)),
        )
        if header == "ipv4":
            return ipv4
        fragment = t.band(16, frame.read(ETHER_BYTES + 6, 2), 0xFF3F)
        protocol, payload = frame.byte(ETHER_BYTES + 9), t.sub(32, total, header_bytes)
        whole = t.land(ipv4, t.eq(16, fragment, 0))
        tcp = t.land(t.eq(8, protocol, PROTOCOL_TCP), t.ule(32, TCP_BYTES, payload))
        udp = t.land(t.eq(8, protocol, PROTOCOL_UDP), t.ule(32, UDP_BYTES, payload))
        return t.land(whole, {"tcp": tcp, "udp": udp}.get(header, t.lor(tcp, udp)))

    def field(self, header: str, field: HeaderField) -> Value:
        """The bits of a field, in host order."""
        first, last = field.offset_bits // 8, (field.offset_bits + field.size_bits - 1) // 8
        size_bytes = last - first + 1
        whole = self.frame.read_big_endian(t.add(OFFSET_BITS, self.start(header), first), size_bytes)
        low = 8 * (last + 1) - field.offset_bits - field.size_bits
        return t.extract(whole, 8 * size_bytes, low + field.size_bits - 1, low)

    # ---- expected packets

    @unwatched
    def with_(self, **headers: dict[str, Any]) -> Packet:
        """The packet with some fields changed: ``packet.with_(ipv4=dict(src=address, checksum=...))``. ``...`` leaves
        a field's bytes open."""
        frame, any_bytes = self.frame, self.any_bytes
        for header, changes in headers.items():
            if header not in HEADERS:
                raise TypeError(f"no such header: {header}; there are {', '.join(HEADERS)}")
            for name, value in changes.items():
                field = HEADERS[header].get(name)
                if field is None:
                    raise TypeError(f"{header} has no field {name!r}; it has {', '.join(HEADERS[header])}")
                at = t.add(OFFSET_BITS, self.start(header), field.offset_bits // 8)
                end = (field.offset_bits + field.size_bits + 7) // 8
                size_bytes = end - field.offset_bits // 8
                if value is ...:
                    any_bytes = (*any_bytes, Wildcard(at, size_bytes))
                    continue
                bits = fitted(self.run, value, field.size_bits)
                old = frame.read_big_endian(at, size_bytes)
                width, low = 8 * size_bytes, 8 * end - field.offset_bits - field.size_bits
                parts = [
                    (width - low - field.size_bits, t.extract(old, width, width - 1, low + field.size_bits)
                     if width > low + field.size_bits else 0),
                    (field.size_bits, bits),
                    (low, t.extract(old, width, low - 1, 0) if low else 0),
                ]  # fmt: skip
                whole = t.concat(parts)
                swapped = t.concat([(8, t.extract(whole, width, 8 * k + 7, 8 * k)) for k in range(size_bytes)])
                frame = frame.write(at, size_bytes, swapped)
        return Packet(self.run, self.facts, frame, self.length_bits, any_bytes)

    def __eq__(self, other: object) -> Any:
        return truth(self.run, self.same(other)) if isinstance(other, Packet) else NotImplemented

    def same(self, other: Packet) -> Bool:
        """Equality of lengths and of every byte that neither side leaves open. Decided at the bytes that were written
        where both packets come from one, else at one arbitrary byte."""
        lengths = t.eq(OFFSET_BITS, self.length_bits, other.length_bits)
        if self.frame == other.frame:
            return lengths
        wildcards = self.any_bytes + other.any_bytes
        mine, theirs = _without(self.frame, wildcards), _without(other.frame, wildcards)

        def alike(at: Value) -> Bool:
            within = [
                t.ult(OFFSET_BITS, t.sub(OFFSET_BITS, at, each.offset), each.size_bytes) for each in wildcards
            ]
            outside = t.ule(OFFSET_BITS, self.length_bits, at)
            return t.lor(outside, *within, t.eq(8, mine.byte(at), theirs.byte(at)))

        if mine.symbol == theirs.symbol and mine.content == theirs.content:
            written = [(w.offset, k) for w in (*mine.writes, *theirs.writes) for k in range(w.size_bytes)]
            places = dict.fromkeys(t.add(OFFSET_BITS, offset, k) for offset, k in written)
            return t.land(lengths, *(alike(at) for at in places))

        def extent() -> range:
            assert isinstance(self.length_bits, int)
            return range(self.length_bits)

        identity = ("packets", self.frame, other.frame, wildcards, self.length_bits)
        return t.land(lengths, self.facts.forall(identity, "bytes of packets", OFFSET_BITS, alike, extent))

    def content(self) -> bytes:
        """The bytes of a plain packet."""
        if not isinstance(self.length_bits, int) or self.frame.content is None:
            tell(self.run, "the content of a packet")
            raise TypeError("a symbolic packet has no content: ask for its bytes, one by one")
        return bytes(v for k in range(self.length_bits) if isinstance(v := self.frame.byte(k), int))

    def __repr__(self) -> str:
        if isinstance(self.length_bits, int) and self.frame.content is not None:
            return f"<packet of {self.length_bits} bytes>"
        tell_of_text(self.run)
        return "<packet>"
