"""What the load balancer does: Maglev (Eisenbud et al., NSDI'16), sections 3.3 and 3.4, and for TCP and UDP over IPv4.

First the one-off properties, each of which could have been written alone, then the full specification: which backends
there are, which connections are remembered, and what is sent where.
"""

import pytest

from properties.flows import assume_right_checksum
from pytest_vigor import assume

pytestmark = pytest.mark.nf("maglev")


def live_flows(step):
    """The connections that are not forgotten when the packet arrives."""
    return step.old.flows.expire_before(step.now - step.config.flow_expiration_ns)


def live_backends(step):
    """The backends whose heartbeats have not stopped when the packet arrives."""
    return step.old.backend_ips.expire_before(step.now - step.config.backend_expiration_ns)


def flow(packet):
    """The 5-tuple of a packet, which is what a connection is told by (section 3.2)."""
    ipv4, ports = packet.ipv4, packet.tcpudp
    return (ipv4.src, ipv4.dst, ports.src_port, ports.dst_port, ipv4.protocol)


def preferred(step):
    """The live backend that consistent hashing chooses for the packet, None if there is none."""
    return step.old.preferences.preferred(flow(step.packet), live_backends(step))


def assigned(step):
    """The live backend that the packet's connection has been with, None if there is none."""
    key, flows, backends = flow(step.packet), live_flows(step), live_backends(step)
    if key not in flows:
        return None
    backend_ip = step.old.assignments[flows[key]].backend_ip
    if backend_ip not in backends:
        return None
    return backends[backend_ip]


def assume_from_outside(step):
    """Leaves out everything but packets to be balanced."""
    assume(step.packet.tcpudp)
    assume(step.device == step.config.wan_device)


def assume_heartbeat(step):
    """Leaves out everything but packets by which backends say that they live."""
    assume(step.packet.tcpudp)
    assume(step.device != step.config.wan_device)


def assume_same_connection(later, step):
    """Leaves out second packets that do not belong to the connection of the first."""
    assume(later.packet.tcpudp)
    for mine, other in zip(flow(later.packet), flow(step.packet), strict=True):
        assume(mine == other)


def towards(step, index):
    """What is sent to a backend: the packet with new addresses, and with checksums to match. Nothing else changes."""
    backend, packet = step.old.backends[index], step.packet
    ether = {"dst": backend.address, "src": step.config.addresses[backend.device]}
    ipv4 = {"dst": live_backends(step).key_at(index), "checksum": ...}
    transport = {"tcp" if packet.tcp else "udp": {"checksum": ...}}
    return [(backend.device, packet.with_(ether=ether, ipv4=ipv4, **transport))]


# ---- one-off properties


def test_alloc_flow_consistent(step):
    """Maglev §3.3: a new connection is remembered, from now on, with the backend that consistent hashing chooses."""
    assume_from_outside(step)
    key, flows, backend = flow(step.packet), live_flows(step), preferred(step)
    assume(key not in flows and not flows.full and backend is not None)
    assert key in step.new.flows
    index = step.new.flows[key]
    assert index not in flows.indices and step.new.flows.age(index) == step.now
    assert step.new.assignments[index].backend_ip == live_backends(step).key_at(backend)


def test_expired_backend_realloc_flow(step):
    """Maglev §3.3: a connection whose backend no longer lives goes to the one that consistent hashing chooses, and
    stays with that."""
    assume_from_outside(step)
    key, flows, backends, backend = flow(step.packet), live_flows(step), live_backends(step), preferred(step)
    assume(key in flows and backend is not None)
    assume(step.old.assignments[flows[key]].backend_ip not in backends)
    assert step.sent == towards(step, backend)
    assert step.new.flows == flows.refresh(flows[key], step.now)
    assert step.new.assignments == step.old.assignments.put(flows[key], {"backend_ip": backends.key_at(backend)})


def test_heartbeat_add_backend(step):
    """Maglev §3.1: a backend that was not known, or no longer, becomes available where and when it is heard."""
    assume_heartbeat(step)
    backend_ip, backends = step.packet.ipv4.src, live_backends(step)
    assume(backend_ip not in backends and not backends.full)
    assert backend_ip in step.new.backend_ips
    index = step.new.backend_ips[backend_ip]
    assert index not in backends.indices and step.new.backend_ips.age(index) == step.now
    assert step.new.backends[index] == {"address": step.packet.ether.src, "device": step.device}


