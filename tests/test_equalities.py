"""Where conditions hold, what they literally imply changes nothing that can be observed."""

from __future__ import annotations

from random import Random
from typing import Any

from expressions import Expressions

from pytest_vigor import term as t
from pytest_vigor.equalities import Equalities, Settled, same_arguments, uncut

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
    assert equal.learn(t.eq(8, X, t.extract(read(X), 16, 7, 0)))
    assert equal(read(X)) is read(X)
    assert equal(t.extract(read(X), 16, 7, 0)) is X


def test_a_key_that_is_replaced_in_part_is_still_known() -> None:
    equal = Equalities()
    assert equal.learn(t.eq(16, read(X), 7))
    assert equal.learn(t.eq(8, X, Y))
    assert equal(read(X)) == equal(read(Y)) == 7


def test_bytes_that_make_a_number_are_equal_one_by_one() -> None:
    equal = Equalities()
    assert equal.learn(t.eq(16, t.concat([(8, X), (8, Y)]), t.add(16, read(Z), 1)))
    assert equal(Y) is t.extract(t.add(16, read(Z), 1), 16, 7, 0)
    assert equal(t.eq(16, t.concat([(8, X), (8, Y)]), t.add(16, read(Z), 1))) is True


def test_a_sum_that_fits_is_not_cut() -> None:
    wide = t.add(16, read(X), t.zext(Y, 8, 16))
    cut = t.zext(t.extract(wide, 16, 7, 0), 8, 16)
    settled = Settled()
    settled.add(t.ult(16, wide, 1 << 8))
    assert settled.equal(cut) is wide
    assert settled.equal(t.sub(16, cut, t.zext(Y, 8, 16))) is read(X)
    port = t.add(16, t.var("start", 16), t.extract(t.var("index", 32), 32, 15, 0))
    whole = t.add(32, t.zext(t.var("start", 16), 16, 32), t.var("index", 32))
    assert list(uncut([t.concat([(8, t.extract(port, 16, 7, 0)), (8, t.extract(port, 16, 15, 8))])])) == [
        t.ult(32, whole, 1 << 16)
    ]
    assert list(uncut([t.opaque(16, port), t.app("table", 16, (16, port)), 3])) == []


def test_places_whose_contents_are_compared() -> None:
    low, high = (t.extract(read(X), 16, 7, 0), t.extract(read(X), 16, 15, 8))
    compared = t.lor(t.eq(8, low, t.extract(read(Y), 16, 7, 0)), t.eq(8, high, t.extract(read(Y), 16, 15, 8)))
    assert list(same_arguments(compared)) == [t.eq(8, X, Y)]
    assert list(same_arguments(t.land(t.eq(16, read(X), 3), t.ult(16, read(X), read(Y))))) == []
    assert list(same_arguments(t.eq(16, read(t.add(8, X, 1)), read(X)))) == []  # which are never the same


def test_parts_of_what_they_are_part_of_are_the_same_wherever_the_conditions_hold() -> None:
    chance = Random(22)
    w = t.add(16, t.zext(X, 8, 16), t.zext(Y, 8, 16))
    facts: list[t.Bool] = [
        t.eq(8, X, t.extract(read(X), 16, 7, 0)),
        t.eq(16, read(Y), t.concat([(8, Y), (8, Y)])),
        t.eq(16, t.concat([(8, Y), (8, X)]), t.concat([(8, t.extract(read(Y), 16, 7, 0)), (8, X)])),
        t.ult(16, w, 1 << 8),
        t.eq(8, Z, t.extract(w, 16, 7, 0)),
        t.eq(8, Y, t.extract(read(t.extract(w, 16, 7, 0)), 16, 15, 8)),
        t.eq(8, X, Y),
        t.eq(8, X, 2),
    ]
    pieces = [X, Y, Z, *(t.extract(each, 16, 7, 0) for each in (read(X), read(Y), read(Z), w)),
              t.extract(read(t.extract(w, 16, 7, 0)), 16, 15, 8)]  # fmt: skip
    compared = 0
    for _ in range(400):
        held = chance.sample(facts, 3)
        settled = Settled()
        for condition in held:
            settled.add(condition)
        one, other, third = (chance.choice(pieces) for _ in range(3))
        asked = t.add(16, read(t.add(8, one, chance.choice((0, 1)))), t.zext(t.add(8, other, third), 8, 16))
        for _ in range(40):
            x, y = chance.choice((0, 2, 3, chance.randrange(256))), chance.choice((0, 2, 3, chance.randrange(256)))
            values = {"x": x, "y": y, "z": chance.choice((x, y, x + y & 255))}

            def leaf(each: t.Term, args: tuple[Any, ...], values: dict[str, int] = values) -> int:
                return 0x101 * args[0] if each.op == "app" else values[each.data]

            if all(t.evaluate(each, leaf, {}) for each in held):
                compared += 1
                assert not settled.impossible
                assert t.evaluate(settled.equal(asked), leaf, {}) == t.evaluate(asked, leaf, {}), (held, asked)
    assert compared > 500


def test_contradictions_are_noticed() -> None:
    settled = Settled()
    for condition in (t.eq(8, X, Y), t.ult(16, read(X), 5), t.ult(16, 9, read(Y))):
        settled.add(condition)
    settled.settle()
    assert settled.impossible


def test_what_follows_holds_wherever_the_conditions_hold() -> None:
    chance = Random(22)
    names = ("v8_0", "v8_1")
    source = Expressions(chance, functions=False, widths=(8,), variables=2)
    compared = following = 0
    for _ in range(400):
        conditions, meanings = zip(*(source.truth(2) for _ in range(3)), strict=True)
        claim, meaning = source.truth(2)
        settled = Settled()
        for condition in conditions:
            settled.add(condition)
        if not settled.follows(claim):
            continue
        following += 1
        for _ in range(100):
            values = {name: chance.choice((0, 1, 2, 127, 128, 255, chance.randrange(256))) for name in names}
            if all(each(values) for each in meanings):
                compared += 1
                assert meaning(values)
    assert following > 60 and compared > 500


def settled_with(*conditions: t.Bool) -> Settled:
    settled = Settled()
    for condition in conditions:
        settled.add(condition)
    return settled


def test_the_last_of_alternatives_is_taken() -> None:
    one, other = t.ult(8, X, 3), t.ult(8, Y, 5)
    assert settled_with(t.lor(t.lnot(one), other), t.lor(t.lnot(other), t.eq(8, Z, 1)), one).follows(t.eq(8, Z, 1))
    assert not settled_with(t.lor(t.lnot(one), other)).follows(other)


def test_both_ways_of_a_choice_are_looked_at() -> None:
    chosen = t.ite(8, t.eq(8, X, Y), Z, t.var("w", 8))
    below = t.ult(8, t.var("w", 8), 9), t.ult(8, Z, 9)
    assert settled_with(*below).follows(t.ult(8, chosen, 9))
    assert not settled_with(below[0]).follows(t.ult(8, chosen, 9))
