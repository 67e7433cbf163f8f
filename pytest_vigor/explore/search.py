"""Search through an entry point: runs blocks, forks where the input decides, asks the solver what can be."""

from __future__ import annotations

from collections.abc import Callable

from pytest_vigor import term as t
from pytest_vigor.behaviour import Path
from pytest_vigor.binary import Binary
from pytest_vigor.explore.block import Block, Branch, Cursor, Jump, Leave, Split, run
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.memory import Failed, Stop
from pytest_vigor.explore.merge import merge
from pytest_vigor.explore.order import reverse_postorder
from pytest_vigor.explore.path import Condition, PathState
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.smt import Sat, Solver, Statistics, Unsat
from pytest_vigor.term import Bool, Term
from pytest_vigor.work import Exhausted, Work

EXIT = 0x6FFF_0000_0000  #: where an entry point returns to
LOOP_BUDGET = 4_096  #: visits to one block on one path
FORK_BUDGET = 64  #: of these, how often the input decided whether there is a next one
PATH_LIMIT = 20_000
JUMP_LIMIT = 64

Finish = Callable[[PathState], list[Path]]
CallImport = Callable[[PathState, str], list[PathState]]


class Search:
    """Explores the paths of one entry point after another over shared code, facts and solver."""

    def __init__(self, binary: Binary, facts: Facts, work: Work) -> None:
        self.binary, self.facts = binary, facts
        self.lifter = Lifter(binary.code)
        self.solver = Solver(exact=False, statistics=Statistics(work=work))
        self.trivial_obligations = 0
        self._stack: list[tuple[Condition, int]] = []
        self._facts_asserted = 0
        self._work = work
        self._found = 0
        self._ranks: dict[int, int] = {}

    # ---- asking

    def _sync(self, path: PathState) -> None:
        """Makes the solver's stack that of the path."""
        chain: list[Condition] = []
        node = path.condition
        while node is not None and not (
            node.depth <= len(self._stack) and self._stack[node.depth - 1][0] is node
        ):
            chain.append(node)
            node = node.before
        keep = node.depth if node is not None else 0
        if len(self._stack) > keep:
            self.solver.pop(len(self._stack) - keep)
            self._facts_asserted = self._stack[keep][1]
            del self._stack[keep:]
        for each in reversed(chain):
            self._stack.append((each, self._facts_asserted))
            self.solver.push()
            self.solver.add(each.condition)
        known = self.facts.known
        while self._facts_asserted < len(known):
            self.solver.add(known[self._facts_asserted])
            self._facts_asserted += 1

    def possible(self, path: PathState, *conditions: Bool) -> bool:
        open_conditions: list[Bool] = []
        for condition in conditions:
            decided = path.decided(condition)
            if decided is False:
                return False
            if decided is None:
                open_conditions.append(condition)
        self._sync(path)
        return not isinstance(self.solver.check(*open_conditions), Unsat)

    def values(self, path: PathState, value: Term, limit: int) -> list[int]:
        named = _constants(value)
        if named is not None and len(named) <= limit:
            return [each for each in named if self.possible(path, t.eq(value.width, value, each))]
        found: list[int] = []
        self._sync(path)
        while True:
            others = [t.ne(value.width, value, each) for each in found]
            answer = self.solver.check(*others)
            if isinstance(answer, Unsat):
                return found
            if not isinstance(answer, Sat) or len(found) == limit:
                raise Stop(f"a value with more than {len(found)} possibilities decides where to go: {t.show(value)}")
            found.append(int(answer.value(value)))

    # ---- searching

    def paths(self, start: PathState, address: int, call: CallImport, finish: Finish) -> list[Path]:
        """All paths from a state at an address to the entry point's return."""
        out: list[Path] = []
        self.lifter.cut(reverse_postorder(self.lifter, address))
        self._ranks = reverse_postorder(self.lifter, address)
        work: list[tuple[PathState, int, Cursor | None]] = [(start, address, None)]
        while work:
            path, address, cursor = self._next(work)
            try:
                self._work.at(self._found + len(out), len(work))
                if len(out) >= PATH_LIMIT:
                    raise Stop(f"more than {PATH_LIMIT} paths", "budget")
                self._run(path, address, cursor, work, call, finish, out)
            except Failed:
                out.append(_ended(path, "failed"))
            except Stop as stop:
                out.append(_ended(path, "stuck", stop.reason, stop.kind))
            except Unmodelled as unmodelled:
                out.append(_ended(path, "stuck", str(unmodelled), "unmodelled"))
            except Exhausted as budget:
                used_up = Stop(f"the budget of {budget} for exploring is used up", "budget")
                out.append(_ended(path, "stuck", used_up.reason, used_up.kind))
        self._found += len(out)
        return out

    def _next(self, work: list[tuple[PathState, int, Cursor | None]]) -> tuple[PathState, int, Cursor | None]:
        """The path that is least far, joined with those that wait at the same place."""
        last = len(self._ranks)
        chosen = min(
            range(len(work)),
            key=lambda k: (work[k][2] is None, self._ranks.get(work[k][1], last), -k),
        )
        path, address, cursor = work.pop(chosen)
        if cursor is not None:
            return path, address, cursor
        for k in range(len(work) - 1, -1, -1):
            if work[k][1] == address and work[k][2] is None:
                merged = self.join(path, work[k][0])
                if merged is not None:
                    path = merged
                    del work[k]
        return path, address, None

    def join(self, a: PathState, b: PathState) -> PathState | None:
        """One path for two that wait at one place, or None where they are better kept apart."""
        return merge(a, b)

    def execute(self, path: PathState, block: Block, cursor: Cursor | None) -> Leave:
        """Runs a block, from its start or a cursor, until control leaves it or depends on something symbolic."""
        return run(block, cursor, path.registers, path.memory)

    def _run(
        self, path: PathState, address: int, cursor: Cursor | None, work: list[tuple[PathState, int, Cursor | None]],
        call: CallImport, finish: Finish, out: list[Path],
    ) -> None:  # fmt: skip
        while True:
            if address == EXIT:
                out.extend(finish(path))
                return
            name = self.binary.imports.get(address)
            if name is not None:
                back = path.memory.load(path.registers.read("rsp"), 8, path.where)
                path.registers.write("rsp", t.add(64, path.registers.read("rsp"), 8))
                after = call(path, name)
                if not isinstance(back, int):
                    raise Stop(f"the return address of a call to {name} is overwritten", "jump")
                for following in after:
                    if following.failed:
                        out.append(_ended(following, "failed"))
                    else:
                        work.append((following, back, None))
                return
            if not self.binary.executable(address):
                path.oblige(False, "jump", path.where, f"jump to {address:#x}, where there is no code")
            if cursor is None:
                path.circles(address, LOOP_BUDGET)
            path.where = address
            block = self.lifter.block(address)
            match self.execute(path, block, cursor):
                case Jump(target, kind):
                    cursor = None
                    if kind not in ("Ijk_Boring", "Ijk_Call", "Ijk_Ret"):
                        raise Stop(_trap(kind), "crash" if kind.startswith("Ijk_Sig") else "unmodelled")
                    if isinstance(target, int):
                        if work:  # others may meet this one there
                            work.append((path, target, None))
                            return
                        address = target
                        continue
                    path.initialised(target, path.where, "the target of a jump")
                    targets = self.values(path, target, JUMP_LIMIT)
                    if not targets:
                        raise Failed
                    for each in targets:
                        fork = path.fork()
                        fork.assume(t.eq(64, target, each), path.where)
                        work.append((fork, each, None))
                    return
                case Branch(condition, taken, kind, rest):
                    if not kind.startswith(("Ijk_Boring", "Ijk_Call", "Ijk_Ret")):
                        raise Stop(_trap(kind))
                    self._fork(path, condition, (taken, None), (address, rest), work)
                    return
                case Split(condition, yes, no):
                    self._fork(path, condition, (address, yes), (address, no), work)
                    return

    def _fork(
        self, path: PathState, condition: Term, yes: tuple[int, Cursor | None], no: tuple[int, Cursor | None],
        work: list[tuple[PathState, int, Cursor | None]],
    ) -> None:  # fmt: skip
        path.initialised(condition, path.where, "a branch")
        sides: list[tuple[Bool, tuple[int, Cursor | None]]] = []
        for side, target in ((condition, yes), (t.lnot(condition), no)):
            if self.possible(path, side):
                sides.append((side, target))
        if not sides:
            raise Failed
        if len(sides) > 1:
            path.forks[path.where] = path.forks.get(path.where, 0) + 1
            if path.forks[path.where] > FORK_BUDGET:
                raise Stop(f"a loop that is not seen to end within {FORK_BUDGET} rounds", "termination")
        forks = [path.fork() for _ in sides[1:]] + [path]
        for fork, (side, (address, cursor)) in zip(forks, sides, strict=True):
            fork.assume(side, path.where)
            work.append((fork, address, cursor))


def _constants(value: t.Value) -> list[int] | None:
    """The constants that a term chooses among; None if it is more than a choice."""
    found: dict[int, None] = {}
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, int):
            found[each] = None
        elif each.op == "ite":
            stack.extend(each.args[1:])
        else:
            return None
    return list(found)


def _ended(path: PathState, ending: str, reason: str = "", kind: str = "") -> Path:
    return Path(path.node, ending, blocks=path.blocks, reason=reason, kind=kind, where=path.where)


def _trap(kind: str) -> str:
    if kind.startswith("Ijk_Sys"):
        return "a system call"
    if kind.startswith("Ijk_Sig"):
        return f"an instruction that traps ({kind.removeprefix('Ijk_')})"
    return f"an instruction that has no model ({kind.removeprefix('Ijk_')})"
