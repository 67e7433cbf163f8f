"""Whether a runtime does with every burst of frames what it must: dispatch_burst, compiled from libvig/runtime/proof/.

Every frame that was received is handed on or released exactly once for each claim to it, the network function is asked
about exactly the received bytes, length and device, and nothing is touched that is somebody else's again. The NF, the
clock, the driver and the kernel can be anything that their models here allow; an I/O adds its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.behaviour import NF_DROP, NF_FLOOD
from pytest_vigor.explore.block import CALLER_SAVED
from pytest_vigor.explore.entry import short
from pytest_vigor.explore.memory import Stop
from pytest_vigor.layout import Struct
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.machine import Machine, Model
from pytest_vigor.term import Bool, Value

FRAME_BYTES_MAX = 1518  #: RUNTIME_FRAME_BYTES_MAX in libvig/runtime/runtime.h
PORT_OF_DEVICE_0 = 7  #: proof_port in libvig/runtime/proof/proof.h
GHOST = "burst"


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the burst: what the NF has to get of it, and what has become of it so far."""

    address: int  #: of what stands for it: a buffer, a slot
    bytes_at: Value
    length: Value  #: 32 bits
    hidden: Bool = False  #: the I/O has to keep it from the NF
    unfinished: Bool = False  #: for that reason
    claims: int = 1
    asked: bool = False
    offered: tuple[int, ...] = ()  #: the devices that it was offered to
    sent: tuple[int, ...] = ()  #: and those that have taken it


@dataclass(frozen=True, slots=True)
class Burst:
    """All frames of a burst, in their order."""

    frames: tuple[Frame, ...] = ()
    received: bool = False
    now: Value = 0
    fresh: bool = False  #: nothing has been asked since the clock was read
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """Which bursts are looked at."""

    burst: int
    devices: int
    device: int  #: that they come from
    plain: bool = False  #: no frame has lost its tag to the driver, and none lies in several buffers
    time_per_packet: bool = False


class Io:
    """What one I/O adds: its C file, its models, and what must hold in the end."""

    name: str

    def __init__(self, sizes: Sizes, structs: dict[str, Struct]) -> None:
        self.sizes, self.structs = sizes, structs

    def begin(self, machine: Machine) -> tuple[CallPath, list[Value]]:
        """A path, and what proof_begin is told besides."""
        raise NotImplementedError

    def models(self) -> dict[str, Model]:
        """Of the functions that it calls."""
        raise NotImplementedError

    def frames(self, path: CallPath, count: int) -> tuple[Bool, tuple[Frame, ...]]:
        """When there were so many to be received, and which."""
        raise NotImplementedError

    def holds(self, frame: Frame, place: Value) -> bool:
        """Whether an address is in what a frame lies in."""
        raise NotImplementedError

    def unchanged(self, path: CallPath, frame: Frame) -> Iterator[tuple[str, Bool]]:
        """That a frame's bytes are those that came."""
        raise NotImplementedError

    def handed_back(self, path: CallPath, count: int) -> Iterator[tuple[str, Bool]]:
        """What it wants besides when all is done."""
        raise NotImplementedError

    def symbols(self) -> Iterator[t.Value]:
        """What a refutation shows."""
        raise NotImplementedError


def ghost(path: CallPath) -> Burst:
    return path.ghosts[GHOST]  # type: ignore[no-any-return]


def changed(path: CallPath, number: int, **changes: Any) -> None:
    """Changes what is noted about a frame."""
    burst = ghost(path)
    frames = list(burst.frames)
    frames[number] = replace(frames[number], **changes)
    path.ghosts[GHOST] = replace(burst, frames=tuple(frames))


def returns(path: CallPath, value: Value = 0) -> list[CallPath]:
    """A call comes back, with everything lost that a function may forget."""
    path.registers.clobber(CALLER_SAVED, f"after the call at {path.where:#x}")
    path.registers.write("rax", value)
    return [path]


def given(path: CallPath, register: str, bits: int = 64) -> Value:
    """An argument, which must not depend on what nobody has written."""
    value = t.extract(path.registers.read(register), 64, bits - 1, 0)
    path.initialised(value, path.where, f"the argument in {register}")
    return value


