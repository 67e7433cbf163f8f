"""Exploring one library function at a time, from memory of a known shape whose contents are symbols."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from pytest_vigor import term as t
from pytest_vigor.behaviour import Path
from pytest_vigor.binary import Binary
from pytest_vigor.explore.block import CALLER_SAVED, Registers
from pytest_vigor.explore.entry import ARGUMENT_REGISTERS, restored, set_up
from pytest_vigor.explore.libc import LIBC
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.memory import REGION_BASE, Failed, Region, Stop
from pytest_vigor.explore.path import PathState
from pytest_vigor.refine.call_search import CallPath, CallSearch
from pytest_vigor.refine.split_memory import Case, SplitMemory
from pytest_vigor.term import Value

MALLOC_ALIGNMENT = 16  #: bytes; new memory is aligned for any type (C11 section 7.22.3)
ALIGNMENTS = range(0, 64, MALLOC_ALIGNMENT)  #: where in a cache line new memory can begin

Model = Callable[[CallPath], list[CallPath]]  #: what becomes of a path when it calls an imported function


class Machine:
    """A library whose functions can be called on symbolic memory. Those that have a model are not followed."""

    def __init__(self, binary: Binary, cpu_seconds: float, models: Mapping[str, Model] | None = None) -> None:
        self.models, self.cpu_seconds = models or {}, cpu_seconds
        named = {name: binary.exports[name] for name in self.models if name in binary.exports}
        modelled = {at: name for name, entry in named.items() for at in _entries(binary, entry)}
        self.binary = replace(binary, imports={**binary.imports, **modelled})
        self.search = CallSearch(self.binary, cpu_seconds)

    def start(self) -> CallPath:
        """A path on which nothing has been called."""
        path = CallPath(self.search, Registers.fresh("at entry"))
        path.memory = SplitMemory(self.binary, path)
        set_up(path)
        path.entry = path.registers.read("rsp"), path.registers.read("fs")
        return path

    def call(
        self, path: CallPath, function: str, arguments: Sequence[Value], *, alignment: int = 0, short: bool = False,
        models: Mapping[str, Model] | None = None,
    ) -> tuple[list[CallPath], list[Path]]:  # fmt: skip
        """The paths on which a function returns, and those that got stuck. ``short`` is whether memory may be, and
        ``alignment`` where in a cache line new memory begins; ``models`` are of what it imports besides. Obligations
        that do not hold are in ``search.broken``."""
        models = {**self.models, **(models or {})}
        return self._follow(self.enter(path, arguments), self.binary.exports[function], alignment, short, models)

    def until(self, path: CallPath, address: int, heads: Collection[int]) -> tuple[list[CallPath], list[CallPath]]:
        """The paths on which a function returns, from an address in it on, and those that come to the beginning of one
        of its loops. A path that is there already goes on from it. Raises Stop where one gets stuck."""
        path.is_past_head, path.head = address in heads, 0
        path.visits, path.forks, path.seen, path.blocks = {}, {}, {}, ()
        self.search.heads, self.search.arrived = heads, []
        returned, stuck = self._follow(path, address, 0, False, self.models)
        self.search.heads = ()
        if stuck:
            raise Stop(stuck[0].reason, stuck[0].kind)
        return returned, self.search.arrived

    def enter(self, path: CallPath, arguments: Sequence[Value]) -> CallPath:
        """A path on which a function has just been called."""
        path = path.fork()
        path.registers = Registers.fresh("at entry")
        stack, storage = path.entry
        path.registers.write("rsp", stack)
        path.registers.write("fs", storage)
        assert isinstance(stack, int)
        region = path.memory.region_at(stack)
        assert region is not None
        region, top = path.memory.own(region), stack - region.base
        region.cells = {at: cell for at, cell in region.cells.items() if at >= top}  # what was called before left more
        for register, value in zip(ARGUMENT_REGISTERS, arguments, strict=False):
            path.registers.write(register, value)
        path.saved = path.registers.copy()
        path.visits, path.forks, path.seen, path.blocks, path.where = {}, {}, {}, (), 0
        return path

    def _follow(
        self, path: CallPath, address: int, alignment: int, short: bool, models: Mapping[str, Model]
    ) -> tuple[list[CallPath], list[Path]]:
        saved = path.saved
        returned: list[CallPath] = []

        def finish(end: PathState) -> list[Path]:
            assert isinstance(end, CallPath)
            if not restored(end, saved):
                end.oblige(False, "crash", end.where, "the stack pointer and the callee-saved registers are restored")
            returned.append(end)
            return []

        def imported(at: PathState, name: str) -> list[PathState]:
            assert isinstance(at, CallPath)
            if name in models:
                return list(models[name](at))
            if name in ("calloc", "malloc"):
                return list(allocated(at, name, alignment, short))
            if name not in LIBC:
                raise Stop(f"it calls {name}, which has no model", "contract")
            return list(_by_libc(at, name))

        ended = self.search.paths(path, address, imported, finish)
        return returned, [each for each in ended if each.ending == "stuck"]


def _entries(binary: Binary, entry: int) -> tuple[int, ...]:
    """Where a function begins: and where it goes, if a jump is all that it is, as compilers make it of a call."""
    block = Lifter(binary.code).block(entry)
    is_jump = block.kind == "Ijk_Boring" and len(block.instructions) == len(block.targets) == 1 and not block.steps
    return (entry, *block.targets) if is_jump else (entry,)


def next_key(path: CallPath) -> int:
    """The key of the region that is allocated next."""
    return sum(key > 0 for key in path.memory.regions) + 1


def allocated(path: CallPath, name: str, alignment: int, short: bool) -> list[CallPath]:
    """New memory, or none: zeroed by calloc, and never written by malloc."""
    size = path.registers.read("rdi" if name == "malloc" else "rsi")
    if name == "calloc" and path.registers.read("rdi") != 1:
        raise Stop("calloc of more than one object")
    path.registers.clobber(CALLER_SAVED, f"after {name} at {path.where:#x}")
    out = []
    if short:
        none = path.fork()
        none.registers.write("rax", 0)
        none.allocated = (*none.allocated, None)
        out.append(none)
    number = next_key(path)
    base = REGION_BASE + (number << 40) + alignment
    image = None if name == "malloc" else lambda _: 0
    region = Region("the structure", base, size, image=image, owner=path.memory.owner)
    path.memory.regions[number] = region
    path.registers.write("rax", base)
    path.allocated = (*path.allocated, (base, size))
    out.append(path)
    return out


def _by_libc(path: CallPath, name: str) -> list[CallPath]:
    """A call of a function that compilers call on their own."""
    assert isinstance(path.memory, SplitMemory)
    try:
        for register in ("rdi", "rsi"):
            path.registers.write(register, path.memory.settled(path.registers.read(register)))
    except Case as case:
        out = []
        for side in (case.condition, t.lnot(case.condition)):
            if path.possible(side):
                fork = path.fork()
                fork.assume(side, path.where)
                fork.cases = (*fork.cases, case.condition.uid)
                try:
                    out += _by_libc(fork, name)
                except Failed:
                    fork.fail()
                    out.append(fork)
        return out
    to, source, size = (path.registers.read(register) for register in ("rdi", "rsi", "rdx"))
    if name == "memcpy" and isinstance(size, int):
        apart = t.lor(*(t.ule(64, t.add(64, one, size), other) for one, other in ((to, source), (source, to))))
        path.oblige(apart, "memory", path.where, "what memcpy reads and writes does not overlap")
    if name == "memcpy" and isinstance(size, int) and path.memory.array_at(to, size) is not None:
        path.memory.store(to, size, path.memory.load_bytes(source, size, path.where), path.where)
        result = to
    else:
        result = LIBC[name](path)
    path.registers.clobber(CALLER_SAVED, f"after {name} at {path.where:#x}")
    path.registers.write("rax", result)
    return [path]
