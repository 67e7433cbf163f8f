"""Where the loops of a compiled function begin, those that come one after the other."""

from __future__ import annotations

from pytest_vigor.explore.order import reverse_postorder, successors
from pytest_vigor.refine.library import Library, NotShown, Unsettled


def heads_of(library: Library, function: str, many: int) -> list[int]:
    """Where the first so many loops of a function begin: each at a block without which nothing goes round in circles,
    of all that leads there and is not part of one before. Raises NotShown where there are not so many."""
    machine = library.machine
    lifter, entry = machine.search.lifter, machine.binary.exports[function]
    blocks = [at for at in reverse_postorder(lifter, entry) if machine.binary.executable(at)]
    following = {at: [each for each in successors(lifter, at) if each in blocks] for at in blocks}
    heads: list[int] = []
    while len(heads) < many:
        head = next((at for at in sorted(blocks) if _comes_first(following, at)), None)
        if head is None:
            raise NotShown(Unsettled(f"{function} has no {len(heads) + 1} loops, one after the other"))
        heads.append(head)
        following = {at: [each for each in targets if each != head] for at, targets in following.items()}
    return heads


def _comes_first(following: dict[int, list[int]], head: int) -> bool:
    before = _leading(following, head)
    return not _ends(before) and _ends({**before, head: []})


def _leading(following: dict[int, list[int]], to: int) -> dict[int, list[int]]:
    """The part of a graph that leads somewhere."""
    leading, found = {to}, 0
    while found < len(leading):
        found = len(leading)
        leading |= {at for at, targets in following.items() if leading.intersection(targets)}
    return {at: [each for each in following[at] if each in leading] for at in leading}


def _ends(following: dict[int, list[int]]) -> bool:
    """Whether nothing in a graph leads back to itself."""
    left = dict(following)
    while left:
        last = [at for at, targets in left.items() if not any(target in left for target in targets)]
        if not last:
            return False
        for at in last:
            del left[at]
    return True
