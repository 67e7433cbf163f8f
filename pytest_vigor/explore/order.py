"""In which order to go on with paths: so that those which will meet at a place have all arrived there."""

from __future__ import annotations

from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.vex_unmodelled import Unmodelled


def reverse_postorder(lifter: Lifter, entry: int) -> dict[int, int]:
    """The rank of every block that static jumps reach from an entry point: of two blocks outside of loops, the one
    from which the other can be reached ranks lower."""
    finished: list[int] = []
    seen = {entry}
    stack: list[tuple[int, list[int]]] = [(entry, successors(lifter, entry))]
    while stack:
        address, following_ = stack[-1]
        if not following_:
            finished.append(address)
            stack.pop()
            continue
        following = following_.pop(0)
        if following not in seen:
            seen.add(following)
            stack.append((following, successors(lifter, following)))
    return {address: rank for rank, address in enumerate(reversed(finished))}


def successors(lifter: Lifter, address: int) -> list[int]:
    """Where a block leads; what follows a call comes before the callee, which then ranks lower."""
    try:
        block = lifter.block(address)
    except Unmodelled:
        return []
    after = [block.end] if block.kind == "Ijk_Call" else []
    return [*after, *block.targets]
