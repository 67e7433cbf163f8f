"""One closure for each statement of VEX: made once when a block is lifted, called each time that it runs.

A closure takes the temporaries, the register slots and the memory. It returns ``None``, or how the block is left.
Operands are indices into the temporaries; constants are temporaries that are there from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore import ops
from pytest_vigor.explore.block import Branch, Cursor, Jump, Leave, Memory, Split, Step
from pytest_vigor.explore.vex_division import divide_signed, divide_unsigned, fits_signed, fits_unsigned
from pytest_vigor.explore.vex_flag_kinds import known
from pytest_vigor.explore.vex_registers import Place
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Value

DIVISION_BY_ZERO = "division by zero"
QUOTIENT_OVERFLOW = "quotient overflow"


def refuse(what: str, where: int) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        raise Unmodelled(what, where)

    return step


# ---- registers ------------------------------------------------------------------------------------------------------


def get(out: int, at: Place) -> Step:
    slot, low = at.slot, at.low
    if at.bits == at.slot_bits:

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            t[out] = s[slot]
            return None

    elif at.bits == 256:

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            t[out] = term.concat([(128, s[slot + 1]), (128, s[slot])])
            return None

    else:
        total, high, limit = at.slot_bits, low + at.bits - 1, term.mask(at.bits)

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            value = s[slot]
            if type(value) is int:
                t[out] = value >> low & limit
            elif low:
                t[out] = term.extract(value, total, high, low)
            else:
                t[out] = ops.low(total, high + 1, value)
            return None

    return step


def get_flags_word(out: int, at: Place) -> Step:
    """Reads a register that may hold a flags word not yet computed."""
    slot = at.slot

    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        t[out] = known(s[slot])
        return None

    return step


def put(source: int, at: Place) -> Step:
    slot, low = at.slot, at.low
    if at.bits == at.slot_bits:

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            s[slot] = t[source]
            return None

    elif at.bits == 256:

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            value = t[source]
            s[slot], s[slot + 1] = term.extract(value, 256, 127, 0), term.extract(value, 256, 255, 128)
            return None

    else:
        total, end, bits = at.slot_bits, low + at.bits, at.bits
        keep = term.mask(total) & ~(term.mask(bits) << low)

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            old, new = s[slot], t[source]
            if type(old) is int and type(new) is int:
                s[slot] = old & keep | new << low
                return None
            parts = [(bits, new)]
            if end < total:
                parts.insert(0, (total - end, term.extract(old, total, total - 1, end)))
            if low:
                parts.append((low, term.extract(old, total, low - 1, 0)))
            s[slot] = term.concat(parts)
            return None

    return step


# ---- values ---------------------------------------------------------------------------------------------------------


def compute(out: int, rule: Callable[..., Any], operands: Sequence[int]) -> Step:
    match operands:
        case [a]:

            def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
                t[out] = rule(t[a])
                return None

        case [a, b]:

            def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
                t[out] = rule(t[a], t[b])
                return None

        case _:

            def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
                t[out] = rule(*[t[i] for i in operands])
                return None

    return step


def call(out: int, rule: Callable[..., Any], operands: Sequence[int], where: int) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        try:
            t[out] = rule(*[t[i] for i in operands])
        except Unmodelled as error:
            raise Unmodelled(error.what, where) from None
        return None

    return step


def choose(out: int, width: int, test: int, yes: int, no: int) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        t[out] = term.ite(width, t[test], t[yes], t[no])
        return None

    return step


def divide(out: int, is_signed: bool, width: int, bits: int, a: int, b: int, where: int) -> Step:
    """A division of ``2 * width`` by ``width`` bits whose quotient must fit ``bits``, which VEX does not check."""
    wide = 2 * width
    rule, fits = (divide_signed, fits_signed) if is_signed else (divide_unsigned, fits_unsigned)

    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        dividend, divisor = t[a], t[b]
        nonzero = term.ne(width, divisor, 0)
        if nonzero is not True:
            m.oblige(nonzero, DIVISION_BY_ZERO, where)
        # A zero divisor is reported above, once.
        fitting = term.lor(term.lnot(nonzero), fits(wide, width, bits, dividend, divisor))
        if fitting is not True:
            m.oblige(fitting, QUOTIENT_OVERFLOW, where)
        quotient, remainder = rule(wide, width, dividend, divisor)
        t[out] = term.concat([(width, remainder), (width, quotient)])
        return None

    return step


# ---- memory ---------------------------------------------------------------------------------------------------------


def load(out: int, address: int, size_bytes: int, where: int) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        t[out] = m.load(t[address], size_bytes, where)
        return None

    return step


def store(address: int, size_bytes: int, source: int, where: int) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        m.store(t[address], size_bytes, t[source], where)
        return None

    return step


def _guarded(
    index: int, guard: int, act: Callable[[list[Any], Memory], None], otherwise: Callable[[list[Any]], None]
) -> Step:
    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        test = t[guard]
        if test is True:
            act(t, m)
        elif test is False:
            otherwise(t)
        else:
            yes, no = t.copy(), t.copy()
            yes[guard], no[guard] = True, False
            return Split(test, Cursor(index, tuple(yes)), Cursor(index, tuple(no)))
        return None

    return step


def load_if(
    index: int,
    out: int,
    guard: int,
    address: int,
    size_bytes: int,
    widen: Callable[[Value], Value],
    other: int,
    where: int,
) -> Step:
    def act(t: list[Any], m: Memory) -> None:
        t[out] = widen(m.load(t[address], size_bytes, where))

    def otherwise(t: list[Any]) -> None:
        t[out] = t[other]

    return _guarded(index, guard, act, otherwise)


def store_if(index: int, guard: int, address: int, size_bytes: int, source: int, where: int) -> Step:
    def act(t: list[Any], m: Memory) -> None:
        m.store(t[address], size_bytes, t[source], where)

    return _guarded(index, guard, act, lambda t: None)


def swap_if_equal(out: int, address: int, size_bytes: int, expected: int, new: int, where: int) -> Step:
    """Compare and swap, where nothing else runs. The machine writes in either case."""
    width = 8 * size_bytes

    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        old = m.load(t[address], size_bytes, where)
        equal = term.eq(width, old, t[expected])
        m.store(t[address], size_bytes, term.ite(width, equal, t[new], old), where)
        t[out] = old
        return None

    return step


# ---- control --------------------------------------------------------------------------------------------------------


def leave_if(index: int, guard: int, target: int, kind: str) -> Step:
    taken = Jump(target, kind)

    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        test = t[guard]
        if test is False:
            return None
        if test is True:
            return taken
        return Branch(test, target, kind, Cursor(index + 1, tuple(t)))

    return step


def leave_if_misaligned(index: int, address: int, where: int) -> Step:
    """What VEX has for some vector instructions that want their operand aligned, for the others."""
    taken = Jump(where, "Ijk_SigSEGV")

    def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
        at = t[address]
        test = at & 15 != 0 if type(at) is int else term.ne(4, term.extract(at, 64, 3, 0), 0)
        if test is False:
            return None
        if test is True:
            return taken
        return Branch(test, where, "Ijk_SigSEGV", Cursor(index + 1, tuple(t)))

    return step
