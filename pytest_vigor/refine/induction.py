"""A function that is one loop, shown to do what is said of it for any number of rounds: by induction over them.

The function is explored up to where the loop begins anew, and from there once more, which tells what changes from round
to round. Then the state after any number of rounds is put in place of that: registers that change by a constant have
done so each time, all else that changes is unknown, and arrays are what the claim says that they are by then. If one
further round leads from there to the same with one round more, and leaving the loop to what is claimed of the function,
it is so for every number of rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_vigor import term as t
from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.order import reverse_postorder, successors
from pytest_vigor.explore.vex_registers import FIRST_VECTOR, FLAG_SLOTS
from pytest_vigor.refine.array import INDEX_BITS, Array
from pytest_vigor.refine.library import Library, NotShown, Unsettled, holding, unbroken
from pytest_vigor.refine.machine import CallPath
from pytest_vigor.term import Bool, Value

Claims = Sequence[tuple[str, Bool]]
ROUNDS = t.var("rounds", 32)
ROUNDS_END = t.mask(31)
PEELED_MAX = 2  #: rounds that are followed one by one
ANY_INDEX = t.var("any index", INDEX_BITS)


@dataclass(frozen=True, slots=True)
class Loop:
    """What is said of a loop. After so many rounds, at its beginning: ``holds``, and what the array is, if it changes
    one. When the function returns: ``returns``. ``given`` are the instances that a round needs of what is assumed, and
    ``registers`` are what those hold that change in another way than by a constant."""

    holds: Callable[[CallPath, Value], Claims]
    array: Callable[[Value], Array] | None
    returns: Callable[[CallPath], Claims]
    given: Callable[[Value], Bool] = lambda rounds: True
    registers: Mapping[str, Callable[[Value], Value]] = field(default_factory=dict)

    def found(self, path: CallPath, rounds: Value) -> list[tuple[str, Bool]]:
        """What is said of a path after so many rounds, but for the array."""
        registers = [
            (f"{name} is as claimed", t.eq(64, path.registers.read(name), of(rounds)))
            for name, of in self.registers.items()
        ]
        return [*self.holds(path, rounds), *registers]


def head_of(library: Library, function: str) -> int:
    """Where the first loop of a function begins: a block without which nothing goes round in circles, of all that leads
    there. A loop behind it is followed round by round."""
    machine = library.machine
    lifter, entry = machine.search.lifter, machine.binary.exports[function]
    blocks = [at for at in reverse_postorder(lifter, entry) if machine.binary.executable(at)]
    following = {at: [each for each in successors(lifter, at) if each in blocks] for at in blocks}
    for head in sorted(blocks):
        before = _leading(following, head)
        if not _ends(before) and _ends({**before, head: []}):
            return head
    raise NotShown(Unsettled(f"{function} has no loop that comes first"))


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


def by_induction(
    library: Library, path: CallPath, function: str, arguments: Sequence[Value], array: int | None, loop: Loop
) -> int:
    """How many ways there are to its end. ``array`` is the key of the region that is the array. Raises NotShown."""
    machine = library.machine
    head = head_of(library, function)
    machine.search.broken.clear()
    returned, arrived = machine.until(machine.enter(path, arguments), machine.binary.exports[function], head)
    unbroken(library, lambda _: [])
    ends = 0
    for end in returned:
        ends += _returns(library, end, loop)
    while arrived:
        template = arrived.pop()
        first = _first(library, template, array, loop)
        template.hold(loop.given(first))
        returned, again = machine.until(template.fork(), head, head)
        unbroken(library, lambda _: [])
        if not again:
            raise NotShown(Unsettled(f"the loop of {function} has one round only"))
        if first < PEELED_MAX and any(_is_argument(template.registers, each.registers) for each in again):
            ends += sum(_returns(library, end, loop) for end in returned)
            arrived += again
            continue
        strides = [_stride(slot, template.registers, [each.registers for each in again])
                   for slot in range(len(template.registers.slots))]  # fmt: skip
        general = _general(template, again, strides, array, loop, first)
        rounds = t.add(32, ROUNDS, first)
        returned, following = machine.until(general.fork(), head, head)
        unbroken(library, lambda _: [])
        for end in returned:
            ends += _returns(library, end, loop)
        for each in following:
            _arrives(library, each, template, general, strides, array, loop, t.add(32, rounds, 1))
    return ends


def _returns(library: Library, end: CallPath, loop: Loop) -> int:
    holding(library, end, [], loop.returns(end), lambda _: [])
    return 1


def _same_array(library: Library, path: CallPath, array: int, expected: Array) -> tuple[str, Bool]:
    found = path.memory.arrays[array]
    width = 8 * expected.size_bytes
    return "the array is as claimed", t.eq(width, found.read(ANY_INDEX), expected.read(ANY_INDEX))


def _first(library: Library, template: CallPath, array: int | None, loop: Loop) -> int:
    """How many rounds have been made where the loop is first seen to begin: compilers may peel the first one."""
    failed: NotShown | None = None
    for rounds in (PEELED_MAX, 1, 0):
        claims = loop.found(template, rounds)
        if array is not None and loop.array is not None:
            claims.append(_same_array(library, template, array, loop.array(rounds)))
        try:
            holding(library, template, [], claims, lambda _: [])
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
        whole = t.sub(64, new, old) if _bits(slot) == 64 else None
        low = t.sub(32, t.extract(new, 64, 31, 0), t.extract(old, 64, 31, 0)) if _bits(slot) == 64 else None
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
        for slot, (old, new) in enumerate(zip(before.slots, after.slots, strict=True)) if _bits(slot) == 64
    )  # fmt: skip


def _bits(slot: int) -> int:
    return 64 if slot < FIRST_VECTOR else 128


def _is_short(value: Value) -> bool:
    return t.extract(value, 64, 63, 32) == 0


def _advanced(value: Value, stride: int, rounds: Value) -> Value:
    if stride < 0:
        low = t.add(32, t.extract(value, 64, 31, 0), t.scale(32, rounds, -stride & t.mask(32)))
        return t.zext(low, 32, 64)
    return t.add(64, value, t.scale(64, t.zext(rounds, 32, 64), stride))


def _general(
    template: CallPath, again: list[CallPath], strides: list[int | None], array: int | None, loop: Loop, first: int
) -> CallPath:
    """The state after any number of rounds."""
    general = template.fork()
    for slot, stride in enumerate(strides):
        if stride is None:
            general.registers.slots[slot] = t.undefined(f"register {slot} in a loop", _bits(slot))
        elif stride:
            general.registers.slots[slot] = _advanced(template.registers.slots[slot], stride, ROUNDS)
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
    rounds = t.add(32, ROUNDS, first)
    if array is not None and loop.array is not None:
        general.memory.arrays = {**general.memory.arrays, array: loop.array(rounds)}
    for name, of in loop.registers.items():
        general.registers.write(name, of(rounds))
    general.models = ()
    general.hold(t.ult(32, ROUNDS, ROUNDS_END))
    general.hold(loop.given(rounds))
    for _, claim in loop.holds(general, rounds):
        general.hold(claim)
    return general


def _arrives(
    library: Library, path: CallPath, template: CallPath, general: CallPath, strides: list[int | None],
    array: int | None, loop: Loop, rounds: Value,
) -> None:  # fmt: skip
    """That a round later everything is as is said of one round more."""
    further = t.add(32, ROUNDS, 1)
    claims = [*loop.found(path, rounds), ("there are no more rounds than are counted", t.ult(32, further, ROUNDS_END))]
    if any(path.ghosts[name] is not each for name, each in general.ghosts.items()):
        raise NotShown(Unsettled("the loop changes what is not memory"))
    for slot, stride in enumerate(strides):
        if stride is not None:
            old, new = template.registers.slots[slot], path.registers.slots[slot]
            expected = _advanced(old, stride, further) if stride else old
            if new is not expected:
                claims.append((f"register {slot} changes alike", t.eq(_bits(slot), new, expected)))
    for key, region in general.memory.regions.items():
        for at, cell in region.cells.items():
            if path.memory.regions[key].cells.get(at) != cell:
                raise NotShown(Unsettled(f"the loop changes byte {at} of {region.name}, and not in every round"))
        after = path.memory.regions[key]
        if after.frame is not region.frame or (region.image is not None and after.cells.keys() - region.cells.keys()):
            raise NotShown(Unsettled(f"the loop changes {region.name}, and not in every round"))
    if array is not None:
        expected_array = loop.array(rounds) if loop.array is not None else general.memory.arrays[array]
        claims.append(_same_array(library, path, array, expected_array))
    holding(library, path, [], claims, lambda model: [f"  rounds = {model.seen(ROUNDS)}"])
