"""Where the loops of a compiled function begin."""

from __future__ import annotations

from collections.abc import Collection

from pytest_vigor.explore.order import reverse_postorder, successors
from pytest_vigor.refine.library import Library, NotShown, Unsettled

Graph = dict[int, list[int]]  #: of blocks, by where they begin, and what may come after each


def _graph(library: Library, function: str) -> Graph:
    lifter, entry = library.machine.search.lifter, library.machine.binary.exports[function]
    blocks = [at for at in reverse_postorder(lifter, entry) if library.machine.binary.executable(at)]
    return {at: [each for each in successors(lifter, at) if each in blocks] for at in blocks}


def outermost(library: Library, function: str, within: Collection[int] = ()) -> tuple[int, ...]:
    """Where the loops of a function begin that are in no other, or in none but those that begin ``within``. Blocks end
    where others start from here on."""
    lifter = library.machine.search.lifter
    lifter.cut(reverse_postorder(lifter, library.machine.binary.exports[function]))
    graph = _graph(library, function)
    following = {at: [each for each in targets if each not in within] for at, targets in graph.items()}
    reached = {at: _reached(following, at) for at in following}
    return tuple(
        at for at in following
        if at in reached[at] and any(at in following[each] and each not in reached[at] for each in following)
    )  # fmt: skip


def _reached(following: Graph, start: int) -> set[int]:
    found: set[int] = set()
    stack = list(following[start])
    while stack:
        at = stack.pop()
        if at not in found:
            found.add(at)
            stack += following[at]
    return found


def in_a_row(library: Library, function: str, many: int) -> list[int]:
    """Where the first so many loops of a function begin, one after the other: each at a block without which nothing
    goes round in circles, of all that leads there and is not part of one before. Raises NotShown where there are not
    so many."""
    following = _graph(library, function)
    heads: list[int] = []
    while len(heads) < many:
        head = next((at for at in sorted(following) if _comes_first(following, at)), None)
        if head is None:
            raise NotShown(Unsettled(f"{function} has no {len(heads) + 1} loops, one after the other"))
        heads.append(head)
        following = {at: [each for each in targets if each != head] for at, targets in following.items()}
    return heads


def _comes_first(following: Graph, head: int) -> bool:
    before = _leading(following, head)
    return not _ends(before) and _ends({**before, head: []})


def _leading(following: Graph, to: int) -> Graph:
    """The part of a graph that leads somewhere."""
    leading, found = {to}, 0
    while found < len(leading):
        found = len(leading)
        leading |= {at for at, targets in following.items() if leading.intersection(targets)}
    return {at: [each for each in following[at] if each in leading] for at in leading}


def _ends(following: Graph) -> bool:
    """Whether nothing in a graph leads back to itself."""
    left = dict(following)
    while left:
        last = [at for at, targets in left.items() if not any(target in left for target in targets)]
        if not last:
            return False
        for at in last:
            del left[at]
    return True
