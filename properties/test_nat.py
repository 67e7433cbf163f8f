"""What the NAT does: NAPT (RFC 3022 section 2.2) for TCP and UDP over IPv4. Terms are those of RFC 4787 and RFC 5382.

First the one-off properties, each of which could have been written alone, then the full specification: what becomes of
the flows, and which frames are sent where.

The mapping is address and port-dependent (RFC 4787 section 4.1), and so is the filtering (section 5): the flow at index
i has the outside port start_port + i, and what comes back is for it only from the other end that it has.
"""

import pytest

from properties.flows import assume_right_checksum, differ, is_fragment, readdressed, reply_to
from pytest_vigor import assume

pytestmark = pytest.mark.nf("nat")


def live_flows(step):
    """The flows that have not expired when the frame arrives."""
    return step.old.flows.expire_before(step.now - step.config.expiration_ns)


def flow(step):
    """The flow that a packet from inside belongs to."""
    ipv4, ports = step.packet.ipv4, step.packet.tcpudp
    return (ipv4.src, ipv4.dst, ports.src_port, ports.dst_port, ipv4.protocol, step.device)


def port_index(step):
    """The index that the outside port of a packet from outside stands for; it may be that of no flow."""
    return step.packet.tcpudp.dst_port - step.config.start_port


def is_reply(packet, flow):
    """Whether a packet comes from the other end that a flow has."""
    sender = (packet.ipv4.src, packet.tcpudp.src_port, packet.ipv4.protocol)
    return sender == (flow.remote_ip, flow.remote_port, flow.protocol)


def answered_index(step):
    """The index of the live flow that a packet from outside belongs to, None if there is none."""
    flows, index = live_flows(step), port_index(step)
    is_known = step.packet.ipv4.dst == step.config.external_ip and index in flows.indices
    return index if is_known and is_reply(step.packet, flows.key_at(index)) else None


def assume_from_inside(step):
    """Leaves out all but TCP and UDP from inside."""
    assume(step.packet.tcpudp)
    assume(step.device != step.config.wan_device)


def assume_from_outside(step):
    """Leaves out all but TCP and UDP from outside."""
    assume(step.packet.tcpudp)
    assume(step.device == step.config.wan_device)


def translated(packet, **changes):
    """The packet with one end changed, in the IPv4 header and in the ports, and with checksums to match."""
    transport = {"tcp" if packet.tcp else "udp": {"checksum": ...}}
    return packet.with_(ipv4={**changes["ipv4"], "checksum": ...}, tcpudp=changes["tcpudp"], **transport)


def sent_out(step, index):
    """What is sent for a packet from inside whose flow has this index."""
    device, port = step.config.wan_device, step.config.start_port + index
    packet = translated(step.packet, ipv4={"src": step.config.external_ip}, tcpudp={"src_port": port})
    return [(device, readdressed(packet, step.config.links[device]))]


def sent_in(step, index):
    """What is sent for a packet from outside whose flow has this index."""
    flow = step.old.flows.key_at(index)
    packet = translated(step.packet, ipv4={"dst": flow.inside_ip}, tcpudp={"dst_port": flow.inside_port})
    return [(flow.inside_device, readdressed(packet, step.config.links[flow.inside_device]))]


# ---- one-off properties


def test_block_packet_injection(step):
    """RFC 4787 §5, address and port-dependent filtering: what comes from outside for a flow, but not from the address,
    port and protocol at its other end, is dropped."""
    assume_from_outside(step)
    flows, index = live_flows(step), port_index(step)
    assume(index in flows.indices)
    assume(not is_reply(step.packet, flows.key_at(index)))
    assert step.dropped


def test_block_unsolicited(step):
    """RFC 3022 §2.2, §5.1: what comes from outside for a port without a flow is dropped: sessions are opened from
    inside."""
    assume_from_outside(step)
    assume(port_index(step) not in live_flows(step).indices)
    assert step.dropped


def test_ext_no_flow_alloc(step):
    """RFC 3022 §2.2: what comes from outside never creates a flow."""
    assume_from_outside(step)
    flows, index = live_flows(step), port_index(step)
    if index in flows.indices:
        assert step.new.flows == flows or step.new.flows == flows.refresh(index, step.now)
    else:
        assert step.new.flows == flows


def test_forward_reply(step):
    """RFC 3022 §3.2, §4.1: what comes from outside for a flow, from its other end, goes to its inside device, address
    and port."""
    assume_from_outside(step)
    flows, index = live_flows(step), port_index(step)
    assume(step.packet.ipv4.dst == step.config.external_ip)
    assume(index in flows.indices)
    assume(is_reply(step.packet, flows.key_at(index)))
    assert step.sent == sent_in(step, index)