def known(path: CallPath, register: str, bits: int = 64) -> int:
    value = given(path, register, bits)
    if not isinstance(value, int):
        raise Stop(f"an index of which nothing is known: {t.show(value)}")
    return value


def device_of(path: CallPath, port: int) -> int:
    """Which of our devices has a port's number."""
    devices = path.ghosts["sizes"].devices
    path.oblige(0 <= PORT_OF_DEVICE_0 - port < devices, "runtime", path.where, f"port {port} is a device's")
    return PORT_OF_DEVICE_0 - port


def answer(number: int) -> t.Value:
    """What the NF says about a frame."""
    return t.var(f"answer for frame {number}", 32)


def nf_process(io: Io) -> Model:
    """Any NF: it may change the frame's bytes, and say anything."""

    def model(path: CallPath) -> list[CallPath]:
        burst, where = ghost(path), path.where
        at = given(path, "rsi")
        number = next((k for k, each in enumerate(burst.frames) if io.holds(each, at)), -1)
        path.oblige(number >= 0, "runtime", where, "nf_process gets a frame of the burst")
        frame = burst.frames[number]
        later = not any(each.asked for each in burst.frames[number:])
        path.oblige(later, "runtime", where, f"frame {number} is asked about once, and after those before it")
        path.oblige(frame.claims > 0, "runtime", where, f"frame {number} is still ours")
        path.oblige(t.lnot(frame.hidden), "runtime", where, f"frame {number} is one for the NF")
        device = given(path, "rdi", 16)
        path.oblige(t.eq(16, device, io.sizes.device), "runtime", where, "nf_process gets the device")
        path.oblige(t.eq(64, at, frame.bytes_at), "runtime", where, f"nf_process gets the bytes of frame {number}")
        length = t.zext(given(path, "rdx", 16), 16, 32)
        path.oblige(t.eq(32, length, frame.length), "runtime", where, f"nf_process gets the length of frame {number}")
        path.oblige(t.ule(32, length, FRAME_BYTES_MAX), "runtime", where, f"frame {number} is not too long")
        path.oblige(t.eq(64, given(path, "rcx"), burst.now), "runtime", where, "nf_process gets the time")
        if io.sizes.time_per_packet:
            path.oblige(burst.fresh, "runtime", where, "the clock is read for each frame")
        for what, holds in io.unchanged(path, frame):
            path.oblige(holds, "runtime", where, what)
        changed(path, number, asked=True)
        path.ghosts[GHOST] = replace(ghost(path), fresh=False)
        return _answered(path, io.sizes, number)

    return model


def _answered(path: CallPath, sizes: Sizes, number: int) -> list[CallPath]:
    """All answers, those that mean something one by one: from here on the path stays apart from others."""
    said, out = answer(number), []
    told = [*range(sizes.devices), NF_DROP & t.mask(32), NF_FLOOD & t.mask(32)]
    for value in told:
        fork = path.fork()
        fork.assume(t.eq(32, said, value), path.where)
        fork.cases = (*fork.cases, value)
        out += returns(fork, short(value, 32))
    for value in told:
        path.assume(t.ne(32, said, value), path.where)
    path.cases = (*path.cases, -1)
    return out + returns(path, short(said, 32))


def proof_clock(path: CallPath) -> list[CallPath]:
    """Any time that is not before the last."""
    burst = ghost(path)
    path.calls += 1
    now = t.var(f"time {path.calls}", 64)
    path.hold(t.sle(64, burst.now, now))
    path.ghosts[GHOST] = replace(burst, now=now, fresh=True)
    return returns(path, now)


def wanted(io: Io, number: int, frame: Frame, device: int) -> Bool:
    """Whether a frame is to go to a device."""
    said = answer(number)
    flooded = t.land(t.eq(32, said, NF_FLOOD & t.mask(32)), device != io.sizes.device)
    return t.land(shown(frame), t.lor(t.eq(32, said, device), flooded))


def shown(frame: Frame) -> Bool:
    return t.land(t.lnot(frame.hidden), t.ule(32, frame.length, FRAME_BYTES_MAX))
