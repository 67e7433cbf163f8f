"""A witness like a known one differs only in what stands in the way; places that runs came to are told apart from those
to which something leads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from pytest_vigor import term as t
from pytest_vigor.behaviour import PACKET
from pytest_vigor.frame import Frame
from pytest_vigor.packet import checksum_places
from pytest_vigor.smt import Sat, Solver
from pytest_vigor.term import Bool
from pytest_vigor.witness import TOGETHER, Arrival, Arrivals, Witness, mended

A, B, C = (t.var(name, 8) for name in "abc")


def byte(place: t.Value) -> t.Value:
    return Frame(PACKET).byte(place)


def model_of(*conditions: Bool) -> Sat:
    found = Solver().check(*conditions)
    assert isinstance(found, Sat)
    return found


def mended_of(model: Sat, conditions: Sequence[Bool]) -> Sat | None:
    return next((found for found in mended(Solver(), model, conditions) if found is not None), None)


def test_checksums_are_where_the_options_end() -> None:
    assert checksum_places(lambda place: 0x45) == {24, 25, 40, 41, 50, 51}
    assert checksum_places(lambda place: 0x47) == {24, 25, 48, 49, 58, 59}


def test_only_what_a_broken_condition_depends_on_becomes_another() -> None:
    model = model_of(t.eq(8, A, 3), t.eq(8, B, 4), t.eq(8, C, 5))
    found = mended_of(model, [t.ult(8, A, 9), t.eq(8, t.add(8, B, 1), 7), t.ult(8, C, 9)])
    assert found is not None
    assert [found.value(each) for each in (A, B, C)] == [3, 6, 5]


def test_what_contradicts_what_has_become_another_becomes_another_too() -> None:
    model = model_of(t.eq(8, A, 3), t.eq(8, B, 3), t.eq(8, C, 5))
    found = mended_of(model, [t.eq(8, A, 7), t.eq(8, A, B), t.ult(8, C, 9)])
    assert found is not None
    assert [found.value(each) for each in (A, B, C)] == [7, 7, 5]


def test_a_function_becomes_another_at_the_place_in_question_only() -> None:
    def of(index: t.Value) -> t.Value:
        return t.app("of", 8, (8, index))

    model = model_of(t.eq(8, A, 1), t.eq(8, of(A), 2), t.eq(8, of(9), 3))
    found = mended_of(model, [t.eq(8, of(A), 5), t.ult(8, of(9), 4), t.ult(8, A, 4)])
    assert found is not None
    assert [found.value(each) for each in (A, of(1), of(9))] == [1, 5, 3]


def test_nothing_is_found_where_there_is_nothing() -> None:
    model = model_of(t.eq(8, A, 3))
    assert mended_of(model, [t.eq(8, A, 7), t.ult(8, A, B), t.ult(8, B, 5)]) is None


def test_where_the_bytes_of_a_packet_are_stays_as_it_was() -> None:
    port = byte(t.add(16, t.zext(t.extract(byte(14), 8, 3, 0), 8, 16), 20))
    model = model_of(t.eq(8, byte(14), 0x45), t.eq(8, byte(25), 0))
    longer = t.ult(8, 7, t.add(8, t.extract(byte(14), 8, 3, 0), byte(40)))
    found = mended_of(model, [t.eq(8, port, 9), longer])
    assert found is not None
    assert found.value(byte(14)) == 0x45
    assert found.value(byte(25)) == 9


def test_checksums_are_always_open() -> None:
    given = [t.eq(8, byte(14), 0x45), t.eq(8, byte(23), 17), t.eq(8, byte(24), 0), t.eq(8, byte(25), 0)]
    total = t.add(8, t.add(8, byte(23), byte(24)), byte(25))
    found = mended_of(model_of(*given), [t.eq(8, total, 20), t.eq(8, byte(23), 17)])
    assert found is not None
    assert found.value(total) == 20


def test_a_witness_is_kept_without_its_solver_and_is_zero_elsewhere() -> None:
    witness = Witness(model_of(t.eq(8, A, 3)), [t.eq(8, A, 3)])
    assert witness.holds(t.ult(8, A, 4))
    assert not witness.holds(t.ult(8, 4, A))
    assert witness.holds(t.eq(8, B, 0))
    assert witness.holds(t.lnot(t.var("flag", 0)))


def place(*conditions: Bool, model: Sat | None = None, known: deque[Witness] | None = None) -> Arrival:
    return Arrival(Solver(), conditions, model, deque() if known is None else known, lambda condition: condition)


def test_a_place_that_the_model_leads_to_is_reached_at_once() -> None:
    arrivals = Arrivals()
    arrivals.come(place(t.eq(8, A, 3), model=model_of(t.eq(8, A, 3))))
    assert arrivals.is_reached


def test_a_place_that_a_witness_of_another_leads_to_is_reached_at_once() -> None:
    known = deque([Witness(model_of(t.eq(8, A, 3)), [t.eq(8, A, 3)])])
    arrivals = Arrivals()
    arrivals.come(place(t.ult(8, A, 9), known=known))
    assert arrivals.is_reached


def test_what_is_found_is_known_from_then_on() -> None:
    known: deque[Witness] = deque()
    arrivals = Arrivals()
    arrivals.come(place(t.eq(8, A, 4), model=model_of(t.eq(8, A, 3)), known=known))
    assert not arrivals.is_reached
    assert arrivals.find()
    assert [each.holds(t.eq(8, A, 4)) for each in known] == [True]


def test_attempts_are_made_when_some_places_have_come_together() -> None:
    arrivals, model = Arrivals(), model_of(t.eq(8, A, 3))
    for number in range(TOGETHER):
        assert not arrivals.is_reached
        arrivals.come(place(t.eq(8, A, 4 + number), model=model))
    assert arrivals.is_reached


@pytest.mark.parametrize("model", [None, model_of(t.eq(8, A, 3))], ids=["no model", "a model"])
def test_places_to_which_nothing_leads_are_not_reached(model: Sat | None) -> None:
    arrivals = Arrivals()
    for number in range(TOGETHER + 1):
        arrivals.come(place(t.ult(8, A, number), t.ult(8, number, A), model=model))
    assert not arrivals.find()
    arrivals.come(place(t.ult(8, 100, A), t.ult(8, A, 102)))
    assert arrivals.find()
