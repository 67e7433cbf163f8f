"""What the shipped network functions make of calls of their further entry points, natively."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import compress, product
from pathlib import Path

from pytest_vigor.binary import load
from pytest_vigor.build import binary_of, build_libvig, contract_files, libvig_root
from pytest_vigor.headers import read_header
from pytest_vigor.replay import replay, situation
from pytest_vigor.trace import Entries, Step

NFS = Path(__file__).parent.parent / "nfs"
DEVICES = 3
FILTER = 0xFFFF  # BRIDGE_FILTER


def after(nf: str, config: bytes, entry: str, arguments: Sequence[bytes], structure: str) -> tuple[list[bool], Entries]:
    """What one call after another answers, and what a structure then holds."""
    binary, header = load(binary_of(NFS / nf)), read_header(NFS / nf / f"{nf}.h", [libvig_root()])
    steps = [Step(entry, argument=argument) for argument in arguments]
    ran = replay(situation(binary, header, build_libvig(), contract_files(), config, DEVICES, steps))
    assert ran.ending == "returned" and not ran.differs_with_stack, ran.last
    assert ran.last.new is not None
    return [bool(step.value) for step in ran.steps], ran.last.new[structure].entries


# ---- the bridge


def static_entries(capacity: int, entries: Sequence[tuple[bytes, int, int]]) -> tuple[list[bool], Entries]:
    arguments = [address + struct.pack("<HH", device, output) for address, device, output in entries]
    return after("bridge", struct.pack("<qII", 1000, 4, capacity), "bridge_add_static", arguments, "static_entries")


def key(address: bytes, device: int) -> int:
    return int.from_bytes(address + struct.pack("<H", device), "little")


def test_static_entries_are_for_devices_that_exist() -> None:
    devices = [0, 1, DEVICES - 1, DEVICES, DEVICES + 1, FILTER - 1, FILTER]
    given = [(number.to_bytes(6, "big"), *pair) for number, pair in enumerate(product(devices, devices))]
    exist = [device < DEVICES and (output < DEVICES or output == FILTER) for _, device, output in given]
    answers, held = static_entries(64, given)
    assert answers == exist
    assert held == {key(address, device): output for address, device, output in compress(given, exist)}


def test_static_entries_replace_those_for_the_same_address_and_device() -> None:
    a, b = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
    answers, held = static_entries(3, [(a, 0, 1), (a, 1, 2), (b, 0, 0), (b, 1, 1), (a, 0, FILTER)])
    assert answers == [True, True, True, False, True], "there is room for three"
    assert held == {key(a, 0): FILTER, key(a, 1): 2, key(b, 0): 0}


# ---- the router


def routes(capacity: int, given: Sequence[tuple[int, int, int]]) -> tuple[list[bool], Entries]:
    links = bytes(range(12)) * 32
    arguments = [struct.pack(">I", prefix) + struct.pack("<HH", length, device) for prefix, length, device in given]
    return after("router", struct.pack("<I", capacity) + links, "router_add_route", arguments, "routes")


def test_routes_are_for_prefixes_and_devices_that_exist() -> None:
    net = 0xC0000200  # 192.0.2.0
    prefixes = [(0, 0), (1, 0), (1 << 31, 0), (1 << 31, 1), (3 << 30, 1), (net, 24), (net | 128, 24), (net | 128, 25),
                (net | 1, 31), (net | 1, 32), (net | 1, 33), (0, 33), (0, 256 + 8)]  # fmt: skip
    given = [(*prefix, device) for prefix, device in product(prefixes, [DEVICES - 1, DEVICES, 0xFFFF])]
    exist = [n <= 32 and not prefix & (1 << 32 - n) - 1 and device < DEVICES for prefix, n, device in given]
    answers, held = routes(64, given)
    assert answers == exist
    assert held == {prefix | length << 32: device for prefix, length, device in compress(given, exist)}


def test_routes_replace_those_of_the_same_prefix() -> None:
    ten, all_ = 10 << 24, 0
    answers, held = routes(3, [(all_, 0, 0), (ten, 8, 1), (ten, 9, 2), (ten, 10, 0), (ten, 8, 2)])
    assert answers == [True, True, True, False, True], "there is room for three"
    assert held == {all_: 0, ten | 8 << 32: 2, ten | 9 << 32: 2}
