"""From a model to a situation that one can set up: small numbers, few entries, every entry of the state known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.index_pool import Pool
from pytest_vigor.ghost.map import VALUE_BITS, Map
from pytest_vigor.ghost.vector import Vector
from pytest_vigor.judge import Model, Subject
from pytest_vigor.layout import Struct
from pytest_vigor.property.checksums import REST
from pytest_vigor.smt import Sat, Solver, factors
from pytest_vigor.symbols import struct_bits
from pytest_vigor.term import Bool, Term, Value

SMALL_CAPACITY = 64
DUMMIES = 4
FEW_SLOTS = (1, 2, 10, 50, 100, 1_000)
CHECK_LIMIT = 2_000
RESOURCES = 10_000_000  #: for each question
FACTORS = (1, 10, 1_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Concrete:
    """A refutation with plain numbers: what :mod:`replay` needs, by name."""

    entry: str
    config: bytes
    device_count: int
    state: dict[str, Any] | None
    scalars: dict[str, int]
    steps: tuple[tuple[int, bytes, int], ...]  #: device, packet and time of each step
    argument: bytes | None
    complete: bool  #: whether the state is known entry by entry
    answer: Sat  #: what all of this was read from


class _Shrinking:
    """A solver that holds a refutation, and takes on wishes as long as it stays one.

    Factors and divisors come first. With these chosen, everything is a sum, and further questions are easy.
    """

    def __init__(self, subject: Subject, model: Model, pinned: list[Bool]) -> None:
        self.subject, self.model = subject, model
        self.answer = model.answer
        self.checks = 0
        self._conditions = [*model.conditions, *pinned]
        unknowns = factors(self._conditions)
        chosen = {leaf: int(self.answer.value(leaf)) for leaf in unknowns}
        self._begin(chosen)
        self.learn()
        for leaf in unknowns:
            for each in FACTORS:
                self._begin(chosen | {leaf: each & t.mask(leaf.width)})
                if self.learn():
                    chosen[leaf] = each & t.mask(leaf.width)
                    break
        if chosen:
            self._begin(chosen)
            self.learn()

    def _begin(self, chosen: dict[Term, int]) -> None:
        self._chosen = {leaf.uid: value for leaf, value in chosen.items()}
        self._memo: dict[int, Any] = {}
        self._asserted = 0
        self.solver = Solver(self.subject.solver.translator, RESOURCES)
        self.solver.add_all(t.eq(leaf.width, leaf, value) for leaf, value in chosen.items())
        for condition in self._conditions:
            self._add(condition)

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

    def wish(self, condition: Bool) -> bool:
        """Adds a condition if the refutation stands with it."""
        if condition is True or (condition is not False and self.answer.value(condition) is True):
            self._add(condition)
            return True
        if self.checks >= CHECK_LIMIT:
            return False
        self.checks += 1
        answer = self.solver.check(self._plain(condition))
        if isinstance(answer, Sat):
            self._add(condition)
            self.answer = answer
            return True
        return False

    def small(self, value: Value, width: int, preferred: tuple[int, ...] = (0, 1)) -> None:
        """Wishes for the first of some values that will do, or else for the least."""
        if not any(self.wish(t.eq(width, value, each & t.mask(width))) for each in preferred):
            self._clear(value, width, width - 1, 0)

    def _clear(self, value: Value, width: int, high: int, low: int) -> None:
        """Wishes for bits that are zero, the upper ones first: what is left does not depend on where one started."""
        if self.wish(t.eq(high - low + 1, t.extract(value, width, high, low), 0)) or high == low:
            return
        middle = (high + low) // 2
        self._clear(value, width, high, middle + 1)
        self._clear(value, width, middle, low)


def concretise(subject: Subject, model: Model, pinned: list[Bool] | None = None) -> Concrete | None:
    """The smallest situation found that still refutes; None where ``pinned`` rules all of them out."""
    shrinking = _Shrinking(subject, model, pinned or [])
    if pinned and not shrinking.learn():
        return None
    behaviour = subject.behaviour
    for leaf in _plain_leaves(model):
        if REST in str(leaf.data):  # what nobody looked at one by one is zero in the packet
            shrinking.wish(t.eq(leaf.width, leaf, 0))
    shrinking.small(t.var(b.DEVICE_COUNT, 16), 16, (2, 3, 4, 8))
    old = model.steps[0].old if model.entry != "nf_init" else {}
    # How many entries a map needs decides its capacity, and the capacity of the others how many they have.
    complete = all(_spread(shrinking, each) for each in old.values() if isinstance(each, Map))
    for capacity in {id(c): c for s in behaviour.structures for n, c in s.parameters if n == "capacity"}.values():
        shrinking.small(capacity, 32, (1, 2, 3, 4, 8))
    _leave_no_choice(shrinking, model)
    for instance in model.steps if model.entry == "nf_process" else ():
        shrinking.small(instance.inputs.length, 16, (60, 14, 0, 34, 42, 54))
        shrinking.small(instance.inputs.device, 16, (0, 1, 2))
    complete &= all(_spread(shrinking, each) for each in old.values() if not isinstance(each, Map))
    for leaf in sorted(_plain_leaves(model), key=lambda leaf: _place(shrinking.answer, leaf)):
        shrinking.small(leaf, leaf.width)
    for instance in model.steps if model.entry == "nf_process" else ():
        now = t.extract(instance.inputs.now, 64, b.TIME_BITS - 1, 0)
        shrinking.small(now, b.TIME_BITS, (0, 1, 2, 1_000_000_000))
    for each in old.values():
        for value, bits in _shown(shrinking, each):
            shrinking.small(value, bits)
    if model.entry != "nf_init":
        for scalar in behaviour.scalars:
            shrinking.small(t.var(f"state.{scalar.name}", scalar.bits), scalar.bits)
    answer = shrinking.answer
    header = subject.header
    steps: tuple[tuple[int, bytes, int], ...] = ()
    if model.entry == "nf_process":
        steps = tuple(_step(answer, model, each.inputs) for each in model.steps)
    argument = None
    if model.entry not in ("nf_process", "nf_init"):
        declared = next(each.argument for each in header.entries if each.name == model.entry)
        argument = _bytes(answer, struct_bits(declared, "argument"), declared) if declared is not None else None
    return Concrete(
        model.entry,
        _bytes(answer, struct_bits(header.config, "config"), header.config),
        int(answer.value(t.var(b.DEVICE_COUNT, 16))),
        {
            name: _entries(answer, each, model, complete)
            for name, each in old.items() if not isinstance(each, ConsistentHash)  # nothing can be put into one
        } if old else None,
        {each.name: int(answer.value(t.var(f"state.{each.name}", each.bits))) for each in behaviour.scalars}
        if model.entry != "nf_init" else {},
        steps, argument, complete, answer,
    )  # fmt: skip


def _bytes(answer: Sat, bits: Value, struct: Struct) -> bytes:
    return int(answer.value(bits)).to_bytes(struct.size_bytes, "little")


def _leaves(model: Model) -> dict[int, Term]:
    """All that what is asked depends on, be it by way of what is known."""
    out: dict[int, Term] = {}
    for condition in (*model.conditions, *model.facts.known):
        t.leaves(condition, out)
    return out


def _plain_leaves(model: Model) -> Iterator[Term]:
    """The bytes of packets that matter, then other inputs: all that one would like to be zero."""
    for leaf in _leaves(model).values():
        named = str(leaf.data) if leaf.op == "var" else ""
        if leaf.width and ((leaf.op == "app" and str(leaf.data[0]).endswith(b.PACKET)) or named.startswith("config.")
                           or "argument." in named or REST in named):  # fmt: skip
            yield leaf


def _place(answer: Sat, leaf: Term) -> tuple[str, int]:
    return str(leaf.data), int(answer.value(leaf.args[0])) if leaf.args else 0


def _shown(shrinking: _Shrinking, state: Any) -> Iterator[tuple[Value, int]]:
    """The numbers of a structure's entries, with their bits."""
    answer, facts = shrinking.answer, shrinking.model.facts
    match state:
        case Pool():
            flows = state.flows
            for index in range(min(int(answer.value(flows.capacity)), SMALL_CAPACITY)):
                if shrinking.answer.value(flows.used(index)):
                    yield flows.age(index), 64
                    if flows.key_bits:
                        yield flows.key(index), flows.key_bits
        case Map():
            for key in facts.touched(state.items.name):
                if shrinking.answer.value(state.items.has(key)):
                    yield key, state.items.key_bits
                    yield state.items.value(key), VALUE_BITS
        case Vector():
            for index in range(min(int(answer.value(state.records.capacity)), SMALL_CAPACITY)):
                yield state.records.at(index), state.records.record_bits


