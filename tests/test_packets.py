"""Expected packets: equal where nothing differs but what is left open, on plain bytes and on symbols alike."""

import pytest

from pytest_vigor import term as t
from pytest_vigor.errors import VigorError
from pytest_vigor.frame import Frame
from pytest_vigor.ghost.facts import Facts, Plain
from pytest_vigor.known import Known
from pytest_vigor.property.packets import Packet

CONTENT = bytes(range(60))


class Told:
    """A run on which nothing needs to be decided."""

    def decide(self, condition):
        assert isinstance(condition, bool)
        return condition


@pytest.fixture(params=["plain", "symbolic"])
def packet(request):
    run = Told()
    if request.param == "plain":
        return Packet(run, Plain(), Frame("packet", content=CONTENT), len(CONTENT))
    return Packet(run, Facts(), Frame("packet"), t.var("length", 16))


def changed(packet, offset, *values):
    """The packet as an NF sends it that wrote some bytes."""
    frame = packet.frame
    for k, value in enumerate(values):
        frame = frame.write(t.add(16, offset, k), 1, value)
    return Packet(packet.run, packet.facts, frame, packet.length_bits)


def test_packet_is_equal_to_itself(packet):
    assert packet.same(packet.with_()) is True


def test_headers_are_not_compared_by_which_object_they_are(packet):
    with pytest.raises(TypeError, match="compare their fields"):
        assert packet.ipv4 != packet.with_(ether={"src": 1}).ipv4
    assert packet.ipv4 != 1


def test_same_bytes_written_in_another_way_are_equal(packet):
    assert changed(packet, 0, 1, 2, 3, 4, 5, 6).same(packet.with_(ether={"dst": 0x010203040506})) is True


def test_another_byte_differs(packet):
    sent = changed(packet, 0, 1, 2, 3, 4, 5, 7)
    assert sent.same(packet.with_(ether={"dst": 0x010203040506})) is not True


def test_open_field_may_be_anything(packet):
    sent = changed(packet, 6, 1, 2, 3, 4, 5, 6)
    assert sent.same(packet.with_(ether={"src": ...})) is True


def test_byte_beside_an_open_field_may_not(packet):
    sent = changed(packet, 5, 0xEE, 2, 3, 4, 5, 6)
    assert sent.same(packet.with_(ether={"src": ...})) is not True


def test_write_across_the_edge_of_an_open_field_is_compared_outside_of_it(packet):
    frame = packet.frame.write(4, 4, 0)  # two bytes of dst, two of src
    sent = Packet(packet.run, packet.facts, frame, packet.length_bits)
    assert sent.same(packet.with_(ether={"src": ...})) is not True
    assert sent.same(packet.with_(ether={"dst": ..., "src": ...})) is True


def test_unchanged_where_a_change_is_expected_differs(packet):
    assert packet.same(packet.with_(ether={"dst": 0xEEEEEEEEEEEE})) is not True


class Yes:
    """A run on which everything is so."""

    def decide(self, condition):
        return True


def test_a_checksum_over_other_bytes_than_before_is_not_judged():
    known = Known()
    packet = Packet(Yes(), Facts(), Frame("packet", limits=known), t.var("length", 16))
    known.add(packet.presence("udp"))
    ports = packet.with_(udp={"src_port": 1, "dst_port": 2, "checksum": 3})
    shortened = packet.with_(udp={"length": 8})
    option = changed(packet, t.sub(16, packet.start("udp"), 1), 7)
    assert ports.udp.checksum_is_right is not None and shortened.ipv4.checksum_is_right is not None
    for header in (shortened.udp, option.udp, option.ipv4):
        with pytest.raises(VigorError, match="other bytes than fixed header fields have changed"):
            assert header.checksum_is_right
