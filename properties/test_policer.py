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
