"""Symbolic numbers are Python's integers: they never wrap, and what has no meaning is refused instead of guessed."""

from __future__ import annotations

import operator
from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random
from typing import Any

import pytest
from expressions import interesting

from pytest_vigor import term as t
from pytest_vigor.number import Number, Truth, fit, number

WIDTHS = (1, 8, 16, 32, 48, 64)


class Known:
    """A run on which every symbol has a value."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.values: dict[str, int] = {}

    def decide(self, condition: t.Bool) -> bool:
        out = self.evaluate(condition)
        assert isinstance(out, bool)
        return out

    def evaluate(self, value: Any) -> Any:
        return t.evaluate(value, lambda leaf, args: self.values[leaf.data], {})

    def number(self, bits: int, signed: bool = False) -> tuple[Number, int]:
        """A symbolic number and its value."""
        name = f"n{len(self.values)}"
        self.values[name] = interesting(self.chance, bits)
        value = t.signed(self.values[name], bits) if signed else self.values[name]
        out = number(self, t.var(name, bits), bits, signed)
        assert isinstance(out, Number)
        return out, value

    def value_of(self, value: Any) -> Any:
        """The plain value of a result."""
        if isinstance(value, Number):
            bits = self.evaluate(value.term)
            return t.signed(bits, value.bits) if value.signed else bits
        return self.evaluate(value.term) if isinstance(value, Truth) else value


ARITHMETIC = (operator.add, operator.sub, operator.mul)
NATURAL = (operator.and_, operator.or_, operator.xor, operator.floordiv, operator.mod)
COMPARING = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


@pytest.fixture
def run() -> Known:
    return Known(Random(3))


def operand(run: Known, chance: Random, signed: bool) -> tuple[Any, int]:
    """A symbol or a constant."""
    if chance.random() < 0.3:
        value = interesting(chance, chance.choice(WIDTHS))
        value = -value if signed and chance.random() < 0.5 else value
        return value, value
    return run.number(chance.choice(WIDTHS), signed and chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_arithmetic_is_pythons(seed: int) -> None:
    chance = Random(seed)
    for _ in range(400):
        run = Known(chance)
        a, x = operand(run, chance, True)
        for _ in range(chance.randrange(1, 5)):
            b, y = operand(run, chance, True)
            operation = chance.choice(ARITHMETIC)
            if chance.random() < 0.5:
                a, b, x, y = b, a, y, x
            a, x = operation(a, b), operation(x, y)
            assert run.value_of(a) == x, (operation, x, y)
        b, y = operand(run, chance, True)
        for compare in COMPARING:
            assert run.value_of(compare(a, b)) == compare(x, y), (compare, x, y)
            assert bool(compare(b, a)) == compare(y, x)
        assert run.value_of(-a) == -x


@pytest.mark.parametrize("seed", range(3))
def test_arithmetic_on_natural_numbers_is_pythons(seed: int) -> None:
    chance = Random(seed)
    for _ in range(400):
        run = Known(chance)
        a, x = run.number(chance.choice(WIDTHS))
        b, y = operand(run, chance, False)
        for operation in NATURAL:
            if y == 0 and operation in (operator.floordiv, operator.mod):
                with pytest.raises(ZeroDivisionError):
                    operation(a, b)
            else:
                assert run.value_of(operation(a, b)) == operation(x, y), (operation, x, y)
        shift = chance.randrange(70)
        assert run.value_of(a << shift) == x << shift
        assert run.value_of(a >> shift) == x >> shift


def test_a_difference_can_be_negative(run: Known) -> None:
    for _ in range(200):
        (a, x), (b, y) = run.number(64), run.number(64)
        assert run.value_of(a - b) == x - y
        assert run.value_of((a - b) + b) == x
        assert bool(a - b < 0) == (x < y)
        assert run.value_of((a - b) >> 3) == (x - y) >> 3


def test_concrete_results_are_plain(run: Known) -> None:
    a, _ = run.number(16)
    assert type(a - a) is int and a - a == 0
    assert (a == a) is True and (a != a) is False
    assert (a < 1 << 16) is True and (a >= 0) is True
    assert type(a * 0) is int


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("field_signed", [False, True])
def test_fitting_into_a_field_is_decided_by_the_value(run: Known, signed: bool, field_signed: bool) -> None:
    for bits in (8, 16, 33, 64):
        for width in (8, 16, 32, 64):
            for _ in range(20):
                n, x = run.number(bits, signed)
                low, high = (-(1 << width - 1), (1 << width - 1) - 1) if field_signed else (0, (1 << width) - 1)
                for given in (n, x):
                    inside, out = fit(given, width, field_signed)
                    assert run.evaluate(inside) == (low <= x <= high)
                    if low <= x <= high:
                        assert run.evaluate(out) == x & t.mask(width)


def test_any_value_equals_every_number(run: Known) -> None:
    a, _ = run.number(8)
    assert (a == ...) is True and (a != ...) is False


def test_membership_in_a_list_asks_for_each(run: Known) -> None:
    a, x = run.number(8)
    assert a in [x] and a in [x + 1, x] and a not in [x + 1, x + 2] and a in (x,)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "as an index": lambda n: [1, 2, 3][n],
    "as a range": lambda n: range(n),
    "as a set member": lambda n: {n},
    "as a dict key": lambda n: {n: 1},
    "to int": lambda n: int(n),
    "true division": lambda n: n / 2,
    "complement": lambda n: ~n,
    "power": lambda n: n**2,
    "float": lambda n: n + 0.5,
    "ordering with a float": lambda n: n < 0.5,
    "ordering with a text": lambda n: n < "1",
    "equality with a float": lambda n: n == 100.0,
    "inequality with a float": lambda n: n != 100.0,
    "equality with a text": lambda n: n == "192.0.2.1",
    "inequality with a text": lambda n: n != "192.0.2.1",
    "inequality with bytes": lambda n: n != bytes(4),
    "inequality with an address object": lambda n: n != IPv4Address("192.0.2.1"),
    "membership among floats": lambda n: n in [1e9],
    "equality of a truth value with a float": lambda n: (n > 3) == 1.0,
    "shift by a symbol": lambda n: 1 << n,
    "shift of a symbol by a symbol": lambda n: n >> n,
    "division of a negative": lambda n: (n - 5) // 2,
    "bits of a negative": lambda n: (n - 5) & 3,
    "bits with a negative": lambda n: n & -2,
}


@pytest.mark.parametrize("use", REFUSED.values(), ids=REFUSED)
def test_what_has_no_meaning_is_refused(run: Known, use: Callable[[Any], Any]) -> None:
    n, _ = run.number(8)
    with pytest.raises(TypeError):
        use(n)


def test_text_where_a_number_belongs_is_named_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"'192\.0\.2\.1' is given for a number: an address is one.*0xC0000201"):
        fit("192.0.2.1", 32)  # type: ignore[arg-type]


def test_a_number_known_not_to_be_negative_can_be_divided(run: Known) -> None:
    for _ in range(50):
        (a, x), (b, y) = run.number(16), run.number(16)
        if x >= y:
            assert run.value_of((a - b).nonnegative() // 3) == (x - y) // 3
        else:
            with pytest.raises(ValueError, match="is negative here"):
                (a - b).nonnegative()


def test_truth_values_combine_without_being_decided(run: Known) -> None:
    (a, x), (b, y) = run.number(8), run.number(8)
    less, even = a < b, a & 1 == 0
    assert isinstance(less, Truth) and isinstance(even, Truth)
    assert run.value_of(less & even) == (x < y and x % 2 == 0)
    assert run.value_of(less | even) == (x < y or x % 2 == 0)
    assert run.value_of(less ^ even) == ((x < y) != (x % 2 == 0))
    assert run.value_of(less == even) == ((x < y) == (x % 2 == 0))
    assert (less & False) is False and (less | True) is True
    assert run.value_of(less == 1) == (x < y) and run.value_of(less == 0) == (x >= y)
    assert (less != 1) == (x >= y) and (less in [1]) == (x < y) and (less == 2) is False
    assert run.value_of(less == a) == (int(x < y) == x) and (less != a) == (int(x < y) != x)
    assert (less == None) is False and (a != None) is True  # noqa: E711
    assert run.value_of(True & less) == (x < y) and run.value_of(False | less) == (x < y)
    with pytest.raises(TypeError):
        hash(less)
