"""What the properties of network functions that follow TCP and UDP flows have in common."""

from pytest_vigor import assume


def assume_right_checksum(step, header):
    """Leaves out what is dropped, and what came without a right checksum in a header. In UDP, 0 is none."""
    assume(not step.dropped)
    packet = getattr(step.packet, header)
    assume(packet and (header != "udp" or packet.checksum != 0))
    assume(packet.checksum_is_right)


def is_fragment(packet):
    """Whether the datagram is a part of a larger one (RFC 791 section 3.1: more fragments, or an offset)."""
    return packet.ipv4.flags % 2 != 0 or packet.ipv4.fragment_offset != 0


def readdressed(packet, link):
    """The packet as it is sent to the neighbour at the other end of a link."""
    return packet.with_(ether={"dst": link.next_hop, "src": link.own})


def reply_to(packet):
    """What the other end answers: the same, with the ends exchanged."""
    return packet.with_(
        ipv4={"src": packet.ipv4.dst, "dst": packet.ipv4.src},
        tcpudp={"src_port": packet.tcpudp.dst_port, "dst_port": packet.tcpudp.src_port},
    )


def differ(one, other):
    """Whether two tuples differ in anything, as one question instead of one for each part."""
    different = False
    for mine, theirs in zip(one, other, strict=True):
        different = (mine != theirs) | different
    return different
