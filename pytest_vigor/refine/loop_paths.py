"""The paths of a function from where one of its loops begins to where it begins anew, or another one does."""

from __future__ import annotations

from collections.abc import Collection

from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.cycles import Cycles, Said, Ways
from pytest_vigor.refine.library import Library, unbroken
from pytest_vigor.refine.loops import in_a_row, outermost


class InARow:
    """The first so many loops of a function, one after the other, but for those at the places that are ``plain``: these
    have one way to go, as those inside of loops do."""

    def __init__(self, library: Library, function: str, many: int, plain: Collection[int] = ()) -> None:
        heads = in_a_row(library, function, many)
        self.library, self.heads = library, tuple(each for at, each in enumerate(heads) if at not in plain)

    def until(self, path: CallPath, address: int) -> Ways:
        """Where paths from an address lead to: to the end of the function, or to where a loop begins."""
        found = self.library.machine.until(path, address, self.heads)
        unbroken(self.library, lambda _: [])
        return found


class Nested:
    """The outermost loops of a function, inside of which there are others: what is said of those, in the order in which
    a round meets them."""

    def __init__(self, library: Library, function: str, *inside: Said) -> None:
        self.library, self.heads = library, outermost(library, function)
        self.inside = Cycles(library, function, inside, lambda _: [], self.heads)

    def until(self, path: CallPath, address: int) -> Ways:
        """The same, however many rounds the loops inside make."""
        found = [*self.inside.onward(path, address)]
        return [each for each in found if not each.head], [each for each in found if each.head]
