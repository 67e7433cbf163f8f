"""Running a lifted block: what the interpreter needs from its surroundings, and what it gives back.

A block runs until control leaves it or until that depends on something symbolic. Then the caller decides, and goes on
with the cursor it got: cursors are immutable, so both sides of a decision can go on from one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from pytest_vigor.explore.vex_registers import CALLER_SAVED, Registers
from pytest_vigor.term import Bool, Term, Value

__all__ = [
    "CALLER_SAVED", "Block", "Branch", "Cursor", "Jump", "Leave", "Memory", "Registers", "Split", "Step", "run",
]


class Memory(Protocol):
    """What the code runs on. ``where`` is the address of the instruction that asks; numbers are little endian."""

    def load(self, address: Value, size_bytes: int, where: int) -> Value: ...

    def store(self, address: Value, size_bytes: int, value: Value, where: int) -> None: ...

    def oblige(self, condition: Bool, kind: str, where: int) -> None:
        """Something that must hold here, or the machine traps: ``division by zero``, ``quotient does not fit``."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place inside a block, with the values computed so far."""

    index: int
    temporaries: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A side exit that is taken if ``condition`` holds: then control is at ``taken``, left in the way of ``kind``;
    otherwise the block goes on at ``cursor``. The registers are right for either side."""

    condition: Term
    taken: int
    kind: str
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Split:
    """A memory access that happens only if ``condition`` holds (a masked move): the block goes on at either cursor."""

    condition: Term
    yes: Cursor
    no: Cursor


@dataclass(frozen=True, slots=True)
class Jump:
    """Control leaves the block. ``kind`` is VEX's: ``Ijk_Boring``, ``Ijk_Call``, ``Ijk_Ret``, ``Ijk_SigSEGV``, …"""

    target: Value
    kind: str


Leave: TypeAlias = Branch | Split | Jump
Step: TypeAlias = Callable[[list[Any], list[Any], Memory], "Leave | None"]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A basic block, ready to run."""

    address: int
    size_bytes: int
    steps: tuple[Step, ...]
    start: Cursor
    next: int  #: which temporary holds the address after the last step
    kind: str
    instructions: tuple[int, ...]  #: their addresses
    targets: tuple[int, ...]  #: where constant jumps out of the block go, the last one included

    @property
    def end(self) -> int:
        """The address after the block's last byte: where a call returns to."""
        return self.address + self.size_bytes


def run(block: Block, cursor: Cursor | None, registers: Registers, memory: Memory) -> Leave:
    """Runs a block from its start (``None``) or from a cursor. Changes ``registers``, which belong to this run."""
    at = block.start if cursor is None else cursor
    temporaries, slots = list(at.temporaries), registers.slots
    for step in block.steps[at.index:] if at.index else block.steps:
        leave = step(temporaries, slots, memory)
        if leave is not None:
            return leave
    return Jump(temporaries[block.next], block.kind)
