"""The path that goes on from where several come together, whichever of them it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_vigor import term as t
from pytest_vigor.explore.vex_registers import slot_bits
from pytest_vigor.refine.call_search import CallPath
from pytest_vigor.refine.library import Library, NotShown, Unsettled, holding
from pytest_vigor.term import Value


def met(library: Library, before: CallPath, arrived: Sequence[CallPath], held: Sequence[Value]) -> CallPath:
    """A path of which is known what held before, and what is in registers and on the stack as all bring it. Where they
    bring different values, it is a truth value or one of 64 bits in ``held`` if that can be shown of all of them;
    otherwise nothing is known of it. Raises NotShown if other memory than the stack has changed."""
    general = before.fork()
    general.registers, general.memory = arrived[0].registers.copy(), arrived[0].memory.fork(general)
    general.head = arrived[0].head
    for slot, value in enumerate(general.registers.slots):
        if any(each.registers.slots[slot] != value for each in arrived):
            general.registers.slots[slot] = _register(library, slot, arrived, held)
    for key in [*general.memory.regions]:
        _stack(library, key, general, arrived, held)
    return general


def _register(library: Library, slot: int, arrived: Sequence[CallPath], held: Sequence[Value]) -> Value:
    """What a register holds: perhaps a truth value, in its low byte alone."""
    bits, name = slot_bits(slot), f"register {slot} at {arrived[0].head:#x}"
    if bits == 64:
        brought = [each.registers.slots[slot] for each in arrived]
        whole = _common(library, arrived, brought, 64, held)
        if whole is not None:
            return whole
        low = _common(library, arrived, [t.extract(each, 64, 7, 0) for each in brought], 8, held)
        if low is not None:
            return t.concat([(56, t.undefined(name, 56)), (8, low)])
    return t.undefined(name, bits)


def _stack(
    library: Library, key: int, general: CallPath, arrived: Sequence[CallPath], held: Sequence[Value]
) -> None:
    """Forgets what differs in a region of memory, and puts in what can be shown of it."""
    region = general.memory.regions[key]
    others = [each.memory.regions[key].cells for each in arrived]
    places = {at for cells in others for at in cells}
    differ = sorted(at for at in places if any(cells.get(at) != region.cells.get(at) for cells in others))
    if not differ:
        return
    if region.image is not None:
        raise NotShown(Unsettled(f"{region.name} is changed"))
    own = general.memory.own(region)
    for at in differ:
        own.cells.pop(at, None)
    for at in differ:
        stored = [_stored(cells, at) for cells in others]
        size_bytes = stored[0][1]
        if size_bytes and all(size == size_bytes for _, size in stored):
            value = _common(library, arrived, [value for value, _ in stored], 8 * size_bytes, held)
            if value is not None:
                own.cells |= {at + k: (value, size_bytes, k) for k in range(size_bytes)}


def _stored(cells: Mapping[int, tuple[Value, int, int]], at: int) -> tuple[Value, int]:
    """The value that begins at a place in memory, and its bytes: none, where none begins."""
    value, size_bytes, _ = cells.get(at, (0, 0, 0))
    whole = all(cells.get(at + k) == (value, size_bytes, k) for k in range(size_bytes))
    return value, size_bytes if whole else 0


def _common(
    library: Library, arrived: Sequence[CallPath], brought: Sequence[Value], bits: int, held: Sequence[Value]
) -> Value | None:
    """What all values are, each on its path, if it is a truth value or one that may be held."""
    for value in range(2) if bits == 8 else [t.extract(each, 64, bits - 1, 0) for each in held]:
        try:
            for path, each in zip(arrived, brought, strict=True):
                holding(library, path, [], [("", t.eq(bits, each, value))], lambda _: [])
            return value
        except NotShown:
            continue
    return None
