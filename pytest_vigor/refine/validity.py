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
from pytest_vigor.explore.vex_registers import slot_bits
from pytest_vigor.refine.library import Library, NotShown, Parameters, Unsettled, Verdict, concluded, holding, unbroken
from pytest_vigor.refine.loops import outermost
from pytest_vigor.refine.machine import CallPath
from pytest_vigor.term import Bool, Value

BEGINNING = -1
Claims = Sequence[tuple[str, Bool]]


@dataclass(frozen=True, slots=True)
class Cut:
    """What is so of all contents with which the function comes to the beginning of a loop. ``found`` is what it has
    found out since the cut before; it is used at the end. ``known`` is what is used from there on. ``held`` are what
    registers may hold that come with different values: which ones do is found, and of others nothing is known. What it
    says no to from there on breaks a part of the invariant that is not in ``left_out``, by name."""

    found: Claims
    known: Claims = ()
    held: Sequence[Value] = ()
    left_out: Collection[str] = ()


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
            returned, arrived = self.machine.until(at.fork(), address, heads)
            unbroken(self.library, _untold)
            ways += len(returned)
            last = None if arrived else self._cut(loop, rounds + 1)
            for end in returned:
                self._returns(end, cut, last)
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
        general = before.fork()
        general.registers, general.memory = arrived[0].registers.copy(), arrived[0].memory.fork(general)
        general.head = arrived[0].head
        for slot, value in enumerate(general.registers.slots):
            if any(each.registers.slots[slot] != value for each in arrived):
                general.registers.slots[slot] = self._register(slot, arrived, cut.held)
        self._forget(general, arrived)
        for _, known in cut.known:
            general.hold(known)
        return general

    def _register(self, slot: int, arrived: Sequence[CallPath], held: Sequence[Value]) -> Value:
        """What a register holds that comes with different values."""
        for value in held if slot_bits(slot) == 64 else ():
            try:
                for each in arrived:
                    holding(self.library, each, [], [("", t.eq(64, each.registers.slots[slot], value))], _untold)
                return value
            except NotShown:
                continue
        return t.undefined(f"register {slot} at {arrived[0].head:#x}", slot_bits(slot))

    def _forget(self, general: CallPath, arrived: Sequence[CallPath]) -> None:
        """What is in memory with different values is not known any more. Only the stack may be."""
        for key, region in [*general.memory.regions.items()]:
            others = [each.memory.regions[key].cells for each in arrived]
            places = {at for cells in others for at in cells}
            differ = [at for at in places if any(cells.get(at) != region.cells.get(at) for cells in others)]
            if differ and region.image is not None:
                raise NotShown(Unsettled(f"{self.function} changes {region.name}"))
            own = general.memory.own(region) if differ else region
            for at in differ:
                own.cells.pop(at, None)

    # ---- what the function says

    def _returns(self, end: CallPath, cut: Cut, last: Cut | None) -> None:
        """Where it says no, the contents are not valid; where it says yes, all that is said of the end is so. ``cut``
        is where the path began."""
        said = t.ne(8, t.extract(end.registers.read("rax"), 64, 7, 0), 0)
        if said is not True:
            broken = t.land(*(holds for name, holds in self.invariant if name not in cut.left_out))
            holding(self.library, end, [t.lnot(said)], [("what it says no to is not valid", t.lnot(broken))], _untold)
        if last is None:
            holding(self.library, end, [], [("it says yes only at the end", t.lnot(said))], _untold)
        elif said is not False:
            holding(self.library, end, [said], last.found if self.cuts.loops else self.invariant, _untold)

    def _concludes(self, last: Cut) -> None:
        """All that was found out makes the contents valid. What was found out last is tried first: it is less."""
        if not self.cuts.loops:
            return
        first, *others = [*self.found, last.found]
        little, everything = self._knowing(others), self._knowing([first, *others])
        for name, claim in self.invariant:
            for part in _parts(claim):
                if everything.decided(part) is not True:
                    self._follows(little, everything, (name, part))

    def _knowing(self, found: Sequence[Claims]) -> CallPath:
        path = self.path.fork()
        for _, holds in (each for claims in found for each in claims):
            path.hold(holds)
        return path

    def _follows(self, little: CallPath, everything: CallPath, claim: tuple[str, Bool]) -> None:
        try:
            holding(self.library, little, [], [claim], _untold)
        except NotShown:
            holding(self.library, everything, [], [claim], _untold)


def _parts(claim: Bool) -> Sequence[Bool]:
    """What all has to hold for a claim to hold."""
    if isinstance(claim, t.Term) and claim.op == "lnot" and claim.args[0].op == "lor":
        return [t.lnot(each) for each in claim.args[0].args]
    return claim.args if isinstance(claim, t.Term) and claim.op == "land" else (claim,)


def _untold(_: Any) -> list[str]:
    return []
