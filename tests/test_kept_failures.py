"""What is kept of a refutation can be acted on: a capture that Wireshark's tshark decodes, and a test that fails on the
network function as it is and passes on the repaired one, without solver or lifter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from test_wrong import ALL, ROOT, Wrong, build

from pytest_vigor.packet import TCP_BYTES, UDP_BYTES
from pytest_vigor.plain import plain_packet

pytest.importorskip("scapy", reason="captures are written by scapy: pip install scapy")

WRONG = {wrong.name: wrong for wrong in ALL}
CHOSEN = (
    "bridge_reflects", "bridge_drops_unknown", "firewall_lets_everything_in", "firewall_takes_fragments",
    "maglev_sends_outside", "maglev_rounds_capacity", "nat_passes_what_it_cannot_translate", "nat_changes_ports",
    "policer_passes_malformed", "policer_polices_both_ways",
)  # fmt: skip
#: Of these, what the failure is about.
MALFORMED = ("policer_passes_malformed",)
#: What the replay must not need.
HEAVY = ("angr", "claripy", "cle", "pyvex", "z3")
SECONDS = 1200  # of real time, and so on a busy machine


@dataclass(frozen=True, slots=True)
class Kept:
    """A project with a wrong network function, and the folder of its failure."""

    wrong: Wrong
    root: Path
    folder: Path
    environment: dict[str, str]


def pytest_in(
    root: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture(scope="module", params=CHOSEN)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    wrong, root = WRONG[request.param], tmp_path_factory.mktemp(request.param)
    build(wrong, root)
    module = "test_every_nf" if "[" in wrong.caught_by else f"test_{wrong.nf}"
    ran = pytest_in(root, "--vigor", "--vigor-failures", "failures", f"properties/{module}.py::{wrong.caught_by}")
    assert ran.returncode == 1 and "\nCONFIRMED: " in ran.stdout, ran.stdout + ran.stderr
    (folder,) = (root / "failures").iterdir()
    # Modules that cannot be imported, found before those that can.
    blocked = tmp_path_factory.mktemp("blocked")
    for name in HEAVY:
        (blocked / f"{name}.py").write_text(f"raise ImportError('{name} is not to be imported')\n")
    paths = [str(blocked), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Kept(wrong, root, folder, os.environ | {"PYTHONPATH": os.pathsep.join(paths)})


def test_the_capture_is_decoded(kept: Kept) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is missing: apt-get install tshark")
    fields = ("frame.interface_name", "frame.len", "frame.protocols", "_ws.malformed", "frame.comment", "eth.src",
              "ip.src", "udp.srcport")  # fmt: skip
    command = [tshark, "-r", str(kept.folder / "packets.pcapng"), "-T", "fields", *(f"-e{field}" for field in fields)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    frames = [dict(zip(fields, line.split("\t"), strict=True)) for line in ran.stdout.splitlines()]

    example = json.loads((kept.folder / "trace.json").read_text())["counterexample"]
    steps = [step for step in example["situation"]["steps"] if step["entry"] == "nf_process"]
    received = [frame for frame in frames if ": received on " in frame["frame.comment"]]
    assert [(frame["frame.interface_name"], int(frame["frame.len"])) for frame in received] == [
        (f"device {step['device']}", len(step["packet"]) // 2) for step in steps
    ]
    assert all(frame["frame.protocols"].startswith("eth") for frame in frames)
    headers = [plain_packet(bytes.fromhex(step["packet"])) for step in steps]
    for frame, packet in zip(received, headers, strict=True):
        if packet.ether:
            assert frame["eth.src"].replace(":", "") == f"{int(packet.ether.src):012x}"
        if packet.ipv4:
            assert frame["ip.src"] == str(IPv4Address(int(packet.ipv4.src)))
        if packet.udp:
            assert frame["udp.srcport"] == str(int(packet.udp.src_port))
        # The smallest numbers make some frames odd in a way that no network function here looks at.
        is_odd = any((
            not packet.ether,
            packet.udp and packet.udp.length < UDP_BYTES,
            packet.tcp and packet.tcp.data_offset < TCP_BYTES // 4,
            kept.wrong.name in MALFORMED,
        ))  # fmt: skip
        assert is_odd or not frame["_ws.malformed"]


def test_the_replay_fails_until_the_nf_is_repaired(kept: Kept) -> None:
    def replayed() -> subprocess.CompletedProcess[str]:
        return pytest_in(kept.root, str(kept.folder / "test_replay.py"), environment=kept.environment)

    before = replayed()
    assert before.returncode == 1, before.stdout + before.stderr
    assert f"trace.json on {kept.wrong.nf}: STILL FAILS" in before.stdout and "another build" not in before.stdout

    own = kept.root / "nfs" / kept.wrong.nf
    shutil.copy(ROOT / "nfs" / kept.wrong.nf / kept.wrong.file, own)
    after = replayed()
    assert after.returncode == 0, after.stdout + after.stderr
