"""What is impossible over the integers is impossible: no assignment of bit-vectors satisfies it."""

from __future__ import annotations

from random import Random

from expressions import Expressions

from pytest_vigor import term as t
from pytest_vigor.integers import example, impossible

A, B = t.var("a", 8), t.var("b", 8)


def test_nothing_possible_is_called_impossible() -> None:
    chance = Random(11)
    source = Expressions(chance, functions=False, widths=(8,), variables=1)
    answers = {True: 0, False: 0}
    for _ in range(300):
        condition, meaning = source.truth(chance.randrange(2, 4))
        answer = impossible([], [condition])
        answers[answer] += 1
        if answer:
            assert not any(meaning({"v8_0": value}) for value in range(256)), t.show(condition)
    assert min(answers.values()) > 10


def test_signed_sums_and_products_are_read_as_what_they_are() -> None:
    chance = Random(12)
    answers = {True: 0, False: 0}
    for _ in range(60):
        wide = chance.choice((8, 9, 12, 17))
        a, b = (chance.choice((t.sext, t.zext))(each, 8, wide) for each in (A, B))
        total = t.add(wide, t.scale(wide, a, chance.choice((1, 2, 255)) & t.mask(wide)), chance.getrandbits(wide))
        value = chance.choice((t.mul(wide, total, b), t.sub(wide, total, b), total))
        condition = chance.choice((t.slt, t.sle, t.ult, t.eq))(wide, value, chance.getrandbits(wide))
        limits = [t.ult(8, A, 12), t.ult(8, B, 12)]
        answer = impossible(limits, [condition])
        answers[answer] += 1
        if answer:
            for x in range(12):
                for y in range(12):
                    values = {A.uid: x, B.uid: y}
                    assert not t.evaluate(condition, lambda leaf, _, v=values: v[leaf.uid], {}), t.show(condition)
    assert min(answers.values()) > 5


def test_a_product_of_less_is_less() -> None:
    limit, rate, elapsed = (t.zext(t.var(name, 32), 32, 64) for name in ("limit", "rate", "elapsed"))
    refill = t.udiv(64, limit, rate)
    assert impossible(
        [t.ne(64, rate, 0)], [t.ule(64, elapsed, refill), t.ult(64, limit, t.mul(64, elapsed, rate))]
    )
    assert not impossible([], [t.ule(64, elapsed, limit), t.ult(64, limit, t.mul(64, elapsed, rate))])


def test_an_example_satisfies_sums_and_functions() -> None:
    at = t.app("at", 8, (8, A))
    total = t.add(16, t.zext(at, 8, 16), t.scale(16, t.zext(B, 8, 16), 3))
    conditions = [t.eq(16, total, 500), t.ult(8, A, 4), t.var("flag", 0)]
    found = example(conditions)
    assert set(found) == {A, B, at, t.var("flag", 0)}
    assert found[at] + 3 * found[B] == 500 and found[A] < 4 and found[t.var("flag", 0)]
    assert example([*conditions, t.ult(8, B, 80)]) == {}
