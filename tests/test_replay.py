"""Replaying: the shipped bridge does natively, from any given state, what the contracts and its own source say."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_vigor.binary import load
from pytest_vigor.build import build_libvig, build_nf, contract_files, libvig_root
from pytest_vigor.headers import Header, read_header
from pytest_vigor.replay import replay, replay_command, situation
from pytest_vigor.trace import Entries, ObjectState, Run, Situation, Step

ROOT = Path(__file__).parent.parent
FLOOD, DROP = -2, -1
EXPIRATION_NS = 1000
A, B, C = (bytes([2, 0, 0, 0, 0, last]) for last in (0xA, 0xB, 0xC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def libvig(folder: Path) -> Path:
    return build_libvig(folder / "libvig.so")


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Path:
    return build_nf([ROOT / "nfs/bridge/bridge.c"], folder / "bridge.so")


@pytest.fixture(scope="module")
def header() -> Header:
    return read_header(ROOT / "nfs/bridge/bridge.h", [libvig_root()])


class Bridge:
    """The bridge with three devices."""

    def __init__(self, binary: Path, header: Header, libvig: Path) -> None:
        self.binary, self.header, self.libvig = load(binary), header, libvig

    def situation(self, *steps: Step, state: dict[str, Entries] | None = None, capacity: int = 4) -> Situation:
        config = struct.pack("<qII", EXPIRATION_NS, capacity, capacity)
        return situation(self.binary, self.header, self.libvig, contract_files(), config, 3, steps, state)

    def run(self, *steps: Step, state: dict[str, Entries] | None = None, capacity: int = 4) -> Run:
        ran = replay(self.situation(*steps, state=state, capacity=capacity))
        assert ran.ending == "returned", ran.last
        assert not ran.differs_with_stack, ran.difference
        return ran


@pytest.fixture(scope="module")
def nf(bridge: Path, header: Header, libvig: Path) -> Bridge:
    return Bridge(bridge, header, libvig)


def frame(destination: bytes, source: bytes) -> bytes:
    return destination + source + b"\x08\x00payload"


def bits(memory: bytes) -> int:
    return int.from_bytes(memory, "little")


def entries(state: dict[str, ObjectState] | None, name: str) -> dict[int, object]:
    assert state is not None
    return dict(state[name].entries)


def test_a_learnt_station_gets_the_reply_alone(nf: Bridge) -> None:
    ran = nf.run(Step(device=1, packet=frame(B, A), now=5), Step(device=2, packet=frame(A, B), now=6))
    assert [step.value for step in ran.steps] == [FLOOD, 1]
    assert ran.steps[0].packet_after == frame(B, A)
    assert ran.steps[0].new == ran.steps[1].old
    assert set(entries(ran.last.new, "stations").values()) == {(bits(A), 5), (bits(B), 6)}
    assert ran.last.scalars_new == {"expiration_ns": EXPIRATION_NS, "device_count": 3}


def test_calls_are_logged_with_what_they_were_given_and_returned(nf: Bridge) -> None:
    ran = nf.run(Step(device=1, packet=frame(B, A), now=5))
    assert [call.result for call in ran.init.calls] == ["stations", "ports", "static_entries"]
    calls = {call.function: call for call in ran.last.calls}
    assert calls["flow_table_expire_before"].arguments == {"table": "stations", "time": 5 - EXPIRATION_NS}
    put = calls["flow_table_put"]
    assert put.arguments == {"table": "stations", "key": bits(A), "now": 5}
    assert put.result == 1
    index = put.outs["out_index"]
    assert calls["vector_borrow"].result == index
    assert calls["vector_borrow"].records == {"result": 0}
    assert calls["vector_give_back"].arguments == {"vector": "ports", "record": index}
    assert calls["vector_give_back"].records == {"record": 1}


def test_a_state_with_gaps_and_equal_ages_is_set_up_as_given(nf: Bridge) -> None:
    stations = {3: (bits(A), 40), 1: (bits(B), 40)}
    static = {bits(C + b"\x00\x00"): 2}
    state: dict[str, Entries] = {"stations": stations, "ports": {3: 2, 1: 1}, "static_entries": static}
    ran = nf.run(Step(device=0, packet=frame(A, C), now=41), Step(device=0, packet=frame(C, A), now=42), state=state)
    assert entries(ran.steps[0].old, "stations") == stations
    assert entries(ran.steps[0].old, "ports") == {1: 1, 3: 2}
    assert entries(ran.steps[0].old, "static_entries") == static
    assert [step.value for step in ran.steps] == [2, 2]
    assert entries(ran.last.new, "stations")[3] == (bits(A), 42)


def test_a_full_table_learns_nothing_and_keeps_forwarding(nf: Bridge) -> None:
    state: dict[str, Entries] = {"stations": {0: (bits(A), 1), 1: (bits(B), 1)}, "ports": {0: 1, 1: 1}}
    ran = nf.run(Step(device=2, packet=frame(A, C), now=2), state=state, capacity=2)
    assert ran.last.value == 1
    assert ran.last.new == ran.last.old


def test_old_stations_expire(nf: Bridge) -> None:
    state: dict[str, Entries] = {"stations": {0: (bits(A), 10), 2: (bits(B), 11)}}
    ran = nf.run(Step(device=2, packet=frame(A, C), now=EXPIRATION_NS + 11), state=state)
    assert ran.last.value == FLOOD
    assert (bits(A), 10) not in entries(ran.last.new, "stations").values()
    assert entries(ran.last.new, "stations")[2] == (bits(B), 11)


def test_further_entries_are_steps(nf: Bridge) -> None:
    static = Step("bridge_add_static", argument=A + struct.pack("<HH", 1, 0xFFFF))
    refused = Step("bridge_add_static", argument=A + struct.pack("<HH", 3, 0))
    ran = nf.run(static, refused, Step(device=1, packet=frame(A, B), now=0))
    assert [step.value for step in ran.steps] == [1, 0, DROP]
    assert entries(ran.last.old, "static_entries") == {bits(A + b"\x01\x00"): 0xFFFF}


def test_scalars_are_written_into_the_state(nf: Bridge) -> None:
    given = nf.situation(Step(device=0, packet=frame(A, B), now=9))
    changed = Situation.from_json(given.to_json() | {"scalars": {"expiration_ns": "0x7"}})
    ran = replay(changed)
    assert ran.last.scalars_old == {"expiration_ns": 7, "device_count": 3}
    assert ran.last.calls[0].arguments["time"] == 9 - 7


@pytest.mark.parametrize("length", [0, 13, 14])
def test_short_frames_have_no_spare_byte(nf: Bridge, length: int) -> None:
    ran = nf.run(Step(packet=frame(A, B)[:length], now=1))
    assert ran.last.value == (DROP if length < 14 else FLOOD)


def test_large_tables_are_replayed_without_comparing_everything(nf: Bridge) -> None:
    count = 20_000
    state: dict[str, Entries] = {"stations": {2 * i: (i << 8, 3) for i in range(count)}, "ports": {0: 1, 2: 2}}
    ran = nf.run(Step(device=0, packet=frame(A, B), now=4), state=state, capacity=1 << 16)
    assert len(entries(ran.last.old, "stations")) == count
    assert len(entries(ran.last.new, "stations")) == count + 1
    assert ran.last.calls[2].outs["out_index"] not in state["stations"]


def test_a_stripped_binary_is_replayed_alike(bridge: Path, header: Header, libvig: Path, folder: Path) -> None:
    stripped = folder / "stripped.so"
    subprocess.run(["strip", "--strip-all", "-o", stripped, bridge], check=True)
    ran = Bridge(stripped, header, libvig).run(Step(device=1, packet=frame(B, A), now=5))
    assert len(ran.last.calls) == 7


@pytest.mark.parametrize("flags", [["-Wl,-z,relro,-z,now"], ["-Wl,-z,lazy"], ["-fno-plt"]], ids=str)
def test_calls_are_seen_however_the_binary_was_linked(
    flags: list[str], header: Header, libvig: Path, folder: Path
) -> None:
    from pytest_vigor.build import FLAGS

    linked = build_nf([ROOT / "nfs/bridge/bridge.c"], folder / "linked.so", flags=[*FLAGS, *flags], always=True)
    ran = Bridge(linked, header, libvig).run(Step(device=1, packet=frame(B, A), now=5))
    assert len(ran.last.calls) == 7


def test_situations_and_runs_survive_json(nf: Bridge) -> None:
    state: dict[str, Entries] = {"stations": {3: (bits(A), 4)}, "ports": {3: 1}, "static_entries": {7: 1}}
    given = nf.situation(Step(device=1, packet=frame(B, A), now=5), Step("bridge_add_static"), state=state)
    assert Situation.from_json(json.loads(json.dumps(given.to_json()))) == given
    ran = nf.run(Step(device=1, packet=frame(B, A), now=5), state=state)
    assert Run.from_json(json.loads(json.dumps(ran.to_json()))) == ran


def test_the_command_quotes_the_path() -> None:
    assert replay_command(Path("a b.json")) == "pytest --vigor-replay 'a b.json'"


def test_the_child_imports_nothing_heavy() -> None:
    code = "import sys, pytest_vigor.native.child; print(*{name.split('.')[0] for name in sys.modules})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    heavy = {"z3", "angr", "pyvex", "archinfo", "claripy", "pycparser", "elftools", "hypothesis", "pytest", "asyncio"}
    assert printed.stdout and not heavy & set(printed.stdout.split())
