"""What the firewall does: sessions of TCP and UDP over IPv4 are opened from inside, and the outside can only answer.

First the one-off properties, each of which could have been written alone, then the full specification: what becomes of
the sessions, and which frames are sent where. Where a standard for address translators is cited, it is for what it
says of mappings and filtering: RFC 2979 section 1 wants a firewall to be as transparent as that.
"""

import pytest

from properties.flows import is_fragment, readdressed, reply_to
from pytest_vigor import assume

pytestmark = pytest.mark.nf("firewall")


def live_sessions(step):
    """The sessions that have not expired when the frame arrives."""
    return step.old.sessions.expire_before(step.now - step.config.expiration_ns)


def opened(packet):
    """The session that a packet from inside belongs to."""
    ipv4, ports = packet.ipv4, packet.tcpudp
    return (ipv4.src, ipv4.dst, ports.src_port, ports.dst_port, ipv4.protocol)


def answered(packet):
    """The session that a packet from outside belongs to."""
    ipv4, ports = packet.ipv4, packet.tcpudp
    return (ipv4.dst, ipv4.src, ports.dst_port, ports.src_port, ipv4.protocol)


def assume_from_inside(step):
    """Leaves out all but TCP and UDP from inside."""
    assume(step.packet.tcpudp)
    assume(step.device != step.config.wan_device)


def assume_from_outside(step):
    """Leaves out all but TCP and UDP from outside."""
    assume(step.packet.tcpudp)
    assume(step.device == step.config.wan_device)


def sent_on(step, device):
    """What is sent when a packet passes: itself, readdressed."""
    return [(device, readdressed(step.packet, step.config.links[device]))]


# ---- one-off properties


def test_block_unsolicited(step):
    """RFC 4787 §5: what comes from outside without a live session is dropped."""
    assume_from_outside(step)
    assume(answered(step.packet) not in live_sessions(step))
    assert step.dropped


def test_flowtable_refresh(step):
    """RFC 4787 §4.3 REQ-6: a packet of a live session, from the device that opened it or from outside, makes its age
    now, and changes nothing else."""
    assume(step.packet.tcpudp)
    is_outside, sessions = step.device == step.config.wan_device, live_sessions(step)
    session = answered(step.packet) if is_outside else opened(step.packet)
    assume(session in sessions)
    index = sessions[session]
    assume(is_outside or step.old.openers[index].device == step.device)
    assert step.new.sessions == sessions.refresh(index, step.now)
    assert step.new.openers == step.old.openers


def test_outbound_forward(step):
    """RFC 2979 §3: whatever comes from inside goes to the outside device, as it came but for the Ethernet
    addresses."""
    assume_from_inside(step)
    assert step.sent == sent_on(step, step.config.wan_device)


def test_outbound_open_flow(step):
    """RFC 4787 §4.1, RFC 5382 §4: a packet from inside that belongs to no live session opens one, and its device is
    remembered, unless the table is full."""
    assume_from_inside(step)
    session, sessions = opened(step.packet), live_sessions(step)
    assume(session not in sessions and not sessions.full)
    assert session in step.new.sessions
    index = step.new.sessions[session]
    assert index not in sessions.indices
    assert step.new.sessions.age(index) == step.now
    assert step.new.openers[index].device == step.device


def test_reply_forward(step):
    """RFC 4787 §5, RFC 5382 §4.3: what comes from outside for a live session goes to the device that opened it, as it
    came but for the Ethernet addresses."""
    assume_from_outside(step)
    session, sessions = answered(step.packet), live_sessions(step)
    assume(session in sessions)
    assert step.sent == sent_on(step, step.old.openers[sessions[session]].device)


# ---- full specification: the sessions


def test_sessions_from_inside(step):
    """RFC 4787 §4.3: after a packet from inside, these are the sessions. One that another device opened is left to
    age."""
    assume_from_inside(step)
    session, sessions = opened(step.packet), live_sessions(step)
    if session in sessions:
        index = sessions[session]
        mine = step.old.openers[index].device == step.device
        assert step.new.sessions == (sessions.refresh(index, step.now) if mine else sessions)
    elif sessions.full:
        assert step.new.sessions == sessions
    else:
        assert session in step.new.sessions
        assert step.new.sessions == sessions.put(session, step.new.sessions[session], step.now)


def test_openers_from_inside(step):
    """RFC 4787 §5: only a session that is opened gets another device, the one it was opened from."""
    assume_from_inside(step)
    session, sessions = opened(step.packet), live_sessions(step)
    if session in sessions or sessions.full:
        assert step.new.openers == step.old.openers
    else:
        assert step.new.openers == step.old.openers.put(step.new.sessions[session], {"device": step.device})


def test_sessions_from_outside(step):
    """RFC 4787 §4.3, §5: after a packet from outside, these are the sessions: the same, and if it belongs to one, that
    is as young as the packet. No device changes."""
    assume_from_outside(step)
    session, sessions = answered(step.packet), live_sessions(step)
    if session in sessions:
        assert step.new.sessions == sessions.refresh(sessions[session], step.now)
    else:
        assert step.new.sessions == sessions
    assert step.new.openers == step.old.openers


