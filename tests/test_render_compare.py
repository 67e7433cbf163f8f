"""What a failed assert about packets and states says: what differs, in the words of the property language."""

import pytest

from pytest_vigor.ghost import flows, map as maps, vector as vectors
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.layout import Bytes, Field, Integer, Struct
from pytest_vigor.plain import PlainRun, plain_packet as plain
from pytest_vigor.property.packets import Packet
from pytest_vigor.property.steps import FLOOD, Sent, State
from pytest_vigor.render.compare import explain

MAC = Struct("net_mac", 6, (Field("bytes", 0, Bytes(6)),))
PORT = Struct("port", 2, (Field("device", 0, Integer(2)),))
PAIR = Struct("pair", 8, (Field("address", 0, MAC), Field("device", 6, Integer(2))))
A, B = (int.from_bytes(bytes([2, 0, 0, 0, 0, last]), "little") for last in (1, 2))
ETHER = bytes.fromhex("0200000000010200000000020800")
IPV4 = bytes.fromhex("450000200000000040110000c0000201c0000202")
IPV4_UDP = ETHER + IPV4 + bytes.fromhex("00350036000c0000") + bytes(18)


def state(
    stations: dict[int, tuple[int, int]] | None = None, ports: dict[int, int] | None = None,
    static: dict[int, int] | None = None, pool: dict[int, tuple[int, int]] | None = None,
) -> State:  # fmt: skip
    run, facts = PlainRun(), Plain()
    return State(
        {
            "stations": FlowTable(run, flows.PlainBase(facts, "stations", 48, 4, stations or {}), MAC),
            "ports": Vector(run, vectors.PlainBase("ports", 16, 4, ports or {}), PORT),
            "static": Map(run, maps.PlainBase("static", 64, 4, static or {}), PAIR),
            "pool": IndexPool(run, flows.PlainBase(facts, "pool", 0, 4, pool or {})),
        }
    )


def test_addresses_read_as_addresses() -> None:
    packet = plain(IPV4_UDP)
    assert repr(packet.ether.dst) == "02:00:00:00:00:01"
    assert repr(packet.ipv4.src) == "192.0.2.1"
    assert packet.ether.dst == 0x020000000001 and packet.ether.dst + 1 == 0x020000000002
    assert repr(packet.tcpudp.src_port) == "53"
    assert repr(state(stations={0: (A, 5)}).stations.key_at(0)) == "02:00:00:00:00:01"


def test_states_read_as_entries() -> None:
    found = state(stations={0: (A, 5)}, ports={1: 3}, static={A: 2}, pool={3: (0, 7)})
    assert repr(found.stations) == "{02:00:00:00:00:01 -> 0, age 5}"
    assert repr(found.ports) == "{1 -> port(device=3)}"
    assert repr(found.static) == "{pair(address=02:00:00:00:00:01, device=0) -> 2}"
    assert repr(found.pool) == "{3, age 7}"
    assert repr(found) == "<state>"


def test_flow_tables() -> None:
    left, right = state(stations={0: (A, 5)}), state(stations={0: (A, 6), 1: (B, 6)})
    assert explain("==", left.stations, right.stations) == [
        "<flow table of 1> == <flow table of 2>",
        "[02:00:00:00:00:01]: index 0, age 5 != index 0, age 6",
        "[02:00:00:00:00:02]: absent != index 1, age 6",
    ]
    assert explain("==", state().stations, left.stations) == [
        "{} == {02:00:00:00:00:01 -> 0, age 5}",
        "[02:00:00:00:00:01]: absent != index 0, age 5",
    ]


def test_other_structures() -> None:
    left, right = state(ports={1: 3}, static={A: 2}, pool={3: (0, 7)}), state(ports={1: 2})
    assert explain("==", left.ports, right.ports) == [
        "{1 -> port(device=3)} == {1 -> port(device=2)}",
        "[1]: port(device=3) != port(device=2)",
    ]
    assert explain("==", left.static, right.static) == [
        "{pair(address=02:00:00:00:00:01, device=0) -> 2} == {}",
        "[pair(address=02:00:00:00:00:01, device=0)]: 2 != absent",
    ]
    assert explain("==", left.pool, right.pool) == ["{3, age 7} == {}", "[3]: age 7 != absent"]


