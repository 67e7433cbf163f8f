"""The operations of VEX on vectors: SSE2 to AVX2, integers only.

A vector is one bit-vector, lane 0 lowest, so bitwise operations are the scalar ones at 128 and 256 bits and the rest
works lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pytest_vigor import term
from pytest_vigor.term import Bool, Value, mask

Operation = Callable[..., Any]
_Lane = Callable[[int, Value, Value], Value]


def lanes(value: Value, width: int, count: int) -> list[Value]:
    """The ``count`` lanes of ``width`` bits, lowest first."""
    if type(value) is int:
        limit = mask(width)
        return [value >> shift & limit for shift in range(0, width * count, width)]
    total = width * count
    return [term.extract(value, total, low + width - 1, low) for low in range(0, total, width)]


def join(parts: Sequence[Value], width: int) -> Value:
    """A vector from its lanes, lowest first."""
    return term.concat([(width, part) for part in reversed(parts)])


# ---- lane by lane ---------------------------------------------------------------------------------------------------


def _each(rule: _Lane, width: int, count: int, a: Value, b: Value) -> Value:
    return join(
        [rule(width, x, y) for x, y in zip(lanes(a, width, count), lanes(b, width, count), strict=True)], width
    )


def _each_by(rule: _Lane, width: int, count: int, a: Value, amount: Value) -> Value:
    """All lanes shifted by one 8-bit amount."""
    by = amount if type(amount) is int or width == 8 else term.zext(amount, 8, width)
    return join([rule(width, x, by) for x in lanes(a, width, count)], width)


def _all_ones_if(rule: Callable[[int, Value, Value], Bool]) -> _Lane:
    def lane(width: int, a: Value, b: Value) -> Value:
        return term.ite(width, rule(width, a, b), mask(width), 0)  # type: ignore[no-any-return]

    return lane


def _chosen(rule: Callable[[int, Value, Value], Bool]) -> _Lane:
    def lane(width: int, a: Value, b: Value) -> Value:
        return term.ite(width, rule(width, a, b), a, b)  # type: ignore[no-any-return]

    return lane


def _greater_signed(width: int, a: Value, b: Value) -> Bool:
    return term.slt(width, b, a)


def _greater_unsigned(width: int, a: Value, b: Value) -> Bool:
    return term.ult(width, b, a)


def _extend(value: Value, width: int, to: int, is_signed: bool) -> Value:
    return term.sext(value, width, to) if is_signed else term.zext(value, width, to)


def _clamped(value: Value, width: int, to: int, from_signed: bool, to_signed: bool) -> Value:
    """A number brought into the range of a narrower type."""
    low, high = (-(1 << (to - 1)), mask(to - 1)) if to_signed else (0, mask(to))
    below = term.slt(width, value, low & mask(width)) if from_signed else False
    above = term.slt(width, high, value) if from_signed else term.ult(width, high, value)
    kept = term.extract(value, width, to - 1, 0)
    return term.ite(to, below, low & mask(to), term.ite(to, above, high, kept))  # type: ignore[no-any-return]


def _saturating(rule: _Lane, is_signed: bool) -> _Lane:
    def lane(width: int, a: Value, b: Value) -> Value:
        wide = width + 2  # room for the carry and for the sign of a difference
        exact = rule(wide, _extend(a, width, wide, is_signed), _extend(b, width, wide, is_signed))
        return _clamped(exact, wide, width, True, is_signed)

    return lane


def _high_product(is_signed: bool) -> _Lane:
    def lane(width: int, a: Value, b: Value) -> Value:
        wide = 2 * width
        product = term.mul(wide, _extend(a, width, wide, is_signed), _extend(b, width, wide, is_signed))
        return term.extract(product, wide, wide - 1, width)

    return lane


def _average(width: int, a: Value, b: Value) -> Value:
    total = term.add(width + 1, term.add(width + 1, term.zext(a, width, width + 1), term.zext(b, width, width + 1)), 1)
    return term.extract(total, width + 1, width, 1)


# ---- across lanes ---------------------------------------------------------------------------------------------------


def _interleave(width: int, count: int, high: bool, a: Value, b: Value) -> Value:
    # VEX's first argument supplies the odd lanes.
    left, right = lanes(a, width, count), lanes(b, width, count)
    start = count // 2 if high else 0
    return join([lane for i in range(start, start + count // 2) for lane in (right[i], left[i])], width)


def _every_other(width: int, count: int, odd: bool, a: Value, b: Value) -> Value:
    return join([*lanes(b, width, count)[odd::2], *lanes(a, width, count)[odd::2]], width)


def _narrow_two(width: int, count: int, rule: Callable[[Value], Value], a: Value, b: Value) -> Value:
    """Lanes of two vectors at half the width; the second argument's come lowest."""
    return join([rule(x) for x in (*lanes(b, width, count), *lanes(a, width, count))], width // 2)


def _permute(width: int, count: int, a: Value, indices: Value) -> Value:
    """Lane ``i`` of the result is lane ``indices[i]``; of an index only as many bits count as there are lanes."""
    source = lanes(a, width, count)
    bits = count.bit_length() - 1

    def pick(index: Value) -> Value:
        low = term.extract(index, width, bits - 1, 0)
        if type(low) is int:
            return source[low]
        found = source[0]
        for i in range(1, count):
            found = term.ite(width, term.eq(bits, low, i), source[i], found)
        return found

    return join([pick(i) for i in lanes(indices, width, count)], width)


def _sign_bits(width: int, count: int, a: Value) -> Value:
    """One bit a lane: its sign."""
    return join([term.extract(x, width, width - 1, width - 1) for x in lanes(a, width, count)], 1)


def _piece(total: int, width: int, index: int, a: Value) -> Value:
    return term.extract(a, total, width * (index + 1) - 1, width * index)


def _from_lanes(width: int, *parts: Value) -> Value:
    """VEX writes the highest lane first."""
    return term.concat([(width, part) for part in parts])


def _widened(width: int, a: Value) -> Value:
    return term.zext(a, width, 128)


# ---- the operations -------------------------------------------------------------------------------------------------


def _pairwise(rule: _Lane) -> Callable[[int, int], Operation]:
    return lambda width, count: partial(_each, rule, width, count)


def _by_amount(rule: _Lane) -> Callable[[int, int], Operation]:
    return lambda width, count: partial(_each_by, rule, width, count)


def _across(rule: Callable[..., Value], *settings: Any) -> Callable[[int, int], Operation]:
    return lambda width, count: partial(rule, width, count, *settings)


def _narrowing(from_signed: bool, to_signed: bool) -> Callable[[int, int], Operation]:
    def operation(width: int, count: int) -> Operation:
        return partial(_narrow_two, width, count // 2, partial(_clamp_lane, width, from_signed, to_signed))

    return operation


def _clamp_lane(width: int, from_signed: bool, to_signed: bool, a: Value) -> Value:
    return _clamped(a, width, width // 2, from_signed, to_signed)


# Exactly those that VEX makes of amd64's instructions, by the name's parts: each is held against the processor.
_BY_LANES: dict[tuple[str, str], tuple[Callable[[int, int], Operation], str]] = {
    ("Add", ""): (_pairwise(term.add), "16x4 32x2 8x16 16x8 32x4 64x2 8x32 16x16 32x8 64x4"),
    ("Sub", ""): (_pairwise(term.sub), "8x8 16x4 32x2 8x16 16x8 32x4 64x2 8x32 16x16 32x8 64x4"),
    ("Mul", ""): (_pairwise(term.mul), "32x2 16x8 32x4 16x16 32x8"),
    ("MulHi", "S"): (_pairwise(_high_product(True)), "16x8 16x16"),
    ("MulHi", "U"): (_pairwise(_high_product(False)), "16x8 16x16"),
    ("Avg", "U"): (_pairwise(_average), "8x16 16x8 8x32 16x16"),
    ("CmpEQ", ""): (_pairwise(_all_ones_if(term.eq)), "8x16 16x8 32x4 64x2 8x32 16x16 32x8 64x4"),
    ("CmpGT", "S"): (
        _pairwise(_all_ones_if(_greater_signed)), "8x8 16x4 32x2 8x16 16x8 32x4 64x2 8x32 16x16 32x8 64x4"
    ),
    ("Max", "S"): (_pairwise(_chosen(_greater_signed)), "8x16 16x8 32x4 8x32 16x16 32x8"),
    ("Max", "U"): (_pairwise(_chosen(_greater_unsigned)), "8x16 16x8 32x4 8x32 16x16 32x8"),
    ("Min", "S"): (_pairwise(_chosen(term.slt)), "8x16 16x8 32x4 8x32 16x16 32x8"),
    ("Min", "U"): (_pairwise(_chosen(term.ult)), "8x16 16x8 32x4 8x32 16x16 32x8"),
    ("QAdd", "S"): (_pairwise(_saturating(term.add, True)), "8x16 16x8 8x32 16x16"),
    ("QAdd", "U"): (_pairwise(_saturating(term.add, False)), "8x16 16x8 8x32 16x16"),
    ("QSub", "S"): (_pairwise(_saturating(term.sub, True)), "8x16 16x8 8x32 16x16"),
    ("QSub", "U"): (_pairwise(_saturating(term.sub, False)), "8x16 16x8 8x32 16x16"),
    ("ShlN", ""): (_by_amount(term.shl), "8x8 16x8 32x4 64x2 16x16 32x8 64x4"),
    ("ShrN", ""): (_by_amount(term.lshr), "32x2 16x8 32x4 64x2 16x16 32x8 64x4"),
    ("SarN", ""): (_by_amount(term.ashr), "8x8 16x4 32x2 8x16 16x8 32x4 64x2 16x16 32x8"),
    ("InterleaveLO", ""): (_across(_interleave, False), "16x4 32x2 8x16 16x8 32x4 64x2"),
    ("InterleaveHI", ""): (_across(_interleave, True), "16x4 32x2 8x16 16x8 32x4 64x2"),
    ("CatEvenLanes", ""): (_across(_every_other, False), "16x4"),
    ("CatOddLanes", ""): (_across(_every_other, True), "16x4"),
    ("Perm", ""): (_across(_permute), "8x8 32x4 32x8"),
    ("GetMSBs", ""): (_across(_sign_bits), "8x16"),
}
_NARROWING = {
    "QNarrowBin16Sto8Sx16": _narrowing(True, True)(16, 16), "QNarrowBin16Sto8Ux16": _narrowing(True, False)(16, 16),
    "QNarrowBin32Sto16Sx8": _narrowing(True, True)(32, 8), "QNarrowBin32Sto16Ux8": _narrowing(True, False)(32, 8),
}
_WHOLE: dict[str, Operation] = {
    "64HLtoV128": partial(_from_lanes, 64), "V128HLtoV256": partial(_from_lanes, 128),
    "64x4toV256": partial(_from_lanes, 64), "V128to64": partial(_piece, 128, 64, 0),
    "V128HIto64": partial(_piece, 128, 64, 1), "64UtoV128": partial(_widened, 64), "32UtoV128": partial(_widened, 32),
    **{f"V256to64_{i}": partial(_piece, 256, 64, i) for i in range(4)},
    **{f"V256toV128_{i}": partial(_piece, 256, 128, i) for i in range(2)},
    **{f"AndV{w}": partial(term.band, w) for w in (128, 256)},
    **{f"OrV{w}": partial(term.bor, w) for w in (128, 256)},
    **{f"XorV{w}": partial(term.bxor, w) for w in (128, 256)},
    **{f"NotV{w}": partial(term.bnot, w) for w in (128, 256)},
}


def operations() -> dict[str, Operation]:
    """VEX's vector operations by name, without ``Iop_``."""
    table = {**_WHOLE, **_NARROWING}
    for (stem, sign), (make, shapes) in _BY_LANES.items():
        for shape in shapes.split():
            width, count = shape.split("x")
            table[f"{stem}{width}{sign}x{count}"] = make(int(width), int(count))
    return table
