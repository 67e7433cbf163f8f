"""Frames pass NOP and bridge as over a wire."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from network import Machine, Network, Plug, mac
from running import FRAMES, Running, config
from scapy.all import IP, UDP, Dot1Q, Ether, rdpcap, wrpcap

Run = Callable[..., Running]

BRIDGE = config(expiration_ns=300_000_000_000, capacity=1024, static_capacity=16)


def hosts(network: Network, count: int) -> tuple[list[Machine], Machine, list[Plug]]:
    """Machines 10.0.0.1, 10.0.0.2, ... in one subnet, all plugged into another one."""
    middle = network.machine("middle")
    machines, plugs = [], []
    for number in range(1, count + 1):
        host = network.machine(f"host{number}")
        outer, inner = network.cable(host, middle)
        host.address(outer, f"10.0.0.{number}/24")
        machines.append(host)
        plugs.append(inner)
    return machines, middle, plugs


def ping(machine: Machine, address: str, count: int = 20) -> tuple[int, float]:
    """How many answers came, and the median time of one in ms."""
    done = machine.run("ping", "-c", str(count), "-i", "0.02", "-W", "2", address, check=False)
    received = re.search(r"(\d+) received", done.stdout)
    times = sorted(float(each) for each in re.findall(r"time=([\d.]+)", done.stdout))
    return int(received[1]) if received else 0, times[len(times) // 2] if times else float("inf")


def test_ping_passes_a_nop(network: Network, run: Run, io: str) -> None:
    (one, _), middle, plugs = hosts(network, 2)
    nop = run("nop", "unused = 0", middle, plugs, io)
    received, median_ms = ping(one, "10.0.0.2")
    assert received == 20
    assert median_ms < 10
    totals = nop.stop()
    assert totals["sent"] >= 40


def test_ping_passes_a_bridge_of_three_devices(network: Network, run: Run, io: str) -> None:
    machines, middle, plugs = hosts(network, 3)
    bridge = run("bridge", BRIDGE, middle, plugs, io)
    for one in machines:
        for other in range(1, 4):
            assert ping(one, f"10.0.0.{other}", 5)[0] == 5
    totals = bridge.stop()
    assert totals["copies"] >= 1, "the first ARP request goes to two devices"
    assert totals["table stations"] == 3


def test_bridge_keeps_to_its_static_entries(network: Network, run: Run) -> None:
    (one, _), middle, plugs = hosts(network, 2)
    entry = f'\n[[bridge_add_static]]\naddress = "{mac(2, 1)}"\ndevice = 0\noutput = "BRIDGE_FILTER"\n'
    bridge = run("bridge", BRIDGE + entry, middle, plugs)
    assert ping(one, "10.0.0.2", 3)[0] == 0
    assert bridge.stop()["dropped by nf"] >= 3


def test_vlan_tags_pass_a_bridge(network: Network, run: Run, io: str, tmp_path: Path) -> None:
    """Drivers take them out of the frame; they have to go back in."""
    (one, two), middle, plugs = hosts(network, 2)
    sent = Ether(src=mac(9), dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=7, prio=3) / IP(dst="10.0.0.9") / UDP() / b"tagged"
    wrpcap(str(tmp_path / "sent.pcap"), [sent])
    bridge = run("bridge", BRIDGE, middle, plugs, io)
    recorder = two.start(*FRAMES, "record", "left2", str(tmp_path / "got.pcap"), "2", stdout=subprocess.PIPE)
    assert recorder.stdout is not None and recorder.stdout.readline() == "ready\n"
    one.run(*FRAMES, "send", "left1", str(tmp_path / "sent.pcap"))
    recorder.wait(20)
    got = [bytes(frame) for frame in rdpcap(str(tmp_path / "got.pcap"))]
    assert bytes(sent) in got
    bridge.stop()


def test_a_lost_link_is_counted_and_comes_back(network: Network, run: Run) -> None:
    (one, _), middle, plugs = hosts(network, 2)
    nop = run("nop", "unused = 0", middle, plugs)
    assert ping(one, "10.0.0.2", 3)[0] == 3
    middle.run("ip", "link", "set", plugs[1].name, "down")
    assert ping(one, "10.0.0.2", 3)[0] == 0
    middle.run("ip", "link", "set", plugs[1].name, "up")
    assert ping(one, "10.0.0.2", 5)[0] >= 4
    totals = nop.stop()
    assert totals["link losses"] >= 1
    assert totals["dropped link down"] >= 3
