"""Runtimes as programs, and what is shown of them. That they forward frames is for tests/end_to_end."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from pytest_vigor.build import RUNTIME_FLAGS, binary_of, build_libvig, build_nf, build_runtime, libvig_root
from pytest_vigor.errors import RunError
from pytest_vigor.launch import Options, launch, prepare
from pytest_vigor.launch.counters import Counters, Phase, Snapshot
from pytest_vigor.launch.view import rates, totals

NFS = Path(__file__).parent.parent / "nfs"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_runtime_for_linux_compiles_without_warnings(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = [libvig_root() / "runtime" / f"{name}.c" for name in ("main", "nf", "confine", "linux")]
    assert build_nf(sources, tmp_path / "runtime", compiler, RUNTIME_FLAGS).is_file()


@pytest.mark.skipif(
    subprocess.run("pkg-config --exists libdpdk", shell=True, stderr=subprocess.DEVNULL).returncode != 0,
    reason="DPDK is not installed (libdpdk-dev)",
)
def test_runtime_for_dpdk_compiles_without_warnings() -> None:
    assert build_runtime("dpdk").name.startswith("runtime-dpdk-")


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A runtime for Linux interfaces, which is expected not to come far."""
    return subprocess.run([build_runtime("linux"), *arguments], capture_output=True, text=True, timeout=20)


def test_runtime_says_what_is_wrong_with_its_arguments(tmp_path: Path) -> None:
    binaries = [f"--nf={binary_of(NFS / 'nop')}", f"--libvig={build_libvig()}", f"--setup={tmp_path}/set_up"]
    assert started("--burst=33").stderr == "--burst 33: give a number from 1 to 32\n"
    assert started("--time=never").stderr == "--time never: give burst or packet\n"
    assert started().stderr.startswith("--nf, --libvig and --setup: give all three")
    assert started(*binaries, "nowhere0").stderr.startswith("the device nowhere0: name a network interface that exists")
    assert started(*binaries[:2], f"--setup={tmp_path}/gone").returncode == 1


def test_runtime_refuses_what_no_nf_is(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.so"
    nothing.write_bytes(b"")
    said = started(f"--nf={nothing}", f"--libvig={build_libvig()}", "--setup=x").stderr
    assert "nothing.so" in said and "build it with pytest-vigor build" in said


def test_set_up_is_the_calls_one_after_another(tmp_path: Path) -> None:
    config = NFS / "bridge" / "bridge.toml"
    prepared = prepare(Options(str(NFS / "bridge"), config, "linux", ("a", "b")), tmp_path)
    written = (tmp_path / "set_up").read_bytes()
    assert written[:64] == struct.pack("<60sI", b"nf_init", 16)
    assert written[64:80] == struct.pack("<qII", 300_000_000_000, 65536, 1024)
    assert written[80:144] == struct.pack("<60sI", b"bridge_add_static", 10)
    assert written[144:] == bytes.fromhex("02000000ffff0000ffff").ljust(16, b"\0")
    assert prepared.tables == ("stations", "static_entries")
    assert prepared.command[-3:] == ("--", "a", "b")


def test_a_runtime_that_does_not_start_ends_with_its_status(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = Options(str(NFS / "nop"), NFS / "nop" / "nop.toml", "linux", ("nowhere0", "nowhere1"))
    assert launch(options) == 1
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("the device nowhere0: ")


def test_counters_are_read_by_the_headers_layout(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = Counters(path)
    with path.open("r+b") as file:
        # Phase, devices, tables; then 32 devices of 12 counters each, and 16 tables of 2.
        file.write(struct.pack("<QQQ", 1, 2, 1))
        file.write(struct.pack("<12Q", *range(12)))
        file.seek(8 * (3 + 32 * 12))
        file.write(struct.pack("<QQ", 5, 9))
    snapshot = counters.read()
    assert snapshot.phase == Phase.RUNNING
    assert [device["received"] for device in snapshot.devices] == [0, 0]
    assert snapshot.devices[0]["dropped_no_device"] == 5
    assert snapshot.devices[0]["link_is_up"] == 11
    assert snapshot.tables == ((5, 9),)


def snapshot(received: int, dropped: int) -> Snapshot:
    """One device of two with traffic."""
    names = ("received", "copies", "dropped_by_nf", "dropped_too_long", "sent", "missed", "link_losses")
    idle = dict.fromkeys(names, 0) | {"link_is_up": 0}
    busy = idle | {"received": received, "dropped_by_nf": dropped, "sent": 7, "link_is_up": 1}
    return Snapshot(Phase.RUNNING, (busy, idle), ((3, 10), (4, 0)))


def test_counters_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(rates("nat", ("eth0", "eth1"), ("flows", "map"), snapshot(1000, 5), snapshot(3000, 6), 2.0))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.splitlines()[0].strip() == "nat"
    cells = [part.split() for part in shown.replace("│", " ").replace("┃", " ").splitlines()]
    assert ["device", "link", "received", "/s", "sent", "/s", "dropped", "by", "nf", "/s"] in cells
    assert ["0", "eth0", "up", "3,000", "1,000", "7", "0", "6", "0"] in cells
    assert ["1", "eth1", "down", "0", "0", "0", "0", "0", "0"] in cells
    assert shown.endswith("table flows: 3 of 10\ntable map: 4\n")


def test_totals_at_the_end() -> None:
    assert totals(("eth0", "eth1"), ("flows", "map"), snapshot(9, 2)) == (
        "device 0 eth0: received 9, dropped by nf 2, sent 7\n"
        "device 1 eth1: received 0, sent 0\n"
        "table flows: 3 of 10\n"
        "table map: 4"
    )
    assert snapshot(9, 2).unaccounted() == 0
    assert snapshot(9, 2).dropped() == {"by_nf": 2, "too_long": 0}


def test_a_port_that_is_taken_is_named() -> None:
    import socket

    from pytest_vigor.launch.metrics import serve

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} on 127.0.0.1 is not to be had"):
            serve(port, "nat", (), (), lambda: snapshot(0, 0))
