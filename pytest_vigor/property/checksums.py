"""Whether a packet's checksums are right: RFC 791 (IPv4), RFC 9293 section 3.1 (TCP), RFC 768 (UDP), by RFC 1071.

One's complement addition is addition modulo 65535, except that only a sum of nothing but zeros is zero. So a checksum
is right if all 16-bit words that it covers, itself included, sum up to a multiple of 65535 that is not zero. In which
order the two bytes of each word are taken does not matter (RFC 1071 section 2, B): here the first is the lower one.

Of a symbolic packet, the words of the fixed headers are known one by one, and all that follows is one unknown sum.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING

from pytest_vigor import term as t
from pytest_vigor.errors import VigorError
from pytest_vigor.frame import OFFSET_BITS
from pytest_vigor.packet import ETHER_BYTES, IPV4_BYTES, PROTOCOL_TCP, TRANSPORTS, UDP_BYTES
from pytest_vigor.residues import CHECKSUMS, is_multiple, is_zero
from pytest_vigor.term import Bool, Piece, Value
from pytest_vigor.unanswered import tell

if TYPE_CHECKING:
    from pytest_vigor.property.packets import Packet

SUM_BITS = 32
REST_BITS = 26  #: no frame has more words than their sum has room for
FIXED_BYTES = dict(TRANSPORTS.values())
UDP_LENGTH = 4  #: where its length is in a UDP header
REST = ".rest."  #: in the names of the unknown sums


def checksum_is_right(packet: Packet, header: str) -> Bool:
    """Whether the checksum in a header that the packet has is right. In UDP, 0 says that there is none."""
    if header == "tcpudp":
        is_tcp = t.eq(8, packet.frame.byte(ETHER_BYTES + 9), PROTOCOL_TCP)
        return t.ite(0, is_tcp, checksum_is_right(packet, "tcp"), checksum_is_right(packet, "udp"))  # type: ignore[no-any-return]
    if packet.frame.content is not None:
        return _plain(packet, header)
    packet.facts.universal(CHECKSUMS, is_zero)  # what the NF has computed is tied to what is claimed
    words = _ipv4_words(packet) if header == "ipv4" else _transport_words(packet, header)
    total = reduce(partial(t.add, SUM_BITS), (t.zext(word, width, SUM_BITS) for width, word in words))
    right = t.land(t.lor(*(t.ne(width, word, 0) for width, word in words)), is_multiple(total))
    if header == "udp":
        checksum = packet.frame.read(t.add(OFFSET_BITS, packet.start(header), 6), 2)
        right = t.lor(t.eq(16, checksum, 0), t.land(_whole(packet), right))
    return right


def _whole(packet: Packet) -> Bool:
    """Whether a UDP length is one that its datagram has room for."""
    length = packet.frame.read_big_endian(t.add(OFFSET_BITS, packet.start("udp"), UDP_LENGTH), 2)
    return t.land(t.ule(16, UDP_BYTES, length), t.ule(16, length, _payload_bytes(packet)))


def _payload_bytes(packet: Packet) -> Value:
    return t.sub(16, packet.frame.read_big_endian(ETHER_BYTES + 2, 2), packet.header_bytes())


def _words(packet: Packet, start: Value, count: int) -> list[Piece]:
    return [(16, packet.frame.read(t.add(OFFSET_BITS, start, 2 * k), 2)) for k in range(count)]


def _rest(packet: Packet, header: str) -> Piece:
    """The sum of what follows the fixed header and is covered: the same before and after any writes elsewhere."""
    start, fixed = packet.start("tcpudp"), FIXED_BYTES.get(header, 0)
    for write in packet.frame.writes:
        if packet.frame.happens(write) is False:
            continue
        after = t.sub(OFFSET_BITS, write.offset, start)
        in_headers = isinstance(write.offset, int) and write.offset + write.size_bytes <= ETHER_BYTES + IPV4_BYTES
        lengths = isinstance(write.offset, int) and ETHER_BYTES - write.size_bytes < write.offset < ETHER_BYTES + 4
        behind = False
        if isinstance(after, int) and after < 1 << OFFSET_BITS - 1:  # and not in the options before it
            behind = header == "ipv4" or after + write.size_bytes <= fixed
            lengths |= header == "udp" and UDP_LENGTH - write.size_bytes < after < UDP_LENGTH + 2
        if lengths or not (in_headers or behind):
            tell(packet.run, "a checksum")
            raise VigorError(
                f"the {header} checksum of a packet of which other bytes than fixed header fields have changed",
                "claim it of packets whose lengths, options and data are what they were",
            )
    return REST_BITS, t.var(f"{packet.frame.symbol}{REST}{header}", REST_BITS)


def _ipv4_words(packet: Packet) -> list[Piece]:
    words, rest = _words(packet, ETHER_BYTES, IPV4_BYTES // 2), _rest(packet, "ipv4")
    is_short = t.eq(OFFSET_BITS, packet.header_bytes(), IPV4_BYTES)
    if packet.frame.limits is not None and packet.frame.limits.decided(is_short):
        return words
    packet.facts.fact(t.implies(is_short, t.eq(*rest, 0)))
    return [*words, rest]


def _transport_words(packet: Packet, header: str) -> list[Piece]:
    frame, start = packet.frame, packet.start(header)
    if header == "udp":
        length = frame.read(t.add(OFFSET_BITS, start, UDP_LENGTH), 2)
    else:
        bytes_ = _payload_bytes(packet)
        length = t.concat([(8, t.extract(bytes_, 16, 7, 0)), (8, t.extract(bytes_, 16, 15, 8))])
    protocol = t.concat([(8, frame.byte(ETHER_BYTES + 9)), (8, 0)])
    pseudo = [*_words(packet, ETHER_BYTES + 12, 4), (16, protocol), (16, length)]
    return [*pseudo, *_words(packet, start, FIXED_BYTES[header] // 2), _rest(packet, header)]


def _plain(packet: Packet, header: str) -> bool:
    frame = packet.content()
    ipv4 = frame[ETHER_BYTES:]
    header_bytes, total_bytes = (ipv4[0] & 15) * 4, int.from_bytes(ipv4[2:4], "big")
    if header == "ipv4":
        return _adds_up(ipv4[:header_bytes])
    segment = ipv4[header_bytes:total_bytes]
    if header == "udp":
        if segment[6:8] == b"\0\0":
            return True
        length = int.from_bytes(segment[4:6], "big")
        if not UDP_BYTES <= length <= len(segment):
            return False
        segment = segment[:length]
    pseudo = ipv4[12:20] + bytes([0, ipv4[9]]) + len(segment).to_bytes(2, "big")
    return _adds_up(pseudo + segment)


def _adds_up(covered: bytes) -> bool:
    padded = covered + b"\0" * (len(covered) % 2)
    total = sum(int.from_bytes(padded[k : k + 2], "little") for k in range(0, len(padded), 2))
    return total != 0 and total % 0xFFFF == 0
