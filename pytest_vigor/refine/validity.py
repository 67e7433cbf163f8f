"""Whether ``*_is_valid`` says of arbitrary contents just what the invariant says.

Such a function looks at one thing after the other, so it has as many paths as these have arrangements together. It is
cut where loops begin anew: what it has found out so far is shown there, and what it may do from there on is followed
from any contents of which that holds. Then its paths add up, where otherwise they multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.library import Library, NotShown, Parameters, Unsettled, Verdict, concluded, holding, unbroken
from pytest_vigor.refine.loops import outermost
from pytest_vigor.refine.meeting import met
from pytest_vigor.smt import Unsat
from pytest_vigor.term import Bool, Value

BEGINNING = -1
AT_ONCE = 30  #: ends of the function that are asked about together
Claims = Sequence[tuple[str, Bool]]


@dataclass(frozen=True, slots=True)
class Cut:
    """What is so of all contents with which the function comes to the beginning of a loop. ``found`` is what it has
    found out since the cut before; it is used at the end. ``known`` is what is used from there on. ``held`` are what
    registers, or places on the stack, may hold that come with different values: which ones do is found, and of others
    nothing is known. What it says no to from there on breaks a part of the invariant for whose name ``breaks`` is
    true. It is followed in each of the ``cases``, of which one has to be so. At the end, what is ``known`` has to
    follow from all that was found, and helps to show the invariant."""

    found: Claims
    known: Claims = ()
    held: Sequence[Value] = ()
    breaks: Callable[[str], bool] = lambda _: True
    cases: Sequence[Bool] = (True,)


@dataclass(frozen=True, slots=True)
class Cuts:
    """The loops at which a function is cut, by their place among those that are in no other, and what is said there:
    ``at`` takes the heap, the structure's place, the loop's place among these, and how many rounds of it have been
    made; after the last one, too, and at the function's beginning, where the loop is -1. Without, the function is
    followed as a whole."""

    loops: Sequence[int] = ()
    at: Callable[..., Cut] | None = None


def validity(library: Library, cls: type, parameters: Parameters, cuts: Cuts | None = None) -> Verdict:
    """Whether the function and the invariant say the same of all contents."""
    return concluded(lambda: _Validity(library, cls, parameters, cuts or Cuts()).prove())


class _Validity:
    def __init__(self, library: Library, cls: type, parameters: Parameters, cuts: Cuts) -> None:
        self.library, self.machine, self.cuts = library, library.machine, cuts
        self.machine.search.is_shape_known = True
        self.path, self.laid = library.allocate(self.machine.start(), cls, parameters)
        library.fill(self.path, self.laid, "any", narrow=False)
        self.invariant = library.invariant(self.path, self.laid)
        self.heap = library.heap(self.path)
        self.path.memory.by_value = tuple(self.laid.abstraction.by_value(self.heap, self.laid.place))
        self.function = f"{self.laid.abstraction.struct}_is_valid"
        self.found: list[Claims] = []

    def prove(self) -> int:
        heads = self._heads()
        at, address = self.machine.enter(self.path, [self.laid.place.address]), self._entry
        loop, rounds, ways = BEGINNING, 0, 0
        cut = self._cut(loop, rounds)
        self.machine.search.broken.clear()
        while True:
            returned, arrived = self._follow(at, cut, address, heads)
            unbroken(self.library, _untold)
            ways += len(returned)
            last = None if arrived else self._cut(loop, rounds + 1)
            self._returns(at, returned, cut, last)
            if last is not None:
                self._concludes(last)
                return ways
            if len({each.head for each in arrived}) != 1:
                raise NotShown(Unsettled(f"the loops of {self.function} are not one after the other"))
            rounds = rounds + 1 if arrived[0].head == address else 0
            address = arrived[0].head
            loop = heads.index(address)
            cut = self._cut(loop, rounds)
            at = self._arrives(at, arrived, cut)

    def _follow(
        self, at: CallPath, cut: Cut, address: int, heads: Collection[int]
    ) -> tuple[list[CallPath], list[CallPath]]:
        """The paths on which the function returns, and those that come to where it is cut next."""
        holding(self.library, at, [], [("there is no other case", t.lor(*cut.cases))], _untold)
        returned: list[CallPath] = []
        arrived: list[CallPath] = []
        for case in cut.cases:
            path = at.fork()
            path.hold(case)
            for all_, some in zip((returned, arrived), self.machine.until(path, address, heads), strict=True):
                all_ += some
        return returned, arrived

    @property
    def _entry(self) -> int:
        return self.machine.binary.exports[self.function]

    def _heads(self) -> list[int]:
        outer = outermost(self.library, self.function) if self.cuts.loops else ()
        if any(each >= len(outer) for each in self.cuts.loops):
            raise NotShown(Unsettled(f"{self.function} has {len(outer)} loops"))
        return [outer[each] for each in self.cuts.loops]

    def _cut(self, loop: int, rounds: int) -> Cut:
        if self.cuts.at is None:
            return Cut(())
        return self.cuts.at(self.heap, self.laid.place, loop, rounds)

    # ---- where the function is cut

    def _arrives(self, before: CallPath, arrived: Sequence[CallPath], cut: Cut) -> CallPath:
        """Shows what is said of a cut, and makes the path that goes on from there, with any contents of which it is
        so. ``before`` is the path from the cut before."""
        for each in arrived:
            holding(self.library, each, [], [*cut.found, *cut.known], _untold)
        self.found.append(cut.found)
        general = met(self.library, before, arrived, cut.held)
        for _, known in cut.known:
            general.hold(known)
        return general

    # ---- what the function says

    def _returns(self, at: CallPath, ends: Sequence[CallPath], cut: Cut, last: Cut | None) -> None:
        """Where it says no, the contents are not valid; where it says yes, all that is said of the end is so. ``cut``
        is where the paths began, and ``at`` what holds there."""
        yes = [t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0) for end in ends]
        for end, said in zip(ends, yes, strict=True):
            if last is None:
                holding(self.library, end, [], [("it says yes only at the end", t.lnot(said))], _untold)
            elif said is not False:
                holding(self.library, end, [said], last.found if self.cuts.loops else self.invariant, _untold)
        valid = t.land(*(holds for name, holds in self.invariant if cut.breaks(name)))
        no = [(end, t.lnot(said)) for end, said in zip(ends, yes, strict=True)]
        for few in (no[begin : begin + AT_ONCE] for begin in range(0, len(no), AT_ONCE)):
            self._says_no(at, few, valid)

    def _says_no(self, at: CallPath, ends: Sequence[tuple[CallPath, Bool]], valid: Bool) -> None:
        """All ways to these ends, where it says no, are asked about at once; one by one, where that is too much."""
        search = self.machine.search
        no = t.lor(*(t.land(*_since(at, end), said) for end, said in ends))
        if isinstance(search.clauses.ask([*search.facts.known, *at.conditions(), valid, no]), Unsat):
            return
        for end, said in ends:
            holding(self.library, end, [said], [("what it says no to is not valid", t.lnot(valid))], _untold)

    def _concludes(self, last: Cut) -> None:
        """All that was found out makes the contents valid. What follows from little is asked of that alone: of what has
        been shown so, or of what was found out last."""
        if not self.cuts.loops:
            return
        first, *others = [*self.found, last.found]
        bases = [self._knowing([]), self._knowing(others), self._knowing([first, *others])]
        for name, claim in [*last.known, *self.invariant]:
            parts = [part for part in t.conjuncts(claim) if bases[-1].decided(part) is not True]
            for part in parts:
                self._follows(bases, (name, part))
            for path in bases:
                path.hold(t.land(*parts))

    def _knowing(self, found: Sequence[Claims]) -> CallPath:
        path = self.path.fork()
        for _, holds in (each for claims in found for each in claims):
            path.hold(holds)
        return path

    def _follows(self, bases: Sequence[CallPath], claim: tuple[str, Bool]) -> None:
        shown, found_last, everything = bases
        if isinstance(self.machine.search.ask_easily(shown, t.lnot(claim[1])), Unsat):
            return
        try:
            holding(self.library, found_last, [], [claim], _untold)
        except NotShown:
            holding(self.library, everything, [], [claim], _untold)


def _since(at: CallPath, end: CallPath) -> list[Bool]:
    """What holds on a path since it was at a place where less held."""
    before, conditions = at.conditions(), end.conditions()
    since = len(conditions) - len(before)
    if conditions[since:] != before:
        raise NotShown(Unsettled("a path has forgotten what held before"))
    return conditions[:since]


def _untold(_: Any) -> list[str]:
    return []
