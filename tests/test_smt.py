"""The solver answers Sat with a model that holds, Unsat where nothing can, and Unsure where it gives up."""

from __future__ import annotations

from random import Random

import pytest
from expressions import Expressions, leaf

from pytest_vigor import term as t
from pytest_vigor.smt import Sat, Solver, Unsat, Unsure

A, B, C = (t.var(name, 8) for name in "abc")


def solved(solver: Solver, *conditions: t.Bool) -> Sat:
    answer = solver.check(*conditions)
    assert isinstance(answer, Sat)
    return answer


def test_answers_agree_with_trying_every_value() -> None:
    chance = Random(5)
    source = Expressions(chance, functions=False, widths=(8,), variables=1)
    solver = Solver()
    seen = {Sat: 0, Unsat: 0}
    for _ in range(250):
        condition, meaning = source.truth(chance.randrange(2, 4))
        possible = [value for value in range(256) if meaning({"v8_0": value})]
        answer = solver.check(condition)
        assert not isinstance(answer, Unsure)
        seen[type(answer)] += 1
        if isinstance(answer, Sat):
            assert answer.value(t.var("v8_0", 8)) in possible, t.show(condition)
            assert answer.value(condition) is True
        else:
            assert possible == [], t.show(condition)
    assert min(seen.values()) > 10


def test_a_model_satisfies_what_it_was_asked_about() -> None:
    chance = Random(6)
    source = Expressions(chance)
    solver, sat = Solver(resources=200_000), 0
    for _ in range(80):
        conditions = [source.truth(2)[0] for _ in range(3)]
        answer = solver.check(*conditions)
        if isinstance(answer, Sat):
            sat += 1
            assert all(answer.value(condition) is True for condition in conditions)
    assert sat > 20


def test_one_argument_gives_one_result() -> None:
    f = [t.app("g", 16, (8, x)) for x in (A, B)]
    solver = Solver()
    assert isinstance(solver.check(t.eq(8, A, B), t.ne(16, f[0], f[1])), Unsat)
    answer = solved(solver, t.eq(16, f[0], 1), t.eq(16, f[1], 2))
    assert answer.value(A) != answer.value(B)
    assert [answer.value(x) for x in f] == [1, 2]
    # A function that was not asked about at some argument has a value there all the same.
    assert answer.value(t.app("g", 16, (8, C))) == answer.value(t.app("g", 16, (8, answer.value(C))))


def test_what_is_left_open_has_a_value() -> None:
    answer = solved(Solver(), t.eq(8, A, 3))
    assert answer.value(t.var("elsewhere", 64)) == answer.value(t.var("elsewhere", 64))
    assert answer.value(t.var("truth", 0)) in (True, False)
    assert answer.value(t.add(8, A, 1)) == 4
    assert answer.value(7) == 7 and answer.value(True) is True


def test_assertions_go_with_their_level() -> None:
    solver = Solver()
    solver.add(t.ult(8, A, 5))
    solver.push()
    solver.add(t.ult(8, 5, A))
    assert isinstance(solver.check(), Unsat)
    solver.push()
    solver.pop(2)
    assert solver.depth == 0
    assert solved(solver).value(A) < 5
    assert isinstance(solver.check(t.eq(8, A, 5)), Unsat)
    assert isinstance(solver.check(), Sat), "a question leaves nothing behind"


def test_constants_are_conditions_too() -> None:
    solver = Solver()
    assert isinstance(solver.check(False), Unsat)
    assert isinstance(solver.check(True), Sat)
    solver.add(True)
    assert isinstance(solver.check(), Sat)
    solver.add(False)
    assert isinstance(solver.check(), Unsat)


def test_giving_up_is_an_answer_of_its_own() -> None:
    x, y = (t.zext(t.var(name, 48), 48, 96) for name in "xy")
    solver = Solver(resources=200_000)
    product = t.eq(96, t.mul(96, x, y), ((1 << 48) - 59) * ((1 << 48) - 65))  # of two primes
    answer = solver.check(product, t.ult(96, 1, x), t.ult(96, x, y))
    assert isinstance(answer, Unsure) and answer.reason
    assert isinstance(solver.check(t.eq(96, x, 3)), Sat), "the next question is answered again"


def test_two_solvers_share_terms_but_no_assertions() -> None:
    one = Solver()
    other = Solver(one.translator)
    one.add(t.eq(8, A, 1))
    other.add(t.eq(8, A, 2))
    assert (solved(one).value(A), solved(other).value(A)) == (1, 2)


