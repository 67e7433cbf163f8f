"""Exploring one library function at a time, from memory of a known shape whose contents are symbols.

What memory holds is assumed to satisfy the structure's invariant from the start. So each obligation on the way is put
to the solver where it is met, and where an access depends on an index that is not known, the path splits into one for
each value that the index can have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.behaviour import Path
from pytest_vigor.binary import Binary
from pytest_vigor.explore.block import CALLER_SAVED, Block, Cursor, Leave, Registers, Split
from pytest_vigor.explore.entry import ARGUMENT_REGISTERS, restored, set_up
from pytest_vigor.explore.libc import LIBC
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.memory import REGION_BASE, Failed, Memory, Region, Stop, independent
from pytest_vigor.explore.path import PathState
from pytest_vigor.explore.search import Search
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.integers import impossible
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.clauses import Clauses
from pytest_vigor.refine.cuts import Cuts
from pytest_vigor.refine.functions import BRIEFLY, example
from pytest_vigor.smt import DEFAULT_RESOURCES, Answer, Sat, Solver, Statistics, Unsat, Unsure, at_once
from pytest_vigor.term import Bool, Term, Value
from pytest_vigor.work import Work

MALLOC_ALIGNMENT = 16  #: bytes; new memory is aligned for any type (C11 section 7.22.3)
ALIGNMENTS = range(0, 64, MALLOC_ALIGNMENT)  #: where in a cache line new memory can begin
FEW_RESOURCES = 200_000  #: before a question is asked case by case
EASY_RESOURCES = 50_000  #: before a question about memory of a known shape is asked as clauses
BRIEF_RESOURCES = 2_000_000  #: for each of several more attempts, where one got lost
AFRESH_RESOURCES = 10_000_000  #: to who has seen nothing before
ARGUMENT = "argument "  #: how the names of symbols begin that are passed to a function
MODELS_KEPT = 4  #: on a path, to know without asking that something is possible
SEES_THROUGH = frozenset({"add", "zext", "sext", "shl", "concat", "ite", "band", "bor", "bxor"})

Model = Callable[["CallPath"], "list[CallPath]"]  #: what becomes of a path when it calls an imported function


@dataclass(frozen=True, slots=True)
class Broken:
    """An obligation that does not hold, or that the solver could not decide."""

    kind: str
    detail: str
    where: int
    model: Sat | None
    reason: str


class Case(Exception):
    """What comes next depends on a condition: the path has to be split."""

    def __init__(self, condition: Term) -> None:
        super().__init__(t.show(condition))
        self.condition = condition


class CallPath(PathState):
    """A path through one function."""

    search: CallSearch
    memory: SplitMemory

    def __init__(self, search: CallSearch, registers: Registers) -> None:
        super().__init__(search, registers)
        self.entry: tuple[Value, Value] = (0, 0)  #: the stack pointer and the base of thread-local storage
        self.saved = registers
        self.models: tuple[Sat, ...] = ()  #: assignments that satisfy all that holds
        self.cases: tuple[int, ...] = ()  #: the conditions by which it was split
        self.allocated: tuple[tuple[int, Value] | None, ...] = ()  #: for each calloc, where memory begins, and its size
        self.head = 0  #: the beginning of a loop at which it is
        self.is_past_head = False  #: whether it begins at a loop's beginning, where others stop

    @property
    def taken(self) -> tuple[Region, Value] | None:
        """What was allocated last, as it is now, and its size; None where there was no memory."""
        if not self.allocated or self.allocated[-1] is None:
            return None
        base, size = self.allocated[-1]
        return self.memory.regions[self.memory.key_of(base)], size

    def conditions(self) -> list[Bool]:
        """Everything that holds."""
        out: list[Bool] = []
        condition = self.condition
        while condition is not None:
            out.append(condition.condition)
            condition = condition.before
        return out

    def hold(self, condition: Bool) -> None:
        super().hold(condition)
        self.models = tuple(each for each in self.models if each.seen(condition) is True)

    def oblige(self, condition: Bool, kind: str, where: int, detail: str = "") -> None:
        if condition is True or self.decided(condition) is True:
            return
        answer = self.search.ask(self, t.lnot(condition))
        if not isinstance(answer, Unsat):
            model = answer if isinstance(answer, Sat) else None
            reason = "" if model else getattr(answer, "reason", "")
            self.search.broken.append(Broken(kind, detail, where, model, reason))
            raise Failed
        self.hold(condition)


class SplitMemory(Memory):
    """Memory in which an index that is not known splits the path, except where one that was read from memory, from a
    member of one of these names, leads into the ranges of addresses ``by_value``: there it chooses among all places
    that there are."""

    by_value: tuple[tuple[int, int, tuple[str, ...]], ...] = ()
    arrays: Mapping[int, Array] = {}  #: the regions that are arrays, by key; never changed, but replaced
    asker: CallPath

    def load(self, address: Value, size_bytes: int, where: int, guard: Bool = True) -> Value:
        address = self.settled(address)
        key = self.array_at(address, size_bytes)
        if key is None:
            return super().load(address, size_bytes, where, guard)
        index, skipped = self._element(key, address, size_bytes, where, False, guard)
        array, low, behind = self.arrays[key], 8 * skipped, 8 * (skipped + size_bytes)
        return self._known(key, index, t.extract(array.read(index), 8 * array.size_bytes, behind - 1, low))

    def store(self, address: Value, size_bytes: int, value: Value, where: int, guard: Bool = True) -> None:
        address = self.settled(address)
        key = self.array_at(address, size_bytes)
        if key is None:
            super().store(address, size_bytes, value, where, guard)
            return
        index, skipped = self._element(key, address, size_bytes, where, True, guard)
        array = self.arrays[key]
        if not array.is_of_members(skipped, size_bytes):
            raise Stop("a write to a part of an array's element")
        if isinstance(value, Term) and value.undefined:
            self.asker.oblige(independent(value), "initialised", where, "what is written to an array")
        old, bits, low = self.element(key, index), 8 * size_bytes, 8 * skipped
        width = 8 * array.size_bytes
        kept = t.ite(bits, guard, value, t.extract(old, width, low + bits - 1, low))
        above = width - low - bits
        parts = [(above, t.extract(old, width, width - 1, low + bits))] if above else []
        parts += [(bits, kept), *([(low, t.extract(old, width, low - 1, 0))] if low else [])]
        self.arrays = {**self.arrays, key: array.written(index, t.concat(parts), skipped, size_bytes)}

    def load_bytes(self, address: Value, size_bytes: int, where: int) -> Value:
        """What any number of bytes holds."""
        parts: list[tuple[int, Value]] = []
        at = 0
        while at < size_bytes:
            count = next(each for each in (8, 4, 2, 1) if at + each <= size_bytes)
            parts.append((8 * count, self.load(t.add(64, address, at), count, where)))
            at += count
        return t.concat(parts[::-1])

    def element(self, key: int, index: Value) -> Value:
        """The element of an array, of which from here on holds what is known."""
        return self._known(key, index, self.arrays[key].read(index))

    def _known(self, key: int, index: Value, found: Value) -> Value:
        """What was read of an element, of which from here on holds what is known."""
        for value in (index, found):
            for condition in self.arrays[key].known(value):
                self.asker.hold(condition)
        return found

    def array_at(self, address: Value, size_bytes: int) -> int | None:
        """The key of the array that an address is in. What comes before one in its region is not indexed."""
        if not self.arrays:
            return None
        region = self.region_at(t.split_base(64, address)[0])
        key = None if region is None else self.key_of(region.base)
        if region is None or key is None or key not in self.arrays:
            return None
        begin = self.arrays[key].begin_bytes
        if not isinstance(address, int) or begin == 0:
            return key
        before = t.ule(64, address - region.base + size_bytes, begin)
        if self.asker.decided(before) is not True and self.asker.possible(t.lnot(before)):
            if t.ult(64, address - region.base, begin) is True:
                raise Stop("an access to the beginning of an array and what is before it")
            return key
        self.asker.hold(before)
        return None

    def _element(
        self, key: int, address: Value, size_bytes: int, where: int, write: bool, guard: Bool
    ) -> tuple[Value, int]:
        """Which element an access is to, and how many bytes of it come before."""
        region, offset = self._locate(address, size_bytes, where, write, guard)
        begin = self.arrays[key].begin_bytes
        if begin != 0:
            what = f"an element of {region.name} is not before them"
            self.asker.oblige(t.implies(guard, t.ule(64, begin, offset)), "memory", where, what)
            offset = t.sub(64, offset, begin)
        bits = (self.arrays[key].size_bytes - 1).bit_length()
        skipped = t.extract(offset, 64, bits - 1, 0)
        if not isinstance(skipped, int) or skipped + size_bytes > self.arrays[key].size_bytes:
            raise Stop("an access to several elements of an array")
        return t.extract(t.sub(64, offset, skipped), 64, 31 + bits, bits), skipped

    def settled(self, address: Value) -> Value:
        """The address, as far as the path knows it; raises Case where it has to be known, and is not."""
        if isinstance(address, int):
            return address
        const, _ = t.split_base(64, address)
        region = self.region_at(const)
        if region is not None and (region.frame is not None or not isinstance(region.size_bytes, int)):
            return address
        known = settle(address, self.asker)
        if isinstance(known, int):
            return known
        tests, found = self._parts(known)
        members = next((members for start, end, members in self.by_value if start <= const < end), ())
        if not tests and all(_is_content(leaf, members) for leaf in found):
            return known
        raise Case(self._case(tests, found))

    def fork(self, asker: Any) -> SplitMemory:
        other = super().fork(asker)
        other.by_value, other.arrays = self.by_value, self.arrays
        return other

    def _parts(self, address: Term) -> tuple[list[Term], list[Term]]:
        """What an address depends on: conditions, and other terms."""
        tests: dict[int, Term] = {}
        found: dict[int, Term] = {}
        stack: list[Any] = [address]
        while stack:
            each = stack.pop()
            if not isinstance(each, Term):
                continue
            if each.op == "ite":
                tests[each.args[0].uid] = each.args[0]
            elif each.op in SEES_THROUGH:
                stack.extend(each.args)
            else:
                found[each.uid] = each
        return list(tests.values()), list(found.values())

    def _case(self, tests: list[Term], found: list[Term]) -> Term:
        """A condition that brings an address nearer to being known."""
        if tests:
            return tests[0]
        leaf = min(found, key=lambda each: each.width)
        answer = self.asker.search.ask(self.asker)
        if not isinstance(answer, Sat):
            raise Stop(f"an index of which nothing is known: {t.show(leaf)}")
        condition = t.eq(leaf.width, leaf, int(answer.seen(leaf)))
        assert isinstance(condition, Term)
        return condition


def _is_content(leaf: Term, members: tuple[str, ...]) -> bool:
    return leaf.op == "var" and not leaf.data.startswith(ARGUMENT) and leaf.data.rpartition(".")[2] in members


def settle(value: Value, path: PathState) -> Value:
    """A value, with what is known of its parts on a path put in."""
    memo: dict[int, Any] = {}

    def known(each: Any) -> Any:
        if not isinstance(each, Term):
            return each
        if each.uid not in memo:
            memo[each.uid] = found(each)
        return memo[each.uid]

    def found(each: Term) -> Any:
        if each.width:
            low, high = path.known.reach(each.width, each)
            if low == high:
                return low
        else:
            decided = path.decided(each)
            return each if decided is None else decided
        if each.op not in SEES_THROUGH:
            return each
        args = [known(a) for a in each.args]
        if all(x is y for x, y in zip(args, each.args, strict=True)):
            return each
        return t.build(each.op, each.width, args, t.shape(each))

    return known(value)  # type: ignore[no-any-return]


class CallSearch(Search):
    """Explores functions whose obligations are decided as they are met."""

    def __init__(self, binary: Binary, cpu_seconds: float) -> None:
        work = Work()
        work.begin(f"{binary.path.name} against its contracts", cpu_seconds=cpu_seconds)
        super().__init__(binary, Facts(), work)
        self.cuts = Cuts()
        self.solver = Solver(self.cuts, exact=False, statistics=Statistics(work=work))
        self.clauses = Clauses(self.cuts)
        self.is_shape_known = False  #: whether all there is to choose among are places in memory
        self.broken: list[Broken] = []
        self.heads: Collection[int] = ()  #: where loops begin that paths are followed up to
        self.hasty = False  #: whether what is not easily seen to be impossible is as good as possible
        self.arrived: list[CallPath] = []  #: those that got there

    def ask(self, path: CallPath, *conditions: Bool) -> Answer:
        """Whether conditions can hold on a path."""
        for model in path.models:
            if all(model.seen(each) is True for each in conditions):
                return model
        self._sync(path)
        answer = self._by_cases(path, list(conditions))
        if isinstance(answer, Sat):
            path.models = (answer, *path.models[: MODELS_KEPT - 1])
        return answer

    def ask_easily(self, path: CallPath, condition: Bool) -> Answer:
        """Whether a condition can hold on a path, where that is easy."""
        for model in path.models:
            if model.seen(condition) is True:
                return model
        self._sync(path)
        self.solver.limit(FEW_RESOURCES)
        return self.solver.check(condition)

    def ask_at_once(self, path: CallPath, *conditions: Bool, resources: int = DEFAULT_RESOURCES) -> Answer:
        """Whether conditions can hold on a path, to who looks at everything at once."""
        return at_once([*self.facts.known, *path.conditions(), *conditions], resources)

    def ask_afresh(self, path: CallPath, condition: Bool, known: Sequence[Bool] | None = None) -> Answer:
        """Whether a condition can hold on a path, to who has seen nothing before; and of the path no more than what is
        ``known``, if that is given."""
        solver = Solver(self.cuts.anew(), AFRESH_RESOURCES if known is None else BRIEF_RESOURCES, exact=False)
        return solver.afresh([*(path.conditions() if known is None else known), condition])

    def _by_cases(self, path: CallPath, conditions: list[Bool]) -> Answer:
        """What the solver says; where that takes long, what it says of each case of an alternative among the
        conditions, or what can be said over the integers."""
        flat: list[Bool] = []
        for each in conditions:
            flat += t.conjuncts(each)
        self.solver.limit(EASY_RESOURCES if self.is_shape_known else FEW_RESOURCES)
        answer = self.solver.check(*flat)
        if isinstance(answer, Unsure) and self.is_shape_known:
            answer = self.clauses.ask([*self.facts.known, *path.conditions(), *flat])
        if not isinstance(answer, Unsure):
            return answer
        if path.memory.arrays and example([*self.facts.known, *path.conditions(), *flat], BRIEFLY) is False:
            return Unsat()
        choice = next((each for each in flat if isinstance(each, Term) and each.op == "lor"), None)
        if choice is None:
            if impossible(path.conditions(), flat):
                return Unsat()
            self.solver.limit(DEFAULT_RESOURCES)
            answer = self.solver.check(*flat)
            if isinstance(answer, Unsure):
                answer = self.ask_at_once(path, *flat, resources=BRIEF_RESOURCES)
            return answer
        flat.remove(choice)
        for each in choice.args:
            answer = self._by_cases(path, [*flat, each])
            if not isinstance(answer, Unsat):
                return answer
        return Unsat()

    def possible(self, path: PathState, *conditions: Bool) -> bool:
        assert isinstance(path, CallPath)
        decided = [path.decided(each) for each in conditions]
        if False in decided:
            return False
        asked = [each for each, known in zip(conditions, decided, strict=True) if known is None]
        answer = self.ask_easily(path, t.land(*asked)) if self.hasty else self.ask(path, *asked)
        return not isinstance(answer, Unsat)

    def join(self, a: PathState, b: PathState) -> PathState | None:
        if (
            isinstance(a, CallPath) and isinstance(b, CallPath) and a.cases == b.cases
            and a.allocated == b.allocated and a.memory.arrays == b.memory.arrays
        ):  # fmt: skip
            joined = super().join(a, b)
            if isinstance(joined, CallPath):
                joined.models = (*a.models, *b.models)[:MODELS_KEPT]
            return joined
        return None

    def execute(self, path: PathState, block: Block, cursor: Cursor | None) -> Leave:
        assert isinstance(path, CallPath)
        if block.address in self.heads and cursor is None:
            if not path.is_past_head:
                path.head = block.address
                self.arrived.append(path.fork())
                raise Failed
            path.is_past_head = False
        before = path.fork()
        try:
            return super().execute(path, block, cursor)
        except Case as case:
            vars(path).update(vars(before.fork()))
            path.memory.asker = path
            assert isinstance(path, CallPath)
            path.cases = (*path.cases, case.condition.uid)
            again = cursor or block.start
            return Split(case.condition, again, again)


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
