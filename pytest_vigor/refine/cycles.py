"""A function that has loops, shown for any number of rounds of each: from any state that the loop's invariant allows.

The function is explored up to where a loop begins anew. There, registers that a round changes hold what the invariant
calls variables, what it says is made of them, or nothing of which anything is known; an array that rounds change is one
of which the invariant is all that is known; all else is as it was when the loop began. The invariant holds at first, a
round leads from any state of which it holds to one of which it holds again, and something that is never negative
becomes less. A loop in which there is one way to go only, such as one over the bytes of a key, is followed round by
round.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.explore.vex_registers import slot_bits
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.library import Library, NotShown, Telling, Unsettled, holding, unbroken
from pytest_vigor.refine.loops import outermost
from pytest_vigor.smt import Unsat
from pytest_vigor.term import Bool, Value

VARIABLE_BITS = 32
PLAIN_ROUNDS_MAX = 64  #: of loops in which there is one way to go

Variables = Mapping[str, Any]  #: numbers of 32 bits in registers, and arrays in memory
Claims = Iterable[tuple[str, Bool]]
Ways = tuple[list[CallPath], list[CallPath]]  #: the paths on which a function returns, and those that come to a loop


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is said of a loop wherever it begins anew: ``variables`` are the numbers that are there at first, ``holds``
    is the invariant, and ``left`` is what becomes less in each round. ``given`` is what is known anyway of any values
    of the variables. ``round`` are steps of the argument for one round, from the variables before and after it. Where
    it is left, ``last`` tells what the variables are, from those before the last round and the arrays after it, and
    ``ends`` what holds, from both. Each claim is shown where those before it hold.

    ``arrays`` are those that rounds change, each with its key and with what is there after any number of rounds.
    ``holds`` speaks of any elements; ``assumed`` is what it says of some more of them. ``registers`` are what registers
    may hold that are no variables: which ones do is found."""

    variables: Variables
    holds: Callable[[Variables], Claims]
    left: Callable[[Variables], Value]
    given: Callable[[Variables], Claims] = lambda variables: ()
    round: Callable[[Variables, Variables], Claims] = lambda before, after: ()
    last: Callable[[Variables, Variables], Variables] = lambda before, arrays: before
    ends: Callable[[Variables, Variables], Claims] = lambda before, last: ()
    arrays: Mapping[str, tuple[int, Array]] = field(default_factory=dict)
    assumed: Callable[[Variables], Claims] = lambda variables: ()
    registers: Callable[[Variables], Sequence[Value]] = lambda variables: ()

    def arrays_on(self, path: CallPath) -> Variables:
        """The arrays that are there on a path."""
        return {name: path.memory.arrays[key] for name, (key, _) in self.arrays.items()}


Said = Callable[[Variables], Sequence[Cycle]]  #: of a loop, in several ways; from the variables of the one before


