"""Failures are kept, and replayed: on the network function as it is now, without a solver or a lifter."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from project import ALWAYS_THE_SAME, GATE, Project

pytest_plugins = ["pytester"]
scapy = pytest.importorskip("scapy", reason="captures are written by scapy: pip install scapy")

DROPS_LONG = GATE.replace("length_bytes < 14 ||", "length_bytes < 14 || length_bytes > 100 ||")
CLAIM = """
    def test_frames_from_inside_pass(step):
        \"\"\"RFC 0 §1: what comes from inside passes.\"\"\"
        assume(step.packet.ether and step.device != step.config.wan_device)
        assert not step.dropped
"""
NAME = "test_frames_from_inside_pass"


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    made = Project(pytester)
    made.write("conftest.py", ALWAYS_THE_SAME)
    made.nf(source=DROPS_LONG)
    made.properties(CLAIM)
    return made


@pytest.fixture
def kept(project: Project) -> Path:
    assert project.run().verdict(NAME) == "Refuted"
    return project.path / f".pytest_cache/d/vigor-failures/gate-{NAME}"


def repair(project: Project) -> None:
    project.nf(source=GATE)


def test_a_failure_says_where_it_is_kept_and_how_to_run_it_again(project: Project) -> None:
    shown = project.run().texts[NAME]
    assert f"Kept in .pytest_cache/d/vigor-failures/gate-{NAME}." in shown
    assert f"pytest test_properties.py::{NAME} --vigor-replay " in shown
    elsewhere = project.run("--vigor-failures", "failures").texts[NAME]
    assert f"Kept in failures/gate-{NAME}." in elsewhere
    assert {path.name for path in (project.path / f"failures/gate-{NAME}").iterdir()} == {
        "trace.json", "packets.pcapng", "test_replay.py"
    }  # fmt: skip


def test_nothing_is_kept_without_a_place(project: Project) -> None:
    assert "Kept in" not in project.run("-p", "no:cacheprovider").texts[NAME]


def test_a_trace_fails_until_the_nf_is_repaired(project: Project, kept: Path) -> None:
    ran = project.run("--vigor-replay", str(kept / "trace.json"))
    assert ran.outcomes == {NAME: "failed"} and ran.said(NAME).startswith("REFUTED: what comes from inside passes.")
    assert f"trace.json on gate: STILL FAILS: {NAME}" in ran.output and "another build" not in ran.output
    repair(project)
    ran = project.run("--vigor-replay", str(kept / "trace.json"))
    assert ran.outcomes == {NAME: "passed"}
    assert "trace.json on gate: FIXED" in ran.output and "it was saved for another build of gate" in ran.output


def run_test(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a kept test from a folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path / "test_replay.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_kept_test_fails_until_the_nf_is_repaired(project: Project, kept: Path) -> None:
    # Copied away, and the project as well: neither where they were nor anything else beside them may matter.
    own, moved = project.path.parent / "elsewhere", project.path.parent / "moved"
    shutil.copytree(kept, own)
    shutil.copytree(project.path, moved, ignore=shutil.ignore_patterns(".*"))
    project.nf(source=GATE)
    before = run_test(own, moved)
    assert before.returncode == 1 and "REFUTED: what comes from inside passes." in before.stdout
    assert "trace.json on gate: STILL FAILS" in before.stdout
    shutil.copytree(project.path / "nfs", moved / "nfs", dirs_exist_ok=True)
    assert run_test(own, moved).returncode == 0

    shutil.copytree(own, moved / "tests/kept")
    assert run_test(moved / "tests/kept", moved / "tests/kept").returncode == 0


def test_a_kept_test_outside_of_a_project_says_what_is_missing(project: Project, kept: Path) -> None:
    own = project.path.with_name(f"{project.path.name}-elsewhere")
    shutil.copytree(kept, own)
    ran = run_test(own, own)
    assert ran.returncode == 1 and f"has test_properties.py::{NAME}: run this in its project" in ran.stdout


def test_a_symbolic_refutation_is_kept_and_replayed_too(project: Project) -> None:
    assert project.prove("--vigor-failures", "failures").verdict(NAME) == "Refuted"
    trace = project.path / f"failures/gate-{NAME}/trace.json"
    given = ("test_properties.py", "--vigor-replay", str(trace))
    assert project.run(*given).outcomes == {NAME: "failed"}
    repair(project)
    assert project.run(*given).outcomes == {NAME: "passed"}


def test_the_capture_has_devices_as_interfaces(kept: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is missing: apt-get install tshark")
    fields = ["frame.interface_name", "frame.len", "eth.src", "frame.comment"]
    command = [tshark, "-r", str(kept / "packets.pcapng"), "-T", "fields", *(f"-e{field}" for field in fields)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    interface, length, source, comment = ran.stdout.splitlines()[0].split("\t")
    step = json.loads((kept / "trace.json").read_text())["counterexample"]["situation"]["steps"][0]
    assert interface == f"device {step['device']}" and int(length) == len(step["packet"]) // 2 > 100
    assert source.replace(":", "") == step["packet"][12:24]
    assert comment == f"step 1: received on device {step['device']}, now = {step['now']}"


def test_any_capture_is_replayed_with_the_properties_as_monitors(project: Project) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    short, long = (Ether() / IP(dst="192.0.2.1") / UDP() / bytes(size) for size in (20, 200))
    wrpcap(str(project.path / "short.pcap"), [short, short])
    wrpcap(str(project.path / "long.pcap"), [short, long])
    fine = project.run("--vigor-replay", "short.pcap")
    assert fine.outcomes == {NAME: "passed"} and "short.pcap on gate: HOLDS" in fine.output
    failing = project.run("--vigor-replay", "long.pcap")
    assert f"long.pcap on gate: FAILS: {NAME}" in failing.output
    assert "Steps that lead to the state before" in failing.texts[NAME]


def test_a_capture_does_not_answer_for_packets_that_a_property_makes_up(project: Project) -> None:
    """What comes next in a capture is another packet than the one that the property asks about."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    project.properties(
        """
    def test_frames_come_again(step):
        \"\"\"RFC 0 §1: a frame that comes again is the same.\"\"\"
        assert step.then(step.device, step.packet, step.now).packet == step.packet
"""
    )
    frames = [Ether() / IP(dst="192.0.2.1") / UDP() / bytes(size) for size in (20, 30)]
    wrpcap(str(project.path / "given.pcap"), frames)
    assert "given.pcap on gate: HOLDS" in project.run("--vigor-replay", "given.pcap").output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no capture: it has 0 bytes"),
        (b"no capture" * 10, "is neither pcap nor pcapng"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + bytes(8) + struct.pack("<II", 60, 60) + bytes(59),
         "is truncated: it ends after 99 bytes, in the middle of a packet"),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1), "holds no packet that was received"),
    ],
    ids=["empty", "text", "truncated", "nothing"],
)  # fmt: skip
def test_a_capture_that_cannot_be_used_gets_one_clear_message(project: Project, content: bytes, said: str) -> None:
    (project.path / "given.pcap").write_bytes(content)
    ran = project.run("--vigor-replay", "given.pcap")
    assert ran.outcomes == {NAME: "failed"}
    assert said in ran.said(NAME) and len(ran.texts[NAME].splitlines()) == 1


def test_a_cut_pcapng_is_truncated(project: Project, kept: Path) -> None:
    whole = (kept / "packets.pcapng").read_bytes()
    (project.path / "cut.pcapng").write_bytes(whole[:-5])
    assert "cut.pcapng is truncated" in project.run("--vigor-replay", "cut.pcapng").said(NAME)


def test_a_trace_of_something_else_gets_one_clear_message(project: Project) -> None:
    (project.path / "other.json").write_text('{"a": 1}')
    assert "is no trace of pytest-vigor's" in project.run("--vigor-replay", "other.json").said(NAME)
    assert "cannot be read" in project.run("--vigor-replay", "missing.json").said(NAME)
