"""From an NF's binary to its Behaviour: all paths of ``nf_init``, ``nf_process`` and the further entry points.

No invariant is assumed: a step starts from whatever memory ``nf_init`` leaves, with arbitrary valid structures. Numbers
in the NF's memory that some step changes become symbols, until no step changes any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import process_time

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.behaviour import Behaviour, MutableScalar, Path, Structure
from pytest_vigor.binary import Binary
from pytest_vigor.contract import Contracts, NewStructure, state
from pytest_vigor.errors import HeaderError, VigorError
from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.calls import Calls
from pytest_vigor.explore.entry import restored, set_up, short
from pytest_vigor.explore.memory import REGION_BASE, Cell, Failed, Memory, Region, Stop
from pytest_vigor.explore.path import PathState
from pytest_vigor.explore.search import Search
from pytest_vigor.frame import Frame
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.headers import Header, StateObject
from pytest_vigor.layout import Bytes, Integer, Scalar, Struct, scalars
from pytest_vigor.term import Bool, Value
from pytest_vigor.work import Work


@dataclass(slots=True)
class _Left:
    """What an accepting path of nf_init leaves behind."""

    cells: dict[tuple[int, int], Cell]  #: by region base and offset
    made: dict[str, NewStructure]
    handles: dict[int, str]
    names: tuple[str, ...]

    @property
    def structures(self) -> list[object]:
        """Which there are, where, of which sizes and by which names: all that every step is to find alike."""
        return [list(self.made.items()), list(self.handles.items()), self.names]


@dataclass(slots=True)
class _Start:
    """The NF's memory at the start of a step."""

    cells: dict[tuple[int, int], Cell] = field(default_factory=dict)
    structures: dict[str, NewStructure] = field(default_factory=dict)
    mutable: dict[str, tuple[int, int, int]] = field(default_factory=dict)  #: name: region base, offset, size in bytes


