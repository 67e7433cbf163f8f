"""Memory of a known shape. An index that is not known splits the path into one for each value that it can have, or is
one of an array that the solver knows as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pytest_vigor import term as t
from pytest_vigor.explore import memory
from pytest_vigor.explore.memory import Memory, Stop, independent
from pytest_vigor.refine.array import Array
from pytest_vigor.smt import Answer, Sat
from pytest_vigor.term import Bool, Term, Value

ARGUMENT = "argument "  #: how the names of symbols begin that are passed to a function
SEES_THROUGH = frozenset({"add", "zext", "sext", "shl", "concat", "ite", "band", "bor", "bxor"})


class Case(Exception):
    """What comes next depends on a condition: the path has to be split."""

    def __init__(self, condition: Term) -> None:
        super().__init__(t.show(condition))
        self.condition = condition


class Asker(memory.Asker, Protocol):
    """The path that memory belongs to."""

    def ask(self, *conditions: Bool) -> Answer:
        """Whether conditions can hold on it."""

    def decided(self, condition: Bool) -> bool | None:
        """What is known of a condition on it."""

    def hold(self, condition: Bool) -> None:
        """A condition holds on it from here on."""


class SplitMemory(Memory):
    """Memory in which an index that is not known splits the path, except where one that was read from memory, from a
    member of one of these names, leads into the ranges of addresses ``by_value``: there it chooses among all places
    that there are."""

    by_value: tuple[tuple[int, int, tuple[str, ...]], ...] = ()
    arrays: Mapping[int, Array] = {}  #: the regions that are arrays, by key; never changed, but replaced
    asker: Asker

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
        answer = self.asker.ask()
        if not isinstance(answer, Sat):
            raise Stop(f"an index of which nothing is known: {t.show(leaf)}")
        condition = t.eq(leaf.width, leaf, int(answer.seen(leaf)))
        assert isinstance(condition, Term)
        return condition


def _is_content(leaf: Term, members: tuple[str, ...]) -> bool:
    return leaf.op == "var" and not leaf.data.startswith(ARGUMENT) and leaf.data.rpartition(".")[2] in members


def settle(value: Value, path: Asker) -> Value:
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