def test_int_alloc_flow(step):
    """RFC 3022 §3.1: a packet from inside that belongs to no live flow gets one, aged now, unless all ports are in
    use."""
    assume_from_inside(step)
    flows = live_flows(step)
    assume(flow(step) not in flows and not flows.full)
    assert flow(step) in step.new.flows
    index = step.new.flows[flow(step)]
    assert index not in flows.indices
    assert step.new.flows.age(index) == step.now


def test_int_refresh_flow(step):
    """RFC 4787 §4.3 REQ-6: a packet from inside makes the age of its flow now; flow and index stay together."""
    assume_from_inside(step)
    flows = live_flows(step)
    assume(flow(step) in flows)
    index = flows[flow(step)]
    assert step.new.flows[flow(step)] == index
    assert step.new.flows.age(index) == step.now


def test_known_flow_refresh(step):
    """RFC 3022 §3.2, §4.1, RFC 4787 §4.3 REQ-6: a packet from inside of a known flow makes its age now, and leaves
    from the flow's outside port."""
    assume_from_inside(step)
    flows = live_flows(step)
    assume(flow(step) in flows)
    index = flows[flow(step)]
    assert step.new.flows == flows.refresh(index, step.now)
    assert step.sent == sent_out(step, index)


def test_new_flow_forward(step):
    """RFC 3022 §3.1, §4.1: a packet from inside that creates a flow leaves from the outside port that this gets."""
    assume_from_inside(step)
    flows = live_flows(step)
    assume(flow(step) not in flows and not flows.full)
    assert step.sent == sent_out(step, step.new.flows[flow(step)])


def test_table_updates(step):
    """RFC 3022 §3, RFC 4787 §4.3: expiry, one flow created from inside, and one refreshed from either side, are the
    only changes to the table."""
    assume(step.packet.tcpudp)
    flows = live_flows(step)
    if step.device == step.config.wan_device:
        index = answered_index(step)
        assert step.new.flows == (flows if index is None else flows.refresh(index, step.now))
    elif flow(step) in flows:
        assert step.new.flows == flows.refresh(flows[flow(step)], step.now)
    elif flows.full:
        assert step.new.flows == flows
    else:
        assert flow(step) in step.new.flows
        assert step.new.flows == flows.put(flow(step), step.new.flows[flow(step)], step.now)


# ---- full specification: the flows


def test_silent_flow_expires(step):
    """RFC 4787 §4.3 REQ-5, RFC 5382 §5 REQ-5: a flow ends once there was no packet of it for longer than the
    configured time, and not before."""
    assume_from_inside(step)
    ipv4, ports = step.packet.ipv4, step.packet.tcpudp
    other = (ipv4.dst, ipv4.src, ports.src_port, ports.dst_port, ipv4.protocol, step.device)
    assume(other in step.old.flows and other != flow(step))
    heard = step.old.flows.age(step.old.flows[other])
    assert (other in step.new.flows) == (heard >= step.now - step.config.expiration_ns)


def test_capacity(step):
    """RFC 3022 §2.2: there are as many flows as the configuration says, and each has a port: none is 0, none wraps."""
    assert step.old.flows.capacity == step.config.capacity
    assert step.config.start_port > 0 and step.config.start_port + step.config.capacity <= 65536


def test_accepted_configurations(step):
    """RFC 3022 §2: there is an outside, and 1 to 31 other devices. No flow lives without packets for longer than
    1,000,000 s."""
    assert 2 <= step.device_count <= 32
    assert step.config.wan_device < step.device_count
    assert 1 <= step.config.expiration_ns <= 10**15
    assert step.config.capacity > 0


# ---- full specification: the frames sent


def test_forwarding(step):
    """RFC 3022 §3, §4.1: the frames sent are exactly these."""
    expected = []
    if step.packet.tcpudp:
        if step.device == step.config.wan_device:
            index = answered_index(step)
            expected = [] if index is None else sent_in(step, index)
        elif flow(step) in step.new.flows:
            expected = sent_out(step, step.new.flows[flow(step)])
    assert step.sent == expected


def test_rest_stays_as_it_is(step):
    """RFC 3022 §4.1: of what passes, nothing changes but Ethernet addresses, one IPv4 address, one port and the
    checksums over these; options and data do not."""
    for device, packet in step.sent:
        transport = {"tcp" if step.packet.tcp else "udp": {"checksum": ...}}
        end, port = ("src", "src_port") if device == step.config.wan_device else ("dst", "dst_port")
        ipv4, ether = {end: ..., "checksum": ...}, {"dst": ..., "src": ...}
        assert packet == step.packet.with_(ether=ether, ipv4=ipv4, tcpudp={port: ...}, **transport)


def test_ipv4_checksum_stays_right(step):
    """RFC 3022 §4.1, RFC 1624 §3: if the IPv4 header checksum was right, that of what is sent is right."""
    assume_right_checksum(step, "ipv4")
    assert step.sent[0][1].ipv4.checksum_is_right


def test_tcp_checksum_stays_right(step):
    """RFC 3022 §4.1, RFC 1624 §3: if the TCP checksum was right, that of what is sent is right."""
    assume_right_checksum(step, "tcp")
    assert step.sent[0][1].tcp.checksum_is_right


