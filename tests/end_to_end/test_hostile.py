"""Whatever arrives, no network function stops, and every frame is accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Network, mac
from outside import EXTERNAL, Outside
from running import FRAMES, ROOT, Running
from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPOption_RR, IPv6, Packet, fragment, wrpcap

Run = Callable[..., Running]

NFS = sorted(path.name for path in (ROOT / "nfs").iterdir() if (path / f"{path.name}.toml").is_file())
SECONDS = 1


def hostile_frames() -> list[bytes]:
    """Malformed, truncated, fragmented, optioned and giant frames; the same in every run."""
    choose = random.Random(20)
    ether = Ether(src=mac(1), dst=mac(0xAA, 1))
    inside = IP(src="10.0.0.2", dst="192.0.2.9")
    good: list[Packet] = [
        ether / inside / UDP(sport=5, dport=6) / (b"x" * 30),
        ether / inside / TCP(sport=5, dport=6, flags="S", options=[("MSS", 1460), ("SAckOK", b"")]),
        ether / IP(src="10.0.0.2", dst="192.0.2.9", options=[IPOption_RR(routers=["0.0.0.0"] * 8)]) / UDP() / b"y",
        ether / inside / ICMP(),
        ether / IPv6() / UDP() / b"six",
        ether / ARP(),
        ether / Dot1Q(vlan=5) / inside / UDP(),
        Ether(src=mac(1), dst="01:80:c2:00:00:00") / b"reserved",
        Ether(src="ff:ff:ff:ff:ff:ff", dst="ff:ff:ff:ff:ff:ff") / b"loud",
        *(ether / each for each in fragment(inside / UDP() / (b"z" * 3000), fragsize=1000)),
    ]
    bad = [
        ether / IP(version=5, src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(ihl=1, src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(ihl=15, src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(len=10, src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(len=60000, src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(frag=0x1FFF, flags="MF", src="10.0.0.2", dst="192.0.2.9") / UDP(),
        ether / IP(src="10.0.0.2", dst="192.0.2.9") / UDP(len=0),
        ether / IP(src="10.0.0.2", dst="192.0.2.9") / TCP(dataofs=0),
        ether / IP(src="10.0.0.2", dst="192.0.2.9") / UDP() / (b"g" * 1490),
        ether / IP(src="10.0.0.2", dst="192.0.2.9") / UDP() / (b"g" * 3000),
    ]
    frames = [bytes(each) for each in good + bad]
    cut = [frame[:length] for frame in frames[:4] for length in range(14, len(frame), 3)]
    noise = []
    for _ in range(300):
        frame = bytearray(choose.choice(frames[:6]))
        for _ in range(choose.randint(1, 6)):
            frame[choose.randrange(len(frame))] = choose.randrange(256)
        noise.append(bytes(frame))
    # More flows than some tables have room for, so that they fill up and stay full.
    flows = [
        bytes(ether / IP(src=f"10.0.{i >> 8}.{i & 255}", dst="192.0.2.9") / UDP(sport=i + 1, dport=53))
        for i in range(0, 2000, 7)
    ]
    return frames + cut + noise + flows


@pytest.mark.parametrize(
    ("io", "nf"), [*(("linux", nf) for nf in NFS), ("dpdk", "nat"), ("dpdk", "bridge")], indirect=["io"]
)
def test_no_frame_stops_a_network_function(network: Network, run: Run, io: str, nf: str, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, EXTERNAL)
    for plug in (place.client_plug, place.server_plug, *place.plugs):
        plug.machine.run("ip", "link", "set", plug.name, "mtu", "4000")
    wrpcap(str(tmp_path / "hostile.pcap"), hostile_frames(), linktype=1)
    running = run(nf, (ROOT / "nfs" / nf / f"{nf}.toml").read_text(), place.middle, place.plugs, io)
    before = memory_bytes(running)
    sent = 0
    for machine, plug in ((place.client, place.client_plug), (place.server, place.server_plug)):
        said = machine.run(*FRAMES, "send", plug.name, str(tmp_path / "hostile.pcap"), str(SECONDS)).stdout
        sent += int(said)
    assert running.process.poll() is None, running.said
    assert memory_bytes(running) <= before + (1 << 20)
    totals = running.stop()
    if io == "linux":  # DPDK's af_packet driver does not say what it missed
        assert totals["received"] + totals.get("missed", 0) >= sent
    assert totals["received"] > 1000
    assert totals["dropped too long"] > 0


def memory_bytes(running: Running) -> int:
    """What the runtime has in memory of its own, once its tables are all touched or not."""
    (child,) = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
    return int(status["VmData"].split()[0]) * 1024
