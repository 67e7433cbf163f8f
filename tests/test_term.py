"""Terms mean what their constructors say, however they are simplified, rebuilt, substituted, or handed to z3."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import z3
from expressions import VARIABLES, Environment, Expressions, environment, leaf

from pytest_vigor import term as t
from pytest_vigor.translation import Translator

TRIALS = 3_000
TRANSLATIONS = 1_200


def checked(value: Any, want: Any, given: Environment) -> None:
    """That a term has a value, of the right type and within its bounds."""
    got = t.evaluate(value, leaf(given), {})
    assert got == want and type(got) is type(want), (t.show(value, 40), got, want, given)
    if isinstance(value, t.Term) and value.width:
        assert value.lo <= want <= value.hi, (t.show(value, 40), want)


@pytest.mark.parametrize("seed", range(3))
def test_a_term_evaluates_to_what_it_was_built_from(seed: int) -> None:
    chance = Random(seed)
    source = Expressions(chance)
    for _ in range(TRIALS):
        value, meaning = source.any(chance.randrange(1, 6))
        for _ in range(3):
            given = environment(chance)
            checked(value, meaning(given), given)


def test_replacing_variables_keeps_the_meaning() -> None:
    chance = Random(10)
    source = Expressions(chance)
    for _ in range(TRIALS // 2):
        value, meaning = source.any(chance.randrange(1, 5))
        given = environment(chance)
        fixed = {name for name in VARIABLES if chance.random() < 0.5}
        less = t.substitute(value, lambda x, g=given, f=fixed: g[x.data] if x.op == "var" and x.data in f else None, {})
        checked(less, meaning(given), given)
        left = {x.data for x in t.leaves(less).values() if x.op == "var"}
        assert left.isdisjoint(fixed)
        renamed = t.substitute(value, lambda x: t.var(f"{x.data}'", x.width) if x.op == "var" else None, {})
        back = t.substitute(renamed, lambda x: t.var(x.data[:-1], x.width) if x.op == "var" else None, {})
        checked(back, meaning(given), given)


def rebuilt(value: Any, memo: dict[int, Any]) -> Any:
    """A term made again from its shape, as loading a Behaviour does."""
    if not isinstance(value, t.Term):
        return value
    if value.uid not in memo:
        args = [rebuilt(a, memo) for a in value.args]
        memo[value.uid] = t.build(value.op, value.width, args, t.shape(value))
    return memo[value.uid]


def test_a_term_rebuilt_from_its_shape_means_the_same() -> None:
    chance = Random(20)
    source = Expressions(chance)
    for _ in range(TRIALS // 2):
        value, meaning = source.any(chance.randrange(1, 6))
        given = environment(chance)
        checked(rebuilt(value, {}), meaning(given), given)


def test_the_same_construction_gives_the_same_object() -> None:
    for seed in range(300):
        one, two = (Expressions(Random(seed)).any(4)[0] for _ in range(2))
        assert one is two or one == two


def test_z3_understands_terms_as_python_does() -> None:
    chance = Random(30)
    source = Expressions(chance, functions=False)
    translator = Translator()
    context = translator.context
    variables = {name: z3.BitVec(name, width, context) for name, width in VARIABLES.items()}
    for _ in range(TRANSLATIONS):
        value, meaning = source.any(chance.randrange(1, 5))
        if not isinstance(value, t.Term):
            continue
        ast = translator(value)
        expression = (z3.BoolRef if value.width == 0 else z3.BitVecRef)(ast, context)
        if value.width:
            assert expression.size() == value.width
        given = environment(chance)
        pairs = [(variables[name], z3.BitVecVal(number, VARIABLES[name], context)) for name, number in given.items()]
        got = z3.simplify(z3.substitute(expression, *pairs))
        want = meaning(given)
        assert (z3.is_true(got) if value.width == 0 else got.as_long()) == want, (t.show(value, 40), given)


# ---- normal forms that the explorer relies on


def test_sums_are_one_object_in_whatever_order() -> None:
    a, b = t.var("v64_0", 64), t.var("v64_1", 64)
    one = t.add(64, t.add(64, a, 5), t.scale(64, b, 4))
    two = t.sub(64, t.add(64, t.shl(64, b, 2), t.add(64, a, 7)), 2)
    assert one is two
    assert t.sub(64, one, two) == 0
    assert t.split_base(64, one) == (5, t.sub(64, one, 5))


def test_bytes_put_together_again_are_the_number() -> None:
    number = t.var("v32_0", 32)
    parts = [(8, t.extract(number, 32, 8 * k + 7, 8 * k)) for k in reversed(range(4))]
    assert t.concat(parts) is number
    shifted = t.bor(
        32, t.shl(32, t.zext(t.extract(number, 32, 31, 16), 16, 32), 16), t.zext(t.extract(number, 32, 15, 0), 16, 32)
    )
    assert shifted is number


def test_a_comparison_has_one_form() -> None:
    a, b = t.var("v16_0", 16), t.var("v16_1", 16)
    assert t.lnot(t.ult(16, a, b)) is t.ule(16, b, a)
    assert t.lnot(t.lnot(t.eq(16, a, b))) is t.eq(16, b, a)
    assert t.ule(16, a, 9) is t.ult(16, a, 10)
    assert t.land(t.eq(16, a, b), t.ne(16, a, b)) is False
    assert t.lor(t.eq(16, a, b), t.ne(16, a, b)) is True


def test_uninitialised_bytes_stain_what_they_go_into() -> None:
    lost, known = t.undefined("lost", 8), t.var("v8_0", 8)
    both = t.concat([(8, lost), (8, known)])
    assert isinstance(both, t.Term) and both.undefined
    whole = t.extract(both, 16, 7, 0)
    assert whole is known and not known.undefined
    assert t.band(16, both, 0x00FF) is t.zext(known, 8, 16)


def test_a_term_has_no_truth_value_and_is_not_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="no truth value"):
        bool(t.var("v8_0", 8))
    with pytest.raises(TypeError, match=r"behaviour\.dump"):
        pickle.dumps(t.var("v8_0", 8))


def test_sums_with_a_factor_in_common_keep_their_order() -> None:
    chance = Random(31)
    x, y = t.var("x", 8), t.var("y", 8)
    shorter = 0
    for _ in range(400):
        factor = chance.choice((2, 3, 4, 10))

        def side(atom: t.Term, factor: int = factor) -> t.Value:
            const = chance.choice((0, factor, 1, 5, chance.randrange(40)))
            if chance.random() < 0.3:
                return const * chance.choice((1, factor))
            return t.zext(t.add(12, t.scale(12, t.zext(atom, 8, 12), factor), const), 12, 16)

        a, b = side(x), side(y)
        condition = t.ult(16, a, b)
        sides = condition.args if isinstance(condition, t.Term) else ()
        shorter += bool(sides) and not any(isinstance(each, t.Term) and each.op == "add" for each in sides)
        for _ in range(20):
            values = {x.uid: chance.choice((0, 1, 2, chance.randrange(256))), y.uid: chance.randrange(256)}

            def at(value: t.Value, values: dict[int, int] = values) -> int:
                return t.evaluate(value, lambda leaf, _: values[leaf.uid], {})  # type: ignore[no-any-return]

            assert at(condition) == (at(a) < at(b)), t.show(condition)
    assert shorter > 20


@pytest.mark.parametrize("less", [t.ult, t.slt])
def test_comparing_with_the_less_or_the_greater_of_two_is_comparing_with_both(less: Any) -> None:
    x, y, z = (t.var(name, 4) for name in "xyz")
    for yes, no in ((x, y), (y, x)):
        chosen = t.ite(4, less(4, x, y), yes, no)
        for a, b in ((chosen, z), (z, chosen), (chosen, 5), (5, chosen), (chosen, x), (y, chosen)):
            condition = less(4, a, b)
            assert isinstance(condition, bool) or condition.op in ("land", "lor", "lnot", "ult", "slt")
            for number in range(1 << 12):
                values = {x.uid: number & 15, y.uid: number >> 4 & 15, z.uid: number >> 8}

                def at(value: t.Value, values: dict[int, int] = values) -> int:
                    return t.evaluate(value, lambda leaf, _: values[leaf.uid], {})  # type: ignore[no-any-return]

                assert at(condition) == less(4, at(a), at(b)), t.show(condition)
    assert less(4, t.ite(4, less(4, x, y), x, y), z) is t.lor(less(4, x, z), less(4, y, z))
    assert less(4, z, t.ite(4, less(4, x, y), x, y)) is t.land(less(4, z, x), less(4, z, y))
