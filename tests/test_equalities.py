"""Where conditions hold, what they literally imply changes nothing that can be observed."""

from __future__ import annotations

from random import Random
from typing import Any

from expressions import Expressions

from pytest_vigor import term as t
from pytest_vigor.equalities import Equalities, Settled

X, Y, Z = (t.var(name, 8) for name in "xyz")


def read(key: t.Value) -> t.Term:
    return t.app("table", 16, (8, key))


def test_values_are_the_same_wherever_the_conditions_hold() -> None:
    chance = Random(21)
    names = ("v8_0", "v8_1")
    source = Expressions(chance, functions=False, widths=(8,), variables=2)
    compared = decided = 0
    for _ in range(300):
        conditions, meanings = zip(*(source.truth(2) for _ in range(3)), strict=True)
        asked, meaning = source.truth(3)
        settled = Settled()
        for condition in conditions:
            settled.add(condition)
        answer = settled.decided(asked)
        rewritten = settled.equal(asked)
        for _ in range(60):
            values = {name: chance.choice((0, 1, 2, 127, 128, 255, chance.randrange(256))) for name in names}
            if all(each(values) for each in meanings):
                compared += 1
                assert not settled.impossible

                def leaf(each: t.Term, _: Any, values: dict[str, int] = values) -> int:
                    return values[each.data]

                assert t.evaluate(rewritten, leaf, {}) == meaning(values)
                if answer is not None:
                    decided += 1
                    assert answer == meaning(values)
    assert compared > 500 and decided > 50


def test_equal_keys_become_one_term() -> None:
    equal = Equalities()
    assert equal.learn(t.eq(8, X, Y))
    assert equal(read(X)) is equal(read(Y))


def test_replacements_follow_each_other() -> None:
    settled = Settled()
    for condition in (t.eq(8, Y, X), t.eq(8, Z, Y), t.eq(8, X, 3)):
        settled.add(condition)
    assert settled.decided(t.eq(8, Z, 3)) is True
    assert settled.decided(t.eq(16, read(Z), read(3))) is True


def test_nothing_is_replaced_by_what_it_is_part_of() -> None:
    equal = Equalities()
    assert not equal.learn(t.eq(8, X, t.extract(read(X), 16, 7, 0)))
    assert equal(read(X)) is read(X)


def test_contradictions_are_noticed() -> None:
    settled = Settled()
    for condition in (t.eq(8, X, Y), t.ult(16, read(X), 5), t.ult(16, 9, read(Y))):
        settled.add(condition)
    settled.settle()
    assert settled.impossible
