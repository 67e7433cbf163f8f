"""What ages.h keeps, at any capacity: which node is where in its ring, as a permutation of all of them.

The nodes stand in one row: the used indices from oldest to newest, the end of their ring, the other indices in the
order of theirs, and its end. ``order`` is the node at each position, and ``position`` undoes that: that this holds of
every node and every position is the invariant, and that the ages of the used ones do not decrease. What the links in
memory are follows from it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from pytest_vigor import term as t
from pytest_vigor.ghost.flows import Erased, Flows, Put, Refreshed
from pytest_vigor.layout import Struct
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.array import packed
from pytest_vigor.term import Bool, Term, Value

ages = beside(__file__, "ages.py")

BITS, AGE_BITS = 32, 64
CAPACITY_MAX = 1 << 30
EXTRA_NODES = 2

Function = Callable[[Value], Value]


def _add(a: Value, b: Value) -> Value:
    return t.add(BITS, a, b)


def _sub(a: Value, b: Value) -> Value:
    return t.sub(BITS, a, b)


def _eq(a: Value, b: Value) -> Bool:
    return t.eq(BITS, a, b)


def _lt(a: Value, b: Value) -> Bool:
    return t.ult(BITS, a, b)


def _choose(default: Value, *cases: tuple[Bool, Value]) -> Value:
    """The value of the first condition that holds."""
    out = default
    for test, value in reversed(cases):
        out = t.ite(BITS, test, value, out)
    return out


def _inside(function: Function, width: int = BITS) -> Function:
    """The same function, taken inside a choice: then less depends on what is chosen."""

    def each(value: Value) -> Value:
        if isinstance(value, Term) and value.op == "ite":
            test, yes, no = value.args
            return t.ite(width, test, each(yes), each(no))
        return function(value)

    return each


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """The row: how many of its nodes are used, and as functions of 32 bits the node at a position, the position of a
    node, and the age of a node."""

    capacity: Value
    used: Value
    order: Function
    position: Function
    age: Function

    @classmethod
    def new(cls, capacity: Value) -> "Rings":
        """The row of a new pool: no index is used, and the lowest is the one that is handed out first."""

        def turned(at: Value) -> Value:
            return _choose(at, (t.ule(BITS, at, capacity), _sub(capacity, at)))

        return cls(capacity, 0, _inside(turned), _inside(turned), lambda _: ages.UNUSED)

    # ---- what memory holds

    @property
    def nodes(self) -> Value:
        return _add(self.capacity, EXTRA_NODES)

    @property
    def _last(self) -> Value:
        return _add(self.capacity, 1)

    def newer(self, node: Value) -> Value:
        def following(at: Value) -> Value:
            return _choose(_add(at, 1), (_eq(at, self.used), 0), (_eq(at, self._last), _add(self.used, 1)))

        return self.order(_inside(following)(self.position(node)))

    def older(self, node: Value) -> Value:
        def preceding(at: Value) -> Value:
            return _choose(_sub(at, 1), (_eq(at, 0), self.used), (_eq(at, _add(self.used, 1)), self._last))

        return self.order(_inside(preceding)(self.position(node)))

    def element(self, struct: Struct, node: Value) -> Value:
        """The struct ages_node."""
        return packed(struct, {"age": self.age(node), "older": self.older(node), "newer": self.newer(node)})

    # ---- the invariant

    def ends(self) -> Iterator[tuple[str, Bool]]:
        yield "there are no more used indices than indices", t.ule(BITS, self.used, self.capacity)
        yield "the used ring has its end", _eq(self.order(self.used), self.capacity)
        yield "the unused ring has its end", _eq(self.order(self._last), self._last)

    def of_node(self, node: Value) -> Iterator[tuple[str, Bool]]:
        """What holds of a node: that it is one or not included, so that the row is a permutation of all numbers."""
        at = self.position(node)
        yield "each node has its position", _eq(self.order(at), node)
        yield "nodes have the first positions", t.iff(_lt(node, self.nodes), _lt(at, self.nodes))

    def of_age(self, node: Value) -> Iterator[tuple[str, Bool]]:
        """What holds of the age of a node."""
        exists, at, age = _lt(node, self.nodes), self.position(node), self.age(node)
        yield "used nodes are first", t.implies(exists, t.iff(ages.is_used(age), _lt(at, self.used)))
        yield "ages are not negative", t.implies(exists, t.sle(AGE_BITS, ages.UNUSED, age))

    def of_position(self, at: Value) -> Iterator[tuple[str, Bool]]:
        """What holds of a position."""
        yield "each position has its node", _eq(self.position(self.order(at)), at)

    def of_nodes(self, one: Value, other: Value) -> Iterator[tuple[str, Bool]]:
        """What holds of two nodes."""
        at, later = self.position(one), self.position(other)
        exist = t.land(_lt(one, self.nodes), _lt(other, self.nodes))
        before = t.land(exist, t.ule(BITS, at, later), _lt(later, self.used))
        yield "ages do not decrease", t.implies(before, t.sle(AGE_BITS, self.age(one), self.age(other)))

    # ---- what becomes of it

    def after(self, flows: Flows) -> "Rings":
        """The row when one index of the pool has changed as its contract says."""
        match flows:
            case Put():
                return self._moved(flows.index, self.used, _add(self.used, 1), flows.time)
            case Refreshed():
                return self._moved(flows.index, _sub(self.used, 1), self.used, flows.time)
            case Erased():
                return self.released(flows.index)
        return self

    def released(self, index: Value) -> "Rings":
        """The row when an index has been released."""
        return self._moved(index, self.capacity, _sub(self.used, 1), ages.UNUSED)

    def _moved(self, node: Value, to: Value, used: Value, age: Value) -> "Rings":
        """One node goes to another position, and those in between make room."""
        at = self.position(node)

        def order(position: Value) -> Value:
            forth = t.land(t.ule(BITS, at, position), _lt(position, to))
            back = t.land(_lt(to, position), t.ule(BITS, position, at))
            moved = _choose(position, (forth, _add(position, 1)), (back, _sub(position, 1)))
            return _choose(self.order(moved), (_eq(position, to), node))

        def position(other: Value) -> Value:
            old = self.position(other)
            forth = t.land(_lt(at, old), t.ule(BITS, old, to))
            back = t.land(t.ule(BITS, to, old), _lt(old, at))
            return _choose(old, (_eq(other, node), to), (forth, _sub(old, 1)), (back, _add(old, 1)))

        def age_(other: Value) -> Value:
            return t.ite(AGE_BITS, _eq(other, node), age, self.age(other))

        return replace(self, used=used, order=_inside(order), position=_inside(position), age=age_)

    def without(self, count: Value) -> "Rings":
        """The row when so many of the used indices, the oldest ones, have been released one after the other."""
        end = _sub(self.capacity, count)

        def order(at: Value) -> Value:
            stays, gone = t.ule(BITS, at, end), t.ule(BITS, at, self.capacity)
            return self.order(_choose(at, (stays, _add(at, count)), (gone, _sub(at, _add(end, 1)))))

        def position(node: Value) -> Value:
            at = self.position(node)
            gone, stays = _lt(at, count), t.ule(BITS, at, self.capacity)
            return _choose(at, (gone, _add(_add(end, 1), at)), (stays, _sub(at, count)))

        def age(node: Value) -> Value:
            return t.ite(AGE_BITS, _lt(self.position(node), count), ages.UNUSED, self.age(node))

        return replace(self, used=_sub(self.used, count), order=_inside(order), position=_inside(position), age=age)


class Unknown:
    """A row of which nothing else is known. Because it is a permutation, one function of what the other one gives needs
    no mention."""

    OPPOSITE: ClassVar = {"order": "position", "position": "order"}

    def __init__(self, name: str, capacity: Value) -> None:
        self.name = name
        used, last = t.var(f"{name}.used", BITS), _add(capacity, 1)
        self.ends = {"order": {used: capacity, last: last}, "position": {capacity: used, last: last}, "age": {}}
        self.row = Rings(capacity, used, *(self._function(what) for what in self.ends))

    def _width(self, what: str) -> int:
        return AGE_BITS if what == "age" else BITS

    def _function(self, what: str) -> Function:
        def applied(argument: Value) -> Value:
            if argument in self.ends[what]:
                return self.ends[what][argument]
            if self._is(argument) and self._is(argument) == self.OPPOSITE.get(what):
                return argument.args[0]
            return self._app(what, argument)

        return _inside(applied, self._width(what))

    def _app(self, what: str, argument: Value) -> Value:
        return t.app(f"{self.name}.{what}", self._width(what), (BITS, argument))

    def _is(self, value: Value) -> str:
        """Which of the functions a value is of; of none: empty."""
        of, _, what = value.data[0].rpartition(".") if isinstance(value, Term) and value.op == "app" else ("", "", "")
        return what if of == self.name else ""

    def is_of(self, value: Value) -> bool:
        """Whether a value is one of this row's functions at some argument."""
        return bool(self._is(value))

    def _found(self, values: Iterable[Value]) -> dict[str, dict[Value, None]]:
        """What values are made of: the arguments of each function."""
        found: dict[str, dict[Value, None]] = {what: dict.fromkeys(ends) for what, ends in self.ends.items()}
        stack, seen = [*values], set()
        while stack:
            each = stack.pop()
            if isinstance(each, Term) and each.uid not in seen:
                seen.add(each.uid)
                stack.extend(each.args)
                what, argument = self._is(each), each.args[0] if each.args else 0
                if what and not (self._is(argument) and self._is(argument) == self.OPPOSITE.get(what)):
                    found[what][argument] = None
        found["position"] |= found["age"]
        return found

    def known(self, values: Iterable[Value], in_pairs: bool = True) -> tuple[list[Value], list[Bool]]:
        """The nodes that values are made of, and the invariant of all nodes and positions that they are made of."""
        found = self._found(values)
        row = self.row
        conditions = [t.ule(BITS, row.used, row.capacity)]
        for what, opposite in self.OPPOSITE.items():
            for argument in found[what]:
                result = self._app(what, argument)
                conditions.append(_eq(self._app(opposite, result), argument))
                conditions.append(t.iff(_lt(argument, row.nodes), _lt(result, row.nodes)))
                if argument in self.ends[what]:
                    conditions.append(_eq(result, self.ends[what][argument]))
        aged = found["age"]
        claims = [*map(row.of_age, aged)]
        if in_pairs:
            claims += [row.of_nodes(one, other) for one in aged for other in aged if one is not other]
        return list(found["position"]), conditions + [condition for each in claims for _, condition in each]

    def is_same(self, values: Iterable[Value], other: Rings) -> Iterator[Bool]:
        """That this row is another one, at all nodes and positions that values are made of."""
        yield _eq(self.row.used, other.used)
        functions = {"order": other.order, "position": other.position, "age": other.age}
        for what, arguments in self._found(values).items():
            for argument in arguments:
                yield t.eq(self._width(what), self._app(what, argument), functions[what](argument))