class Explorer:
    """Explores one binary."""

    def __init__(self, binary: Binary, header: Header, contracts: Contracts, work: Work) -> None:
        self.binary, self.header, self.contracts = binary, header, contracts
        self.facts = Facts()
        self.search = Search(binary, self.facts, work)
        self.state_symbol = binary.objects.get("nf_state")
        self.left: dict[int, _Left] = {}
        self.start = _Start()
        self._again = False  #: whether a step changed a number that was not known to change

    # ---- entry points

    def _machine(self) -> PathState:
        """A path at the start of a call: stack, thread-local storage, and the return address."""
        path = PathState(self.search, Registers.fresh("at entry"))
        path.memory = Memory(self.binary, path)
        set_up(path)
        return path

    def _struct(self, path: PathState, struct: Struct, symbol: str) -> int:
        """A struct whose numbers are symbols, and whose padding nobody has written."""
        region = path.memory.add(f"struct {struct.name}", struct.size_bytes, writable=False)
        for leaf in scalars(struct):
            value = _symbol(f"{symbol}.{leaf.path}", leaf)
            for k in range(leaf.type.size_bytes):
                region.cells[leaf.offset + k] = (value, leaf.type.size_bytes, k)
        return region.base

    def init_paths(self) -> tuple[Path, ...]:
        """Explores nf_init from the binary as it is loaded."""
        path = self._machine()
        for address in self.binary.initialisers:
            self._initialise(path, address)
        path.registers.write("rdi", self._struct(path, self.header.config, "config"))
        path.registers.write("rsi", short(t.var(b.DEVICE_COUNT, 16), 16))
        saved = path.registers.copy()
        calls = Calls(self.contracts, self.facts, allocating=True)

        def finish(end: PathState) -> list[Path]:
            paths = []
            self._conventions(end, saved)
            for each, accepted in _truths(end, "nf_init returns"):
                names: tuple[str, ...] = ()
                if accepted and each.refused:
                    stop = Stop(f"nf_init may return true where {each.refused} has returned NULL")
                    paths.append(Path(each.node, "stuck", reason=stop.reason, kind=stop.kind, where=each.where))
                    continue
                if accepted:
                    names = self._name_structures(each)
                    self.left[len(self.left)] = _Left(
                        _written(each), dict(each.made), dict(each.handles), names
                    )
                value = int(accepted)
                paths.append(Path(each.node, "returned", value, structures=names, blocks=each.blocks))
            return paths

        return self._alike(self.search.paths(path, self.binary.exports["nf_init"], calls, finish))

    def _alike(self, paths: list[Path]) -> tuple[Path, ...]:
        """The paths of nf_init, of which those end that leave other structures than the one that leaves most."""
        sides, alike = iter(self.left.values()), dict[int, _Left]()
        most = max(self.left.values(), key=lambda side: len(side.made), default=None)
        out = []
        for path in paths:
            if path.ending == "returned" and path.value:
                side = next(sides)
                if most is not None and side.structures == most.structures:
                    alike[len(alike)] = side
                else:
                    stop = Stop("nf_init leaves different structures for different configurations")
                    path = replace(path, ending="stuck", reason=stop.reason, kind=stop.kind)
            out.append(path)
        self.left = alike
        return tuple(out)

    def _initialise(self, path: PathState, address: int) -> None:
        """Runs a constructor of the binary, which must go one way."""
        ended: list[PathState] = []

        def finish(end: PathState) -> list[Path]:
            ended.append(end)
            return [Path(end.node, "returned")]

        calls = Calls(self.contracts, self.facts, allocating=False)
        start = path.fork()
        paths = self.search.paths(start, address, calls, finish)
        changed = bool(ended) and _written(ended[0]) != _written(path)
        if len(paths) != 1 or paths[0].ending != "returned" or changed:
            raise VigorError(
                f"{self.binary.path} has a constructor at {address:#x} that does more than nothing",
                "move what it does into nf_init",
            )

    def step_paths(self, entry: str) -> tuple[Path, ...]:
        """Explores nf_process or a further entry point, from any state of the structures."""
        path = self._machine()
        self._set_up(path)
        finish: Callable[[PathState], list[Path]]
        if entry == "nf_process":
            device, length, now = t.var(b.DEVICE, 16), t.var(b.LENGTH, 16), t.var(b.NOW, b.TIME_BITS)
            packet = path.memory.add("the packet", t.zext(length, 16, 64), frame=Frame(b.PACKET))
            path.hold(t.ult(16, device, t.var(b.DEVICE_COUNT, 16)))
            path.hold(t.ule(16, length, b.LENGTH_MAX))
            path.registers.write("rdi", short(device, 16))
            path.registers.write("rsi", packet.base)
            path.registers.write("rdx", short(length, 16))
            path.registers.write("rcx", t.zext(now, b.TIME_BITS, 64))
            finish = self._finish_process(path.registers.copy(), packet)
        else:
            argument = next(each.argument for each in self.header.entries if each.name == entry)
            if argument is not None:
                path.registers.write("rdi", self._struct(path, argument, "argument"))
            finish = self._finish_entry(path.registers.copy(), entry)
        calls = Calls(self.contracts, self.facts, allocating=False)
        return tuple(self.search.paths(path, self.binary.exports[entry], calls, finish))

    # ---- the ends of paths

    def _conventions(self, end: PathState, start: Registers) -> None:
        """What any function owes its caller."""
        if not restored(end, start):
            end.oblige(False, "crash", end.where, "the stack pointer and the callee-saved registers are restored")
        for loan in end.loans.values():
            end.oblige(False, "contract", end.where, f"every record of {loan.vector} is given back")

    def _finish_process(self, start: Registers, packet: Region) -> Callable[[PathState], list[Path]]:
        def finish(end: PathState) -> list[Path]:
            value = t.extract(end.registers.read("rax"), 64, 31, 0)
            end.initialised(value, end.where, "what nf_process returns")
            self._conventions(end, start)
            count = t.zext(t.var(b.DEVICE_COUNT, 16), 16, 32)
            special = [t.eq(32, value, answer & t.mask(32)) for answer in (b.NF_DROP, b.NF_FLOOD)]
            end.oblige(
                t.lor(t.ult(32, value, count), *special), "result", end.where,
                "nf_process returns a device, NF_DROP or NF_FLOOD",
            )  # fmt: skip
            frame = end.memory.regions[end.memory.key_of(packet.base)].frame
            assert frame is not None
            changed = self._scalars(end)
            answers: dict[Value, Bool] = {}
            for condition, answer in _alternatives(value):
                if isinstance(answer, int):
                    answers[answer] = t.lor(answers.get(answer, False), condition)
                    continue
                for each in (b.NF_DROP & t.mask(32), b.NF_FLOOD & t.mask(32)):
                    same = t.land(condition, t.eq(32, answer, each))
                    answers[each] = t.lor(answers.get(each, False), same)
                    condition = t.land(condition, t.ne(32, answer, each))
                answers[answer] = condition
            out = []
            for answer, condition in answers.items():
                if end.possible(condition):
                    fork = end.fork()
                    fork.assume(condition, end.where)
                    out.append(Path(fork.node, "returned", answer, frame.writes, changed, blocks=fork.blocks))
            if not out:
                raise Failed
            return out

        return finish

    def _finish_entry(self, start: Registers, entry: str) -> Callable[[PathState], list[Path]]:
        def finish(end: PathState) -> list[Path]:
            self._conventions(end, start)
            changed = self._scalars(end)
            return [
                Path(each.node, "returned", int(returned), scalars=changed, blocks=each.blocks)
                for each, returned in _truths(end, f"{entry} returns")
            ]

        return finish

    # ---- the NF's own memory

    def _name_structures(self, end: PathState) -> tuple[str, ...]:
        """The state's members that point to the structures, in the order of their allocation."""
        names: dict[str, str] = {}
        for each in self.header.state_objects if self.state_symbol else ():
            assert self.state_symbol is not None
            pointer = end.memory.load(self.state_symbol[0] + each.offset, 8, end.where)
            made = end.handles.get(pointer) if isinstance(pointer, int) else None
            if made is not None:
                _refuse_other_size(each, end.made[made])
                names.setdefault(made, each.name)
        return tuple(names.get(f"object{k}", f"object{k}") for k in range(len(end.made)))

    def _merge(self) -> None:
        """The memory at the start of a step: where accepting paths of nf_init disagree, a symbol."""
        sides = list(self.left.values())
        if not sides:
            return
        first = sides[0]
        self.start.structures = first.made
        keys = {key for side in sides for key in side.cells if key[0] < REGION_BASE}
        differing = set()
        for key in sorted(keys):
            values = [_byte(side.cells.get(key)) for side in sides]
            if any(value is not values[0] and value != values[0] for value in values):
                differing.add(key)
            cell = first.cells.get(key)
            if cell is not None:
                self.start.cells[key] = cell
        for key in differing:
            self._mutable(key)

    def _mutable(self, key: tuple[int, int]) -> bool:
        """Makes the number around a byte a symbol; False if it is one already."""
        base, offset = key
        name, size = f"data+{base + offset:#x}", 1
        if self.state_symbol is not None and self.header.state is not None:
            inside = base + offset - self.state_symbol[0]
            for leaf in scalars(self.header.state):
                if leaf.offset <= inside < leaf.offset + leaf.type.size_bytes:
                    name, size = leaf.path, leaf.type.size_bytes
                    offset -= inside - leaf.offset
        if name in self.start.mutable:
            return False
        self.start.mutable[name] = (base, offset, size)
        return True

    def _set_up(self, path: PathState) -> None:
        """Puts the NF's memory and structures as they are between steps."""
        renamed = self._names
        handles = {
            old: path.memory.add(f"the structure {renamed[name]}", 0).base for old, name in self._handles.items()
        }
        for (base, offset), (value, size, k) in self.start.cells.items():
            if isinstance(value, int) and value >= REGION_BASE:
                if value not in handles or size != 8:
                    raise Stop("nf_init keeps a pointer to memory that is gone when it returns")
                value = handles[value]
            region = path.memory.own(path.memory.regions[path.memory.key_of(base)])
            region.cells[offset] = (value, size, k)
        for name, (base, offset, size) in self.start.mutable.items():
            region = path.memory.own(path.memory.regions[path.memory.key_of(base)])
            for k in range(size):
                region.cells[offset + k] = (t.var(f"state.{name}", 8 * size), size, k)
        for old, name in self._handles.items():
            made = self.start.structures[name]
            path.handles[handles[old]] = renamed[name]
            path.ghosts[renamed[name]] = state(
                made.cls, self.facts, renamed[name], made.parameters, None, None, empty=False
            )
        self._initial = _written(path)

    @property
    def _handles(self) -> dict[int, str]:
        return next(iter(self.left.values())).handles if self.left else {}

    @property
    def _names(self) -> dict[str, str]:
        """Names in nf_init to names in the state."""
        accepted = next(p for p in self.inits if p.ending == "returned" and p.value)
        return {f"object{k}": name for k, name in enumerate(accepted.structures)}

    def _scalars(self, end: PathState) -> tuple[tuple[str, Value], ...]:
        """The NF's numbers that this path changed. One that is not known to change becomes so, and exploring starts
        again."""
        after = _written(end)
        changed = [key for key, cell in after.items() if _byte(cell) != _byte(self._initial.get(key))
                   and _byte(cell) is not _byte(self._initial.get(key))]  # fmt: skip
        fresh = False
        known = {
            (base, offset + k) for base, offset, size in self.start.mutable.values() for k in range(size)
        }
        for key in changed:
            if key not in known:
                fresh = self._mutable(key) or fresh
        self._again = self._again or fresh
        out = []
        for name, (base, offset, size) in self.start.mutable.items():
            if any((base, offset + k) in changed for k in range(size)):
                value = end.memory.load(base + offset, size, end.where)
                end.initialised(value, end.where, f"what {name} becomes")
                out.append((name, value))
        return tuple(out)

    def _with_initial_scalars(self) -> tuple[Path, ...]:
        """The paths of nf_init, with what the accepting ones make of the numbers that steps change."""
        sides = iter(self.left.values())
        out = []
        for path in self.inits:
            if path.ending == "returned" and path.value:
                side = next(sides)
                numbers = []
                for name, (base, offset, size) in self.start.mutable.items():
                    parts: list[tuple[int, Value]] = []
                    for k in reversed(range(size)):
                        known = _byte(side.cells.get((base, offset + k)))
                        parts.append((8, self.binary.read(base + offset + k, 1)[0] if known is None else known))
                    numbers.append((name, t.concat(parts)))
                path = replace(path, scalars=tuple(numbers))
            out.append(path)
        return tuple(out)

    # ---- all of it

    def _steps(self, paths: dict[str, tuple[Path, ...]]) -> None:
        """Explores the entry points again until no number is seen to change that was not known to."""
        self._merge()
        while self.left:
            self._again = False
            for entry in ("nf_process", *(each.name for each in self.header.entries)):
                paths[entry] = self.step_paths(entry)
            if not self._again:
                break

    def behaviour(self) -> Behaviour:
        started = process_time()
        self.inits: tuple[Path, ...] = ()
        self.inits = self.init_paths()
        paths: dict[str, tuple[Path, ...]] = {"nf_init": self.inits}
        try:
            self._steps(paths)
        except Stop as stop:
            paths["nf_process"] = (Path(None, "stuck", reason=stop.reason, kind=stop.kind),)
        self.inits = paths["nf_init"] = self._with_initial_scalars()
        names = self._names if self.left else {}
        structures = tuple(
            Structure(names[name], made.cls.kind, tuple(made.parameters.items()))  # type: ignore[attr-defined]
            for name, made in self.start.structures.items()
        )
        mutable = tuple(MutableScalar(name, 8 * size) for name, (_, _, size) in self.start.mutable.items())
        return Behaviour(
            structures, mutable, paths, self.search.trivial_obligations,
            self.search.solver.statistics.queries, process_time() - started,
        )  # fmt: skip


