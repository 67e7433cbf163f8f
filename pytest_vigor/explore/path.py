"""A path in the making: registers, memory, abstract states, and what has happened and holds so far."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pytest_vigor import term as t
from pytest_vigor.behaviour import Assume, Event, Node, Oblige, Way
from pytest_vigor.explore.block import Registers
from pytest_vigor.explore.memory import Failed, Memory, Stop, independent
from pytest_vigor.known import Known
from pytest_vigor.term import Bool, Term, Value


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Something that holds on a path, and what held before."""

    condition: Term
    before: Condition | None
    depth: int


class Solving(Protocol):
    """Answers questions about a path."""

    trivial_obligations: int

    def possible(self, path: PathState, *conditions: Bool) -> bool:
        """Whether conditions can hold on a path, as far as the solver can tell."""

    def values(self, path: PathState, value: Term, limit: int) -> list[int]:
        """Every value of a term on a path."""


@dataclass(slots=True)
class Loan:
    """A record that the NF holds: from which vector, at which index."""

    vector: str
    index: Value


class PathState:
    """One path. ``fork`` makes another that shares its past."""

    def __init__(self, search: Solving, registers: Registers) -> None:
        self.search, self.registers = search, registers
        self.memory: Memory
        self.ghosts: dict[str, Any] = {}
        self.handles: dict[int, str] = {}  #: base address of a structure's handle to its name
        self.loans: dict[int, Loan] = {}  #: base address of a record on loan
        self.node: Node | None = None
        self.condition: Condition | None = None
        self.known = Known()
        self.calls = 0
        self.made: dict[str, Any] = {}  #: the structures that were allocated, with what they were made with
        self.refused = ""  #: the first function that was asked for a structure and gave none
        self.blocks: Way = ()
        self.visits: dict[int, int] = {}
        self.forks: dict[int, int] = {}
        self.seen: dict[Hashable, None] = {}
        self.where = 0
        self.failed = False  #: it has broken an obligation and ends here

    def fail(self) -> PathState:
        """Ends the path: what is on it must not be forgotten, but nothing comes after it."""
        self.failed = True
        return self

    def fork(self) -> Self:
        other = type(self).__new__(type(self))
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, dict | Registers | Known) else value)
        other.memory = self.memory.fork(other)
        return other

    # ---- what happened

    def record(self, event: Event) -> None:
        self.node = Node(event, self.node, self.node.depth + 1 if self.node else 1)

    def hold(self, condition: Bool) -> None:
        """From here on the condition holds."""
        if isinstance(condition, bool):
            if not condition:
                raise Failed
            return
        for part in t.conjuncts(condition):
            if self.decided(part) is None:
                self.known.add(part)
                self.condition = Condition(part, self.condition, self.condition.depth + 1 if self.condition else 1)

    def assume(self, condition: Bool, where: int) -> None:
        """A branch goes this way."""
        if condition is not True:
            self.record(Assume(condition, where))
        self.hold(condition)

    def oblige(self, condition: Bool, kind: str, where: int, detail: str = "") -> None:
        """Something must hold here; from here on it does."""
        if condition is True or self.decided(condition) is True:
            self.search.trivial_obligations += 1
            return
        self.record(Oblige(condition, kind, detail, where))
        self.hold(condition)

    def initialised(self, value: Any, where: int, what: str) -> None:
        """A value must not depend on uninitialised bytes."""
        if isinstance(value, Term) and value.undefined:
            self.oblige(independent(value), "initialised", where, what)

    # ---- what holds

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition or its negation is literally on the path."""
        return self.known.decided(condition)

    def possible(self, *conditions: Bool) -> bool:
        return self.search.possible(self, *conditions)

    def values(self, value: Value, width: int, limit: int) -> list[int]:
        if isinstance(value, int):
            return [value]
        self.initialised(value, self.where, "an index")
        return self.search.values(self, value, limit)

    # ---- going round in circles

    def circles(self, address: int, budget: int) -> None:
        """Notes that a block is entered. A path that comes back to it with nothing changed never ends; one that comes
        back too often is given up."""
        count = self.visits[address] = self.visits.get(address, 0) + 1
        self.blocks = (*self.blocks, address) if count <= 2 else self.blocks
        if count > budget:
            raise Stop(f"a loop that is not seen to end within {budget} rounds", "termination")
        if count > 2 and (count & (count - 1) == 0 or count < 8):
            signature = (address, self.signature())
            if signature in self.seen:
                self.record(Oblige(False, "termination", "a loop that changes nothing never ends", address))
                raise Failed
            self.seen[signature] = None

    def signature(self) -> Hashable:
        """Everything that what comes next depends on."""
        registers = tuple(v if isinstance(v, int) else ("term", v.uid) for v in self.registers.slots)
        return registers, self.memory_state(), id(self.condition), tuple(id(g) for g in self.ghosts.values())

    def memory_state(self, frames: bool = True) -> Hashable:
        """All that was written, except to the part of the stack that is free again, and to frames if these are not
        wanted."""
        stack_pointer = self.registers.read("rsp")
        return tuple(
            (key, region.alive, id(region.frame) if frames else region.frame is None, tuple(
                (at, v if isinstance(v, int) else ("term", v.uid), size, k)
                for at, (v, size, k) in sorted(region.cells.items(), key=lambda item: item[0])
                if not (isinstance(stack_pointer, int) and region.base <= stack_pointer
                        and stack_pointer < region.base + (1 << 30) and region.base + at < stack_pointer - 128)
            ))
            for key, region in self.memory.regions.items() if region.owner is not None
        )  # fmt: skip
