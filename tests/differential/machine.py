"""Our interpreter on concrete states and flat memory, as a counterpart of the processor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from pytest_vigor.explore.block import Jump, Registers, run
from pytest_vigor.explore.lift import Lifter

from .native import Outcome, Region, State

RETURN_ADDRESS = 0xF00  # nothing is mapped there
SEGMENTATION_FAULT, ILLEGAL_INSTRUCTION, ARITHMETIC_ERROR = 11, 4, 8


class Trap(Exception):
    """The signal that the processor would raise."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


class FlatMemory:
    """Regions at fixed addresses; what a run writes is kept apart from their contents."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = [(r.address, r.address + len(r.content), r.content) for r in regions if r.writable]
        self.constant = [(r.address, r.address + len(r.content), r.content) for r in regions if not r.writable]
        self.written: dict[int, bytearray] = {}

    def reset(self) -> None:
        self.written = {}

    def load(self, address: int, size_bytes: int, where: int) -> int:
        for start, end, content in self.regions:
            if start <= address and address + size_bytes <= end:
                data = self.written.get(start, content)
                return int.from_bytes(data[address - start : address - start + size_bytes], "little")
        for start, end, content in self.constant:
            if start <= address and address + size_bytes <= end:
                return int.from_bytes(content[address - start : address - start + size_bytes], "little")
        raise Trap(SEGMENTATION_FAULT)

    def store(self, address: int, size_bytes: int, value: int, where: int) -> None:
        for start, end, content in self.regions:
            if start <= address and address + size_bytes <= end:
                data = self.written.get(start)
                if data is None:
                    data = self.written[start] = bytearray(content)
                data[address - start : address - start + size_bytes] = value.to_bytes(size_bytes, "little")
                return
        raise Trap(SEGMENTATION_FAULT)

    def oblige(self, condition: bool, kind: str, where: int) -> NoReturn:
        assert condition is False, "a concrete obligation is reported only if it does not hold"
        raise Trap(ARITHMETIC_ERROR)

    def changes(self) -> dict[int, int]:
        """The 8-byte words that differ from the regions' contents."""
        found = {}
        for start, _, content in self.regions:
            data = self.written.get(start)
            if data is None or data == content:
                continue
            for low in range(0, len(content), 256):
                if data[low : low + 256] != content[low : low + 256]:
                    for at in range(low, min(low + 256, len(content)), 8):
                        if data[at : at + 8] != content[at : at + 8]:
                            found[start + at] = int.from_bytes(data[at : at + 8], "little")
        return found


def reader(regions: Sequence[Region], stop: int | None = None) -> Lifter:
    """A lifter of the code in the regions, up to an address if one is given."""

    def read(address: int, size_bytes: int) -> bytes:
        if stop is not None and address < stop:
            size_bytes = min(size_bytes, stop - address)
        for region in regions:
            if region.address <= address < region.address + len(region.content):
                return region.content[address - region.address : address - region.address + size_bytes]
        return b""

    return Lifter(read)


def interpret(lifter: Lifter, memory: FlatMemory, entry: int, stop: int | None, state: State) -> Outcome:
    """One run, as :func:`native.run` does it. :class:`Unmodelled` goes through."""
    memory.reset()
    registers = state.registers()
    if stop is None:
        memory.store(state.general[4], 8, RETURN_ADDRESS, 0)
    try:
        _follow(lifter, memory, registers, entry, RETURN_ADDRESS if stop is None else stop)
    except Trap as trap:
        return Outcome(trap.signal, state, {})
    if stop is None:
        original = FlatMemory([Region(a, c, True) for a, _, c in memory.regions]).load(state.general[4], 8, 0)
        memory.store(state.general[4], 8, original, 0)
    return Outcome(0, State.of(registers), memory.changes())


def cost(lifter: Lifter, memory: FlatMemory, entry: int, state: State) -> int:
    """How many blocks a run of a function takes."""
    memory.reset()
    memory.store(state.general[4], 8, RETURN_ADDRESS, 0)
    return _follow(lifter, memory, state.registers(), entry, RETURN_ADDRESS)


def _follow(lifter: Lifter, memory: FlatMemory, registers: Registers, address: int, stop: int) -> int:
    for passed in range(1, 100_000):
        leave = run(lifter.block(address), None, registers, memory)
        assert isinstance(leave, Jump), "a concrete run does not fork"
        if leave.kind == "Ijk_SigSEGV":
            raise Trap(SEGMENTATION_FAULT)
        if leave.kind == "Ijk_SigILL":
            raise Trap(ILLEGAL_INSTRUCTION)
        address = leave.target
        if address == stop:
            return passed
    raise AssertionError("the run does not end")
