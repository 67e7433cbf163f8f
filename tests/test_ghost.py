"""Abstract states on symbols: what is asked of one is not taken for something else that is."""

from __future__ import annotations

import pytest

from pytest_vigor import term as t
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Facts
from pytest_vigor.ghost.flows import INDEX_BITS, TIME_BITS, Base
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.number import Number, Truth


class Undecided:
    """A run on which nothing is decided."""

    def decide(self, condition: t.Bool) -> bool:
        raise AssertionError(f"{condition} was to be decided")


def pool() -> IndexPool:
    return IndexPool(Undecided(), Base(Facts(), "pool", 0, t.var("capacity", INDEX_BITS)))


def test_ages_at_most_a_known_time_are_not_ages_at_most_an_unknown_one() -> None:
    time = t.var("some time", TIME_BITS)
    state = pool()
    unknown, known = state.ages_at_most(Number(state.run, time, True)), state.ages_at_most(time.uid)
    assert isinstance(unknown, Truth) and isinstance(known, Truth)
    assert unknown.term is not known.term


def test_used_indices_are_not_compared_by_which_object_they_are() -> None:
    state = pool()
    with pytest.raises(TypeError, match="compare the states"):
        assert state.indices != state.indices


class Told(Undecided):
    """A run that is told what has no answer."""

    unanswered = ""


def test_entries_of_a_symbolic_table_are_not_those_of_an_empty_one() -> None:
    run = Told()
    table = ConsistentHash(run, Facts(), "table", 32, 3, 5)
    with pytest.raises(TypeError, match="cannot be listed"):
        table.entries()
    assert run.unanswered == "a list of entries"
