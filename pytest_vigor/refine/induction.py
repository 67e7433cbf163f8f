"""A function that is a loop, or several in a row, shown to do what is said of it for any number of rounds: by induction
over them.

The function is explored up to where the loop begins anew, and from there once more, which tells what changes from round
to round. Then the state after any number of rounds is put in place of that: registers that change by a constant have
done so each time, all else that changes is unknown, and arrays are what the claim says that they are by then. If one
further round leads from there to the same with one round more, and leaving the loop to what is claimed of the function,
it is so for every number of rounds. Where leaving it leads to another loop, that is where the other one begins. What is
said of loops inside of them is that of refine/cycles.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_vigor import term as t
from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.vex_registers import FLAG_SLOTS, slot_bits
from pytest_vigor.refine.array import INDEX_BITS, Array
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.cycles import Ways
from pytest_vigor.refine.library import Library, NotShown, Telling, Unsettled, holding
from pytest_vigor.refine.loop_paths import InARow, Nested
from pytest_vigor.term import Bool, Value

Claims = Sequence[tuple[str, Bool]]
Held = Callable[[Value], Value]  #: what a register holds after so many rounds
Holding = Callable[[Library, CallPath, list[Bool], Claims, Telling], None]
ROUNDS_END = t.mask(31)
STRIDE_MAX = t.mask(32)
PEELED_MAX = 2  #: rounds that are followed one by one
ANY_INDEX = t.var("any index", INDEX_BITS)
COUNTED = tuple(t.var(f"rounds of loop {place}", 32) for place in range(3))  #: how many each of several loops has made
ROUNDS = COUNTED[0]


@dataclass(frozen=True, slots=True)
class Loop:
    """What is said of a loop. After so many rounds, at its beginning: ``holds``, and what the array is, if it changes
    one, which stays where it is. When the function returns: ``returns``. ``given`` are the instances that a round needs
    of what is assumed. ``registers`` are what registers may hold that change in another way than by a constant: which
    ones do is found. ``holding`` raises NotShown unless claims hold on a path. ``end`` is more than the rounds that
    there may be."""

    holds: Callable[[CallPath, Value], Claims]
    array: Callable[[Value], Array] | None
    returns: Callable[[CallPath], Claims]
    given: Callable[[Value], Bool] = lambda rounds: True
    registers: Sequence[Held] = ()
    holding: Holding = holding
    end: int = ROUNDS_END


def by_induction(
    library: Library, path: CallPath, function: str, arguments: Sequence[Value], array: int | None, *loops: Loop,
    among: InARow | Nested | None = None,
) -> int:  # fmt: skip
    """How many ways there are to its end. ``array`` is the key of the region that is the array, and the loops are
    ``among`` those. Raises NotShown."""
    machine = library.machine
    among = among or InARow(library, function, len(loops))
    heads = among.heads
    if len(heads) != len(loops):
        raise NotShown(Unsettled(f"{function} has {len(heads)} loops"))
    machine.search.broken.clear()
    returned, arrived = among.until(machine.enter(path, arguments), machine.binary.exports[function])
    ends = [(end, loops[0]) for end in returned]
    while arrived:
        template = arrived.pop()
        place = heads.index(template.head)
        loop = loops[place]
        returned, onward = _shown(library, template, place, array, loop, among)
        if any(heads.index(each.head) < place for each in onward):
            raise NotShown(Unsettled(f"the loops of {function} are not one after the other"))
        arrived += onward
        ends += [(end, loop) for end in returned]
    for end, loop in ends:
        loop.holding(library, end, [], [*loop.returns(end)], lambda _: [])
    return len(ends)


def _shown(
    library: Library, template: CallPath, place: int, array: int | None, loop: Loop, among: InARow | Nested
) -> Ways:
    """Where a loop leads, from a path that has come to its beginning, after any number of rounds: the paths on which
    the function returns, and those that come to the beginning of another loop; of this one after a round that is
    peeled."""
    head = among.heads[place]
    first = _first(library, template, array, loop)
    template.hold(loop.given(first))
    returned, reached = among.until(template.fork(), head)
    again = [each for each in reached if each.head == head]
    if not again:
        raise NotShown(Unsettled(f"the loop at {head:#x} has one round only"))
    if first < PEELED_MAX and any(_is_argument(template.registers, each.registers) for each in again):
        return returned, reached
    strides = [_stride(slot, template.registers, [each.registers for each in again])
               for slot in range(len(template.registers.slots))]  # fmt: skip
    changes = Changes(strides, _held(library, template, again, strides, loop, first), COUNTED[place], first)
    general = _general(template, again, changes, array, loop)
    returned, reached = among.until(general.fork(), head)
    for each in reached:
        if each.head == head:
            _arrives(library, each, template, general, changes, array, loop)
    return returned, [each for each in reached if each.head != head]


@dataclass(frozen=True, slots=True)
class Changes:
    """How registers change: by a constant in each round, or to what they are said to hold. ``first`` rounds had been
    made where the loop was first seen, and then ``counted``."""

    strides: list[int | None]
    held: Mapping[int, Held]
    counted: Value
    first: int

    @property
    def rounds(self) -> Value:
        """How many rounds have been made."""
        return t.add(32, self.counted, self.first)


def _held(
    library: Library, template: CallPath, again: list[CallPath], strides: list[int | None], loop: Loop, first: int
) -> dict[int, Held]:
    """Which registers that change hold what it is said that some do: where the loop is first seen, and a round later.
    What looks like a constant from one round need not be one."""

    def is_so(slot: int, held: Held) -> bool:
        try:
            for path, rounds in ((template, first), *((each, first + 1) for each in again)):
                equal = t.eq(64, path.registers.slots[slot], held(rounds))
                loop.holding(library, path, [], [("it holds that", equal)], lambda _: [])
        except NotShown:
            return False
        return True

    slots = [slot for slot, stride in enumerate(strides) if stride != 0 and slot_bits(slot) == 64]
    slots = [slot for slot in slots if slot not in FLAG_SLOTS]
    found = {slot: next((held for held in loop.registers if is_so(slot, held)), None) for slot in slots}
    return {slot: held for slot, held in found.items() if held is not None}


def same_array(path: CallPath, array: int, expected: Array) -> Iterator[tuple[str, Bool]]:
    """That an array is what it is said to be, at any index, each member of its elements."""
    if array not in path.memory.arrays:
        raise NotShown(Unsettled("there is no array"))
    found, width, low = path.memory.arrays[array], 8 * expected.size_bytes, 0
    for size_bytes in expected.members_bytes or (expected.size_bytes,):
        high = low + 8 * size_bytes
        members = (t.extract(each.read(ANY_INDEX), width, high - 1, low) for each in (found, expected))
        yield "the array is as claimed", t.eq(8 * size_bytes, *members)
        low = high


def _first(library: Library, template: CallPath, array: int | None, loop: Loop) -> int:
    """How many rounds have been made where the loop is first seen to begin: compilers may peel the first one."""
    failed: NotShown | None = None
    for rounds in (PEELED_MAX, 1, 0):
        claims = [*loop.holds(template, rounds)]
        if array is not None and loop.array is not None:
            claims += same_array(template, array, loop.array(rounds))
        try:
            loop.holding(library, template, [], claims, lambda _: [])
            return rounds
        except NotShown as found:
            failed = failed or found
    assert failed is not None
    raise failed


def _stride(slot: int, before: Registers, after: list[Registers]) -> int | None:
    """By how much a register changes in a round, in 64 bits, or in 32 if that is negative; None if in no such way."""
    if slot in FLAG_SLOTS:
        return None
    old = before.slots[slot]
    changes = set()
    for each in after:
        new = each.slots[slot]
        if new is old or new == old:
            changes.add(0)
            continue
        whole = t.sub(64, new, old) if slot_bits(slot) == 64 else None
        low = t.sub(32, t.extract(new, 64, 31, 0), t.extract(old, 64, 31, 0)) if slot_bits(slot) == 64 else None
        if isinstance(whole, int) and STRIDE_MAX < whole < t.mask(64) - STRIDE_MAX:
            return None  # what was an address is a number now, or the reverse
        if isinstance(whole, int):
            changes.add(whole)
        elif isinstance(low, int) and _is_short(new) and _is_short(old):
            changes.add(-low)
        else:
            return None
    return changes.pop() if len(changes) == 1 else None


def _is_argument(before: Registers, after: Registers) -> bool:
    """Whether a register still holds an argument, of which the upper half is unknown, where later it holds a number."""
    return any(
        isinstance(old, t.Term) and old.undefined and isinstance(new, t.Term) and not new.undefined
        and isinstance(t.sub(32, t.extract(new, 64, 31, 0), t.extract(old, 64, 31, 0)), int)
        for slot, (old, new) in enumerate(zip(before.slots, after.slots, strict=True)) if slot_bits(slot) == 64
    )  # fmt: skip


def _is_short(value: Value) -> bool:
    return t.extract(value, 64, 63, 32) == 0


def _advanced(value: Value, stride: int, rounds: Value) -> Value:
    if stride < 0:
        low = t.add(32, t.extract(value, 64, 31, 0), t.scale(32, rounds, -stride & t.mask(32)))
        return t.zext(low, 32, 64)
    return t.add(64, value, t.scale(64, t.zext(rounds, 32, 64), stride))


def _general(template: CallPath, again: list[CallPath], changes: Changes, array: int | None, loop: Loop) -> CallPath:
    """The state after any number of rounds."""
    general = template.fork()
    for slot, stride in enumerate(changes.strides):
        if slot in changes.held:
            general.registers.slots[slot] = changes.held[slot](changes.rounds)
        elif stride is None:
            general.registers.slots[slot] = t.undefined(f"register {slot} in a loop", slot_bits(slot))
        elif stride:
            general.registers.slots[slot] = _advanced(template.registers.slots[slot], stride, changes.counted)
    for key, region in template.memory.regions.items():
        changed = {
            at for each in again for at, cell in each.memory.regions[key].cells.items() if region.cells.get(at) != cell
        }
        if changed:
            own = general.memory.own(general.memory.regions[key])
            for at in changed:
                own.cells.pop(at, None)
            if own.image is not None:
                raise NotShown(Unsettled(f"the loop changes {region.name}"))
    if array is not None and loop.array is not None:
        begin_bytes, after = template.memory.arrays[array].begin_bytes, loop.array(changes.rounds)
        if after.begin_bytes != begin_bytes:
            after = replace(after, begin_bytes=begin_bytes)
        general.memory.arrays = {**general.memory.arrays, array: after}
    general.models = ()
    general.hold(t.ult(32, changes.counted, loop.end))
    general.hold(loop.given(changes.rounds))
    for _, claim in loop.holds(general, changes.rounds):
        general.hold(claim)
    return general


def _arrives(
    library: Library, path: CallPath, template: CallPath, general: CallPath, changes: Changes, array: int | None,
    loop: Loop,
) -> None:  # fmt: skip
    """That a round later everything is as is said of one round more."""
    further, rounds = t.add(32, changes.counted, 1), t.add(32, changes.rounds, 1)
    claims = [*loop.holds(path, rounds), ("there are no more rounds than are counted", t.ult(32, further, loop.end))]
    if any(path.ghosts[name] is not each for name, each in general.ghosts.items()):
        raise NotShown(Unsettled("the loop changes what is not memory"))
    if any(path.memory.arrays[key] is not each for key, each in general.memory.arrays.items() if key != array):
        raise NotShown(Unsettled("the loop changes another array"))
    for slot, stride in enumerate(changes.strides):
        old, new = template.registers.slots[slot], path.registers.slots[slot]
        if slot in changes.held:
            claims.append((f"register {slot} is as claimed", t.eq(64, new, changes.held[slot](rounds))))
        elif stride is not None:
            expected = _advanced(old, stride, further) if stride else old
            if new is not expected:
                claims.append((f"register {slot} changes alike", t.eq(slot_bits(slot), new, expected)))
    for key, region in general.memory.regions.items():
        for at, cell in region.cells.items():
            if path.memory.regions[key].cells.get(at) != cell:
                raise NotShown(Unsettled(f"the loop changes byte {at} of {region.name}, and not in every round"))
        after = path.memory.regions[key]
        if after.frame is not region.frame or (region.image is not None and after.cells.keys() - region.cells.keys()):
            raise NotShown(Unsettled(f"the loop changes {region.name}, and not in every round"))
    if array is not None and array in general.memory.arrays:
        expected_array = loop.array(rounds) if loop.array is not None else general.memory.arrays[array]
        claims += same_array(path, array, expected_array)
    loop.holding(library, path, [], claims, lambda model: [f"  rounds = {model.seen(changes.counted)}"])
