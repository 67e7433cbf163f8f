"""Quotients and remainders, as SMT-LIB has them for divisors of zero."""

from __future__ import annotations

from pytest_vigor.term.nodes import Value, bounds, make, mask, signed
from pytest_vigor.term.values import band, lshr


def udiv(width: int, a: Value, b: Value) -> Value:
    """Unsigned quotient; all ones where the divisor is zero, as in SMT-LIB."""
    if type(b) is int:
        if b == 0:
            return mask(width)
        if type(a) is int:
            return a // b
        if b & (b - 1) == 0:
            return lshr(width, a, b.bit_length() - 1)
    lo, hi = bounds(a)
    low, high = bounds(b)
    return make("udiv", width, (a, b), None, *((lo // high, hi // low) if low else (0, None)))


def urem(width: int, a: Value, b: Value) -> Value:
    """Unsigned remainder; the dividend where the divisor is zero, as in SMT-LIB."""
    if type(b) is int:
        if b == 0:
            return a
        if type(a) is int:
            return a % b
        if b & (b - 1) == 0:
            return band(width, a, b - 1)
    low, high = bounds(b)
    return make("urem", width, (a, b), None, 0, min(bounds(a)[1], high - 1) if low else None)


def sdiv(width: int, a: Value, b: Value) -> Value:
    """Signed quotient, rounded toward zero; 1 or -1 where the divisor is zero, as in SMT-LIB."""
    if type(a) is int and type(b) is int:
        x, y = signed(a, width), signed(b, width)
        if y == 0:
            return 1 if x < 0 else mask(width)
        return (abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)) & mask(width)
    half = mask(width) >> 1
    if bounds(a)[1] <= half and bounds(b)[1] <= half and bounds(b)[0] > 0:
        return udiv(width, a, b)
    return make("sdiv", width, (a, b))


def srem(width: int, a: Value, b: Value) -> Value:
    """Signed remainder, with the dividend's sign; the dividend where the divisor is zero, as in SMT-LIB."""
    if type(a) is int and type(b) is int:
        x, y = signed(a, width), signed(b, width)
        if y == 0:
            return a
        return (abs(x) % abs(y) * (1 if x >= 0 else -1)) & mask(width)
    half = mask(width) >> 1
    if bounds(a)[1] <= half and bounds(b)[1] <= half and bounds(b)[0] > 0:
        return urem(width, a, b)
    return make("srem", width, (a, b))
