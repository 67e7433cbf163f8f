"""Long work: what is being done and how far it is, for whoever waits for it or stops it, and what it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, process_time

from pytest_vigor.footprint import give_back, memory_bytes

TELL_SECONDS = 1.0  #: between two reports of progress
ESTIMATE_SECONDS = 2.0  #: of work, before the rest is estimated
LOOK_SECONDS = 0.02  #: of CPU time, between two looks at the memory in use
GIVEN_BACK = 10  #: times as long as giving memory back took is not looked again
MIB = 1 << 20


class Exhausted(Exception):
    """There is no time or memory left. The text is the budget, such as "300 CPU seconds"; ``remedy`` says how to get
    more."""

    def __init__(self, budget: str, remedy: str) -> None:
        super().__init__(budget)
        self.remedy = remedy


@dataclass(slots=True)
class Work:
    """One piece of work after another, such as exploring an NF or judging a property, in steps of a unit.

    ``tell`` gets a line of text now and then. ``memory_mib`` bounds the process, ``cpu_seconds`` what was begun last.
    """

    tell: Callable[[str], None] | None = None
    memory_mib: float = 0.0  #: 0 for any
    cpu_seconds: float | None = None  #: None for any
    what: str = ""
    unit: str = "paths"
    done: int = 0
    of: int = 0  #: 0 where nobody knows
    waiting: int = 0
    queries: int = 0
    slowest_seconds: float = 0.0
    _started: float = field(default_factory=monotonic)
    _cpu_started: float = field(default_factory=process_time)
    _told: float = field(default_factory=monotonic)
    _asked: float | None = None
    _look_at_memory: float = 0.0

    def begin(self, what: str, *, cpu_seconds: float | None = None, of: int = 0, unit: str = "paths") -> None:
        """Something else is being done from now on, with a budget of its own."""
        self._cpu_started = process_time()
        self._look_at_memory = 0.0  # in a child process, time begins anew
        self.cpu_seconds = cpu_seconds
        self.go_on(what, of=of, unit=unit)

    def go_on(self, what: str, *, of: int = 0, unit: str = "paths") -> None:
        """The next part of the same work, on the same budget."""
        self.what, self.unit, self.of = what, unit, of
        self.done = self.waiting = self.queries = 0
        self.slowest_seconds = 0.0
        self._started = monotonic()
        self._asked = None

    def end(self) -> None:
        """Nothing is being done."""
        self.what, self.cpu_seconds, self._asked = "", None, None

    def at(self, done: int, waiting: int = 0) -> None:
        """So much is done; so much is known to be left where the whole is not known."""
        self.done, self.waiting = done, waiting
        self._report()

    def ask(self) -> None:
        """A query begins, if the budget allows it."""
        self.check()
        self._asked = monotonic()

    def answered(self, seconds: float) -> None:
        """A query has been answered."""
        self.queries += 1
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        self._asked = None

    def check(self) -> None:
        """Raises :class:`Exhausted` where a budget has run out; tells how far it is otherwise, if it is time to."""
        self._report()
        now = process_time()
        if self.cpu_seconds is not None and now - self._cpu_started > self.cpu_seconds:
            raise Exhausted(f"{self.cpu_seconds:g} CPU seconds", "raise --vigor-cpu-seconds")
        if not self.memory_mib or now < self._look_at_memory:
            return
        self._look_at_memory = now + LOOK_SECONDS
        if not self._has_too_much():
            return
        give_back()
        self._look_at_memory = 0.0
        if self._has_too_much():
            raise Exhausted(f"{self.memory_mib:g} MiB of memory", "raise --vigor-memory")
        self._look_at_memory = process_time() + GIVEN_BACK * (process_time() - now)

    def _has_too_much(self) -> bool:
        return memory_bytes() > self.memory_mib * MIB

    def _report(self) -> None:
        now = monotonic()
        if self.tell is not None and self.what and now - self._told >= TELL_SECONDS:
            self._told = now
            self.tell(str(self))

    def __str__(self) -> str:
        """Such as "judging test_it: 3 of 15 paths, 31 queries (slowest 1.2 s), about 20 s left"."""
        parts = [f"{self.done} of {self.of} {self.unit}" if self.of else f"{self.done} {self.unit}"]
        if self.waiting:
            parts.append(f"{self.waiting} waiting")
        if self.queries:
            parts.append(f"{self.queries} queries (slowest {self.slowest_seconds:.1f} s)")
        if self._asked is not None and (asking := monotonic() - self._asked) > TELL_SECONDS:
            parts.append(f"asking for {asking:.0f} s")
        left = self._left_seconds()
        if left is not None:
            parts.append(f"about {left:.0f} s left")
        return f"{self.what}: {', '.join(parts)}"

    def _left_seconds(self) -> float | None:
        spent = monotonic() - self._started
        if not self.of or not self.done or spent < ESTIMATE_SECONDS:
            return None
        return spent / self.done * (self.of - self.done)