def test_questions_are_counted() -> None:
    solver = Solver()
    for number in range(5):
        solver.check(t.eq(8, A, number))
    assert solver.statistics.queries == 5
    assert solver.statistics.seconds >= solver.statistics.slowest_seconds >= 0


@pytest.mark.parametrize("seed", range(2))
def test_functions_in_random_terms_have_consistent_models(seed: int) -> None:
    chance = Random(seed)
    source, solver = Expressions(chance), Solver(resources=200_000)
    for _ in range(40):
        condition, _ = source.truth(3)
        answer = solver.check(condition)
        if isinstance(answer, Sat) and isinstance(condition, t.Term):
            known = {x.data: answer.value(x) for x in t.leaves(condition).values() if x.op == "var"}
            applied = {
                answer.value(x.args[0]): answer.value(x) for x in t.leaves(condition).values() if x.op == "app"
            }  # fmt: skip
            look = leaf(known)
            got = t.evaluate(
                condition, lambda x, args, a=applied, look=look: a[args[0]] if x.op == "app" else look(x, args), {}
            )
            assert got is True


def test_unknowns_of_one_name_are_one_unknown_for_whomever_they_were_made() -> None:
    one, terms = t.keep_apart(), []
    for whom in (one, None, one):
        t.keep_apart(whom)
        terms.append(t.add(8, t.var("kept apart", 8), 1))
    mine, theirs, again = terms
    assert mine is again and mine is not theirs
    assert isinstance(Solver().check(t.ne(8, mine, theirs)), Unsat)


def test_what_was_told_for_a_question_that_was_broken_off_is_forgotten() -> None:
    solver, x = Solver(), t.var("x", 8)
    solver.follow([t.ult(8, 1, x)])
    solver.push()
    solver.add(t.eq(8, x, 5))
    solver.follow([t.ult(8, 1, x), t.ult(8, x, 4)])
    assert isinstance(solver.check(), Sat)


def test_what_is_asked_alone_does_not_depend_on_the_stack() -> None:
    solver = Solver()
    solver.add(t.eq(8, A, 1))
    found = solver.alone([t.eq(8, A, 3)], [t.ult(8, B, A), t.ult(8, 1, B)], 100_000)
    assert isinstance(found, Sat)
    assert [found.value(each) for each in (A, B)] == [3, 2]


def test_the_core_of_what_is_asked_alone_leaves_out_what_does_not_matter() -> None:
    asked = [t.ult(8, C, 9), t.ult(8, A, B), t.ult(8, 4, C)]
    assert Solver().alone([t.eq(8, B, 0)], asked, 100_000) == Unsat((1,))


def test_where_haste_is_asked_for_nothing_slow_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def otherwise(*_: object) -> Unsat:
        return Unsat()

    monkeypatch.setattr(Solver, "_otherwise", otherwise)
    monkeypatch.setattr(Solver, "_ask", lambda *_: Unsure("it takes long"))
    assert Solver().check(t.ult(8, A, B)) == Unsat()
    assert Solver().check(t.ult(8, A, B), exact=False, hasty=True) == Unsure("it takes long")


def test_sums_that_cannot_be_are_seen_over_the_integers_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Solver, "_ask", lambda *_: pytest.fail("the solver for bits was asked"))
    product = t.mul(16, t.zext(A, 8, 16), t.zext(B, 8, 16))
    third = t.var("third", 16)
    assert Solver().check(t.ult(16, third, product), t.ult(16, product, third), rewrite=lambda each: each) == Unsat()


def test_hints_that_stand_in_the_way_are_not_heeded() -> None:
    def byte(index: t.Value) -> t.Term:
        return t.app("bytes", 8, (8, index))

    hints = [t.eq(8, A, 7), t.eq(8, byte(A), 5), t.eq(8, byte(7), 6), t.eq(8, B, 3)]
    found = Solver()._ask_bits([t.ult(8, A, 9)], hints=hints)
    assert isinstance(found, Sat)
    assert found.value(B) == 3
    assert isinstance(Solver()._ask_bits([t.ult(8, A, 7)], hints=[t.eq(8, A, 8)]), Sat)
    assert isinstance(Solver()._ask_bits([t.ult(8, A, 7), t.ult(8, 7, A)], hints=hints), Unsat)
