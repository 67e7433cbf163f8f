"""Starting, ending and misfortunes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Machine, Network, Plug, wait_until
from outside import EXTERNAL, SERVER, Outside, fetch, iperf_bits_per_s
from running import Running, added_up

Run = Callable[..., Running]


def between(network: Network) -> tuple[Machine, Machine, Machine, list[Plug]]:
    """Two machines and one between them, whose plugs these are."""
    one, middle, other = (network.machine(name) for name in ("one", "middle", "other"))
    plug, inner = network.cable(one, middle)
    other_plug, outer = network.cable(other, middle)
    one.address(plug, "10.0.0.1/24")
    other.address(other_plug, "10.0.0.2/24")
    return one, middle, other, [inner, outer]


def runtime_of(running: Running) -> int:
    """The process that the command has started."""
    (child,) = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    return int(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_signals_end_it_in_good_order(network: Network, run: Run, io: str, number: signal.Signals) -> None:
    one, middle, _, plugs = between(network)
    nop = run("nop", "unused = 0", middle, plugs, io)
    one.run("ping", "-c", "3", "-i", "0.1", "10.0.0.2")
    nop.process.send_signal(number)
    printed, _ = nop.process.communicate(timeout=20)
    assert nop.process.returncode == 0, nop.said
    assert added_up(printed)["sent"] >= 6


def test_a_stop_under_load_leaves_no_frame_unaccounted(network: Network, run: Run, io: str) -> None:
    one, middle, other, plugs = between(network)
    nop = run("nop", "unused = 0", middle, plugs, io)
    other.start("iperf3", "-s", "-1")
    other.listens(5201)
    one.start("iperf3", "-t", "20", "-c", "10.0.0.2")
    one.run("sleep", "1")
    assert nop.stop()["received"] > 1000


def test_a_runtime_does_not_outlive_the_command(network: Network, run: Run) -> None:
    _, middle, _, plugs = between(network)
    nop = run("nop", "unused = 0", middle, plugs)
    runtime = runtime_of(nop)
    nop.process.kill()
    nop.process.wait()
    wait_until(lambda: not Path(f"/proc/{runtime}").exists(), "the runtime to end")


def test_a_runtime_that_is_killed_is_reported(network: Network, run: Run) -> None:
    _, middle, _, plugs = between(network)
    nop = run("nop", "unused = 0", middle, plugs)
    os.kill(runtime_of(nop), signal.SIGSEGV)
    assert nop.process.wait(20) == 1
    assert "the runtime of nop was ended by SIGSEGV" in nop.said


def test_frames_without_checksums_are_counted_as_such(network: Network, run: Run, tmp_path: Path) -> None:
    """The kernel leaves them to a card, which a veth pair does not have; whoever got them would drop them."""
    place = Outside(network, tmp_path, EXTERNAL)
    nat = run("nat", place.nat(), place.middle, place.plugs)
    place.client.run("ethtool", "-K", place.client_plug.name, "tx", "on")
    assert fetch(place.client, SERVER, check=False, timeout_s=1) == ""
    assert nat.stop()["dropped unfinished"] >= 1


def test_an_interface_that_goes_away_does_not_take_the_others_along(network: Network, run: Run) -> None:
    one, middle, other, plugs = between(network)
    third = network.machine("third")
    third_plug, inner = network.cable(third, middle)
    third.address(third_plug, "10.0.0.3/24")
    settings = "expiration_ns = 300_000_000_000\ncapacity = 64\nstatic_capacity = 1\n"
    bridge = run("bridge", settings, middle, [*plugs, inner])
    one.run("ping", "-c", "1", "10.0.0.3")
    third.run("ip", "link", "del", third_plug.name)
    one.run("ping", "-c", "3", "-i", "0.1", "10.0.0.2")
    other.run("ping", "-c", "1", "-W", "1", "10.0.0.3", check=False)
    totals = bridge.stop()
    assert totals["link losses"] == 1
    assert totals["dropped link down"] >= 1


@pytest.mark.parametrize("more", [("--burst", "1"), ("--burst", "4", "--time", "packet")], ids=" ".join)
def test_bursts_and_clock_do_not_change_what_passes(
    network: Network, run: Run, io: str, more: tuple[str, ...]
) -> None:
    one, middle, other, plugs = between(network)
    nop = run("nop", "unused = 0", middle, plugs, io, *more)
    assert iperf_bits_per_s(one, other, "10.0.0.2") > 20e6
    nop.stop()
