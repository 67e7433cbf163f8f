"""Packets in and out of files that Wireshark opens: pcapng with the devices as interfaces, and older pcap to read."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_vigor.behaviour import NF_FLOOD
from pytest_vigor.errors import CaptureError
from pytest_vigor.packet import ETHER_BYTES
from pytest_vigor.trace import PROCESS, Run, Situation, Step

_NS = 1_000_000_000
_INBOUND, _OUTBOUND = 1, 2
_DEVICE = "device "
_SECTION = 0x0A0D0D0A
_PCAP = (0xA1B2C3D4, 0xA1B23C4D)  #: of microseconds, of nanoseconds


def can_capture() -> bool:
    """Whether there is what reads and writes these files."""
    return find_spec("scapy") is not None


def write(path: Path, situation: Situation, run: Run) -> None:
    """The packets received and sent, with the exact times as comments: the format's are in microseconds."""
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    from scapy.utils import PcapNgWriter

    with PcapNgWriter(str(path)) as writer:
        for number, (step, result) in enumerate(zip(situation.steps, run.steps, strict=False), 1):
            if step.entry != PROCESS:
                continue
            sent = result.packet_after
            out: list[int] = []
            if sent is not None and result.value is not None:
                everywhere = [each for each in range(situation.device_count) if each != step.device]
                out = everywhere if result.value == NF_FLOOD else [result.value] if result.value >= 0 else []
            frames = [(step.device, step.packet, _INBOUND), *((each, sent or b"", _OUTBOUND) for each in out)]
            for device, content, direction in frames:
                packet: Any = Ether(content) if len(content) >= ETHER_BYTES else Raw(content)
                packet.time, packet.sniffed_on, packet.direction = step.now / _NS, f"{_DEVICE}{device}", direction
                way = "received" if direction == _INBOUND else "sent"
                packet.comments = [f"step {number}: {way} on device {device}, now = {step.now}".encode()]
                writer.write(packet)


def read(path: Path) -> tuple[Step, ...]:
    """The packets of a capture, as steps. Interfaces called "device N" are device N, others are numbered as they come;
    packets marked as outbound are left out."""
    if not can_capture():
        raise CaptureError(f"{path} cannot be read without scapy", "pip install scapy")
    _check(path)
    from scapy.error import Scapy_Exception
    from scapy.utils import PcapReader

    steps: list[Step] = []
    names: dict[str, int] = {}
    try:
        with PcapReader(str(path)) as reader:
            for packet in reader:
                if getattr(packet, "direction", None) == _OUTBOUND:
                    continue
                name = str(getattr(packet, "sniffed_on", None) or "")
                number = name.removeprefix(_DEVICE)
                is_ours = name.startswith(_DEVICE) and number.isdecimal()
                device = int(number) if is_ours else names.setdefault(name, len(names))
                steps.append(Step(device=device, packet=bytes(packet), now=int(packet.time * _NS)))
    except (Scapy_Exception, EOFError, struct.error) as error:
        raise CaptureError(f"{path} cannot be read as a capture ({error})", "give a pcap or pcapng file") from error
    if not steps:
        raise CaptureError(f"{path} holds no packet that was received", "give a capture with packets in it")
    return tuple(sorted(steps, key=lambda step: step.now))


def _check(path: Path) -> None:
    """Says so if the file ends in the middle of something."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error.strerror})", "check its name") from error
    if len(content) < 24:
        raise CaptureError(f"{path} is no capture: it has {len(content)} bytes", "give a pcap or pcapng file")
    for order in "<>":
        (magic,) = struct.unpack_from(order + "I", content)
        if magic in _PCAP:
            ends = _records(content, order)
        elif magic == _SECTION and struct.unpack_from(order + "I", content, 8)[0] == 0x1A2B3C4D:
            ends = _blocks(content, order)
        else:
            continue
        if any(end > len(content) for end in ends):
            what = f"{path} is truncated: it ends after {len(content)} bytes, in the middle of a packet"
            raise CaptureError(what, "capture it again, or drop the last packet, as `editcap` does")
        return
    raise CaptureError(f"{path} is neither pcap nor pcapng", "give a file in one of these formats")


def _records(content: bytes, order: str) -> Iterator[int]:
    """Where the records of a pcap file end."""
    at = 24
    while at < len(content):
        if at + 16 > len(content):
            yield at + 16
            return
        at += 16 + struct.unpack_from(order + "I", content, at + 8)[0]
        yield at


def _blocks(content: bytes, order: str) -> Iterator[int]:
    """Where the blocks of a pcapng file end (draft-ietf-opsawg-pcapng section 3.1)."""
    at = 0
    while at < len(content):
        if at + 12 > len(content):
            yield at + 12
            return
        at += max(12, struct.unpack_from(order + "I", content, at + 4)[0])
        yield at
