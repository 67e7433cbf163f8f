"""What the router does: the forwarding of RFC 1812 section 5.2, and the longest match of RFC 4632 section 5.1.

First the one-off properties, each of which could have been written alone, then the full specification, in three parts:
which packets are forwarded, which are not, and what is sent; routes stay as they are.
"""

import pytest

from properties.flows import readdressed
from pytest_vigor import assume

pytestmark = pytest.mark.nf("router")

def is_valid(packet):
    """RFC 1812 section 5.2.2: what must be so before anything else in the header may be believed; and no options."""
    return packet.ipv4 and packet.ipv4.ihl == 5 and packet.ipv4.checksum_is_right


def is_forwarded(step):
    """Whether the packet may go on: a valid one for us alone that has a hop left."""
    packet = step.packet
    return is_valid(packet) and not packet.ether.dst >> 40 & 1 and packet.ipv4.ttl > 1


def hopped(packet):
    """The packet one hop further, whatever its checksum."""
    return packet.with_(ipv4={"ttl": packet.ipv4.ttl - 1, "checksum": ...})


# ---- one-off properties


def test_invalid_header_is_dropped(step):
    """RFC 1812 §5.2.2 (1), (3) to (5): a packet that is no IPv4, is too short for a header, has a header length below
    20 bytes, or a total length that is below the header's or beyond the frame, is discarded."""
    assume(not step.packet.ipv4)
    assert step.dropped


def test_wrong_version_is_dropped(step):
    """RFC 1812 §5.2.2 (3): the IP version number must be 4."""
    assume(step.packet.length > 14)
    assume(step.packet.byte(14) >> 4 != 4)
    assert step.dropped


def test_short_header_is_dropped(step):
    """RFC 1812 §5.2.2 (4): the IP header length must be at least 20 bytes."""
    assume(step.packet.length > 14)
    assume(step.packet.byte(14) & 15 < 5)
    assert step.dropped


def test_wrong_checksum_is_dropped(step):
    """RFC 1812 §5.2.2 (2): the IP checksum must be correct."""
    assume(step.packet.ipv4 and step.packet.ipv4.ihl == 5)
    assume(not step.packet.ipv4.checksum_is_right)
    assert step.dropped


def test_options_are_not_forwarded(step):
    """RFC 7126 §3.1: packets with options are dropped, as routers that would have to process them may be set to do."""
    assume(step.packet.ipv4 and step.packet.ipv4.ihl > 5)
    assert step.dropped


def test_checksum_stays_right(step):
    """RFC 1812 §4.2.2.5, RFC 1624 §3: a right header checksum is right again in what is sent."""
    assume(step.packet.ipv4 and step.packet.ipv4.checksum_is_right)
    assume(not step.dropped)
    assert step.sent[0][1].ipv4.checksum_is_right


def test_expired_packet_is_dropped(step):
    """RFC 1812 §5.3.1: a packet whose time to live would become 0 is not forwarded."""
    assume(step.packet.ipv4 and step.packet.ipv4.ttl <= 1)
    assert step.dropped


def test_time_to_live_counts_down(step):
    """RFC 1812 §5.3.1, RFC 791 §3.2: every router takes at least 1 from the time to live; this one takes just that."""
    assume(step.packet.ipv4 and not step.dropped)
    assert step.sent[0][1].ipv4.ttl == step.packet.ipv4.ttl - 1


def test_longest_match_decides(step):
    """RFC 1812 §5.2.4.3 (2), RFC 4632 §5.1: of the routes that match, that of the longest prefix is taken."""
    assume(step.packet.ipv4 and not step.dropped)
    route = step.old.routes.longest(step.packet.ipv4.dst)
    assert route is not None and step.sent_to(route.value)


def test_no_route_drops(step):
    """RFC 1812 §5.2.4.3, §4.3.3.1: a packet that no route matches is discarded."""
    assume(step.packet.ipv4)
    assume(not step.old.routes.covers(step.packet.ipv4.dst))
    assert step.dropped


def test_link_layer_groups_are_not_forwarded(step):
    """RFC 1812 §5.3.4: what came as a link-layer broadcast or multicast is not forwarded."""
    assume(step.packet.ether and step.packet.ether.dst >> 40 & 1)
    assert step.dropped


def test_data_and_options_stay(step):
    """RFC 1812 §5.2.1.2, RFC 791 §2.4: nothing else is touched, in the header or behind it."""
    assume(step.packet.ipv4 and not step.dropped)
    _, packet = step.sent[0]
    assert packet.with_(ether={"dst": ..., "src": ...}) == hopped(step.packet)


def test_packets_never_change_routes(step):
    """RFC 1812 §5.2.4: forwarding reads the table; only whoever configures the router writes it."""
    assert step.new == step.old


def test_accepted_configurations(step):
    """RFC 1812 §2.2.3: a router has two interfaces or more, this one 32 at most, and it has 1 to 2^20 routes."""
    assert 2 <= step.device_count <= 32
    assert 1 <= step.config.capacity <= 2**20
    assert step.old.routes.capacity == step.config.capacity


# ---- the full specification


def test_forwarding(step):
    """RFC 1812 §5.2: what is forwarded goes to the neighbour on the device of its longest match, one hop further."""
    assume(step.packet.ipv4 and not step.dropped)
    route = step.old.routes.longest(step.packet.ipv4.dst)
    packet = readdressed(hopped(step.packet), step.config.links[route.value])
    assert step.sent == [(route.value, packet)]


@pytest.mark.parametrize("length", range(33))
def test_what_matches_is_forwarded(step, length):
    """RFC 1812 §5.2.4.3: a valid packet with a hop left that matches a route, of whichever length, is not dropped."""
    assume(is_forwarded(step))
    assume(step.old.routes.matches(step.packet.ipv4.dst, length))
    assert not step.dropped


def test_everything_else_is_dropped(step):
    """RFC 1812 §5.2.2, §5.3.1, §5.3.4: what is invalid, at its last hop, or meant for a group of stations."""
    assume(not is_forwarded(step))
    assert step.dropped