def _spread(shrinking: _Shrinking, state: Any) -> bool:
    """Makes every entry of a structure a part of the model; whether that was possible."""
    facts = shrinking.model.facts
    match state:
        case Pool() | Vector():
            layers = state.flows if isinstance(state, Pool) else state.records
            capacity = int(shrinking.answer.value(layers.capacity))
            if capacity > SMALL_CAPACITY:
                return False
            shrinking.wish(t.eq(32, layers.capacity, capacity))
            for index in range(capacity):
                facts.touch(layers.name, index)
            return shrinking.learn()
        case Map():
            items = state.items
            # An entry that is not needed would be one more to set up.
            touched = [key for key in facts.touched(items.name) if not shrinking.wish(t.lnot(items.has(key)))]
            for extra in range(DUMMIES + 1):
                keys = [*touched, *map(state.spare, range(extra))]
                for key in keys[len(touched):]:
                    facts.touch(items.name, key)
                if not shrinking.learn():
                    return False
                total: Value = 0
                for number, key in enumerate(keys):
                    fresh = t.land(items.has(key), *(t.ne(items.key_bits, key, k) for k in keys[:number]))
                    total = t.add(32, total, t.bit(fresh, 32))
                if shrinking.wish(t.eq(32, total, items.size())):
                    return True
            return False
        case ConsistentHash():
            shrinking.small(state.slots, 32, FEW_SLOTS)
    return True