def _refuse_other_size(member: StateObject, made: NewStructure) -> None:
    """HeaderError if keys or records have another size than the type that typed.h's macro gives them."""
    for what, of in (("key", member.key), ("record", member.record)):
        size_bytes = made.parameters.get(f"{what}_bytes")
        if of is not None and isinstance(size_bytes, int) and size_bytes != of.size_bytes:
            raise HeaderError(
                f"nf_state.{member.name}: its header says that a {what} has {of.size_bytes} bytes, "
                f"but nf_init makes it for {size_bytes}",
                "name the same type in the header and in the sizeof that nf_init passes",
            )


def explore(binary: Binary, header: Header, contracts: Contracts, work: Work | None = None) -> Behaviour:
    """The Behaviour of an NF. What cannot be modelled, or for what no budget is left, ends its path as "stuck", with
    the reason."""
    for entry in header.entries:
        if entry.name not in binary.exports:
            raise VigorError(
                f"{binary.path} does not export {entry.name}, which its header declares", "export it, or drop it"
            )
    known = {"nf_init", "nf_process", *(entry.name for entry in header.entries)}
    extra = sorted(set(binary.exports) - known - {"_init", "_fini"})
    if extra:
        raise VigorError(
            f"{binary.path} exports {', '.join(extra)}, which its header does not declare",
            "declare it in the header if it is an entry point, or hide it with -fvisibility=hidden",
        )
    return Explorer(binary, header, contracts, work or Work()).behaviour()


