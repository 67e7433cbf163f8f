"""Numbers and truth values of contracts and properties: Python's integers, made symbolic.

A symbolic :class:`Number` is a mathematical integer: its arithmetic never wraps (results get wider terms), so a
property means the same whether it runs on symbols or on the plain ``int`` values of a native run. Concrete values are
never wrapped: they are ``int`` and ``bool``. A :class:`Truth` asks its run which way to go when Python wants to know.
"""

from __future__ import annotations

import numbers
import sys
from pathlib import Path
from typing import Any, Protocol

from pytest_vigor import term as t
from pytest_vigor.term import Bool, Value
from pytest_vigor.unanswered import refuse, tell, tell_of_text

MACHINE_BITS = (32, 64)
_PACKAGE = str(Path(__file__).parent)


class Run(Protocol):
    """What a symbolic value belongs to: somebody who decides branches."""

    def decide(self, condition: Bool) -> bool:
        """Which way a branch goes on this run."""


class Truth:
    """A symbolic truth value."""

    __slots__ = ("run", "term")

    def __init__(self, run: Run, term: Bool) -> None:
        self.run, self.term = run, term

    def __bool__(self) -> bool:
        return self.run.decide(self.term)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, bool | Truth):
            return truth(self.run, t.iff(self.term, condition(other)))
        return self._number() == other

    def __ne__(self, other: object) -> Any:
        if isinstance(other, bool | Truth):
            return truth(self.run, t.lnot(t.iff(self.term, condition(other))))
        return self._number() != other

    def _number(self) -> Any:
        return number(self.run, t.bit(self.term), 1)  # as True is 1

    def __and__(self, other: Any) -> Any:
        if isinstance(other, bool | Truth):
            return truth(self.run, t.land(self.term, condition(other)))
        return self._number() & other

    def __or__(self, other: Any) -> Any:
        if isinstance(other, bool | Truth):
            return truth(self.run, t.lor(self.term, condition(other)))
        return self._number() | other

    def __xor__(self, other: Any) -> Any:
        if isinstance(other, bool | Truth):
            return truth(self.run, t.lnot(t.iff(self.term, condition(other))))
        return self._number() ^ other

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __hash__(self) -> int:
        return _unhashable(self)

    def __repr__(self) -> str:
        return _text(self)

    def __str__(self) -> str:
        return _text(self)

    def __format__(self, _: str) -> str:
        return _text(self)

    def __copy__(self) -> Truth:
        return self

    def __deepcopy__(self, _: Any) -> Truth:
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # for isinstance(): to a property it is what it natively is
        return Truth if sys._getframe(1).f_code.co_filename.startswith(_PACKAGE) else bool


def truth(run: Run, condition: Bool) -> bool | Truth:
    """A condition for Python to branch on. A run whose branches are answered in order is asked about plain ones too:
    what is plain on one state need not be on another."""
    if isinstance(condition, bool) and not getattr(run, "in_order", False):
        return condition
    return Truth(run, condition)


def _text(value: Truth | Number) -> str:
    """A symbolic value as text, which natively is another."""
    tell_of_text(value.run)
    return f"<{t.show(value.term)}>"


def _unhashable(value: Truth | Number) -> int:
    tell(value.run, "__hash__")
    raise TypeError("a symbolic value is no key of a dict or set: compare it")


def condition(value: bool | Truth) -> Bool:
    return value.term if isinstance(value, Truth) else bool(value)