def test_layers_are_compared_by_what_they_come_to() -> None:
    old = state(stations={0: (A, 5), 1: (B, 6)}).stations
    assert explain("==", old, old.expire_before(6)) == [
        "<flow table of 2> == <flow table of 1>",
        "[02:00:00:00:00:01]: index 0, age 5 != absent",
    ]


def test_states_name_what_differs() -> None:
    assert explain("==", state(ports={1: 3}), state()) == [
        "<state> == <state>",
        "ports[1]: port(device=3) != port(device=0)",
    ]


def test_structures_that_never_change_do_not_differ() -> None:
    def held(ports: dict[int, int]) -> State:
        others = dict(state(ports=ports).items())
        return State({**others, "preferences": ConsistentHash.plain(PlainRun(), "preferences", 32, {0: 101})})

    lines = ["<state> == <state>", "ports[1]: port(device=3) != port(device=0)"]
    assert explain("==", held({1: 3}), held({})) == lines


def test_packets_differ_by_field() -> None:
    left = plain(IPV4_UDP)
    right = left.with_(ether={"type": 0x0806}, ipv4={"src": 0xC0000203, "ttl": 63}, udp={"dst_port": ...})
    assert explain("==", left, right) == [
        "<packet of 60 bytes> == <packet of 60 bytes>",
        "ether.type: 0x0800 != 0x0806",
        "ipv4.ttl: 64 != 63",
        "ipv4.src: 192.0.2.1 != 192.0.2.3",
    ]


def test_what_is_left_open_does_not_differ() -> None:
    left, right = plain(IPV4_UDP), plain(IPV4_UDP).with_(udp={"dst_port": ...}, ipv4={"ttl": 1})
    changed = plain(IPV4_UDP[:36] + b"\x12\x34" + IPV4_UDP[38:])
    assert explain("==", changed, right) == [
        "<packet of 60 bytes> == <packet of 60 bytes>",
        "ipv4.ttl: 64 != 1",
    ]
    assert left == plain(IPV4_UDP)


def test_packets_differ_by_length_and_by_byte() -> None:
    assert explain("==", plain(b"ab"), plain(b"abc")) == [
        "<packet of 2 bytes> == <packet of 3 bytes>",
        "length: 2 != 3",
    ]
    assert explain("==", plain(bytes(20)), plain(bytes(19) + b"\x01")) == [
        "<packet of 20 bytes> == <packet of 20 bytes>",
        "byte 19: 0x00 != 0x01",
    ]


def test_many_differences_are_cut_short() -> None:
    lines = explain("==", plain(bytes(60)), plain(bytes(14) + bytes(range(1, 47))))
    assert lines is not None and len(lines) == 7 and lines[-1] == "and 41 more"


def test_what_is_sent() -> None:
    packet = plain(IPV4_UDP)
    assert explain("==", Sent([(FLOOD, packet)]), [(1, packet.with_(ipv4={"ttl": 1}))]) == [
        "[(FLOOD, <packet of 60 bytes>)] == [(1, <packet of 60 bytes>)]",
        "device: FLOOD != 1",
        "packet: ipv4.ttl: 64 != 1",
    ]
    assert explain("==", Sent([(1, packet)]), [(..., packet)]) == [
        "[(1, <packet of 60 bytes>)] == [(..., <packet of 60 bytes>)]"
    ]
    assert explain("==", Sent(), [(1, packet)]) == ["[] == [(1, <packet of 60 bytes>)]", "0 sent != 1 sent"]


@pytest.mark.parametrize(("op", "left", "right"), [("==", 1, 2), ("==", [1], [2]), ("in", 1, [2]), ("<", 1, 0)])
def test_what_is_not_ours_is_left_to_pytest(op: str, left: object, right: object) -> None:
    assert explain(op, left, right) is None


def test_symbolic_values_are_left_to_pytest() -> None:
    from pytest_vigor import behaviour as b, term as t
    from pytest_vigor.frame import Frame
    from pytest_vigor.ghost.facts import Facts

    packet = Packet(PlainRun(), Facts(), Frame(b.PACKET), t.var(b.LENGTH, 16))
    assert explain("==", packet, packet) is None
    assert explain("==", Sent([(1, packet)]), [(1, packet)]) is None
