"""Symbolic runs that follow one assignment: every decision and address is what it is under the assignment.

What is left at the end are terms; their values under the assignment must be what a concrete run gives.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore.block import Branch, Jump, Registers, run
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.vex_ccalls import crc32
from pytest_vigor.explore.vex_registers import FIRST_VECTOR, GENERAL

from .machine import ARITHMETIC_ERROR, ILLEGAL_INSTRUCTION, SEGMENTATION_FAULT, Trap
from .native import Outcome, Region, State


class Assignment:
    """Values of variables, remembered as the variables are made."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.memo: dict[int, Any] = {}

    def variable(self, name: str, width: int, value: int) -> term.Value:
        self.values[name] = value
        return term.var(name, width)

    def of(self, value: Any) -> Any:
        if isinstance(value, int):
            return value
        return term.evaluate(value, self._leaf, self.memo)

    def _leaf(self, leaf: term.Term, arguments: tuple[Any, ...]) -> int:
        if leaf.op == "app" and leaf.data[0].startswith("crc32"):
            return crc32(leaf.data[1][1], *arguments)
        return self.values[leaf.data]


class ConcolicMemory:
    """Bytes at the addresses that the assignment gives; a byte not yet written is a variable."""

    def __init__(self, regions: Sequence[Region], assignment: Assignment) -> None:
        self.regions, self.assignment = regions, assignment
        self.bytes: dict[int, term.Value] = {}
        self.written: set[int] = set()

    def _region(self, address: int, size_bytes: int, writable: bool) -> Region:
        for region in self.regions:
            inside = region.address <= address and address + size_bytes <= region.address + len(region.content)
            if inside and (region.writable or not writable):
                return region
        raise Trap(SEGMENTATION_FAULT)

    def load(self, address: term.Value, size_bytes: int, where: int) -> term.Value:
        at = self.assignment.of(address)
        region = self._region(at, size_bytes, False)
        for i in range(at, at + size_bytes):
            if i not in self.bytes:
                value = region.content[i - region.address]
                self.bytes[i] = self.assignment.variable(f"m{i:x}", 8, value) if region.writable else value
        return term.concat([(8, self.bytes[i]) for i in reversed(range(at, at + size_bytes))])

    def store(self, address: term.Value, size_bytes: int, value: term.Value, where: int) -> None:
        at = self.assignment.of(address)
        self._region(at, size_bytes, True)
        for i in range(size_bytes):
            self.bytes[at + i] = term.extract(value, 8 * size_bytes, 8 * i + 7, 8 * i)
            self.written.add(at + i)

    def oblige(self, condition: term.Bool, kind: str, where: int) -> None:
        if not self.assignment.of(condition):
            raise Trap(ARITHMETIC_ERROR)

    def changes(self) -> dict[int, int]:
        found = {}
        for word in sorted({i & -8 for i in self.written}):
            region = self._region(word, 8, True)
            before = region.content[word - region.address :][:8]
            after = bytes(
                self.assignment.of(self.bytes[i]) if i in self.bytes else region.content[i - region.address]
                for i in range(word, word + 8)
            )
            if before != after:
                found[word] = int.from_bytes(after, "little")
        return found


def interpret(
    lifter: Lifter,
    regions: Sequence[Region],
    entry: int,
    stop: int,
    state: State,
    chance: random.Random,
    fixed: set[int],
) -> Outcome | None:
    """A symbolic run; ``fixed`` registers are concrete, of the others most are not. None if it takes too long."""
    assignment = Assignment()
    registers = state.registers()
    for i, name in enumerate(GENERAL):
        if i not in fixed and chance.random() < 0.8:
            registers.write(name, assignment.variable(name, 64, state.general[i]))
    for i in range(FIRST_VECTOR, FIRST_VECTOR + 32):
        if chance.random() < 0.5:
            registers.slots[i] = assignment.variable(f"vector{i}", 128, registers.slots[i])
    if chance.random() < 0.5:
        registers.set_flags(assignment.variable("flags", 64, state.flags))
    memory = ConcolicMemory(regions, assignment)
    try:
        if not _follow(lifter, memory, registers, entry, stop):
            return None
    except Trap as trap:
        return Outcome(trap.signal, state, {})
    slots = registers.slots
    vectors = b"".join(assignment.of(half).to_bytes(16, "little") for half in slots[FIRST_VECTOR : FIRST_VECTOR + 32])
    general = tuple(assignment.of(value) for value in slots[: len(GENERAL)])
    return Outcome(0, State(general, assignment.of(registers.flags_word()), vectors), memory.changes())


def _follow(lifter: Lifter, memory: ConcolicMemory, registers: Registers, address: int, stop: int) -> bool:
    assignment = memory.assignment
    for _ in range(60):
        cursor = None
        while True:
            leave = run(lifter.block(address), cursor, registers, memory)
            if isinstance(leave, Jump):
                kind, address = leave.kind, assignment.of(leave.target)
                break
            holds = assignment.of(leave.condition)
            if not isinstance(leave, Branch):
                cursor = leave.yes if holds else leave.no
            elif holds:
                kind, address = leave.kind, leave.taken
                break
            else:
                cursor = leave.cursor
        if kind == "Ijk_SigSEGV":
            raise Trap(SEGMENTATION_FAULT)
        if kind == "Ijk_SigILL":
            raise Trap(ILLEGAL_INSTRUCTION)
        if address == stop:
            return True
    return False
