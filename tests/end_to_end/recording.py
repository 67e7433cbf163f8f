"""What a network function's devices receive, recorded by tcpdump as one capture that --vigor-replay takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from network import Machine, Plug, wait_until
from scapy.all import PcapNgWriter, PcapReader

ROOT = Path(__file__).parent.parent.parent


class Recording:
    """tcpdump at each device of an NF's machine."""

    def __init__(self, machine: Machine, plugs: Sequence[Plug], folder: Path) -> None:
        self._plugs, self._folder = plugs, folder
        self._processes = []
        for plug in plugs:
            command = ["tcpdump", "-i", plug.name, "-Q", "in", "-U", "--immediate-mode", "-Z", "root"]
            said = self._said(plug).open("w")
            self._processes.append(machine.start(*command, "-w", str(self._file(plug)), stderr=said))
        for plug in plugs:
            wait_until(lambda plug=plug: "listening on" in self._said(plug).read_text(), "tcpdump")  # type: ignore[misc]

    def _file(self, plug: Plug) -> Path:
        return self._folder / f"{plug.name}.pcap"

    def _said(self, plug: Plug) -> Path:
        return self._folder / f"{plug.name}.tcpdump"

    def stop(self) -> Path:
        """Ends it; all packets in the order of their times, with each one's device."""
        for process in self._processes:
            process.terminate()
            process.wait(10)
        packets = []
        for device, plug in enumerate(self._plugs):
            with PcapReader(str(self._file(plug))) as reader:
                for packet in reader:
                    packet.sniffed_on = f"device {device}"
                    packets.append(packet)
        whole = self._folder / "received.pcapng"
        with PcapNgWriter(str(whole)) as writer:
            for packet in sorted(packets, key=lambda packet: packet.time):
                writer.write(packet)
        return whole


def monitored(nf: str, capture: Path) -> str:
    """What pytest says of a capture that is run through an NF with its properties as monitors."""
    asked = [f"properties/test_{nf}.py", "--vigor-replay", str(capture)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *asked]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    return done.stdout
