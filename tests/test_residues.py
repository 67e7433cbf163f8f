"""Remainders modulo 65,535 are those of the values, and one's complement sums have the forms that they should have."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from expressions import Expressions, environment, interesting, leaf

from pytest_vigor import term as t
from pytest_vigor.residues import MODULUS, is_multiple, is_zero, remainder, sums

TRIALS = 3_000
WORDS = [t.var(f"word{k}", 16) for k in range(6)]


def value_of(form: Any, evaluated: Callable[[t.Term], int]) -> int:
    return (form.const + sum(factor * evaluated(atom) for atom, factor in form.atoms.items())) % MODULUS  # type: ignore[no-any-return]


def test_a_form_leaves_the_remainder_of_its_value() -> None:
    chance = Random(1)
    source = Expressions(chance)
    for _ in range(TRIALS):
        value = source.bits(chance.randrange(1, 6), chance.choice((8, 16, 32, 64)))[0]
        given = environment(chance)
        found = t.evaluate(value, leaf(given), {})
        assert value_of(remainder(value), lambda atom, g=given: t.evaluate(atom, leaf(g), {})) == found % MODULUS  # type: ignore[misc]
        assert t.evaluate(is_multiple(value), leaf(given), {}) is (found % MODULUS == 0)


def test_what_is_chosen_cancels_out() -> None:
    test, (word, other, *_) = t.var("test", 0), WORDS
    chosen = t.ite(16, test, word, other)
    total = t.add(32, t.zext(chosen, 16, 32), t.zext(t.bnot(16, word), 16, 32))
    assert t.substitute(is_multiple(total), lambda leaf: True if leaf is test else None, {}) is True
    assert t.substitute(is_multiple(total), lambda leaf: False if leaf is test else None, {}) not in (True, False)


def summed(chance: Random, depth: int) -> tuple[t.Value, Callable[[dict[str, int]], int]]:
    """A 16-bit word as checksum code computes it, and what it means."""
    if depth == 0:
        word = chance.choice(WORDS)
        return word, lambda given: given[word.data]
    width, parts = chance.choice((32, 64)), [summed(chance, depth - 1) for _ in range(chance.randrange(2, 5))]
    folds = [chance.random() < 0.5 for _ in range(chance.randrange(4))]
    inverted = [chance.random() < 0.5 for _ in parts]
    complement = chance.random() < 0.5
    total: t.Value = 0
    for (part, _), is_inverted in zip(parts, inverted, strict=True):
        total = t.add(width, total, t.zext(t.bnot(16, part) if is_inverted else part, 16, width))
    for masked in folds:
        carry = t.lshr(width, total, 16)
        total = t.add(width, t.band(width, total, MODULUS) if masked else total, carry)
    out = t.extract(t.bnot(width, total) if complement else total, width, 15, 0)

    def meaning(given: dict[str, int]) -> int:
        total = sum(m(given) ^ (MODULUS if n else 0) for (_, m), n in zip(parts, inverted, strict=True))
        for masked in folds:
            total = (total & MODULUS if masked else total) + (total >> 16)
        return (~total if complement else total) & MODULUS

    return out, meaning


@pytest.mark.parametrize("seed", range(3))
def test_one_complement_sums_mean_what_they_say(seed: int) -> None:
    chance = Random(seed)
    for _ in range(TRIALS // 3):
        value, meaning = summed(chance, chance.randrange(1, 4))
        form = remainder(value)
        for _ in range(3):
            given = {word.data: interesting(chance, 16) for word in WORDS}
            evaluated = lambda atom, g=given: t.evaluate(atom, leaf(g), {})  # noqa: E731
            assert evaluated(value) == meaning(given), t.show(value, 40)
            assert value_of(form, evaluated) == meaning(given) % MODULUS, t.show(value, 40)


def updated(checksum: t.Value, old: t.Value, new: t.Value, masked: bool) -> t.Value:
    """RFC 1624 equation 3, with two folds, the second of which need not cut the carry off."""
    inverted = (t.zext(t.bnot(16, each), 16, 32) for each in (checksum, old))
    total = t.add(32, t.add(32, *inverted), t.zext(new, 16, 32))
    total = t.add(32, t.band(32, total, MODULUS), t.lshr(32, total, 16))
    total = t.add(32, t.band(32, total, MODULUS) if masked else total, t.lshr(32, total, 16))
    return t.extract(t.bnot(32, total), 32, 15, 0)


@pytest.mark.parametrize("masked", [True, False])
def test_updates_of_checksums_are_linear(masked: bool) -> None:
    checksum, old, new, other, another = WORDS[:5]
    once = updated(checksum, old, new, masked)
    assert remainder(once).atoms == remainder(checksum).plus(remainder(old)).plus(remainder(new), -1).atoms
    twice = updated(updated(once, other, another, masked), new, old, masked)
    assert remainder(twice).atoms == remainder(checksum).plus(remainder(other)).plus(remainder(another), -1).atoms
    sent = t.ite(16, t.eq(16, once, 0), MODULUS, once)  # as RFC 768 wants it
    total = t.add(32, t.zext(sent, 16, 32), t.zext(new, 16, 32))
    before = t.add(32, t.zext(checksum, 16, 32), t.zext(old, 16, 32))
    assert is_multiple(total) is is_multiple(before)
    assert is_multiple(t.add(32, total, 1)) is not is_multiple(before)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_of_compared_sums_always_holds(seed: int) -> None:
    chance = Random(seed)
    found = 0
    for _ in range(TRIALS // 3):
        value, _ = summed(chance, chance.randrange(1, 4))
        for total in sums(t.eq(16, value, chance.choice((0, MODULUS)))):
            found += 1
            for _ in range(3):
                given = {word.data: interesting(chance, 16) for word in WORDS}
                assert t.evaluate(is_zero(total), leaf(given), {}) is True, t.show(total, 40)
    assert found


def test_a_sum_is_nothing_only_where_each_word_is() -> None:
    total: t.Value = 0
    for word in WORDS:
        total = t.add(32, total, t.zext(word, 16, 32))
    for _ in range(2):
        total = t.add(32, t.band(32, total, MODULUS), t.lshr(32, total, 16))
    (compared,) = sums(t.eq(32, total, 0))
    nothing = t.land(*(t.eq(16, word, 0) for word in WORDS))
    assert t.implies(t.eq(compared.width, compared, 0), nothing) in is_zero(compared).args
