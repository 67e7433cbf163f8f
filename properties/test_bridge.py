"""What the bridge does: IEEE 802.1Q-2022 sections 8.6 (forwarding), 8.7 (learning) and 8.8 (the filtering database).

First the one-off properties, each of which could have been written alone, then the full specification: what becomes of
the filtering database, and which frames are sent where.
"""

import pytest

from pytest_vigor import FLOOD, assume

pytestmark = pytest.mark.nf("bridge")

FILTER = 0xFFFF  # BRIDGE_FILTER


def is_group(address):
    """The I/G bit, which is the first on the wire (IEEE 802 section 8.2)."""
    return address & 1 << 40 != 0


def is_reserved(address):
    """The addresses that no bridge forwards (IEEE 802.1Q table 8-1)."""
    return 0x0180C2000000 <= address <= 0x0180C200000F


def live_stations(step):
    """The stations that have not aged out when the frame arrives."""
    return step.old.stations.expire_before(step.now - step.config.expiration_ns)


def static_key(step):
    """What a static entry for this frame is found by."""
    return (step.packet.ether.dst, step.device)


def assume_unfiltered(step):
    """Leaves out the destinations that are not looked up among the stations."""
    assume(step.packet.ether)
    assume(not is_reserved(step.packet.ether.dst) and static_key(step) not in step.old.static_entries)


def towards(step, device):
    """What is sent when the destination is behind a device: nothing if the frame came from there."""
    return [] if device == step.device else [(device, step.packet)]


# ---- one-off properties


def test_broadcast(step):
    """IEEE 802.1Q §8.6.1, §8.8.9: a frame to an address in no table goes to every device but the receiving one,
    unchanged."""
    assume_unfiltered(step)
    destination = step.packet.ether.dst
    # The source is in the table by the time that the destination is looked up.
    assume(destination not in live_stations(step) and destination != step.packet.ether.src)
    assert step.sent == [(FLOOD, step.packet)]


def test_drop_or_forward(step):
    """IEEE 802.1Q §8.6.1, §8.8.9: a frame to a known address goes to its device, or nowhere if that is the receiving
    one or a static entry filters it."""
    assume(step.packet.ether)
    destination, stations, static = step.packet.ether.dst, live_stations(step), step.old.static_entries
    assume(destination in stations and not is_group(destination) and destination != step.packet.ether.src)
    if static_key(step) not in static:
        assert step.sent == towards(step, step.old.ports[stations[destination]].device)
    elif static[static_key(step)] == FILTER:
        assert step.dropped


def test_learn(step):
    """IEEE 802.1Q §8.7: an unknown individual source address gets an entry for the receiving device, aged now, unless
    the table is full after expiry."""
    assume(step.packet.ether)
    source, stations = step.packet.ether.src, live_stations(step)
    assume(not is_group(source) and source not in stations and not stations.full)
    assert source in step.new.stations
    index = step.new.stations[source]
    assert index not in stations.indices
    assert step.new.stations.age(index) == step.now
    assert step.new.ports[index].device == step.device


def test_no_loop(step):
    """IEEE 802.1Q §8.6.1: nothing is ever sent on the receiving device."""
    assert not step.sent_to(step.device)


def test_refresh(step):
    """IEEE 802.1Q §8.7, §8.8.3: a known source's age becomes now, and its device the receiving one; nothing else about
    it changes.

    "Create or update": where a station was last heard is where it is, so an entry follows a station that moved."""
    assume(step.packet.ether)
    source, stations = step.packet.ether.src, live_stations(step)
    assume(not is_group(source) and source in stations)
    index = stations[source]
    assert step.new.stations == stations.refresh(index, step.now)
    assert step.new.ports == step.old.ports.put(index, {"device": step.device})


def test_static_drop(step):
    """IEEE 802.1Q §8.8.1: a static "filter" entry drops."""
    assume(step.packet.ether and static_key(step) in step.old.static_entries)
    assume(step.old.static_entries[static_key(step)] == FILTER)
    assert step.dropped


def test_table_updates(step):
    """IEEE 802.1Q §8.7, §8.8.3: expiry, and one entry made or refreshed for an individual source address, are the only
    changes to the table."""
    assume(step.packet.ether)
    source, stations = step.packet.ether.src, live_stations(step)
    if is_group(source) or (source not in stations and stations.full):
        assert step.new.stations == stations and step.new.ports == step.old.ports
        return
    assert source in step.new.stations
    index = step.new.stations[source]
    if source in stations:
        assert step.new.stations == stations.refresh(index, step.now)
    else:
        assert step.new.stations == stations.put(source, index, step.now)
    assert step.new.ports == step.old.ports.put(index, {"device": step.device})


# ---- full specification: the filtering database


def test_group_source_is_not_learned(step):
    """IEEE 802.1Q §8.7 b): a group address is never learned, whatever the table held before."""
    assume(step.packet.ether and is_group(step.packet.ether.src))
    assert step.new.stations == live_stations(step)