def _leave_no_choice(shrinking: _Shrinking, model: Model) -> None:
    """Wishes that tables from which libVig takes a free index have no other one: then it takes the one of the model."""
    chosen = {str(leaf.data) for leaf in _leaves(model).values() if leaf.op == "var"}
    for instance in model.steps:
        for called, arguments, _ in instance.calls:
            if not any(f"{instance.tag}{called.symbol}.{name}" in chosen for name, _, _ in called.results):
                continue
            for pool in (instance.new.get(name) for name in arguments.values() if isinstance(name, str)):
                if isinstance(pool, Pool) and (capacity := int(shrinking.answer.value(pool.flows.capacity))) <= 8:
                    full = t.land(t.eq(32, pool.flows.capacity, capacity), *map(pool.flows.used, range(capacity)))
                    if shrinking.learn():
                        shrinking.wish(full)


def _entries(answer: Sat, state: Any, model: Model, complete: bool) -> dict[int, Any]:
    """The entries of a structure under the model: index to (key, age), key to value, or index to record."""
    match state:
        case Pool():
            flows = state.flows
            capacity = int(answer.value(flows.capacity))
            indices = range(capacity) if capacity <= SMALL_CAPACITY else {
                int(answer.value(i)) for i in model.facts.touched(flows.name)
            }  # fmt: skip
            return {
                index: (int(answer.value(flows.key(index))) if flows.key_bits else 0, _signed(answer, flows.age(index)))
                for index in indices if index < capacity and answer.value(flows.used(index))
            }  # fmt: skip
        case Map():
            items = state.items
            keys = {int(answer.value(key)) for key in model.facts.touched(items.name)}
            return {key: int(answer.value(items.value(key))) for key in sorted(keys) if answer.value(items.has(key))}
        case Vector():
            records = state.records
            capacity = int(answer.value(records.capacity))
            indices = range(capacity) if capacity <= SMALL_CAPACITY else {
                int(answer.value(i)) for i in model.facts.touched(records.name)
            }  # fmt: skip
            found = {index: int(answer.value(records.at(index))) for index in indices if index < capacity}
            return {index: bits for index, bits in found.items() if bits}
    raise TypeError(f"no entries of {state!r}")


def _signed(answer: Sat, age: Value) -> int:
    return t.signed(int(answer.value(age)), 64)


def _step(answer: Sat, model: Model, inputs: Any) -> tuple[int, bytes, int]:
    length = int(answer.value(inputs.length))
    offsets = {
        int(answer.value(leaf.args[0])) for leaf in _leaves(model).values()
        if leaf.op == "app" and leaf.data[0] == inputs.frame.symbol
    }  # fmt: skip
    if inputs.frame.writes:
        content = bytes(int(answer.value(inputs.frame.byte(k))) for k in range(length))
    else:
        content = bytes(int(answer.value(inputs.frame.byte(k))) if k in offsets else 0 for k in range(length))
    return int(answer.value(inputs.device)), content, int(answer.value(inputs.now))


def same_choices(model: Model, run: Sequence[Sequence[Mapping[str, int]]]) -> list[Bool]:
    """That what the model's steps let libVig choose is what it chose in the calls of each step of a native run."""
    out: list[Bool] = []
    for instance, calls in zip(model.steps, run, strict=False):
        for (called, _, _), outs in zip(instance.calls, calls, strict=False):
            for name, value in outs.items():
                for result, _, bits in called.results:
                    if result == name:
                        chosen = t.var(f"{instance.tag}{called.symbol}.{name}", bits)
                        out.append(t.eq(bits, chosen, value & t.mask(bits)))
    return out