def test_silent_session_expires(step):
    """RFC 4787 §4.3 REQ-5, RFC 5382 §5 REQ-5: a session ends once there was no packet of it for longer than the
    configured time, and not before."""
    assume(step.packet.tcpudp)
    ipv4, ports = step.packet.ipv4, step.packet.tcpudp
    other = (ipv4.src, ipv4.dst, ports.dst_port, ports.src_port, ipv4.protocol)
    assume(other in step.old.sessions and other != opened(step.packet) and other != answered(step.packet))
    heard = step.old.sessions.age(step.old.sessions[other])
    assert (other in step.new.sessions) == (heard >= step.now - step.config.expiration_ns)


def test_capacity(step):
    """RFC 2979 §3: there is room for as many sessions as the configuration says."""
    assert step.old.sessions.capacity == step.config.capacity
    assert step.old.openers.capacity == step.config.capacity


def test_accepted_configurations(step):
    """RFC 2979 §1: there is an outside, and 1 to 31 other devices. No session lives without packets for longer than
    1,000,000 s, and there are 2^20 at most."""
    assert 2 <= step.device_count <= 32
    assert step.config.wan_device < step.device_count
    assert 1 <= step.config.expiration_ns <= 10**15
    assert 1 <= step.config.capacity <= 2**20


# ---- full specification: the frames sent


def test_forwarding(step):
    """RFC 4787 §5, RFC 5382 §4.3, RFC 2979 §3: the frames sent are exactly these."""
    expected = []
    if step.packet.tcpudp:
        sessions = live_sessions(step)
        if step.device != step.config.wan_device:
            expected = sent_on(step, step.config.wan_device)
        elif answered(step.packet) in sessions:
            expected = sent_on(step, step.old.openers[sessions[answered(step.packet)]].device)
    assert step.sent == expected


def test_datagrams_stay_as_they_are(step):
    """RFC 2979 §3: nothing of a frame that passes changes but its Ethernet addresses."""
    for _, packet in step.sent:
        assert packet == step.packet.with_(ether={"dst": ..., "src": ...})


def test_only_between_inside_and_outside(step):
    """RFC 2979 §1: what passes either comes from outside or goes there: neither back, nor from inside to inside."""
    for device, _ in step.sent:
        assert (device == step.config.wan_device) != (step.device == step.config.wan_device)


def test_full_table_keeps_sending(step):
    """RFC 2979 §3: with no room for another session, packets from inside pass all the same."""
    assume_from_inside(step)
    sessions = live_sessions(step)
    assume(sessions.full and opened(step.packet) not in sessions)
    assert step.sent == sent_on(step, step.config.wan_device)


def test_fragments_are_dropped(step):
    """RFC 791 §3.2: only the first fragment of a datagram has ports, so no fragment can be told to belong to a
    session."""
    assume(step.packet.ipv4 and is_fragment(step.packet))
    assert step.dropped
    assert step.new == step.old


def test_other_protocols_are_dropped(step):
    """RFC 791 §3.1: what is not TCP (6) or UDP (17), over IPv4, is dropped, and no session is opened or kept by it."""
    assume(not step.packet.ipv4 or (step.packet.ipv4.protocol != 6 and step.packet.ipv4.protocol != 17))
    assert step.dropped
    assert step.new == step.old


def test_cut_headers_are_dropped(step):
    """RFC 9293 §3.1, RFC 768: a datagram that does not hold its TCP or UDP header is dropped, and changes nothing."""
    assume(step.packet.ipv4 and not step.packet.tcpudp)
    assert step.dropped
    assert step.new == step.old


# ---- full specification: two steps


def open_session(step):
    """The reply to a packet that opens a session or keeps its own alive, at any later time."""
    assume_from_inside(step)
    session, sessions = opened(step.packet), live_sessions(step)
    if session in sessions:
        assume(step.old.openers[sessions[session]].device == step.device)
    else:
        assume(not sessions.full)
    return step.then(step.config.wan_device, reply_to(step.sent[0][1]), ...)


def test_reply_comes_back(step):
    """RFC 4787 §5, RFC 5382 §4.3: the reply to what was let out is let in, to the device that it came from, as long as
    the session lives."""
    later = open_session(step)
    assume(later.now - step.config.expiration_ns <= step.now)
    assert later.sent == sent_on(later, step.device)


def test_late_reply_is_dropped(step):
    """RFC 4787 §4.3: once the session has expired, the reply is not let in."""
    later = open_session(step)
    assume(later.now - step.config.expiration_ns > step.now)
    assert later.dropped


def test_others_cannot_answer(step):
    """RFC 4787 §5, address and port-dependent filtering: an answer from another address or port, or of the other
    protocol, is let in only if it has a session of its own."""
    assume_from_inside(step)
    assume(not live_sessions(step).full)
    later = step.then(step.config.wan_device, ..., ...)
    assume(later.packet.tcpudp)
    session = answered(later.packet)
    assume(session != opened(step.packet) and session not in step.old.sessions)
    assert later.dropped