class Number:
    """A symbolic integer: a term of ``bits`` bits, read as unsigned or as two's complement."""

    __slots__ = ("bits", "run", "signed", "term")

    def __init__(self, run: Run, term: t.Term, signed: bool = False) -> None:
        self.run, self.term, self.bits, self.signed = run, term, term.width, signed

    def __hash__(self) -> int:
        return _unhashable(self)

    def __repr__(self) -> str:
        return _text(self)

    def __str__(self) -> str:
        return _text(self)

    def __format__(self, _: str) -> str:
        return _text(self)

    def __copy__(self) -> Number:
        return self

    def __deepcopy__(self, _: Any) -> Number:
        return self

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # as of a truth value
        return Number if sys._getframe(1).f_code.co_filename.startswith(_PACKAGE) else int

    def __add__(self, other: Any) -> Any:
        return self._combine(other, t.add, 1)

    def __sub__(self, other: Any) -> Any:
        return self._combine(other, t.sub, 1, negative=True)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, int | Number):
            return self._unknown(other)
        return self._combine(other, t.mul, max(self.bits, _bits(other)[1]) + 1)

    def __rsub__(self, other: Any) -> Any:
        return self._combine(other, lambda w, a, b: t.sub(w, b, a), 1, negative=True)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Any:
        return 0 - self

    def _combine(self, other: Any, operation: Any, growth: int, negative: bool = False) -> Any:
        if not isinstance(other, int | Number):
            return self._unknown(other)
        is_signed = negative or self.signed or _bits(other)[2]
        a, b, width = align(self, other, is_signed, growth)
        return number(self.run, operation(width, a, b), width, is_signed)

    def _divide(self, other: Any, operation: Any) -> Any:
        if not isinstance(other, int | Number):
            return self._unknown(other)
        if self.signed or _bits(other)[2]:
            tell(self.run, "division")
            raise TypeError("division of numbers that may be negative: say assume(n >= 0) and use n.nonnegative()")
        if other == 0:
            raise ZeroDivisionError("division by zero in a property or contract")
        a, b, width = align(self, other, False, 0)
        needed = max(t.bounds(a)[1], t.bounds(b)[1]).bit_length()
        # At the width that a machine does it, so that it is the very term that the NF made.
        machine = next((each for each in MACHINE_BITS if needed <= each < width), width)
        a, b = t.extract(a, width, machine - 1, 0), t.extract(b, width, machine - 1, 0)
        return number(self.run, operation(machine, a, b), machine, False)

    def __floordiv__(self, other: Any) -> Any:
        return self._divide(other, t.udiv)

    def __mod__(self, other: Any) -> Any:
        return self._divide(other, t.urem)

    def nonnegative(self) -> Any:
        """The same number, known not to be negative."""
        if self.signed and self < 0:
            raise ValueError(f"{self!r} is negative here")
        return number(self.run, self.term, self.bits, False)

    def _bitwise(self, other: Any, operation: Any) -> Any:
        if not isinstance(other, int | Number):
            return self._unknown(other)
        if self.signed or _bits(other)[2]:
            tell(self.run, "bitwise operation")
            raise TypeError("bitwise operation on numbers that may be negative")
        a, b, width = align(self, other, False, 0)
        return number(self.run, operation(width, a, b), width, False)

    def __and__(self, other: Any) -> Any:
        return self._bitwise(other, t.band)

    def __or__(self, other: Any) -> Any:
        return self._bitwise(other, t.bor)

    def __xor__(self, other: Any) -> Any:
        return self._bitwise(other, t.bxor)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __lshift__(self, amount: Any) -> Any:
        if not isinstance(amount, int):
            return self._unknown(amount)
        return self * (1 << amount)

    def __rshift__(self, amount: Any) -> Any:
        if not isinstance(amount, int):
            return self._unknown(amount)
        amount = int(amount)
        if self.signed:
            return number(self.run, t.ashr(self.bits, self.term, amount), self.bits, True)
        return number(self.run, t.lshr(self.bits, self.term, amount), self.bits, False)

    def _compare(self, other: Any, unsigned: Any, signed: Any) -> Any:
        if not isinstance(other, int | Number):
            return self._unknown(other)
        is_signed = self.signed or _bits(other)[2]
        a, b, width = align(self, other, is_signed, 0)
        return truth(self.run, (signed if is_signed else unsigned)(width, a, b))

    def __eq__(self, other: object) -> Any:
        if isinstance(other, AnyValue):
            return True
        return self._compare(self._whole(other), t.eq, t.eq)

    def __ne__(self, other: object) -> Any:
        if isinstance(other, AnyValue):
            return False
        return self._compare(self._whole(other), t.ne, t.ne)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, t.ult, t.slt)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, t.ule, t.sle)

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, _swap(t.ult), _swap(t.slt))

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, _swap(t.ule), _swap(t.sle))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __index__(self) -> int:
        tell(self.run, "__index__")
        raise TypeError("a symbolic number has no one value here; compare it, or give the list as a finite loop")

    def _whole(self, other: object) -> Any:
        """What it is compared with; TypeError for a number that is written as if it need not be an integer, and for an
        address as text or as an object of ``ipaddress``, which equals no number: ``!=`` would be proved."""
        is_number = isinstance(other, numbers.Number | str | bytes) or hasattr(type(other), "__int__")
        if is_number and not isinstance(other, int | Number | Truth):
            tell(self.run, "comparison")
            raise TypeError(f"a symbolic number is an integer: compare it with one, and not with {other!r}")
        return other

    def _unknown(self, other: Any) -> Any:
        """Not for it to say what comes of an operation with something else; with a number, natively something does.
        A truth value tells that by itself."""
        if isinstance(other, numbers.Number) and not isinstance(other, Truth):
            tell(self.run, f"an operation with {type(other).__name__}")
        return NotImplemented


