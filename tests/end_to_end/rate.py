"""Datagrams at a rate: ``rate.py send ADDRESS BYTES PER_SECOND SECONDS`` and ``rate.py count BYTES SECONDS``.

The latter prints the bytes a second of whole IP datagrams that arrived, leaving out the first second after the first.
"""

import select
import socket
import sys
import time

PORT, OVERHEAD_BYTES = 7000, 28


def send(address: str, size_bytes: str, per_second: str, seconds: str) -> None:
    """Sends datagrams of that size, as evenly as can be."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    payload = b"x" * (int(size_bytes) - OVERHEAD_BYTES)
    start, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - start) < float(seconds):
        if sent < elapsed * float(per_second):
            sender.sendto(payload, (address, PORT))
            sent += 1
        else:
            time.sleep(0.0005)


def count(size_bytes: str, seconds: str) -> None:
    """Counts for so many seconds."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    receiver.bind(("", PORT))
    print("ready", flush=True)
    receiver.recv(2048)
    start = time.monotonic() + 1
    end = start + float(seconds)
    received = 0
    while (now := time.monotonic()) < end:
        if select.select([receiver], [], [], end - now)[0]:
            receiver.recv(2048)
            received += now >= start
    print(received * int(size_bytes) / float(seconds))


if __name__ == "__main__":
    {"send": send, "count": count}[sys.argv[1]](*sys.argv[2:])