def _alternatives(value: Value) -> list[tuple[Bool, Value]]:
    """The values that joined paths brought, each with its condition."""
    if not isinstance(value, t.Term) or value.op != "ite":
        return [(True, value)]
    test, yes, no = value.args
    out = [(t.land(test, condition), each) for condition, each in _alternatives(yes)]
    return out + [(t.land(t.lnot(test), condition), each) for condition, each in _alternatives(no)]


def _symbol(name: str, leaf: Scalar) -> Value:
    if isinstance(leaf.type, Integer) and leaf.type.boolean:
        return t.zext(t.bit(t.var(name, 0)), 1, 8)
    assert isinstance(leaf.type, Integer | Bytes)
    return t.var(name, 8 * leaf.type.size_bytes)


def _written(path: PathState) -> dict[tuple[int, int], Cell]:
    """Every byte of the NF's own data that was written."""
    return {
        (region.base, offset): cell
        for region in path.memory.regions.values()
        if region.base < REGION_BASE
        for offset, cell in region.cells.items()
    }


def _byte(cell: Cell | None) -> Value | None:
    if cell is None:
        return None
    value, size, k = cell
    return t.extract(value, 8 * size, 8 * k + 7, 8 * k)


def _truths(end: PathState, what: str) -> list[tuple[PathState, bool]]:
    """The path for either truth value of what a function returns."""
    value = t.extract(end.registers.read("rax"), 64, 7, 0)
    end.initialised(value, end.where, f"what {what}")
    out = []
    for condition, answer in ((t.ne(8, value, 0), True), (t.eq(8, value, 0), False)):
        if end.possible(condition):
            fork = end.fork()
            fork.assume(condition, end.where)
            out.append((fork, answer))
    if not out:
        raise Failed
    return out