def test_heartbeat_no_reply(step):
    """Maglev §3.1: packets from inside are heartbeats, which go no further."""
    assume(step.device != step.config.wan_device)
    assert step.dropped


def test_heartbeat_refresh(step):
    """Maglev §3.1: a known backend's age becomes now, and it is where it was heard; it keeps its index, and with it
    its connections."""
    assume_heartbeat(step)
    backend_ip, backends = step.packet.ipv4.src, live_backends(step)
    assume(backend_ip in backends)
    index = backends[backend_ip]
    assert step.new.backend_ips == backends.refresh(index, step.now)
    assert step.new.backends == step.old.backends.put(index, {"address": step.packet.ether.src, "device": step.device})


def test_known_flow_forward(step):
    """Maglev §3.3: a connection stays with its backend while that lives, whatever consistent hashing would choose."""
    assume_from_outside(step)
    backend = assigned(step)
    assume(backend is not None)
    assert step.sent == towards(step, backend)


def test_unknown_flow_consistent(step):
    """Maglev §3.3, §3.4: a packet of a connection that is not remembered goes to the backend that consistent hashing
    chooses, whether or not there is room to remember it."""
    assume_from_outside(step)
    backend = preferred(step)
    assume(flow(step.packet) not in live_flows(step) and backend is not None)
    assert step.sent == towards(step, backend)


# ---- full specification: backends


def test_backends(step):
    """Maglev §3.1: which backends are available, and where they are, is exactly what heartbeats say."""
    assume_heartbeat(step)
    backend_ip, backends = step.packet.ipv4.src, live_backends(step)
    if backend_ip not in backends and backends.full:
        assert step.new.backend_ips == backends and step.new.backends == step.old.backends
        return
    index = step.new.backend_ips[backend_ip]
    if backend_ip in backends:
        assert step.new.backend_ips == backends.refresh(index, step.now)
    else:
        assert step.new.backend_ips == backends.put(backend_ip, index, step.now)
    assert step.new.backends == step.old.backends.put(index, {"address": step.packet.ether.src, "device": step.device})


def test_outside_has_no_say_in_backends(step):
    """Maglev §3.1: whatever comes from outside, it neither makes a backend nor keeps one alive nor moves it."""
    assume_from_outside(step)
    assert step.new.backend_ips == live_backends(step)
    assert step.new.backends == step.old.backends


def test_silent_backend_goes(step):
    """Maglev §3.1: a backend is available until its heartbeats have stopped for longer than configured, and not
    beyond."""
    assume(step.packet.tcpudp)
    someone = step.packet.ipv4.dst
    assume(someone in step.old.backend_ips and someone != step.packet.ipv4.src)
    heard = step.old.backend_ips.age(step.old.backend_ips[someone])
    assert (someone in step.new.backend_ips) == (heard >= step.now - step.config.backend_expiration_ns)


# ---- full specification: connections


def test_connections(step):
    """Maglev §3.3: what is remembered of connections changes in exactly these ways."""
    assume_from_outside(step)
    key, flows, backends, backend = flow(step.packet), live_flows(step), live_backends(step), preferred(step)
    if backend is None or (key not in flows and flows.full):
        assert step.new.flows == flows and step.new.assignments == step.old.assignments
        return
    index = step.new.flows[key]
    if assigned(step) is not None:
        backend = assigned(step)
    if key in flows:
        assert step.new.flows == flows.refresh(index, step.now)
    else:
        assert step.new.flows == flows.put(key, index, step.now)
    assert step.new.assignments == step.old.assignments.put(index, {"backend_ip": backends.key_at(backend)})


def test_inside_has_no_say_in_connections(step):
    """Maglev §3.3: whatever comes from inside, it neither makes a connection nor keeps one alive nor moves it."""
    assume_heartbeat(step)
    assert step.new.flows == live_flows(step)
    assert step.new.assignments == step.old.assignments