class Cycles:
    """The paths through a function. ``cycles`` are what is said of its loops, in the order in which they are met, each
    in several ways: the first whose variables are in registers, and that holds, when the loop begins is the one.
    Compilers turn loops round. Of loops that begin ``within`` others, one round of those is what is looked at."""

    def __init__(
        self, library: Library, function: str, cycles: Sequence[Said], told: Telling, within: Collection[int] = ()
    ) -> None:
        self.library, self.machine, self.function = library, library.machine, function
        self.cycles, self.told, self.within = cycles, told, within
        self.heads = outermost(library, function, within)

    def ends(self, path: CallPath, arguments: Sequence[Value]) -> Iterator[CallPath]:
        """Every path on which the function returns. Raises NotShown where an invariant does not hold."""
        return self.onward(self.machine.enter(path, arguments), self.machine.binary.exports[self.function])

    def onward(self, path: CallPath, address: int) -> Iterator[CallPath]:
        """The same from an address in the function, and every path that comes to a loop that others are within."""
        returned, arrived = self._until(path, address)
        yield from returned
        pending: list[tuple[CallPath, int, int, Variables]] = [(each, 0, 0, {}) for each in arrived]
        while pending:
            at, met, rounds, before = pending.pop()
            if at.head in self.within:
                yield at
                continue
            said = self.cycles[met](before) if met < len(self.cycles) else ()
            for cycle in said:
                for _, known in cycle.given({**cycle.variables, **cycle.arrays_on(at)}):
                    at.hold(known)
            returned, again = self._until(at.fork(), at.head)
            if len(returned) + len(again) == 1:
                if rounds == PLAIN_ROUNDS_MAX:
                    raise NotShown(Unsettled(f"a loop of {self.function} goes round and round"))
                yield from returned
                pending += [(each, met, rounds + 1, before) for each in again]
                continue
            if met == len(self.cycles):
                raise NotShown(Unsettled(f"{self.function} has another loop"))
            again = [each for each in again if each.head == at.head]
            cycle = self._that_begins(at, again, said)
            returned, left, ended = self._any_rounds(at, again, cycle)
            yield from returned
            pending += [(each, met + 1, 0, ended) for each in left]

    def _until(self, path: CallPath, address: int) -> Ways:
        self.machine.search.broken.clear()
        found = self.machine.until(path, address, (*self.within, *self.heads))
        unbroken(self.library, self.told)
        return found

    def _that_begins(self, first: CallPath, again: list[CallPath], cycles: Sequence[Cycle]) -> Cycle:
        failed: NotShown | None = None
        for cycle in cycles:
            if next(_readings(first, again, cycle), None) is None:
                failed = failed or NotShown(Unsettled(f"not in a register: {', '.join(cycle.variables)}"))
                continue
            try:
                self._holding(first.fork(), cycle.holds({**cycle.variables, **cycle.arrays_on(first)}))
                return cycle
            except NotShown as found:
                failed = failed or found
        assert failed is not None
        raise failed

    def _any_rounds(
        self, first: CallPath, again: list[CallPath], cycle: Cycle
    ) -> tuple[list[CallPath], list[CallPath], Variables]:
        """Where a loop leads, whichever registers are its variables: more may be equal to one of them at first. The
        variables before its last round, too."""
        failed: NotShown | None = None
        for names in _readings(first, again, cycle):
            try:
                return self._any_round(first, again, cycle, names)
            except NotShown as found:
                failed = failed or found
        assert failed is not None
        raise failed

    def _any_round(
        self, first: CallPath, again: list[CallPath], cycle: Cycle, names: Mapping[int, str]
    ) -> tuple[list[CallPath], list[CallPath], Variables]:
        """Where a loop leads from any state that its invariant allows: out of the function, or to another loop."""
        variables: dict[str, Any] = {name: array for name, (_, array) in cycle.arrays.items()}
        variables |= {name: t.var(f"{name} in a loop at {first.head:#x}", VARIABLE_BITS) for name in cycle.variables}
        general = self._general(first, again, names, variables)
        general.memory.arrays = {**general.memory.arrays, **dict(cycle.arrays.values())}
        made = _made(first, cycle, names)
        for slot, place in made.items():
            general.registers.slots[slot] = cycle.registers(variables)[place]
        for _, claim in (*cycle.given(variables), *cycle.holds(variables), *cycle.assumed(variables)):
            general.hold(claim)
        returned, following = self._until(general.fork(), first.head)
        for each in following:
            if each.head == first.head:
                self._holding(each, self._kept(each, general, names, made, variables, cycle))
        for each in (*returned, *following):
            if each.head != first.head:
                last = cycle.last(variables, cycle.arrays_on(each))
                for _, claim in cycle.given(last):
                    each.hold(claim)
                self._holding(each, cycle.ends(variables, last))
        return returned, [each for each in following if each.head != first.head], variables

    def _general(
        self, first: CallPath, again: list[CallPath], names: Mapping[int, str], variables: Variables
    ) -> CallPath:
        general = first.fork()
        general.models = ()
        for slot, name in names.items():
            general.registers.slots[slot] = (
                t.zext(variables[name], VARIABLE_BITS, 64) if name
                else t.undefined(f"register {slot} in a loop at {first.head:#x}", slot_bits(slot))
            )  # fmt: skip
        for key, region in first.memory.regions.items():
            changed = {
                at for each in again for at, cell in each.memory.regions[key].cells.items()
                if region.cells.get(at) != cell
            }  # fmt: skip
            if changed and region.image is not None:
                raise NotShown(Unsettled(f"a loop changes {region.name}"))
            if changed:
                own = general.memory.own(general.memory.regions[key])
                for at in changed:
                    own.cells.pop(at, None)
        return general

    def _kept(
        self, path: CallPath, general: CallPath, names: Mapping[int, str], made: Mapping[int, int],
        variables: Variables, cycle: Cycle,
    ) -> Iterator[tuple[str, Bool]]:  # fmt: skip
        """That a round later all is as it is said to be of any round."""
        if any(path.ghosts[name] is not each for name, each in general.ghosts.items()) or (
            path.memory.regions.keys() != general.memory.regions.keys()
        ):
            raise NotShown(Unsettled("a loop changes what is not memory"))
        changing, arrays = {key for key, _ in cycle.arrays.values()}, path.memory.arrays
        if any(arrays[key] is not each for key, each in general.memory.arrays.items() if key not in changing):
            raise NotShown(Unsettled("a loop changes an array"))
        for key, region in general.memory.regions.items():
            after = path.memory.regions[key]
            changes = any(after.cells.get(at) != cell for at, cell in region.cells.items())
            grows = region.image is not None and after.cells.keys() - region.cells.keys()
            if changes or grows or after.frame is not region.frame:
                raise NotShown(Unsettled(f"a loop changes {region.name}, and not in every round"))
        found: dict[str, Any] = {**cycle.arrays_on(path)}
        for slot, name in names.items():
            if name:
                found.setdefault(name, t.extract(path.registers.slots[slot], 64, VARIABLE_BITS - 1, 0))
        for slot, old in enumerate(general.registers.slots):
            new = path.registers.slots[slot]
            if names.get(slot) == "" and slot not in made:
                continue
            expected = t.zext(found[names[slot]], VARIABLE_BITS, 64) if names.get(slot) else old
            if slot in made:
                expected = cycle.registers(found)[made[slot]]
            if new is not expected and new != expected:
                yield f"register {slot} is as it should be", t.eq(slot_bits(slot), new, expected)
        for _, claim in cycle.given(found):
            path.hold(claim)
        yield from cycle.round(variables, found)
        yield from cycle.holds(found)
        yield "there is less to go", t.ult(VARIABLE_BITS, cycle.left(found), cycle.left(variables))

    def _holding(self, path: CallPath, claims: Claims) -> None:
        in_turn(self.library, path, claims, self.told)


