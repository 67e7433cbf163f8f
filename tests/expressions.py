"""Random terms, each with what it means in plain Python: what terms and their translation are held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from pytest_vigor import term as t

Environment = dict[str, int]
Meaning = Callable[[Environment], Any]
WIDTHS = (8, 16, 32, 64)
VARIABLES = {f"v{width}_{number}": width for width in WIDTHS for number in range(3)}


def function(argument: int) -> int:
    """What the uninterpreted ``f`` from 16 to 8 bits stands for."""
    return (argument * 167 + (argument >> 5) + 13) & 0xFF


def leaf(environment: Environment) -> Callable[[t.Term, tuple[Any, ...]], Any]:
    """The values of leaves, for ``term.evaluate``."""
    return lambda term, args: function(args[0]) if term.op == "app" else environment[term.data]


def interesting(chance: Random, width: int) -> int:
    """A number that is likely to be at some edge."""
    edges = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFF00, 1 << (width - 1), (1 << (width - 1)) - 1, (1 << width) - 1)
    return chance.choice((*edges, chance.getrandbits(width), chance.getrandbits(width))) & t.mask(width)


def environment(chance: Random) -> Environment:
    """Values for all variables."""
    return {name: interesting(chance, width) for name, width in VARIABLES.items()}


def signed_division(x: int, y: int) -> int:
    """The quotient rounded toward zero; by zero as in SMT-LIB."""
    if y == 0:
        return 1 if x < 0 else -1
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def operate(op: str, width: int, a: int, b: int) -> int:
    """What an operation of two bit-vectors gives, as SMT-LIB has it."""
    x, y = t.signed(a, width), t.signed(b, width)
    match op:
        case "add":
            out = a + b
        case "sub":
            out = a - b
        case "mul":
            out = a * b
        case "band":
            out = a & b
        case "bor":
            out = a | b
        case "bxor":
            out = a ^ b
        case "shl":
            out = a << b if b < width else 0
        case "lshr":
            out = a >> b if b < width else 0
        case "ashr":
            out = x >> min(b, width - 1)
        case "udiv":
            out = a // b if b else -1
        case "urem":
            out = a % b if b else a
        case "sdiv":
            out = signed_division(x, y)
        case _:  # srem
            out = x - y * signed_division(x, y) if y else x
    return out & t.mask(width)


BINARY = ("add", "sub", "mul", "band", "bor", "bxor", "shl", "lshr", "ashr", "udiv", "urem", "sdiv", "srem")
COMPARISONS: dict[str, Callable[[int, int, int], bool]] = {
    "eq": lambda w, a, b: a == b,
    "ne": lambda w, a, b: a != b,
    "ult": lambda w, a, b: a < b,
    "ule": lambda w, a, b: a <= b,
    "slt": lambda w, a, b: t.signed(a, w) < t.signed(b, w),
    "sle": lambda w, a, b: t.signed(a, w) <= t.signed(b, w),
}


class Expressions:
    """A source of terms with their meanings."""

    def __init__(
        self, chance: Random, functions: bool = True, widths: Sequence[int] = WIDTHS, variables: int = 3
    ) -> None:
        self.chance, self.functions, self.widths, self.variables = chance, functions, widths, variables

    def any(self, depth: int) -> tuple[Any, Meaning]:
        """A bit-vector or a truth value."""
        return self.truth(depth) if self.chance.random() < 0.5 else self.bits(depth, self.chance.choice(self.widths))

    def bits(self, depth: int, width: int) -> tuple[Any, Meaning]:
        """A bit-vector."""
        chance = self.chance
        if depth <= 0 or chance.random() < 0.1:
            return self._leaf(width)
        kind = chance.choice(("binary", "binary", "binary", "shift", "extract", "zext", "sext", "concat", "ite", "app"))
        wider, narrower = [w for w in self.widths if w > width], [w for w in self.widths if w < width]
        match kind:
            case "shift":
                op, amount = chance.choice(("shl", "lshr", "ashr")), chance.randrange(width + 2)
                a, x = self.bits(depth - 1, width)
                return getattr(t, op)(width, a, amount), lambda e: operate(op, width, x(e), amount)
            case "extract" if wider:
                inside = chance.choice(wider)
                low = chance.choice((0, 0, chance.randrange(inside - width + 1)))
                a, x = self.bits(depth - 1, inside)
                return t.extract(a, inside, low + width - 1, low), lambda e: x(e) >> low & t.mask(width)
            case "zext" if narrower:
                inside = chance.choice(narrower)
                a, x = self.bits(depth - 1, inside)
                return t.zext(a, inside, width), x
            case "sext" if narrower:
                inside = chance.choice(narrower)
                a, x = self.bits(depth - 1, inside)
                return t.sext(a, inside, width), lambda e: t.signed(x(e), inside) & t.mask(width)
            case "concat" if narrower:
                half = width // 2
                (a, x), (b, y) = self.bits(depth - 1, half), self.bits(depth - 1, half)
                return t.concat([(half, a), (half, b)]), lambda e: x(e) << half | y(e)
            case "ite":
                test, holds = self.truth(depth - 1)
                (a, x), (b, y) = self.bits(depth - 1, width), self.bits(depth - 1, width)
                return t.ite(width, test, a, b), lambda e: x(e) if holds(e) else y(e)
            case "app" if width == 8 and self.functions:
                a, x = self.bits(depth - 1, 16)
                return t.app("f", 8, (16, a)), lambda e: function(x(e))
        op = chance.choice(BINARY)
        (a, x), (b, y) = self.bits(depth - 1, width), self.bits(depth - 1, width)
        return getattr(t, op)(width, a, b), lambda e: operate(op, width, x(e), y(e))

    def _leaf(self, width: int) -> tuple[Any, Meaning]:
        if self.chance.random() < 0.4:
            value = interesting(self.chance, width)
            return value, lambda e: value
        name = f"v{width}_{self.chance.randrange(self.variables)}"
        return t.var(name, width), lambda e: e[name]

    def truth(self, depth: int) -> tuple[Any, Meaning]:
        """A truth value."""
        chance = self.chance
        width, op = chance.choice(self.widths), chance.choice(list(COMPARISONS))
        (a, x), (b, y) = self.bits(depth - 1, width), self.bits(depth - 1, width)
        out, meaning = getattr(t, op)(width, a, b), _compared(COMPARISONS[op], width, x, y)
        if depth > 1 and chance.random() < 0.4:
            other, also = self.truth(depth - 1)
            out, meaning = _joined(chance.choice(("land", "lor", "iff", "implies")), out, meaning, other, also)
        if chance.random() < 0.3:
            return t.lnot(out), _not(meaning)
        return out, meaning


def _compared(compare: Callable[[int, int, int], bool], width: int, x: Meaning, y: Meaning) -> Meaning:
    return lambda e: compare(width, x(e), y(e))


def _joined(kind: str, a: Any, x: Meaning, b: Any, y: Meaning) -> tuple[Any, Meaning]:
    meanings: dict[str, Meaning] = {
        "land": lambda e: x(e) and y(e),
        "lor": lambda e: x(e) or y(e),
        "iff": lambda e: x(e) == y(e),
        "implies": lambda e: not x(e) or y(e),
    }
    return getattr(t, kind)(a, b), meanings[kind]


def _not(x: Meaning) -> Meaning:
    return lambda e: not x(e)
