"""The operations of VEX, as functions of values: ``apply("Iop_Add64", (a, b))``.

Only what compilers make of integer code is here. A value of type I1 is a Boolean; floating-point numbers do not exist
except as the bits that are moved about. Anything else raises :class:`Unmodelled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from pytest_vigor import term
from pytest_vigor.explore import vectors
from pytest_vigor.explore.vex_division import as_multiple, as_quotient, as_remainder, as_signed_quotient
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Bool, Term, Value, mask

Operation: TypeAlias = Callable[..., Any]

_WIDTHS = (8, 16, 32, 64)


# ---- arithmetic -----------------------------------------------------------------------------------------------------


def _add(width: int) -> Operation:
    limit, add = mask(width), term.add

    def operation(a: Value, b: Value) -> Value:
        if type(a) is int and type(b) is int:
            return (a + b) & limit
        return as_signed_quotient(width, as_remainder(width, add(width, a, b)))

    return operation


def _sub(width: int) -> Operation:
    limit, sub = mask(width), term.sub

    def operation(a: Value, b: Value) -> Value:
        if type(a) is int and type(b) is int:
            return (a - b) & limit
        return as_signed_quotient(width, as_remainder(width, sub(width, a, b)))

    return operation


def _multiply_wide(width: int, extend: Callable[[Value, int, int], Value], a: Value, b: Value) -> Value:
    return term.mul(2 * width, extend(a, width, 2 * width), extend(b, width, 2 * width))


def _high_half(width: int, a: Value) -> Value:
    high = term.extract(a, width, width - 1, width // 2)
    return high if type(high) is int else as_quotient(width // 2, high)


def _shift(width: int, rule: Callable[[int, Value, Value], Value], a: Value, amount: Value) -> Value:
    # The amount has 8 bits, the value may have more; VEX masks amounts before it shifts.
    return rule(width, a, amount if type(amount) is int or width == 8 else term.zext(amount, 8, width))


def _sar(width: int, a: Value, amount: Value) -> Value:
    if type(a) is Term and a.op == "sext" and type(amount) is int:
        inner = a.args[0]
        return term.sext(term.ashr(inner.width, inner, amount), inner.width, width)
    return _shift(width, term.ashr, a, amount)


def _and(width: int) -> Operation:
    band = term.band

    def operation(a: Value, b: Value) -> Value:
        if type(a) is int:
            a, b = b, a
        if type(a) is Term and type(b) is int:
            multiple = as_multiple(width, a, b)
            if multiple is not None:
                return multiple
        return band(width, a, b)

    return operation


def _shr(width: int, a: Value, amount: Value) -> Value:
    if type(a) is int and type(amount) is int:
        return a >> amount
    shifted = _shift(width, term.lshr, a, amount)
    return shifted if type(shifted) is int else as_quotient(width, shifted)


# ---- comparisons ----------------------------------------------------------------------------------------------------


def _trailing_zeros(value: Value, width: int) -> int:
    """How many low bits are zero by the look of it."""
    if type(value) is int:
        return (value & -value).bit_length() - 1 if value else width
    assert isinstance(value, Term)
    match value.op:
        case "shl" if type(value.args[1]) is int:
            return int(value.args[1])
        case "add":
            const, coeffs = value.data
            return min(_trailing_zeros(c, width) for c in (const, *coeffs))
        case "concat" if type(value.args[-1]) is int:
            return min(_trailing_zeros(value.args[-1], value.data[-1]), int(value.data[-1]))
    return 0


def _without_zeros(value: Value, width: int, zeros: int) -> Value:
    if type(value) is Term and value.op == "add":
        const, coeffs = value.data
        out, total = width - zeros, term.extract(const, width, width - 1, zeros)
        for atom, coeff in zip(value.args, coeffs, strict=True):
            total = term.add(out, total, term.scale(out, term.extract(atom, width, out - 1, 0), coeff >> zeros))
        return total
    return term.extract(value, width, width - 1, zeros)


def _less(width: int, rule: Callable[[int, Value, Value], Bool], a: Value, b: Value) -> Bool:
    """A comparison of numbers shifted to the top of a register is one of the narrower numbers."""
    if type(a) is int and type(b) is int:
        return rule(width, a, b)
    zeros = min(_trailing_zeros(a, width), _trailing_zeros(b, width))
    if zeros >= 32 or zeros in (16, 24):
        zeros = min(zeros, width - 8) & ~7
        return rule(width - zeros, _without_zeros(a, width, zeros), _without_zeros(b, width, zeros))
    return rule(width, a, b)


def truth(value: Value, width: int) -> Bool:
    """The lowest bit of a value as a Boolean."""
    if type(value) is int:
        return value & 1 == 1
    assert isinstance(value, Term)
    if value.op == "ite" and value.args[1:] == (1, 0):
        return value.args[0]  # type: ignore[no-any-return]
    lowest = term.extract(value, width, 0, 0)
    if type(lowest) is Term and lowest.op == "extract" and lowest.data[0] == lowest.args[0].width - 1:
        return term.slt(lowest.args[0].width, lowest.args[0], 0)
    return term.ne(1, lowest, 0)


# ---- joining and splitting ------------------------------------------------------------------------------------------


def _join(width: int, high: Value, low: Value) -> Value:
    """Two halves; a high half that only repeats the sign is a sign extension (``cdq``, ``cqo``)."""
    if type(high) is int and type(low) is int:
        return high << width | low
    if type(high) is Term and type(low) is Term and high is term.ashr(width, low, width - 1):
        return term.sext(low, width, 2 * width)
    return term.concat([(width, high), (width, low)])


def low(width: int, out: int, a: Value) -> Value:
    """The low ``out`` bits; of a sum or product that is a narrower one, which ``term.extract`` may cut to pieces."""
    if type(a) is int:
        return a & mask(out)
    smaller = _smaller(width, out, a)
    if type(smaller) is Term and smaller.op == "add":
        return as_signed_quotient(out, as_remainder(out, smaller))
    return smaller


def _smaller(width: int, out: int, a: Value) -> Value:
    if type(a) is int:
        return a & mask(out)
    assert isinstance(a, Term)
    if a.op == "add":
        low_bits = term.carried(a, out)
        if low_bits is not None:
            return low_bits
        const, coeffs = a.data
        total: Value = const & mask(out)
        for atom, coeff in zip(a.args, coeffs, strict=True):
            total = term.add(out, total, term.scale(out, _smaller(width, out, atom), coeff & mask(out)))
        return total
    if a.op == "shl" and type(a.args[1]) is int:
        return term.shl(out, _smaller(width, out, a.args[0]), a.args[1])
    if a.op == "zext":
        inner = a.args[0]
        return _smaller(inner.width, out, inner) if inner.width > out else term.zext(inner, inner.width, out)
    return term.extract(a, width, out - 1, 0)


def _wider(width: int, out: int, a: Value) -> Value:
    return a if type(a) is int else term.zext(a, width, out)


# ---- counting bits --------------------------------------------------------------------------------------------------


def _count_leading(width: int, a: Value) -> Value:
    if type(a) is int:
        return width - a.bit_length()
    count: Value = width
    for position in range(width):
        count = term.ite(width, term.eq(1, term.extract(a, width, position, position), 1), width - 1 - position, count)
    return count


def _count_trailing(width: int, a: Value) -> Value:
    if type(a) is int:
        return (a & -a).bit_length() - 1 if a else width
    count: Value = width
    for position in range(width - 1, -1, -1):
        count = term.ite(width, term.eq(1, term.extract(a, width, position, position), 1), position, count)
    return count


# ---- the operations -------------------------------------------------------------------------------------------------


def _scalar() -> dict[str, Operation]:
    """Exactly those that VEX makes of amd64's integer instructions; the divisions are in ``vex_steps``."""
    table: dict[str, Operation] = {}
    for w in _WIDTHS:
        table[f"Add{w}"], table[f"Sub{w}"], table[f"Not{w}"] = _add(w), _sub(w), partial(term.bnot, w)
        table[f"And{w}"], table[f"Or{w}"], table[f"Xor{w}"] = _and(w), partial(term.bor, w), partial(term.bxor, w)
        table[f"Shl{w}"], table[f"Shr{w}"] = partial(_shift, w, term.shl), partial(_shr, w)
        table[f"CmpEQ{w}"] = partial(term.eq, w)
        table[f"CmpNE{w}"] = table[f"CasCmpNE{w}"] = partial(term.ne, w)
        table[f"MullU{w}"] = partial(_multiply_wide, w, term.zext)
        table[f"MullS{w}"] = partial(_multiply_wide, w, term.sext)
        if w > 8:
            table[f"Mul{w}"], table[f"Sar{w}"] = partial(term.mul, w), partial(_sar, w)
            table[f"{w}HIto{w // 2}"], table[f"{w // 2}HLto{w}"] = partial(_high_half, w), partial(_join, w // 2)
        for out in _WIDTHS:
            if out > w:
                table[f"{w}Uto{out}"], table[f"{w}Sto{out}"] = partial(_wider, w, out), partial(_sext_to, w, out)
                table[f"{out}to{w}"] = partial(low, out, w)
    for w in (32, 64):
        table[f"CmpLT{w}U"], table[f"CmpLE{w}U"] = partial(_less, w, term.ult), partial(_less, w, term.ule)
        table[f"CmpLT{w}S"], table[f"CmpLE{w}S"] = partial(_less, w, term.slt), partial(_less, w, term.sle)
    table["ExpCmpNE64"] = partial(term.ne, 64)
    table["Clz64"], table["Ctz64"] = partial(_count_leading, 64), partial(_count_trailing, 64)
    table["1Uto8"], table["1Uto64"], table["64to1"] = partial(_bit_of, 8), partial(_bit_of, 64), partial(_truth_of, 64)
    table["128HIto64"], table["64HLto128"] = partial(_high_half, 128), partial(_join, 64)
    table["128to64"] = partial(low, 128, 64)
    return table


def _bit_of(width: int, a: Bool) -> Value:
    return term.bit(a, width)


def _truth_of(width: int, a: Value) -> Bool:
    return truth(a, width)


def _sext_to(width: int, out: int, a: Value) -> Value:
    return term.sext(a, width, out)


OPERATIONS: dict[str, Operation] = {
    f"Iop_{name}": rule for table in (_scalar(), vectors.operations()) for name, rule in table.items()
}


def operation(name: str) -> Operation:
    """The function that a VEX operation is."""
    found = OPERATIONS.get(name)
    if found is None:
        raise Unmodelled(f"VEX operation {name}")
    return found


def apply(name: str, args: Sequence[Any]) -> Any:
    """A VEX operation applied to values; ``name`` as VEX writes it, with ``Iop_``."""
    return operation(name)(*args)