def test_capacity(step):
    """Maglev §3.3, §3.4: there is room for as many connections and backends as the configuration says, and no fewer
    slots."""
    assert step.old.flows.capacity == step.config.flow_capacity
    assert step.old.assignments.capacity == step.config.flow_capacity
    assert step.old.backend_ips.capacity == step.config.backend_capacity
    assert step.old.backends.capacity == step.config.backend_capacity
    assert step.old.preferences.capacity == step.config.backend_capacity
    assert step.old.preferences.slots >= step.config.slots


def test_accepted_configurations(step):
    """Maglev §3.4: there are at least 100 slots for each backend, so that shares of all slots differ by 1 % at most.
    There are an outside and 1 to 31 other devices."""
    config = step.config
    assert 2 <= step.device_count <= 32 and config.wan_device < step.device_count
    assert 1 <= config.flow_expiration_ns <= 10**15 and 1 <= config.backend_expiration_ns <= 10**15
    assert 1 <= config.flow_capacity <= 2**20 and 1 <= config.backend_capacity <= 1024
    assert 100 * config.backend_capacity <= config.slots <= 2**20


def test_other_packets_change_nothing(step):
    """Maglev §3.2: what has no 5-tuple of TCP or UDP, such as a fragment, belongs to no connection: it is neither
    forwarded nor learned from."""
    assume(not step.packet.tcpudp)
    assert step.dropped
    assert step.new == step.old


# ---- full specification: packets


def test_forwarding(step):
    """Maglev §3.3: the packets sent are exactly these."""
    if not step.packet.tcpudp or step.device != step.config.wan_device:
        expected = []
    elif assigned(step) is not None:
        expected = towards(step, assigned(step))
    elif preferred(step) is not None:
        expected = towards(step, preferred(step))
    else:
        expected = []
    assert step.sent == expected


def test_ipv4_checksum_stays_right(step):
    """RFC 1624 §3: if the IPv4 header checksum was right, that of what is sent is right."""
    assume_right_checksum(step, "ipv4")
    assert step.sent[0][1].ipv4.checksum_is_right


def test_tcp_checksum_stays_right(step):
    """RFC 1624 §3: if the TCP checksum was right, that of what is sent is right."""
    assume_right_checksum(step, "tcp")
    assert step.sent[0][1].tcp.checksum_is_right


def test_udp_checksum_stays_right(step):
    """RFC 1624 §3, RFC 768: if there was a UDP checksum and it was right, that of what is sent is right; one
    that comes out as 0 is sent as 0xFFFF."""
    assume_right_checksum(step, "udp")
    assert step.sent[0][1].udp.checksum_is_right


def test_udp_without_checksum_stays_without(step):
    """RFC 768: a UDP datagram that has no checksum gets none."""
    assume(not step.dropped and step.packet.udp)
    assume(step.packet.udp.checksum == 0)
    assert step.sent[0][1].udp.checksum == 0


def test_no_backend_no_service(step):
    """Maglev §3.3: while no backend lives, nothing is forwarded, and no connection is made or kept alive."""
    assume_from_outside(step)
    assume(preferred(step) is None)
    assert step.dropped
    assert step.new.flows == live_flows(step)


def test_nothing_goes_back_outside(step):
    """Maglev §3.1: only backends, which are inside, are sent anything."""
    assert not step.sent_to(step.config.wan_device)


def test_connection_stays_together(step):
    """Maglev §3.3: two packets of a connection reach the same backend while that lives and the connection is
    remembered, however many other backends come and go."""
    assume_from_outside(step)
    backend, key = preferred(step), flow(step.packet)
    assume(backend is not None and (key in live_flows(step) or not live_flows(step).full))
    backend_ip = step.new.assignments[step.new.flows[key]].backend_ip
    later = step.then(step.device, ..., ...)
    assume_same_connection(later, step)
    assume(live_flows(later).has(key))
    assume(backend_ip in live_backends(later))
    assert later.sent == towards(later, live_backends(later)[backend_ip])


def test_removal_moves_no_other_connection(step):
    """Maglev §3.4: even connections that there is no room to remember stay with their backend while it lives, when
    others go."""
    assume_from_outside(step)
    key, backend = flow(step.packet), preferred(step)
    assume(key not in live_flows(step) and live_flows(step).full and backend is not None)
    later = step.then(step.device, ..., ...)
    assume_same_connection(later, step)
    assume(backend in live_backends(later).indices)
    assert later.sent == towards(later, backend)
