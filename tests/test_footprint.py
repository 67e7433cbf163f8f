"""A session leaves its process as it was, and gives memory back before it says that there is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from project import Project

from pytest_vigor import term as t
from pytest_vigor.footprint import give_back, memory_bytes
from pytest_vigor.work import MIB, Exhausted, Work

pytest_plugins = ["pytester"]


@pytest.fixture
def uncollected() -> Iterator[None]:
    """From here on, garbage stays where it is, and nothing else is given back."""
    t.keep_apart()
    give_back()
    gc.disable()
    yield
    gc.enable()


def test_a_session_leaves_the_collector_as_it_was(pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    project.nf()
    project.properties("""
        import gc
        def test_it(step):
            assert gc.get_threshold()[0] > 10_000
    """)
    before = gc.get_threshold()
    project.prove()
    once = gc.get_freeze_count()
    assert project.prove().outcomes == {"test_it": "passed"}
    assert gc.get_threshold() == before and before[0] < 10_000
    assert gc.get_freeze_count() <= once  # a later session's garbage is found


@pytest.mark.usefixtures("uncollected")
def test_garbage_is_given_back_before_a_budget_of_memory_has_run_out() -> None:
    work = Work(memory_mib=memory_bytes() / MIB + 100)
    held = [bytearray(b"x") * (200 * MIB)]
    with pytest.raises(Exhausted, match="MiB of memory"):
        work.check()
    held.append(held)  # type: ignore[arg-type]
    del held
    work.check()


@pytest.mark.usefixtures("uncollected")
def test_terms_last_as_long_as_the_subject_that_they_were_made_for() -> None:
    def made() -> int:
        return sum(type(each) is t.Term for each in gc.get_objects())

    before, mine = made(), t.keep_apart()
    for number in range(1, 1001):
        t.add(32, t.var("lasting", 32), number)
    t.keep_apart()
    assert made() > before + 1000
    del mine
    assert made() < before + 1000
