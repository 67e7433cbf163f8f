"""What watches a property does not see what is of no interest to it, and sees all else."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from pytest_vigor.property.asserts import watch_asserts
from pytest_vigor.watch import unwatch, unwatched, watching


def inner() -> str:
    return "inner"


@unwatched
def aside(fail: bool = False) -> str:
    if fail:
        raise LookupError
    return inner()


def seen_of(function: Any) -> list[str]:
    seen: list[str] = []

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            seen.append(frame.f_code.co_name)
        return trace

    with watching(trace):
        function()
    assert sys.gettrace() is None
    return seen


def test_what_is_unwatched_is_not_seen() -> None:
    def watched() -> None:
        aside()
        inner()

    seen = seen_of(watched)
    assert seen.count("inner") == 1
    assert "aside" not in seen


def test_the_watch_goes_on_after_an_error() -> None:
    def watched() -> None:
        try:
            aside(fail=True)
        except LookupError:
            inner()

    assert seen_of(watched).count("inner") == 1


def test_a_watch_that_has_ended_is_not_taken_up_again() -> None:
    def watched() -> None:
        unwatch()
        aside()
        inner()

    assert "inner" not in seen_of(watched)


def test_asserts_after_what_is_unwatched_are_noted() -> None:
    before: list[bool] = []

    def claim() -> None:
        aside()
        before.append(noted.reached)
        assert aside() == "inner"

    with watch_asserts() as noted:
        claim()
    assert before == [False]
    assert noted.reached


def test_a_debugger_keeps_the_hook() -> None:
    seen: list[str] = []

    def debugger(frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            seen.append(frame.f_code.co_name)
        return debugger

    sys.settrace(debugger)
    try:
        with watch_asserts():
            aside()
        inner()
    finally:
        sys.settrace(None)
    assert seen.count("inner") == 2
