"""What comparisons imply is so for all integers, and what they imply one after the other is found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import pytest

from pytest_vigor import term as t
from pytest_vigor.comparisons import OPERATIONS, Comparisons

Compared = Callable[[int, t.Value, t.Value], t.Bool]
A, B, C = (t.var(name, 4) for name in "abc")


def known(*comparisons: t.Bool) -> Comparisons:
    out = Comparisons()
    for each in comparisons:
        assert isinstance(each, t.Term)
        out.add(each)
    return out


def decided(comparisons: Comparisons, asked: t.Bool) -> bool | None:
    assert isinstance(asked, t.Term)
    return comparisons.decided(asked)


@pytest.mark.parametrize("less, at_most", [(t.ult, t.ule), (t.slt, t.sle)], ids=["unsigned", "signed"])
def test_comparisons_follow_each_other(less: Compared, at_most: Compared) -> None:
    row = known(at_most(4, A, B), less(4, B, C))
    assert decided(row, less(4, A, C)) is True
    assert decided(row, at_most(4, C, A)) is False
    assert decided(row, at_most(4, A, B)) is True
    assert decided(row, less(4, A, B)) is None
    assert decided(row, less(4, B, A)) is False
    assert decided(row, at_most(4, B, A)) is None


def test_signed_and_unsigned_order_are_two() -> None:
    assert decided(known(t.ult(4, A, B)), t.slt(4, A, B)) is None


def test_widened_numbers_are_the_same_integers() -> None:
    row = known(t.ule(4, A, B), t.sle(8, t.zext(B, 4, 8), t.var("age", 8)))
    assert decided(row, t.sle(8, t.zext(A, 4, 8), t.var("age", 8))) is True
    assert decided(known(t.sle(4, A, B)), t.slt(8, t.sext(B, 4, 8), t.sext(A, 4, 8))) is False


def test_both_of_two_know_what_each_knows() -> None:
    row = known(t.ult(4, A, B), t.ult(4, B, C)).common(known(t.ult(4, B, C)))
    assert decided(row, t.ult(4, B, C)) is True
    assert decided(row, t.ult(4, A, B)) is None


def test_a_copy_goes_its_own_way() -> None:
    row = known(t.ult(4, A, B))
    row.copy().add(t.ult(4, B, C))  # type: ignore[arg-type]
    assert decided(row, t.ult(4, A, C)) is None


def test_answers_agree_with_trying_every_value() -> None:
    chance = Random(5)
    wide = [each for name in (A, B, C) for each in (t.zext(name, 4, 6), t.sext(name, 4, 6))]
    answered = 0
    for _ in range(600):
        made = []
        for _ in range(4):
            operation = chance.choice((t.ult, t.ule, t.slt, t.sle))
            width = chance.choice((4, 6))
            sides = chance.sample([*(wide if width == 6 else (A, B, C)), chance.randrange(1 << width)], 2)
            made.append(operation(width, *sides))
        comparisons = [each for each in made if isinstance(each, t.Term) and each.op in OPERATIONS]
        if not comparisons:
            continue
        *given, asked = comparisons
        answer = known(*given).decided(asked)
        if answer is None:
            continue
        answered += 1
        for values in product(range(16), repeat=3):
            of = dict(zip("abc", values, strict=True))
            memo: dict[int, object] = {}
            if all(t.evaluate(each, lambda leaf, _, of=of: of[leaf.data], memo) for each in given):  # type: ignore[misc]
                assert t.evaluate(asked, lambda leaf, _, of=of: of[leaf.data], memo) == answer  # type: ignore[misc]
    assert answered > 20
