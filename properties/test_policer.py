"""What the policer does: the committed rate and burst size of RFC 2697, without an excess burst, for each IPv4 address
inside. Tokens are bytes, counted in nanobytes (10^-9 bytes), so that none is lost or gained by rounding.

First the one-off properties, each of which could have been written alone, then the full specification: what becomes of
the buckets, and which frames are sent where.
"""

import pytest

from pytest_vigor import assume

pytestmark = pytest.mark.nf("policer")

NANO = 10**9


def burst(step):
    """What a full bucket holds, in nanobytes."""
    return step.config.burst_bytes * NANO


def cost(step):
    """What a datagram takes from its bucket, in nanobytes: its length with the IPv4 header (RFC 2697 §3, RFC 791)."""
    return step.packet.ipv4.total_length * NANO


def tokens(step):
    """What the bucket of the packet's destination holds when it arrives: what was left after the last packet that
    passed, and what has come in since, up to the burst size. A destination without a bucket has a full one."""
    destination, destinations = step.packet.ipv4.dst, step.old.destinations
    if destination not in destinations:
        return burst(step)
    index = destinations[destination]
    filled = step.old.buckets[index].nanobytes + (step.now - destinations.age(index)) * step.config.rate_bytes_per_s
    return filled if filled < burst(step) else burst(step)


def live_destinations(step):
    """The destinations whose buckets are not sure to be full again when the packet arrives."""
    return step.old.destinations.expire_before(step.now - step.old.refill_ns)


def has_room(step):
    """Whether the packet's destination has a bucket, or can get one."""
    live = live_destinations(step)
    return step.packet.ipv4.dst in live or not live.full


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
    assert step.sent == [(step.device ^ 1, step.packet)]
