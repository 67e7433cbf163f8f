"""For a machine to run: ``frames.py send INTERFACE PCAP [SECONDS]`` and ``frames.py record INTERFACE PCAP SECONDS``."""

from __future__ import annotations

import socket
import sys
import time

from scapy.utils import RawPcapReader, wrpcap


def send(interface: str, pcap: str, seconds: str = "0") -> None:
    """Sends the frames of a file, over and over for so many seconds; prints how many."""
    frames = [frame for frame, _ in RawPcapReader(pcap)]
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((interface, 0))
    end, sent = time.monotonic() + float(seconds), 0
    while True:
        for frame in frames:
            try:
                sender.send(frame)
                sent += 1
            except OSError as error:
                # Longer than the link takes, or faster.
                if error.errno not in (90, 105):
                    raise
        if time.monotonic() >= end:
            break
    print(sent)


def record(interface: str, pcap: str, seconds: str) -> None:
    """Records what arrives."""
    from scapy.all import AsyncSniffer

    sniffer = AsyncSniffer(iface=interface, store=True, started_callback=lambda: print("ready", flush=True))
    sniffer.start()
    time.sleep(float(seconds))
    wrpcap(pcap, sniffer.stop())


if __name__ == "__main__":
    {"send": send, "record": record}[sys.argv[1]](*sys.argv[2:])
