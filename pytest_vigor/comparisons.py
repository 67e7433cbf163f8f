"""What comparisons imply together: from a <= b and b < c follows a < c. It is integers that are compared, so signed and
unsigned numbers of any width may be in one row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.term import Term

OPERATIONS = frozenset({"ult", "ule", "slt", "sle"})
Place = tuple[str, int, Any]  #: an integer: what a value stands for, signed or unsigned


class Comparisons:
    """Comparisons that hold."""

    __slots__ = ("_after",)

    def __init__(self) -> None:
        self._after: dict[Place, frozenset[tuple[Place, bool]]] = {}  #: what is not before a value, and if it is after

    def copy(self) -> Comparisons:
        other = Comparisons()
        other._after = self._after.copy()
        return other

    def common(self, other: Comparisons) -> Comparisons:
        """What both know."""
        out = Comparisons()
        both = self._after.keys() & other._after.keys()
        out._after = {place: self._after[place] & other._after[place] for place in both}
        return out

    def add(self, comparison: Term) -> None:
        """From here on the comparison holds."""
        low, high = _places(comparison)
        self._after[low] = self._after.get(low, frozenset()) | {(high, _is_strict(comparison))}

    def decided(self, comparison: Term) -> bool | None:
        """Whether a comparison holds or fails, as far as this tells."""
        low, high = _places(comparison)
        strict = _is_strict(comparison)
        if any(is_less or not strict for at, is_less in self._reached(low) if at == high):
            return True
        if any(is_less or strict for at, is_less in self._reached(high) if at == low):
            return False
        return None

    def _reached(self, start: Place) -> Iterator[tuple[Place, bool]]:
        """Values that are not less than one, and whether they are greater."""
        seen: set[tuple[Place, bool]] = set()
        stack = [(start, False)] if start in self._after else []
        while stack:
            at, is_greater = stack.pop()
            for after, strict in self._after.get(at, ()):
                found = after, is_greater or strict
                if found not in seen:
                    seen.add(found)
                    stack.append(found)
                    yield found


def _is_strict(comparison: Term) -> bool:
    return comparison.op[1:] == "lt"


def _places(comparison: Term) -> tuple[Place, Place]:
    signed, width = comparison.op[0] == "s", comparison.data
    low, high = comparison.args
    return _place(signed, width, low), _place(signed, width, high)


def _place(signed: bool, width: int, value: Any) -> Place:
    """An integer, however many bits it is written with."""
    while isinstance(value, Term) and value.op == ("sext" if signed else "zext"):
        value, width = value.args[0], value.args[0].width
    if isinstance(value, Term) and value.op == "zext":
        return _place(False, width, value)
    if isinstance(value, Term):
        return ("s" if signed else "u"), width, value.uid
    return "constant", 0, t.signed(value, width) if signed else value