def test_udp_checksum_stays_right(step):
    """RFC 3022 §4.1, RFC 1624 §3, RFC 768: if there was a UDP checksum and it was right, that of what is sent is right;
    one that comes out as 0 is sent as 0xFFFF."""
    assume_right_checksum(step, "udp")
    assert step.sent[0][1].udp.checksum_is_right


def test_udp_without_checksum_stays_without(step):
    """RFC 3022 §4.1, RFC 768: a UDP datagram that has no checksum gets none."""
    assume(not step.dropped and step.packet.udp)
    assume(step.packet.udp.checksum == 0)
    assert step.sent[0][1].udp.checksum == 0


def test_only_between_inside_and_outside(step):
    """RFC 3022 §2: what passes either comes from outside or goes there: neither back, nor from inside to inside."""
    for device, _ in step.sent:
        assert (device == step.config.wan_device) != (step.device == step.config.wan_device)


def test_outside_port_is_one_of_the_configured(step):
    """RFC 3022 §2.2, RFC 4787 §4.2: what leaves comes from the outside address, and from a port of the configured
    range."""
    assume(step.device != step.config.wan_device and not step.dropped)
    _, packet = step.sent[0]
    assert packet.ipv4.src == step.config.external_ip
    assert step.config.start_port <= packet.tcpudp.src_port < step.config.start_port + step.config.capacity


def test_other_addresses_are_not_translated(step):
    """RFC 3022 §3.2: what comes from outside for another address than the NAT's is dropped."""
    assume_from_outside(step)
    assume(step.packet.ipv4.dst != step.config.external_ip)
    assert step.dropped


def test_full_table_drops_new_flows(step):
    """RFC 3022 §2.2: with all ports in use, a packet from inside that needs another one is dropped."""
    assume_from_inside(step)
    flows = live_flows(step)
    assume(flow(step) not in flows and flows.full)
    assert step.dropped


def test_fragments_are_dropped(step):
    """RFC 3022 §6.3: fragments cannot be told to belong to a flow."""
    assume(step.packet.ipv4 and is_fragment(step.packet))
    assert step.dropped
    assert step.new == step.old


def test_other_protocols_are_dropped(step):
    """RFC 3022 §2.2: what is not TCP (6) or UDP (17), over IPv4, is dropped, and no flow is created or kept by it."""
    assume(not step.packet.ipv4 or (step.packet.ipv4.protocol != 6 and step.packet.ipv4.protocol != 17))
    assert step.dropped
    assert step.new == step.old


def test_cut_headers_are_dropped(step):
    """RFC 9293 §3.1, RFC 768: a datagram that does not hold its TCP or UDP header is dropped, and changes nothing."""
    assume(step.packet.ipv4 and not step.packet.tcpudp)
    assert step.dropped
    assert step.new == step.old


# ---- full specification: two steps


def reply(step):
    """The reply to what a packet from inside became, at any later time."""
    assume_from_inside(step)
    assume(not step.dropped)
    return step.then(step.config.wan_device, reply_to(step.sent[0][1]), ...)


def test_reply_comes_back(step):
    """RFC 3022 §3.2, RFC 4787 §5: the reply to what was let out is let in, to the very device, address and port that
    it came from, as long as the flow lives."""
    later = reply(step)
    assume(later.now - step.config.expiration_ns <= step.now)
    back = translated(
        later.packet, ipv4={"dst": step.packet.ipv4.src}, tcpudp={"dst_port": step.packet.tcpudp.src_port}
    )
    assert later.sent == [(step.device, readdressed(back, step.config.links[step.device]))]


def test_late_reply_is_dropped(step):
    """RFC 3022 §3.3, RFC 4787 §4.3: once the flow has expired, the reply is not let in."""
    later = reply(step)
    assume(later.now - step.config.expiration_ns > step.now)
    assert later.dropped


def test_flows_never_share_a_port(step):
    """RFC 3022 §2.2, RFC 4787 §4.2.1 REQ-3: while a flow lives, no other flow has its outside port."""
    assume_from_inside(step)
    assume(not step.dropped)
    later = step.then(..., ..., ...)
    assume_from_inside(later)
    assume(later.now - step.config.expiration_ns <= step.now)
    assume(differ(flow(later), flow(step)))
    assume(not later.dropped)
    assert later.sent[0][1].tcpudp.src_port != step.sent[0][1].tcpudp.src_port


def test_flow_keeps_its_port(step):
    """RFC 4787 §4.1, §4.3: while a flow lives, its packets leave from the same outside port."""
    assume_from_inside(step)
    assume(not step.dropped)
    later = step.then(step.device, step.packet, ...)
    assume(later.now - step.config.expiration_ns <= step.now)
    assert later.sent[0][1].tcpudp.src_port == step.sent[0][1].tcpudp.src_port
