"""What holds between steps: guessed freely from templates, believed only where shown initial and inductive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from pytest_vigor import behaviour as b, term as t
from pytest_vigor.ahead import Shared
from pytest_vigor.behaviour import Behaviour, Called, Path
from pytest_vigor.contract import Contracts
from pytest_vigor.equalities import Settled
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.headers import Header
from pytest_vigor.instance import (
    TIME,
    base_scalars,
    base_states,
    identity,
    init_instance,
    input_conditions,
    instantiate,
)
from pytest_vigor.layout import Integer, Scalar, Struct, scalars
from pytest_vigor.smt import Sat, Solver, Unsat
from pytest_vigor.term import Bool, Term, Value

States = Mapping[str, Any]
#: Whether a candidate holds of some states at an index, key or (for plain numbers) at all.
Claim = Callable[[States, Mapping[str, Value], Value, Value], Bool]
CONSTANT_LIMIT = 8
CEILING_LIMIT = 4


@dataclass(frozen=True, slots=True)
class Invariant:
    """``text`` says it for people. ``claim(states, scalars, time, at)`` says it at one index or key of ``structure``
    (None: of the NF's numbers). ``weaker`` is what to try where it is not inductive."""

    text: str
    structure: str | None
    width: int
    claim: Claim
    weaker: Invariant | None = None

    def variants(self) -> Iterator[Invariant]:
        """The guess and all that it weakens to."""
        each: Invariant | None = self
        while each is not None:
            yield each
            each = each.weaker


def candidates(behaviour: Behaviour, header: Header) -> Iterator[Invariant]:
    """Guesses over the structures' ages, the fields of their records, and the NF's own numbers."""
    constants, ceilings = _constants(behaviour), _ceilings(behaviour)
    types = {each.name: each.record or each.key for each in header.state_objects}
    limits = {b.DEVICE_COUNT: (t.var(b.DEVICE_COUNT, 16), 16)}
    capacities = [value for each in behaviour.structures for name, value in each.parameters if name == "capacity"]
    for leaf in scalars(header.config):
        if isinstance(leaf.type, Integer) and not leaf.type.boolean and not leaf.type.signed:
            limit = t.var(f"config.{leaf.path}", 8 * leaf.type.size_bytes)
            if not any(limit is capacity for capacity in capacities):  # of indices, more is said below
                limits[f"config.{leaf.path}"] = limit, 8 * leaf.type.size_bytes
    by_capacity = {each.name: dict(each.parameters).get("capacity") for each in behaviour.structures}
    pools = [each.name for each in behaviour.structures if each.kind in ("flow_table", "index_pool")]
    for each in behaviour.structures:
        name = each.name
        if each.kind in ("flow_table", "index_pool"):
            yield _ages(name)
        if each.kind == "flow_table" and isinstance(types.get(name), Struct):
            key = types[name]
            assert isinstance(key, Struct)
            for leaf in scalars(key):
                if isinstance(leaf.type, Integer):
                    yield from _key_field(name, leaf, key, limits)
        elif each.kind == "vector" and isinstance(types.get(name), Struct):
            record = types[name]
            assert isinstance(record, Struct)
            partners = [pool for pool in pools if by_capacity[pool] is by_capacity[name]]
            for leaf in scalars(record):
                if isinstance(leaf.type, Integer):
                    yield from _field(name, leaf.path, leaf.offset, leaf.type, record, limits, ceilings, partners)
        elif each.kind in ("map", "lpm"):
            yield from _values(name, limits, constants, pools)
    for scalar in behaviour.scalars:
        yield from _scalar(scalar.name, scalar.bits, limits)


def _ages(name: str) -> Invariant:
    def claim(states: States, _: Mapping[str, Value], time: Value, at: Value) -> Bool:
        flows = states[name].flows
        return t.implies(flows.used(at), t.sle(64, flows.age(at), time))

    return Invariant(f"no age in {name} lies after the latest step", name, 32, claim)


def _field(
    name: str, path: str, offset: int, of: Integer, record: Struct, limits: Mapping[str, tuple[Term, int]],
    ceilings: list[Term], partners: list[str],
) -> Iterator[Invariant]:  # fmt: skip
    bits = 8 * of.size_bytes

    def value(states: States, at: Value) -> Value:
        whole = states[name].records.at(at)
        return t.extract(whole, 8 * record.size_bytes, 8 * offset + bits - 1, 8 * offset)

    def variants(text: str, holds: Callable[[Value, Value], Bool]) -> Invariant:
        """The claim for every record; failing that, for those whose index is used."""

        def always(states: States, _: Mapping[str, Value], time: Value, at: Value) -> Bool:
            capacity = states[name].records.capacity
            return t.implies(t.ult(32, at, capacity), holds(value(states, at), time))

        weaker = None
        for partner in partners:

            def used(states: States, _: Mapping[str, Value], time: Value, at: Value, partner: str = partner) -> Bool:
                return t.implies(states[partner].flows.used(at), holds(value(states, at), time))

            weaker = Invariant(f"{text} where the index is used in {partner}", name, 32, used, weaker)
        return Invariant(text, name, 32, always, weaker)

    where = f"{path} in {name}"
    if of.big_endian or of.boolean:
        return
    if of.signed and bits == 64:
        yield variants(
            f"0 <= {where} <= the time of the latest step",
            lambda v, time: t.land(t.sle(64, 0, v), t.sle(64, v, time)),
        )
    if not of.signed:
        for text, (limit, width) in limits.items():
            yield variants(f"{where} < {text}", _below(bits, limit, width))
            if width == bits and text != b.DEVICE_COUNT:
                yield variants(f"{where} is not {text}", _differs(bits, limit))
        for ceiling in ceilings:
            if ceiling.width == bits:
                text = re.sub(r"zext\d+\(([\w.]+)\)", r"\1", t.show(ceiling)).strip("()")
                yield variants(f"{where} <= {text}", lambda v, _, most=ceiling: t.ule(bits, v, most))  # type: ignore[misc]


def _key_field(
    name: str, leaf: Scalar, key: Struct, limits: Mapping[str, tuple[Term, int]]
) -> Iterator[Invariant]:
    assert isinstance(leaf.type, Integer)
    if leaf.type.big_endian or leaf.type.boolean or leaf.type.signed:
        return
    bits, low = 8 * leaf.type.size_bytes, 8 * leaf.offset

    def claimed(text: str, holds: Callable[[Value, Value], Bool]) -> Invariant:
        def claim(states: States, _: Mapping[str, Value], time: Value, at: Value) -> Bool:
            flows = states[name].flows
            value = t.extract(flows.key(at), 8 * key.size_bytes, low + bits - 1, low)
            return t.implies(flows.used(at), holds(value, time))

        return Invariant(text, name, 32, claim)

    for text, (limit, width) in limits.items():
        yield claimed(f"{leaf.path} of every key in {name} < {text}", _below(bits, limit, width))
        if width == bits and text != b.DEVICE_COUNT:
            yield claimed(f"{leaf.path} of no key in {name} is {text}", _differs(bits, limit))


def _differs(bits: int, limit: Term) -> Callable[[Value, Value], Bool]:
    return lambda v, _: t.ne(bits, v, limit)


def _below(bits: int, limit: Value, width: int) -> Callable[[Value, Value], Bool]:
    wide = max(bits, width)
    return lambda v, _: t.ult(wide, t.zext(v, bits, wide), t.zext(limit, width, wide))


def _values(
    name: str, limits: Mapping[str, tuple[Term, int]], constants: list[int], pools: list[str]
) -> Iterator[Invariant]:
    def guarded(text: str, holds: Callable[[States, Value], Bool], weaker: Invariant | None) -> Invariant:
        def claim(states: States, _: Mapping[str, Value], time: Value, at: Value) -> Bool:
            items = states[name].items
            return t.implies(items.has(at), holds(states, items.value(at)))

        return Invariant(text, name, 0, claim, weaker)

    # Without this much, a value that is too large could be taken for NF_DROP or NF_FLOOD.
    narrow = guarded(f"every value in {name} has 16 bits", lambda _, v: t.ult(32, v, 1 << 16), None)
    for text, (limit, width) in limits.items():
        below = _below(32, limit, width)
        weaker = narrow if text == b.DEVICE_COUNT else None
        for constant in reversed(constants):
            weaker = guarded(
                f"every value in {name} is < {text} or {constant}",
                lambda _, v, below=below, c=constant: t.lor(below(v, 0), t.eq(32, v, c)),  # type: ignore[misc]
                weaker,
            )
        yield guarded(f"every value in {name} is < {text}", lambda _, v, below=below: below(v, 0), weaker)  # type: ignore[misc]
    for pool in pools:
        yield guarded(
            f"every value in {name} is a used index of {pool}",
            lambda states, v, pool=pool: states[pool].flows.used(v),  # type: ignore[misc]
            None,
        )


def _scalar(name: str, bits: int, limits: Mapping[str, tuple[Term, int]]) -> Iterator[Invariant]:
    if bits == 64:

        def timely(_: States, numbers: Mapping[str, Value], time: Value, at: Value) -> Bool:
            return t.land(t.sle(64, 0, numbers[name]), t.sle(64, numbers[name], time))

        yield Invariant(f"0 <= {name} <= the time of the latest step", None, 0, timely)
    for text, (limit, width) in limits.items():
        below = _below(bits, limit, width)

        def claim(_: States, numbers: Mapping[str, Value], time: Value, at: Value, below: Any = below) -> Bool:
            return below(numbers[name], 0)  # type: ignore[no-any-return]

        yield Invariant(f"{name} < {text}", None, 0, claim)


def _constants(behaviour: Behaviour) -> list[int]:
    """Numbers that the results of calls are compared with: values with a meaning of their own."""
    found: dict[int, None] = {}
    for term in _decisive(behaviour):
        if term.op == "eq" and isinstance(term.args[1], int) and 1 < term.args[1] < 1 << 32:
            names = [str(leaf.data) for leaf in t.leaves(term.args[0]).values()]
            found |= dict.fromkeys(term.args[1:] if any(n.startswith(("call", "argument.")) for n in names) else ())
    return list(found)[:CONSTANT_LIMIT]


def _ceilings(behaviour: Behaviour) -> list[Term]:
    """Numbers computed from the configuration alone that others are compared with: limits, likely."""
    found: dict[Term, None] = {}
    for term in _decisive(behaviour):
        if term.op in ("ult", "ule"):
            found |= dict.fromkeys(each for each in term.args if isinstance(each, Term) and _configured(each))
    return list(found)[:CEILING_LIMIT]


def _configured(term: Term) -> bool:
    """Whether a term is computed from the configuration, and not merely a field of it."""
    leaves = t.leaves(term).values()
    return term.op not in ("var", "zext", "ite") and all(str(leaf.data).startswith("config.") for leaf in leaves)


def _decisive(behaviour: Behaviour) -> Iterator[Term]:
    """Everything that conditions on paths, and what is passed to the library, are made of, each once."""
    seen: set[int] = set()
    for paths in behaviour.paths.values():
        for path in paths:
            for event in path.events():
                stack: list[Any] = [event.arguments if isinstance(event, Called) else event.condition]
                while stack:
                    term = stack.pop()
                    if isinstance(term, tuple):
                        stack.extend(term)
                    elif isinstance(term, Term) and term.uid not in seen:
                        seen.add(term.uid)
                        yield term
                        stack.extend(term.args)


# ---- believing


def install(invariants: list[Invariant], facts: Facts, states: States, numbers: Mapping[str, Value]) -> None:
    """Makes invariants known of a base state."""
    for each in invariants:
        if each.structure is None:
            facts.fact(each.claim(states, numbers, TIME, 0))
        else:
            facts.universal(each.structure, lambda at, each=each: each.claim(states, numbers, TIME, at))  # type: ignore[misc]


@dataclass(slots=True)
class Prover:
    """Checks candidates over a Behaviour."""

    behaviour: Behaviour
    contracts: Contracts
    accepted: Bool
    solver: Solver
    idle: Callable[[], int] = lambda: 0  #: how many other processors have nothing to do

    def invariants(self, guesses: Iterator[Invariant]) -> list[Invariant]:
        """Those guesses (or what they weaken to) that hold initially and that every step preserves together."""
        current = [found for guess in guesses if (found := self._initial(guess)) is not None]
        for round_ in count(1):
            failed = self._not_preserved(current)
            if not failed:
                break
            self.solver.statistics.work.at(round_, len(current) - len(failed))
            following = []
            for each in current:
                if id(each) in failed:
                    weaker = each.weaker and self._initial(each.weaker)
                    if weaker is not None:
                        following.append(weaker)
                else:
                    following.append(each)
            current = following
        return current

    def _initial(self, guess: Invariant) -> Invariant | None:
        """The guess, or the first of what it weakens to, that holds of what nf_init leaves."""
        for path in self.behaviour.accepted:
            facts = Facts()
            instance = init_instance(path, self.contracts, facts)
            numbers = dict(base_scalars(self.behaviour)) | _initial_scalars(path)
            if self._refuted([guess], instance.new, numbers, TIME, facts, instance.conditions):
                return self._initial(guess.weaker) if guess.weaker is not None else None
        return guess

    def _refuted(
        self, guesses: list[Invariant], states: States, numbers: Mapping[str, Value], time: Value, facts: Facts,
        conditions: Sequence[Bool],
    ) -> list[Invariant]:  # fmt: skip
        """Those guesses that are not shown to hold of some states. A model in which one fails mostly fails others."""
        claims: list[tuple[Invariant, Bool]] = []
        for each in guesses:
            width = each.width
            if each.structure is not None and width == 0:
                width = states[each.structure].key_bits
            at: Value = t.var(f"anywhere.{width}", width) if width else 0
            if each.structure is not None:
                facts.touch(each.structure, at)
            claims.append((each, each.claim(states, numbers, time, at)))
        refuted = []
        model: Sat | None = None
        known = [self.accepted, *conditions, *facts.known]
        left = _unsettled(claims, known)
        self.solver.push()
        self.solver.add_all(known if left else [])
        for each, claim in left:
            if model is None or model.holds(claim):
                answer = self.solver.check(t.lnot(claim))
                if isinstance(answer, Unsat):
                    continue
                model = answer if isinstance(answer, Sat) else model
            refuted.append(each)
        self.solver.pop()
        return refuted

    def _not_preserved(self, current: list[Invariant]) -> set[int]:
        failed: set[int] = set()
        seen: set[Any] = set()
        steps = [
            (path, entry) for entry, paths in self.behaviour.paths.items() if entry != "nf_init"
            for path in paths if path.ending == "returned"
        ]  # fmt: skip

        def elsewhere(path: Path, entry: str) -> bytes:
            self._step(path, entry, current, failed, seen)
            return bytes(id(each) in failed for each in current)

        jobs = [partial(elsewhere, *step) for step in steps]
        with closing(Shared(jobs, len(current), self.idle)) as shared:
            for place, (path, entry) in enumerate(steps):
                found = shared.found(place, self.solver.statistics.work.check)
                if found is None:
                    self._step(path, entry, current, failed, seen)
                else:
                    failed.update(id(each) for each, has_failed in zip(current, found, strict=True) if has_failed)
        return failed

    def _step(
        self, path: Path, entry: str, current: list[Invariant], failed: set[int], seen: set[Any]
    ) -> None:
        facts = Facts()
        old, numbers = base_states(self.behaviour, facts), base_scalars(self.behaviour)
        instance = instantiate(path, self.contracts, facts, old, numbers)
        if not path.scalars and all(identity(instance.new[n]) == identity(instance.old[n]) for n in instance.old):
            return  # only time has passed, which every template allows
        # What happens after the last change does not matter: without it, fewer things are known, and many paths alike.
        conditions = instance.conditions if path.scalars else instance.conditions[: instance.settled]
        key = (entry, tuple(identity(each) for each in instance.new.values()), path.scalars,
               tuple(c if isinstance(c, bool) else c.uid for c in conditions))  # fmt: skip
        if key in seen:
            return
        seen.add(key)
        install(current, facts, old, numbers)
        inputs = input_conditions(instance.inputs, TIME)
        after = instance.inputs.now if entry == "nf_process" else TIME
        left = [each for each in current if id(each) not in failed]
        refuted = self._refuted(
            left, instance.new, instance.new_scalars, after, facts, [*inputs, *conditions]
        )
        failed.update(id(each) for each in refuted)


def _unsettled(claims: list[tuple[Invariant, Bool]], known: Sequence[Bool]) -> list[tuple[Invariant, Bool]]:
    """Those claims that do not plainly follow from what is known."""
    settled = Settled()
    for condition in known:
        settled.add(condition)
    settled.settle()
    return [(each, claim) for each, claim in claims if not settled.follows(claim)]


def _initial_scalars(path: Path) -> dict[str, Value]:
    return dict(path.scalars)
