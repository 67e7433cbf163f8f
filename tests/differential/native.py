"""The processor as an oracle: states in, states out, in a child process."""

from __future__ import annotations

import functools
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.vex_registers import FIRST_VECTOR, GENERAL

#: The arithmetic flags: CF, PF, AF, ZF, SF, OF.
ARITHMETIC = 0x8D5
_STATE = struct.Struct("<17Q512s")
_VECTORS = slice(FIRST_VECTOR, FIRST_VECTOR + 32)  # the slots of their halves
_SOURCE = Path(__file__).with_name("native.c")


@functools.cache
def _anything() -> Registers:
    return Registers.fresh("here")


@functools.cache
def processor_has(feature: str) -> bool:
    return feature in Path("/proc/cpuinfo").read_text().split()


@dataclass(frozen=True, slots=True)
class State:
    """General registers in the machine's order, arithmetic flags, and vector registers side by side."""

    general: tuple[int, ...]
    flags: int
    vectors: bytes

    def pack(self) -> bytes:
        return _STATE.pack(*self.general, self.flags, self.vectors)

    @classmethod
    def unpack(cls, data: bytes) -> State:
        *general, flags, vectors = _STATE.unpack(data)
        return cls(tuple(general), flags & ARITHMETIC, vectors)

    def registers(self) -> Registers:
        registers = _anything().copy()
        slots = registers.slots
        slots[: len(GENERAL)] = self.general
        registers.set_flags(self.flags)
        slots[_VECTORS] = [int.from_bytes(self.vectors[at : at + 16], "little") for at in range(0, 512, 16)]
        return registers

    @classmethod
    def of(cls, registers: Registers) -> State:
        slots = registers.slots
        vectors = b"".join([half.to_bytes(16, "little") for half in slots[_VECTORS]])
        return cls(tuple(slots[: len(GENERAL)]), registers.flags_word(), vectors)


@dataclass(frozen=True, slots=True)
class Region:
    """Memory at a fixed address; a writable one is as it was before each run."""

    address: int
    content: bytes
    writable: bool


@dataclass(frozen=True, slots=True)
class Job:
    """Runs of the code at ``entry``, up to ``stop`` or (if that is None) up to the return of the function."""

    entry: int
    stop: int | None
    states: Sequence[State]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: ``signal`` is 0 if it came to its end, ``memory`` has the words that changed."""

    signal: int
    state: State
    memory: dict[int, int]


def compile_runner(directory: Path) -> Path:
    """The runner as a program."""
    program = directory / "native"
    flags = ["-mavx"] if processor_has("avx2") else []
    subprocess.run(["gcc", "-O2", "-fPIE", "-pie", *flags, "-o", program, _SOURCE], check=True)
    return program


def run(program: Path, regions: Sequence[Region], jobs: Sequence[Job]) -> list[list[Outcome]]:
    """The outcomes of each job's states."""
    parts = [struct.pack("<Q", len(regions))]
    for region in regions:
        parts.append(struct.pack("<3Q", region.address, len(region.content), region.writable))
        parts.append(region.content)
    parts.append(struct.pack("<Q", len(jobs)))
    for job in jobs:
        parts.append(struct.pack("<3Q", job.entry, job.stop or 0, len(job.states)))
        parts += [state.pack() for state in job.states]
    done = subprocess.run([program], input=b"".join(parts), stdout=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, f"the native runner ended with {done.returncode}"
    outcomes = _outcomes(done.stdout)
    return [[next(outcomes) for _ in job.states] for job in jobs]


def _outcomes(data: bytes) -> Iterator[Outcome]:
    at = 0
    while at < len(data):
        (signal,) = struct.unpack_from("<Q", data, at)
        state = State.unpack(data[at + 8 : at + 8 + _STATE.size])
        at += 8 + _STATE.size
        (changes,) = struct.unpack_from("<Q", data, at)
        words: Iterable[int] = struct.unpack_from(f"<{2 * changes}Q", data, at + 8)
        at += 8 + 16 * changes
        numbers = iter(words)
        yield Outcome(signal, state, dict(zip(numbers, numbers, strict=True)))
