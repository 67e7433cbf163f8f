"""Which basic blocks of a binary some path reaches, and which none does."""

from __future__ import annotations

from pytest_vigor.behaviour import Behaviour, addresses
from pytest_vigor.binary import Binary
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.order import successors
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.layout import IMAGE_BASE
from pytest_vigor.lines import Lines
from pytest_vigor.report.places import place_of
from pytest_vigor.report.schema import Block, Coverage

_NO_OPERATION = frozenset({0x90, 0x0F, 0x1F, 0x66, 0x2E, 0x00, 0x40, 0x44, 0x80, 0x84, 0xCC, 0xF3, 0x1E, 0xFA})


def coverage(binary: Binary, behaviour: Behaviour, lines: Lines) -> Coverage:
    """Over all blocks that jumps and calls lead to from the entry points, or that some path went through."""
    lifter = Lifter(binary.code)
    reached = {at for paths in behaviour.paths.values() for path in paths for at in addresses(path.blocks)}
    waiting = [binary.exports[entry] for entry in behaviour.paths if entry in binary.exports] + list(reached)
    blocks: dict[int, int] = {}
    while waiting:
        at = waiting.pop()
        if at in blocks or not binary.executable(at):
            continue
        try:
            blocks[at] = lifter.block(at).size_bytes
        except Unmodelled:
            continue
        waiting += successors(lifter, at)
    unreached = []
    for start in sorted(set(blocks) - reached):
        end = start + blocks[start]
        if _NO_OPERATION.issuperset(binary.code(start, blocks[start])):
            continue  # between functions
        places = {(line.file, line.line): place_of(line) for line in lines.statements(start, end)}
        unreached.append(Block(offset=start - IMAGE_BASE, size_bytes=blocks[start], lines=list(places.values())))
    return Coverage(blocks=len(reached) + len(unreached), unreached=unreached)