def test_silent_station_ages_out(step):
    """IEEE 802.1Q §8.8.3: an entry goes once it was not updated for longer than the ageing time, and not before."""
    assume(step.packet.ether)
    someone = step.packet.ether.dst
    assume(someone in step.old.stations and someone != step.packet.ether.src)
    heard = step.old.stations.age(step.old.stations[someone])
    assert (someone in step.new.stations) == (heard >= step.now - step.config.expiration_ns)


def test_moved_station_is_followed(step):
    """IEEE 802.1Q §8.7: when a known station is heard on another device, its entry is for that device from then on."""
    assume(step.packet.ether)
    source, stations = step.packet.ether.src, live_stations(step)
    assume(not is_group(source) and source in stations)
    assume(step.old.ports[stations[source]].device != step.device)
    assert step.new.ports[step.new.stations[source]].device == step.device


def test_static_entries_stay(step):
    """IEEE 802.1Q §8.8.1: static entries are management's alone: they neither age nor are learned."""
    assert step.new.static_entries == step.old.static_entries


def test_capacity(step):
    """IEEE 802.1Q §8.8: the database holds as many entries as the configuration says."""
    assert step.old.stations.capacity == step.config.capacity
    assert step.old.ports.capacity == step.config.capacity
    assert step.old.static_entries.capacity == step.config.static_capacity


def test_accepted_configurations(step):
    """IEEE 802.1Q §8.8.3: no ageing time is longer than 1,000,000 s. There are 2 to 32 devices, and 2^20 entries of
    either kind at most."""
    assert 2 <= step.device_count <= 32
    assert 1 <= step.config.expiration_ns <= 10**15
    assert 1 <= step.config.capacity <= 2**20
    assert 1 <= step.config.static_capacity <= 2**20


def test_no_frame_no_change(step):
    """IEEE 802.3 §3.4: what is too short to hold both addresses and a type is no frame: it is neither sent nor learned
    from."""
    assume(not step.packet.ether)
    assert step.dropped
    assert step.new == step.old


# ---- full specification: the frames sent


def test_forwarding(step):
    """IEEE 802.1Q §8.6, §8.8.9: the frames sent are exactly these."""
    destination, stations = step.packet.ether.dst if step.packet.ether else None, step.new.stations
    if destination is None or is_reserved(destination):
        expected = []
    elif static_key(step) in step.old.static_entries:
        output = step.old.static_entries[static_key(step)]
        expected = [] if output == FILTER else towards(step, output)
    elif is_group(destination) or destination not in stations:
        expected = [(FLOOD, step.packet)]
    else:
        expected = towards(step, step.new.ports[stations[destination]].device)
    assert step.sent == expected


def test_frames_stay_as_they_are(step):
    """IEEE 802.1Q §8.6: a bridge relays frames; it changes none of their bytes, nor how many they are."""
    assert all(packet == step.packet for _, packet in step.sent)


def test_reserved_address_is_filtered(step):
    """IEEE 802.1Q §8.6.3: frames for the reserved addresses, 01-80-C2-00-00-00 to -0F, go nowhere, whatever static
    entries say."""
    assume(step.packet.ether and is_reserved(step.packet.ether.dst))
    assert step.dropped


def test_group_destination_is_flooded(step):
    """IEEE 802.1Q §8.6.1, §8.8.9: a frame to a group address without static entry goes to every device but the
    receiving one."""
    assume_unfiltered(step)
    assume(is_group(step.packet.ether.dst))
    assert step.flooded


def test_static_forward(step):
    """IEEE 802.1Q §8.8.1: a static entry for a device sends there, and nowhere if that is the receiving one, whatever
    was learned of the address."""
    assume(step.packet.ether and not is_reserved(step.packet.ether.dst))
    assume(static_key(step) in step.old.static_entries)
    output = step.old.static_entries[static_key(step)]
    assume(output != FILTER)
    assert step.sent == towards(step, output)


def test_full_table_keeps_forwarding(step):
    """IEEE 802.1Q §8.7: a source for which there is no room stays unknown; its frames are forwarded like any others."""
    assume_unfiltered(step)
    destination, stations = step.packet.ether.dst, live_stations(step)
    assume(step.packet.ether.src not in stations and stations.full and not is_group(destination))
    if destination in stations:
        assert step.sent == towards(step, step.old.ports[stations[destination]].device)
    else:
        assert step.flooded


def test_reply_comes_back(step):
    """IEEE 802.1Q §8.7, §8.8.9: the reply to a frame that had to be flooded goes to the device on which the frame was
    received, and to no other."""
    assume(step.packet.ether and step.flooded)
    source, destination = step.packet.ether.src, step.packet.ether.dst
    assume(not is_group(source) and source in step.new.stations and source != destination)
    reply = step.packet.with_(ether={"dst": source, "src": destination})
    later = step.then(1 if step.device == 0 else 0, reply, step.now)
    assume_unfiltered(later)
    assert later.sent == [(step.device, reply)]