refuse(Truth, [int, bool])
refuse(Number, [int])

AnyValue = type(...)  # `...` stands for any value


def _swap(operation: Any) -> Any:
    return lambda width, a, b: operation(width, b, a)


def _bits(value: int | Number) -> tuple[Value, int, bool]:
    """Term, width and signedness of a number."""
    if isinstance(value, Number):
        return value.term, value.bits, value.signed
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is given for a number: an address is one, too, such as 0xC0000201 for 192.0.2.1")
    return (value, max(1, value.bit_length()), False) if value >= 0 else (value, (~value).bit_length() + 1, True)


def align(a: int | Number, b: int | Number, is_signed: bool, growth: int) -> tuple[Value, Value, int]:
    """Both values at one width that holds them (and ``growth`` more bits), in the given signedness."""
    width = max(w + (is_signed and not s) for _, w, s in (_bits(a), _bits(b))) + growth
    return widen(a, width), widen(b, width), width


def widen(value: int | Number, width: int) -> Value:
    """The value in two's complement at a width that holds it."""
    if isinstance(value, Number):
        return (t.sext if value.signed else t.zext)(value.term, value.bits, width)
    return value & t.mask(width)


def number(run: Run, value: Value, bits: int, signed: bool = False) -> int | Number:
    """A value of a term as a number: a plain ``int`` when it is concrete."""
    if isinstance(value, int):
        return t.signed(value, bits) if signed else value
    return Number(run, value, signed)


def fit(value: int | Number, bits: int, signed: bool = False) -> tuple[Bool, Value]:
    """Whether a number lies in the range of a ``bits``-wide field, and its bits there."""
    term, width, is_signed = _bits(value)
    if isinstance(term, int):
        low, high = (-(1 << bits - 1), t.mask(bits - 1)) if signed else (0, t.mask(bits))
        return low <= term <= high, term & t.mask(bits)
    if width < bits or (width == bits and is_signed == signed):
        grown = widen(value, bits)
        inside: Bool = True if not is_signed or signed else t.sle(bits, 0, grown)
        return inside, grown
    if width == bits:  # one signed, one not: the top bit must be clear
        return t.sle(bits, 0, term), term
    wide = width + 1
    low, high = (-(1 << bits - 1), t.mask(bits - 1)) if signed else (0, t.mask(bits))
    whole = widen(value, wide)
    inside = t.land(t.sle(wide, low & t.mask(wide), whole), t.sle(wide, whole, high))
    return inside, t.extract(whole, wide, bits - 1, 0)
