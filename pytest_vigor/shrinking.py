"""A solver that holds a refutation, and takes on wishes as long as it stays one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.addresses import fresh
from pytest_vigor.layout import Type, padding, scalars
from pytest_vigor.notation import IPV4_BYTES, MAC_BYTES, kind_of
from pytest_vigor.smt import Sat, Solver, Unsat
from pytest_vigor.subject import Model, Subject
from pytest_vigor.term import Bool, Term, Value
from pytest_vigor.translation import factors
from pytest_vigor.witness import mended

CHECK_LIMIT = 2_000
RESOURCES = 10_000_000  #: for each question
FACTORS = (1, 10, 1_000, 1_000_000_000)
ADDRESS_BITS = {"mac": 8 * MAC_BYTES, "ipv4": 8 * IPV4_BYTES}


class Shrinking:
    """A refutation that gets plainer with each wish.

    Factors and divisors come first. With these chosen, everything is a sum, and further questions are easy.
    """

    def __init__(self, subject: Subject, model: Model, pinned: list[Bool]) -> None:
        self.subject, self.model = subject, model
        self.answer = model.answer
        self.checks = 0
        self._conditions = [*model.conditions, *pinned]
        self._given: list[Value] = []  #: what is an address now
        self._used: dict[str, list[int]] = {kind: [] for kind in ADDRESS_BITS}
        unknowns = factors(self._conditions)
        chosen = {leaf: int(self.answer.value(leaf)) for leaf in unknowns}
        begun = False
        for leaf in unknowns:
            begun = False
            for each in FACTORS:
                if self._begin(chosen | {leaf: each & t.mask(leaf.width)}):
                    chosen[leaf], begun = each & t.mask(leaf.width), True
                    break
        if not begun:
            self._begin(chosen)

    def _begin(self, chosen: Mapping[Term, int]) -> bool:
        """Starts over with these factors; whether it is still a refutation."""
        self._chosen = {leaf.uid: value for leaf, value in chosen.items()}
        self._memo: dict[int, Any] = {}
        self._asserted = 0
        self.solver = Solver(self.subject.solver.translator, RESOURCES)
        self.solver.add_all(t.eq(leaf.width, leaf, value) for leaf, value in chosen.items())
        for condition in self._conditions:
            self._add(condition)
        return self.learn()

    def _plain(self, condition: Bool) -> Bool:
        """A condition with what is chosen in its place."""
        return t.substitute(condition, lambda leaf: self._chosen.get(leaf.uid), self._memo)  # type: ignore[no-any-return]

    def _add(self, condition: Bool) -> None:
        self.solver.add(self._plain(condition))

    def learn(self) -> bool:
        """Takes on what has become known of the state; whether it is still a refutation."""
        known = self.model.facts.known
        while self._asserted < len(known):
            self._add(known[self._asserted])
            self._asserted += 1
        answer = self.solver.check()
        if isinstance(answer, Sat):
            self.answer = answer
            return True
        return False

    def leaves(self) -> dict[int, Term]:
        """All that what is asked depends on, be it by way of what is known, and what was given an address."""
        out: dict[int, Term] = {}
        for each in (*self.model.conditions, *self.model.facts.known, *self._given):
            t.leaves(each, out)
        return out

    def matter(self, asked: Mapping[int, Term]) -> dict[int, Term]:
        """Those of some unknowns on which it still depends with everything else as it is in the answer."""

        def held(leaf: Term) -> Any:
            return None if leaf.uid in asked else self.answer.value(leaf)

        left: dict[int, Term] = {}
        memo: dict[int, Any] = {}
        for condition in (*self.model.conditions, *self.model.facts.known):
            t.leaves(t.substitute(condition, held, memo), left)
        return {uid: leaf for uid, leaf in asked.items() if uid in left}

    # ---- wishes

    def wish(self, condition: Bool) -> bool:
        """Adds a condition if the refutation stands with it."""
        if condition is True or (condition is not False and self.answer.value(condition) is True):
            self._add(condition)
            return True
        if condition is False or self.checks >= CHECK_LIMIT:
            return False
        self.checks += 1
        plain = self._plain(condition)
        answer = self._like_this_one(plain) or self.solver.check(plain)
        if isinstance(answer, Sat):
            self._add(condition)
            self.answer = answer
            return True
        return False

    def _like_this_one(self, condition: Bool) -> Sat | None:
        """A refutation with which a wish comes true and that is like the one that there is, if it is about sums: any
        other would be hard to find."""
        asked = [*self.solver.conditions, condition]
        if not any(map(self.solver.translator.products, asked)):
            return None
        return next(filter(None, mended(self.solver, self.answer, asked)), None)

    def _settled(self, value: Value, width: int) -> bool:
        """Whether a value can only be what it is."""
        if self.checks >= CHECK_LIMIT:
            return False
        self.checks += 1
        held = self.answer.value(value)
        if not isinstance(self.solver.check(self._plain(t.ne(width, value, held))), Unsat):
            return False
        self._add(t.eq(width, value, held))
        return True

    def small(self, value: Value, width: int, preferred: tuple[int, ...] = (0, 1)) -> None:
        """Wishes for the first of some values that will do, or else for the least."""
        if any(self.wish(t.eq(width, value, each & t.mask(width))) for each in preferred):
            return
        if not self._settled(value, width):
            self._clear(value, width, width - 1, 0)

    def _clear(self, value: Value, width: int, high: int, low: int) -> None:
        """Wishes for bits that are zero, the upper ones first: what is left does not depend on where one started."""
        if self.wish(t.eq(high - low + 1, t.extract(value, width, high, low), 0)) or high == low:
            return
        middle = (high + low) // 2
        self._clear(value, width, high, middle + 1)
        self._clear(value, width, middle, low)

    def address(self, value: Value, kind: str) -> bool:
        """Wishes for an address, as its big-endian number, that means nobody, and that stands nowhere else: addresses
        are equal where they have to be. Whether there is one."""
        width, used = ADDRESS_BITS[kind], self._used[kind]
        own, *others = fresh(kind, len(used))
        # What is settled is another one, or what a standard says.
        if not (
            self.wish(t.eq(width, value, own))
            or self._settled(value, width)
            or any(self.wish(t.eq(width, value, each)) for each in (*used, *others))
        ):
            return False
        held = self.answer.value(value)
        if held in (own, *others):
            used.append(held)
        self._given.append(value)
        return True

    def data(self, value: Value, width: int, of: Type | None) -> None:
        """Wishes for small numbers in C data, and for addresses where it has some."""
        leaves = () if of is None else scalars(of)
        if not any(kind_of(leaf.type) in ADDRESS_BITS for leaf in leaves):
            self.small(value, width)
            return
        others = [(8 * start, 8 * end) for start, end in padding(of)] if of is not None else []
        for leaf in leaves:
            kind, low = kind_of(leaf.type), 8 * leaf.offset
            part = t.extract(value, width, low + 8 * leaf.type.size_bytes - 1, low)
            if kind not in ADDRESS_BITS or not self.address(turned(part, leaf.type.size_bytes), kind):
                others.append((low, low + 8 * leaf.type.size_bytes))
        parts = [(t.extract(value, width, high - 1, low), high - low) for low, high in others]
        if not self.wish(t.land(*(t.eq(bits, part, 0) for part, bits in parts))):
            for part, bits in parts:
                self.small(part, bits)


def turned(value: Value, size_bytes: int) -> Value:
    """A number in memory, given as a little-endian one, as a big-endian one."""
    return t.concat(list(_bytes(value, size_bytes)))


def _bytes(value: Value, size_bytes: int) -> Iterator[tuple[int, Value]]:
    for k in range(size_bytes):
        yield 8, t.extract(value, 8 * size_bytes, 8 * k + 7, 8 * k)
