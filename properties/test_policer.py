"""What the policer does: the committed rate and burst size of RFC 2697, without an excess burst, for each IPv4 address
inside. Tokens are bytes, counted in nanobytes (10^-9 bytes), so that none is lost or gained by rounding.

First the one-off properties, each of which could have been written alone, then the full specification: what becomes of
the buckets, which frames pass, and what any two packets of one destination can take together.
"""

import pytest

from pytest_vigor import assume

pytestmark = pytest.mark.nf("policer")

NANO = 10**9


def burst(step):
    """What a full bucket holds, in nanobytes."""
    return step.config.burst_bytes * NANO


def cost(step):
    """What a datagram takes from its bucket, in nanobytes: its length, with the IPv4 header."""
    return step.packet.ipv4.total_length * NANO


def live_destinations(step):
    """The destinations that have a bucket when the packet arrives. One that was not used for longer than it takes to
    fill an empty bucket is full again, and need not be remembered."""
    refill_ns = burst(step) // step.config.rate_bytes_per_s
    return step.old.destinations.expire_before(step.now - refill_ns)


def tokens(step):
    """What the bucket of the packet's destination holds when it arrives: what was left after the last packet that
    passed, and what has come in since, up to the burst size. A destination without a bucket has a full one."""
    destination, destinations = step.packet.ipv4.dst, live_destinations(step)
    if destination not in destinations:
        return burst(step)
    index = destinations[destination]
    elapsed_ns = step.now - destinations.age(index)
    filled = step.old.buckets[index].nanobytes + elapsed_ns * step.config.rate_bytes_per_s
    return filled if filled < burst(step) else burst(step)


def has_room(step):
    """Whether the packet's destination has a bucket, or can get one."""
    destinations = live_destinations(step)
    return step.packet.ipv4.dst in destinations or not destinations.full


def assume_from_outside(step):
    """Leaves out everything but what is policed."""
    assume(step.packet.ipv4)
    assume(step.device == step.config.wan_device)


# ---- one-off properties


def test_drop_excess(step):
    """RFC 2697 §3: a packet larger than its bucket's tokens is red: it is dropped."""
    assume_from_outside(step)
    assume(cost(step) > tokens(step))
    assert step.dropped


def test_forward_compliant(step):
    """RFC 2697 §3: a packet no larger than its bucket's tokens is green: it passes, unchanged."""
    assume_from_outside(step)
    assume(cost(step) <= tokens(step) and has_room(step))
    assert step.sent == [(1 - step.device, step.packet)]


def test_incast_add(step):
    """RFC 2697 §3: the bucket of a destination that had none is full, less the packet that makes it, as of now."""
    assume_from_outside(step)
    destination, destinations = step.packet.ipv4.dst, live_destinations(step)
    assume(destination not in destinations and not destinations.full)
    assume(cost(step) <= burst(step))
    assert destination in step.new.destinations
    index = step.new.destinations[destination]
    assert step.new.destinations.age(index) == step.now
    assert step.new.buckets[index].nanobytes == burst(step) - cost(step)


def test_outcast_nopolicing(step):
    """RFC 2697 §1: only what comes from outside is metered; what goes there passes, unchanged."""
    assume(step.device != step.config.wan_device)
    assert step.sent == [(step.config.wan_device, step.packet)]
    assert step.new == step.old


# ---- full specification: the buckets


def test_buckets(step):
    """RFC 2697 §3: a packet that passes makes its destination's bucket as large as it was, less the packet, as of now;
    nothing else happens to any bucket, but that full ones are forgotten."""
    assume_from_outside(step)
    destination, destinations = step.packet.ipv4.dst, live_destinations(step)
    if cost(step) > tokens(step) or (destination not in destinations and destinations.full):
        assert step.new.destinations == destinations and step.new.buckets == step.old.buckets
        return
    index = step.new.destinations[destination]
    if destination in destinations:
        assert step.new.destinations == destinations.refresh(index, step.now)
    else:
        assert step.new.destinations == destinations.put(destination, index, step.now)
    assert step.new.buckets == step.old.buckets.put(index, {"nanobytes": tokens(step) - cost(step)})


def test_no_bucket_overflows(step):
    """RFC 2697 §3: a bucket never holds more than the committed burst size."""
    index = step.packet.length % step.config.capacity
    assert step.old.buckets[index].nanobytes <= burst(step)


def test_capacity(step):
    """There is room for as many destinations as the configuration says, each with a bucket."""
    assert step.old.destinations.capacity == step.config.capacity
    assert step.old.buckets.capacity == step.config.capacity


def test_accepted_configurations(step):
    """RFC 2697 §3: the committed rate and burst size are more than nothing, the rate at most 10^12 bytes/s. There are
    an outside and an inside device, and 2^20 buckets at most."""
    assert step.device_count == 2 and step.config.wan_device < 2
    assert 1 <= step.config.rate_bytes_per_s <= 10**12
    assert step.config.burst_bytes > 0
    assert 1 <= step.config.capacity <= 2**20


# ---- full specification: the frames sent


def test_forwarding(step):
    """RFC 2697 §3: the frames sent are exactly these, unchanged; a destination that there is no room for gets none."""
    other = 1 - step.device
    if step.device != step.config.wan_device or (step.packet.ipv4 and has_room(step) and cost(step) <= tokens(step)):
        expected = [(other, step.packet)]
    else:
        expected = []
    assert step.sent == expected


def test_malformed_is_dropped(step):
    """RFC 791 §3.1, RFC 1122 §3.2.1: what comes from outside without a whole IPv4 header, or longer or shorter than it
    says, has no destination to be metered for: it is dropped, and changes nothing."""
    assume(step.device == step.config.wan_device)
    assume(not step.packet.ipv4)
    assert step.dropped
    assert step.new == step.old


def test_never_back(step):
    """What is sent leaves on the other device than it came from."""
    assert not step.sent_to(step.device)


# ---- full specification: two steps


def test_rate_and_burst(step):
    """RFC 2697 §3: of any two packets to one destination, at whatever times, no more passes together than the burst
    size and what the rate allows between them."""
    assume_from_outside(step)
    assume(not step.dropped)
    later = step.then(step.device, ..., ...)
    assume(later.packet.ipv4)
    assume(later.packet.ipv4.dst == step.packet.ipv4.dst)
    assume(not later.dropped)
    elapsed_ns = later.now - step.now
    assert cost(step) + cost(later) <= burst(step) + elapsed_ns * step.config.rate_bytes_per_s
