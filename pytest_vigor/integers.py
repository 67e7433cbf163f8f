"""Questions about sums, products and remainders, asked over the integers.

Bit by bit, ones' complement sums and token buckets are beyond a solver; over the integers they are linear, or nearly
so. Each bit-vector term is given its exact value as an integer, with a fresh quotient wherever it may wrap or is cut.
What has no such reading is left out of what is assumed, so only "this cannot be" is ever an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations, islice
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.arithmetic import Arithmetic, Expression, Model
from pytest_vigor.known import Known
from pytest_vigor.term import Bool, Term

UNKNOWN = Known()  #: nothing but what terms tell of themselves
PAIRS = 60  #: of applications of a function that are compared
RESOURCES = 200_000  #: z3's rlimit for one attempt: about a CPU second


class _NoReading(Exception):
    """A term that has no integer reading here."""


class Integers:
    """One question: terms as integers, with what ties their parts together."""

    def __init__(self) -> None:
        self.z = Arithmetic()
        self._memo: dict[int, Any] = {}
        self._signed_memo: dict[int, Any] = {}
        self.leaves: list[Term] = []
        self.ties: list[Any] = []
        self._fresh = 0
        self._products: list[tuple[Any, Any, Any]] = []
        self._cuts: dict[tuple[int, int], tuple[Any, Any]] = {}

    def _int(self, value: int) -> Any:
        return self.z.integer(value)

    def _new(self, low: int, high: int) -> Any:
        self._fresh += 1
        value = self.z.unknown(f"q{self._fresh}")
        self.ties += [value >= low, value <= high]
        return value

    def number(self, value: Any) -> Any:
        """The unsigned value of a bit-vector term."""
        if isinstance(value, int):
            return self._int(value)
        if value.uid not in self._memo:
            self._memo[value.uid] = self._number(value)
        return self._memo[value.uid]

    def _leaf(self, term: Term) -> Any:
        value = self.z.unknown(f"t{term.uid}")
        self.leaves.append(term)
        self.ties += [value >= term.lo, value <= term.hi]
        return value

    def tie_applications(self) -> None:
        """An unknown function has one value for one argument."""
        by_function: dict[Any, list[Term]] = {}
        for leaf in self.leaves:
            if leaf.op == "app":
                by_function.setdefault(leaf.data, []).append(leaf)
        for (_, widths), applied in by_function.items():
            for one, other in islice(combinations(applied, 2), PAIRS):
                differ = [pair for pair in zip(widths, one.args, other.args, strict=True) if pair[1] is not pair[2]]
                if any(isinstance(t.eq(*pair), bool) for pair in differ):
                    continue  # numbers, which are not equal
                with suppress(_NoReading):
                    same = [self.number(a) == self.number(b) for _, a, b in differ]
                    self.ties.append(self.z.implied(self.z.every(*same), self.value(one) == self.value(other)))

    def value(self, leaf: Term) -> Any:
        """The reading of an unknown."""
        return self.number(leaf) if leaf.width else self.truth(leaf)

    def _wrapped(self, term: Term, exact: Any, low: int, high: int) -> Any:
        """A value modulo the term's width, of which the exact one lies between bounds."""
        modulus = 1 << term.width
        if low >= 0 and high < modulus:
            return exact
        out = self._leaf(term)
        self.ties.append(exact == out + modulus * self._new(low // modulus, high // modulus))
        return out

    def _number(self, term: Term) -> Any:
        args = term.args
        match term.op:
            case "var" | "app" | "undefined":
                return self._leaf(term)
            case "add":
                const, coeffs = term.data
                const = t.signed(const, term.width)
                exact, low, high = self._int(const), const, const
                for atom, coeff in zip(args, coeffs, strict=True):
                    factor = t.signed(coeff, term.width)
                    reach = factor * atom.lo, factor * atom.hi
                    exact, low, high = exact + factor * self.number(atom), low + min(reach), high + max(reach)
                return self._wrapped(term, exact, low, high)
            case "shl" if isinstance(args[1], int):
                factor = 1 << args[1]
                return self._wrapped(term, self.number(args[0]) * factor, 0, args[0].hi * factor)
            case "zext" | "opaque":
                return self.number(args[0])
            case "concat":
                exact, position = self._int(0), term.width
                for width, part in zip(term.data, args, strict=True):
                    position -= width
                    exact = exact + self.number(part) * (1 << position)
                return exact
            case "extract":
                high, low = term.data
                return self._cut(self._cut(args[0], high + 1)[1], low)[0]
            case "ite":
                return self.z.either(self.truth(args[0]), self.number(args[1]), self.number(args[2]))
            case "sext":
                inner = self._signed(args[0], args[0].width)
                return self.z.either(inner < 0, inner + (1 << term.width), inner)
            case "mul":
                a, b = args
                return self._wrapped(term, self._product(self.number(a), self.number(b)), a.lo * b.lo, a.hi * b.hi)
            case "udiv" | "urem":
                return self._divided(term)
        raise _NoReading

    def _cut(self, value: Any, place: int) -> tuple[Any, Any]:
        """What is above and what is below a bit of a term, or of a part that was cut before."""
        if isinstance(value, Term):
            number, high = self.number(value), value.hi
        else:
            number, high = value
        if place == 0:
            return number, (self._int(0), 0)
        if high >> place == 0:
            return self._int(0), (number, high)
        key = (number.id, place)
        if key not in self._cuts:
            above, below = self._new(0, high >> place), self._new(0, (1 << place) - 1)
            self.ties.append(number == above * (1 << place) + below)
            self._cuts[key] = (above, (below, (1 << place) - 1))
        return self._cuts[key]

    def _product(self, a: Any, b: Any) -> Any:
        """The product of two unknowns as an unknown of its own: it grows with either factor."""
        if a.value is not None or b.value is not None:
            return a * b
        for x, y, known in self._products:
            if {x.id, y.id} == {a.id, b.id}:
                return known
        self._fresh += 1
        out = self.z.unknown(f"p{self._fresh}")
        self.ties += [out >= 0, self.z.implied(b >= 1, out >= a), self.z.implied(a >= 1, out >= b)]
        self.ties += [self.z.implied(self.z.some(a == 0, b == 0), out == 0)]
        for x, y, other in self._products:
            for mine, shared in ((a, b), (b, a)):
                for theirs, same in ((x, y), (y, x)):
                    if shared.id == same.id:
                        self.ties += [
                            self.z.implied(mine < theirs, out + shared <= other),
                            self.z.implied(theirs < mine, other + shared <= out),
                            self.z.implied(mine == theirs, out == other),
                        ]
        self._products.append((a, b, out))
        return out

    def _divided(self, term: Term) -> Any:
        a, b = self.number(term.args[0]), self.number(term.args[1])
        pair = t.app("quotient", term.width, (term.width, term.args[0]), (term.width, term.args[1]))
        if pair.uid not in self._memo:
            ones = t.mask(term.width)
            quotient, rest = self._new(0, ones), self._new(0, t.bounds(term.args[0])[1])
            divided = self.z.every(a == self._product(quotient, b) + rest, rest < b, quotient <= a)
            self.ties.append(self.z.either(b == 0, self.z.every(quotient == ones, rest == a), divided))
            self._memo[pair.uid] = (quotient, rest)
        return self._memo[pair.uid][term.op == "urem"]

    def take(self, condition: Bool, read: list[Any]) -> bool:
        """Appends a condition's reading, if it has one; whether it has."""
        tied = len(self.ties)
        try:
            read.append(self.truth(condition))
        except _NoReading:
            del self.ties[tied:]
            return False
        return True

    def truth(self, condition: Bool) -> Any:
        """A condition over the integers."""
        if isinstance(condition, bool):
            return self.z.truth(condition)
        args = condition.args
        match condition.op:
            case "eq":
                return self._equal(condition.data, *args)
            case "ult":
                return self.number(args[0]) < self.number(args[1])
            case "ule":
                return self.number(args[0]) <= self.number(args[1])
            case "slt" | "sle":
                a, b = self._signed(args[0], condition.data), self._signed(args[1], condition.data)
                return a < b if condition.op == "slt" else a <= b
            case "lnot":
                return self.z.negated(self.truth(args[0]))
            case "land":
                return self.z.every(*[self.truth(a) for a in args])
            case "lor":
                return self.z.some(*[self.truth(a) for a in args])
            case "iff":
                return self.truth(args[0]) == self.truth(args[1])
            case "ite":
                return self.z.either(self.truth(args[0]), self.truth(args[1]), self.truth(args[2]))
            case "var" | "app":
                self.leaves.append(condition)
                return self.z.unknown_truth(f"b{condition.uid}")
        raise _NoReading

    def _equal(self, width: int, a: Any, b: Any) -> Any:
        """That two values are equal: where both are sums, that their difference is zero, which may be known already."""
        for difference in (t.sub(width, a, b), t.sub(width, b, a)):
            if isinstance(difference, Term) and difference.uid in self._memo:
                return self.number(difference) == 0
        return self.number(a) == self.number(b)

    def _signed(self, value: Any, width: int) -> Any:
        """The value of a bit-vector term as two's complement."""
        if isinstance(value, int):
            return self._int(t.signed(value, width))
        half = 1 << (width - 1)
        if value.hi < half:
            return self.number(value)
        if value.op == "sext":
            return self._signed(value.args[0], value.args[0].width)
        if UNKNOWN.unwrapped(width, value) is not None:
            if value.op == "mul":
                return self._signed_product(value, width)
            const, coeffs = value.data
            terms = [t.signed(k, width) * self._signed(a, width) for a, k in zip(value.args, coeffs, strict=True)]
            return sum(terms, self._int(t.signed(const, width)))
        number = self.number(value)
        return self.z.either(number >= half, number - 2 * half, number)

    def _signed_product(self, term: Term, width: int) -> Any:
        """A product that does not wrap: it is known where no factor is negative."""
        if term.uid not in self._signed_memo:
            sides = [(self._signed(each, width), UNKNOWN.signed_reach(width, each)[0]) for each in term.args]
            self._fresh += 1
            out = self._signed_memo[term.uid] = self.z.unknown(f"s{self._fresh}")
            known = self._product(*(side if low >= 0 else self.z.either(side >= 0, side, 0) for side, low in sides))
            self.ties.append(self.z.implied(self.z.every(*(side >= 0 for side, low in sides)), out == known))
        return self._signed_memo[term.uid]


def impossible(assumed: Iterable[Bool], asked: Iterable[Bool], resources: int = RESOURCES) -> bool:
    """Whether what is asked cannot be, for an arithmetic reason, where some conditions hold. False says nothing."""
    integers = Integers()
    conditions: list[Any] = []
    leaves: dict[int, Term] = {}
    for condition in asked:
        if integers.take(condition, conditions):
            t.leaves(condition, leaves)
    for condition in _relevant(list(assumed), set(leaves)):
        integers.take(condition, conditions)
    return _answer(integers, conditions, resources) is False


def example(conditions: Iterable[Bool], resources: int = RESOURCES) -> dict[Term, int]:
    """Values of unknowns that satisfy conditions over the integers, as far as these have a reading there; empty where
    none are found. They may not satisfy the conditions themselves."""
    integers = Integers()
    read: list[Any] = []
    for condition in conditions:
        integers.take(condition, read)
    model = _answer(integers, read, resources)
    if not isinstance(model, Model):
        return {}
    out = {}
    for leaf in dict.fromkeys(integers.leaves):
        value = model.value(integers.value(leaf))
        if leaf.op in ("var", "app") and value is not None:
            out[leaf] = int(value)
    return out


def _answer(integers: Integers, conditions: list[Expression], resources: int) -> Model | bool | None:
    """A model, False where there is none, None where the solver gives up."""
    integers.tie_applications()
    seed, budget = 0, min(RESOURCES, resources)
    while budget <= resources:
        answer = integers.z.solved("LIA", [*conditions, *integers.ties], budget, seed)
        if answer is not None:
            return answer
        seed, budget = seed + 1, 2 * budget  # where it gets lost once it need not get lost again
    return None


def _relevant(assumed: list[Bool], leaves: set[int]) -> list[Bool]:
    """Conditions about nothing but these unknowns, and others that each ties them to: it may be by way of another that
    two of them are in order."""
    mentioned = [(condition, t.leaf_uids(condition)) for condition in assumed]
    near = set(leaves)
    for _, uids in mentioned:
        if len(uids - leaves) == 1 and uids & leaves:
            near |= uids
    return [condition for condition, uids in mentioned if uids and uids <= near]