def in_turn(library: Library, path: CallPath, claims: Claims, told: Telling) -> None:
    """Raises NotShown unless all claims hold on a path, each where those before it do. They are known there then."""
    for name, claim in claims:
        wrong = t.lnot(claim)
        if wrong is not False and path.decided(claim) is not True and not _is_impossible(library, path, wrong):
            holding(library, path, [], [(name, claim)], told)
        if claim is False:
            return  # there is no such path
        path.hold(claim)


def _is_impossible(library: Library, path: CallPath, wrong: Bool) -> bool:
    """Whether a condition cannot hold on a path: because of what is known of the unknowns in it, because of what is
    known of such unknowns, or of everything. The less a solver is told, the easier it is."""
    own = t.leaf_uids(wrong)
    kinds = {_kind(each) for each in t.leaves(wrong).values()}
    alike = [each for each in path.conditions() if kinds.issuperset(map(_kind, t.leaves(each).values()))]
    return any(
        isinstance(library.machine.search.ask_afresh(path, wrong, known), Unsat)
        for known in ([each for each in alike if t.leaf_uids(each) <= own], alike, None)
    )


def _kind(leaf: t.Term) -> Any:
    """The same of each value of one function."""
    return leaf.data if leaf.op == "app" else leaf.uid


def _readings(first: CallPath, again: list[CallPath], cycle: Cycle) -> Iterator[dict[int, str]]:
    """The variable that each register that a round changes may be, empty if it is none. Registers that are one go on
    to be equal."""
    changed = _changed(first, again)
    groups: list[list[tuple[str, set[int]]]] = []
    for name, begins in cycle.variables.items():
        equal: dict[tuple[Value, ...], set[int]] = {}
        for slot in changed:
            if first.registers.slots[slot] is t.zext(begins, VARIABLE_BITS, 64):
                equal.setdefault(tuple(each.registers.slots[slot] for each in again), set()).add(slot)
        groups.append([(name, slots) for slots in equal.values()])
    for chosen in product(*groups):
        names = dict.fromkeys(changed, "")
        for name, slots in chosen:
            names |= dict.fromkeys(slots, name)
        if len({*names.values()} - {""}) == len(chosen):
            yield names


def _made(first: CallPath, cycle: Cycle, names: Mapping[int, str]) -> dict[int, int]:
    """Which of the registers that hold no variable hold what it is said that registers may hold, and which of that."""
    held = cycle.registers({**cycle.variables, **cycle.arrays_on(first)})
    return {
        slot: next(place for place, each in enumerate(held) if first.registers.slots[slot] is each)
        for slot, name in names.items() if not name and any(first.registers.slots[slot] is each for each in held)
    }  # fmt: skip


def _changed(first: CallPath, again: list[CallPath]) -> list[int]:
    """The registers that a round changes."""
    slots = range(len(first.registers.slots))
    return [
        slot for slot in slots
        if any(each.registers.slots[slot] != first.registers.slots[slot] for each in again)
    ]  # fmt: skip
