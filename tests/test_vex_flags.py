"""Conditions after arithmetic are single comparisons of what was compared."""

from __future__ import annotations

import pytest

from pytest_vigor import term
from pytest_vigor.explore import flags
from pytest_vigor.explore.vex_unmodelled import Unmodelled

_WIDTHS = (8, 16, 32, 64)
# VEX's numbers of the operations, for 8 bits; the wider ones follow.
_ADD, _SUBTRACT, _LOGIC, _INCREMENT, _SHIFT_LEFT = 1, 5, 17, 21, 29
_OVERFLOW, _BELOW, _EQUAL, _BELOW_OR_EQUAL, _SIGN, _LESS, _LESS_OR_EQUAL = 0, 2, 4, 6, 8, 12, 14


def _holds(cond: int, cc_op: int, a: term.Value, b: term.Value = 0, old: term.Value = 0) -> term.Bool:
    return flags.condition(cond, cc_op, a, b, old)


@pytest.mark.parametrize("place", range(4))
def test_after_a_comparison(place: int) -> None:
    width = _WIDTHS[place]
    a, b = term.var("a", 64), term.var("b", 64)
    x, y = term.extract(a, 64, width - 1, 0), term.extract(b, 64, width - 1, 0)
    cc_op = _SUBTRACT + place
    assert _holds(_BELOW, cc_op, a, b) is term.ult(width, x, y)
    assert _holds(_BELOW + 1, cc_op, a, b) is term.ule(width, y, x)
    assert _holds(_BELOW_OR_EQUAL, cc_op, a, b) is term.ule(width, x, y)
    assert _holds(_EQUAL, cc_op, a, b) is term.eq(width, x, y)
    assert _holds(_LESS, cc_op, a, b) is term.slt(width, x, y)
    assert _holds(_LESS_OR_EQUAL, cc_op, a, b) is term.sle(width, x, y)
    assert _holds(_LESS_OR_EQUAL + 1, cc_op, a, b) is term.slt(width, y, x)
    assert _holds(_SIGN, cc_op, a, b) is term.slt(width, term.sub(width, x, y), 0)


@pytest.mark.parametrize("place", range(4))
def test_after_a_test_for_zero(place: int) -> None:
    width = _WIDTHS[place]
    a = term.var("a", 64)
    x = term.extract(a, 64, width - 1, 0)
    cc_op = _LOGIC + place
    assert _holds(_EQUAL, cc_op, a) is term.eq(width, x, 0)
    assert _holds(_SIGN, cc_op, a) is term.slt(width, x, 0)
    assert _holds(_LESS, cc_op, a) is term.slt(width, x, 0)
    assert _holds(_LESS_OR_EQUAL, cc_op, a) is term.sle(width, x, 0)
    assert _holds(_BELOW, cc_op, a) is False
    assert _holds(_OVERFLOW, cc_op, a) is False


@pytest.mark.parametrize("place", range(4))
def test_after_an_addition(place: int) -> None:
    width = _WIDTHS[place]
    a, b = term.var("a", 64), term.var("b", 64)
    x, y = term.extract(a, 64, width - 1, 0), term.extract(b, 64, width - 1, 0)
    assert _holds(_BELOW, _ADD + place, a, b) is term.ult(width, term.add(width, x, y), x)
    assert _holds(_EQUAL, _ADD + place, a, b) is term.eq(width, term.add(width, x, y), 0)


def test_an_increment_keeps_the_carry() -> None:
    old = term.var("old", 64)
    carry = term.ne(1, term.extract(old, 64, 0, 0), 0)
    assert _holds(_BELOW, _INCREMENT + 3, term.var("a", 64), 0, old) is carry


def test_a_flags_word_is_not_computed_before_it_is_asked() -> None:
    a, b = term.var("a", 64), term.var("b", 64)
    later = flags.pending(_SUBTRACT + 2, a, b, 0)
    x, y = term.extract(a, 64, 31, 0), term.extract(b, 64, 31, 0)
    assert flags.condition(_BELOW, _INCREMENT + 3, term.var("c", 64), 0, later) is term.ult(32, x, y)
    assert flags.calculate_rflags_c(_INCREMENT + 3, term.var("c", 64), 0, later) is term.bit(term.ult(32, x, y), 64)


def test_a_shift_by_a_symbolic_count_leaves_either_flags() -> None:
    shifted = term.ne(8, term.var("count", 8), 0)
    a, b, r = term.var("a", 64), term.var("b", 64), term.var("r", 64)
    cc_op = term.ite(64, shifted, _SHIFT_LEFT + 3, _SUBTRACT + 3)
    equal = flags.condition(_EQUAL, cc_op, term.ite(64, shifted, r, a), term.ite(64, shifted, 0, b), 0)
    assert equal is term.ite(0, shifted, term.eq(64, r, 0), term.eq(64, a, b))


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(Unmodelled, match="an operation that is not known"):
        flags.condition(_EQUAL, term.var("op", 64), 0, 0, 0)
    with pytest.raises(Unmodelled, match="operation number 99"):
        flags.condition(_EQUAL, 99, 0, 0, 0)
