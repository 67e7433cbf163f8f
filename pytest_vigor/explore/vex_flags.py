"""Flags and flags words of VEX's thunks, whose operations ("cc_op") have numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from pytest_vigor import term
from pytest_vigor.explore import vex_flag_kinds as kinds
from pytest_vigor.explore.vex_flag_kinds import METHODS, Flags, Later, Old, known
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Bool, Term, Value

# VEX's order: each kind for 8, 16, 32 and 64 bits, the newer ones for 32 and 64 only.
_ALL: Sequence[type[Flags]] = (
    kinds.Add, kinds.Subtract, kinds.AddWithCarry, kinds.SubtractWithBorrow, kinds.Logic, kinds.Increment,
    kinds.Decrement, kinds.ShiftLeft, kinds.ShiftRight, kinds.RotateLeft, kinds.RotateRight, kinds.MultiplyUnsigned,
    kinds.MultiplySigned,
)
_NEWER: Sequence[type[Flags]] = (
    kinds.AndNot, kinds.LowestSet, kinds.MaskLowest, kinds.ResetLowest, kinds.AddCarryOnly, kinds.AddOverflowOnly,
)
_THUNKS: tuple[tuple[type[Flags], int], ...] = (
    (kinds.Copy, 64),
    *((kind, width) for kind in _ALL for width in (8, 16, 32, 64)),
    *((kind, width) for kind in _NEWER for width in (32, 64)),
)


class Pending(Later):
    """A flags word not worth computing yet: most are overwritten unread (VEX asks for one at every rotate)."""

    __slots__ = ("depth", "thunk")

    def __init__(self, cc_op: Value, dep1: Value, dep2: Value, old: Old) -> None:
        if type(old) is Pending and old.depth >= 8:  # a loop of rotates must not pile them up
            old = known(old)
        self.depth: int = old.depth + 1 if type(old) is Pending else 0
        self.thunk = cc_op, dep1, dep2, old

    def flag(self, position: int) -> Bool:
        return flag(position, *self.thunk)

    def word(self) -> Value:
        return flags_word(*self.thunk)


def flags(cc_op: int, dep1: Value, dep2: Value, old: Old) -> Flags:
    """The flags that a thunk with a concrete operation stands for."""
    if not 0 <= cc_op < len(_THUNKS):
        raise Unmodelled(f"flags after VEX operation number {cc_op}")
    kind, width = _THUNKS[cc_op]
    return kind(width, dep1, dep2, old)


def flag(position: int, cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Bool:
    """One flag, by its position."""
    if type(cc_op) is int:
        return getattr(flags(cc_op, dep1, dep2, old), METHODS[position])()  # type: ignore[no-any-return]
    test, yes, no = either(cc_op, dep1, dep2, old)
    return term.ite(0, test, flag(position, *yes), flag(position, *no))  # type: ignore[no-any-return]


def flags_word(cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Value:
    """All six flags at their places in a 64-bit word."""
    if type(cc_op) is int:
        return flags(cc_op, dep1, dep2, old).word()
    test, yes, no = either(cc_op, dep1, dep2, old)
    return term.ite(64, test, flags_word(*yes), flags_word(*no))  # type: ignore[no-any-return]


Thunk: TypeAlias = tuple[Value, Value, Value, Old]


def either(cc_op: Value, dep1: Value, dep2: Value, old: Old) -> tuple[Bool, Thunk, Thunk]:
    """The two thunks that a thunk is, and which it is: a shift by a symbolic count leaves the flags alone if the
    count is zero."""
    if type(cc_op) is not Term or cc_op.op != "ite":
        raise Unmodelled("flags after an operation that is not known")
    test = cc_op.args[0]

    def arm(value: Any, which: int) -> Any:
        known_side = type(value) is Term and value.op == "ite" and value.args[0] is test
        return value.args[which] if known_side else value

    yes, no = ((arm(cc_op, i), arm(dep1, i), arm(dep2, i), arm(old, i)) for i in (1, 2))
    return test, yes, no
