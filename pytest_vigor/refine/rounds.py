"""A function that works on a structure in a loop, and between two rounds leaves it valid: shown by induction.

What has happened when the loop begins anew is what would have happened if the function had been called in the state
that there is by then, but for registers that count. So one round is followed from any valid state and any count. If it
ends, or leads to such a state again from which there is less left to do, and to the same end, the function does what
its contract says after any number of rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_vigor import contract as c, term as t
from pytest_vigor.explore.vex_registers import FIRST_VECTOR, FLAG_SLOTS, slot_bits
from pytest_vigor.number import Number
from pytest_vigor.refine.library import NotShown, Unsettled, holding, unbroken
from pytest_vigor.refine.loops import in_a_row
from pytest_vigor.refine.machine import CallPath
from pytest_vigor.refine.refinement import Alternative, Refinement, alternatives
from pytest_vigor.term import Bool, Value

BEFORE = t.var("rounds before", 32)
Claims = list[tuple[str, Bool]]


class InRounds(Refinement):
    """The proof of one function, which returns how many rounds it made, at given sizes."""

    _so_far: Value = 0
    _bound: Mapping[str, Any]

    def _before(self) -> tuple[CallPath, list[Value], dict[str, Any]]:
        _, _, self._bound = before = super()._before()
        return before

    def _follow(self, path: CallPath, passed: list[Value], returns: Any) -> int:
        machine, function = self.library.machine, self.contract.name
        heads = in_a_row(self.library, function, 1)
        (head,) = heads
        returned, arrived = machine.until(machine.enter(path, passed), machine.binary.exports[function], heads)
        self._look_at(returned, returns)
        if len(arrived) != 1:
            raise NotShown(Unsettled(f"the loop of {function} begins in {len(arrived)} ways"))
        first = arrived[0]
        self._hold(first, self._same_elsewhere(path, first) + list(self._as_laid(path, first)))
        ended, again = machine.until(first.fork(), head, heads)
        if not again:  # there is never a second round
            self._look_at(ended, returns)
            return len(returned) + len(ended)
        unbroken(self.library, self._told)
        counting = self._counting(first, again)
        general = _general(first, counting)
        self._so_far = BEFORE
        ended, again = machine.until(general.fork(), head, heads)
        self._look_at(ended, returns)
        for each in again:
            try:
                self._hold(each, self._begins_anew(path, first, general, each, counting))
            except NotShown as found:  # it may be that more holds at the loop's beginning than is known
                raise NotShown(Unsettled(f"a round does not lead to another: {found.verdict}")) from found
        return len(returned) + len(ended) + len(again)

    def _look_at(self, returned: list[CallPath], returns: Any) -> None:
        unbroken(self.library, self._told)
        for end in returned:
            returns(end)

    def _hold(self, path: CallPath, claims: Claims) -> None:
        holding(self.library, path, [], claims, self._told)

    # ---- registers

    def _counting(self, first: CallPath, again: list[CallPath]) -> dict[int, int | None]:
        """What becomes of registers in a round, as far as one can see from a first one: by how much those change that
        hold a number, None for those of which nothing is said. All others are made of contents."""
        out: dict[int, int | None] = {}
        for slot, old in enumerate(first.registers.slots):
            new = [each.registers.slots[slot] for each in again]
            if all(each is old or (isinstance(old, int) and each == old) for each in new):
                continue
            if all(isinstance(each, int) and each <= t.mask(32) for each in (old, *new)):
                changes = {each - old for each in new}
                out[slot] = changes.pop() if len(changes) == 1 else None
            elif not self._is_as_anew(slot, first, again[0]):
                out[slot] = None
        return out

    def _is_as_anew(self, slot: int, first: CallPath, again: CallPath) -> bool:
        old = first.registers.slots[slot]
        if slot in FLAG_SLOTS or slot >= FIRST_VECTOR or isinstance(old, int) or old.undefined:
            return False
        claim = self._register(slot, first, again, self._contents(again))
        return claim is True or (claim is not False and not again.possible(t.lnot(claim)))

    def _register(self, slot: int, first: CallPath, again: CallPath, contents: Mapping[t.Term, Value]) -> Bool:
        """That a register is made of what memory holds now as it was of what memory held then."""
        expected = t.substitute(first.registers.slots[slot], contents.get, {})
        return t.eq(slot_bits(slot), again.registers.slots[slot], expected)

    # ---- memory

    def _contents(self, path: CallPath) -> dict[t.Term, Value]:
        """What is now in the place of each symbol."""
        out: dict[t.Term, Value] = {}
        for name, laid in self.laid.items():
            for each in laid.unknown:
                value = path.memory.load(each.address, each.size_bytes, path.where)
                bits = t.bit(t.ne(8 * each.size_bytes, value, 0)) if each.form else t.extract(
                    value, 8 * each.size_bytes, each.bits - 1, 0
                )  # fmt: skip
                assert each.form is None or each.bits == 1
                out[t.var(f"{name}+{each.address - laid.region.base}.{each.name}", each.bits)] = bits
        return out

    def _as_laid(self, start: CallPath, path: CallPath) -> Iterator[tuple[str, Bool]]:
        """That the contents of the structures are the symbols still."""
        for laid in self.laid.values():
            for each in laid.unknown:
                old, new = (at.memory.load(each.address, each.size_bytes, at.where) for at in (start, path))
                yield f"{each.name} is as it was before the first round", t.eq(8 * each.size_bytes, old, new)

    def _same_elsewhere(self, before: CallPath, after: CallPath) -> Claims:
        """That all but the structures is as it was: the stack too, as far as it is in use before."""
        claims = list(self._untouched(before, after))
        stack_pointer = before.registers.read("rsp")
        assert isinstance(stack_pointer, int)
        stack = before.memory.region_at(stack_pointer)
        assert stack is not None
        cells = after.memory.regions[after.memory.key_of(stack.base)].cells
        for offset, cell in stack.cells.items():
            if stack.base + offset >= stack_pointer and cells.get(offset) != cell:
                raise NotShown(Unsettled("a round changes what the function has on its stack"))
        if before.memory.regions.keys() != after.memory.regions.keys() or before.ghosts != after.ghosts:
            raise NotShown(Unsettled("a round changes more than memory"))
        return claims

    # ---- from round to round

    def _begins_anew(
        self, start: CallPath, first: CallPath, general: CallPath, again: CallPath, counting: Mapping[int, int | None]
    ) -> Claims:
        """That a path is where the first round began, one round further."""
        contents = self._contents(again)
        claims = [*self._still_valid(again), *self._same_elsewhere(general, again)]
        given = {condition.uid for condition in start.conditions() if isinstance(condition, t.Term)}
        for condition in first.conditions():
            if isinstance(condition, t.Term) and condition.uid not in given:
                claims.append(("there is another round to make", t.substitute(condition, contents.get, {})))
        for slot, old in enumerate(general.registers.slots):
            change = counting.get(slot, 0)
            if slot in counting and change is not None:
                expected = _counted(old, change)
                claims.append((f"register {slot} counts", t.eq(64, again.registers.slots[slot], expected)))
            elif slot not in counting:
                claims.append((f"register {slot} is as before", self._register(slot, first, again, contents)))
        return claims + self._leads_to_the_same(again)

    def _leads_to_the_same(self, again: CallPath) -> Claims:
        """That what the contract says of the state now is what it said of the one before, with one round less."""
        ((name, _),) = self.laid.items()
        old, new = self._bound, {**self._bound, name: self._state(again, name)}
        ways = [alternatives(again, self.contract, each, self.facts) for each in (old, new)]
        for each in self.facts.defined:
            again.hold(each)
        if any(len(each) != 1 or each[0].decided is not True for each in ways):
            raise NotShown(Unsettled("the contract goes several ways"))
        (then,), (now,) = ways
        counts = [c.result_bits(way.outcome.result, 32) for way in (then, now)]
        self.facts.concluding = True
        states = [way.outcome.changes[name] for way in (then, now)]
        claims: Claims = [
            ("what a round requires is there", t.implies(then.required, now.required)),
            ("there is one round less to make", t.eq(32, counts[0], t.add(32, counts[1], 1))),
            ("there are only so many rounds", t.ult(32, counts[1], t.mask(32))),
            ("the new state stays the same", states[0].same(states[1])),
        ]
        self.facts.concluding = False
        return claims

    def _claims(
        self, end: CallPath, way: Alternative, bound: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Iterator[tuple[str, Bool]]:
        total = t.add(32, c.result_bits(way.outcome.result, 32), self._so_far)
        assert isinstance(total, t.Term)
        outcome = c.Outcome(Number(way.outcome.result.run, total), **way.outcome.changes)
        counted = Alternative(way.decided, way.required, way.chosen, outcome)
        yield from super()._claims(end, counted, bound, new)


def _general(first: CallPath, counting: Mapping[int, int | None]) -> CallPath:
    """Where the loop begins, after any number of rounds."""
    general = first.fork()
    general.models = ()
    for slot, change in counting.items():
        old = general.registers.slots[slot]
        if change is None:
            general.registers.slots[slot] = t.undefined(f"register {slot} in a loop", slot_bits(slot))
        else:
            assert isinstance(old, int)
            general.registers.slots[slot] = _counted(old, t.scale(32, BEFORE, change))
    return general


def _counted(count: Value, more: Value) -> Value:
    """The sum in 32 bits, in a register."""
    return t.zext(t.add(32, t.extract(count, 64, 31, 0), more), 32, 64)
