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


def _each_one(rule: Callable[[int, Value], Value], width: int, count: int, a: Value) -> Value:
    return join([rule(width, x) for x in lanes(a, width, count)], width)


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


def _absolute(width: int, a: Value) -> Value:
    return term.ite(width, term.slt(width, a, 0), term.neg(width, a), a)  # type: ignore[no-any-return]


def _nonzero(width: int, a: Value) -> Value:
    return term.ite(width, term.ne(width, a, 0), mask(width), 0)  # type: ignore[no-any-return]


# ---- across lanes ---------------------------------------------------------------------------------------------------


def _interleave(width: int, count: int, high: bool, a: Value, b: Value) -> Value:
    # VEX's first argument supplies the odd lanes.
    left, right = lanes(a, width, count), lanes(b, width, count)
    start = count // 2 if high else 0
    return join([lane for i in range(start, start + count // 2) for lane in (right[i], left[i])], width)


def _every_other(width: int, count: int, odd: bool, a: Value, b: Value) -> Value:
    return join([*lanes(b, width, count)[odd::2], *lanes(a, width, count)[odd::2]], width)


def _widen_even(is_signed: bool, width: int, count: int, a: Value, b: Value) -> Value:
    """The double-width products of the even lanes."""
    wide = 2 * width
    pairs = zip(lanes(a, width, count)[::2], lanes(b, width, count)[::2], strict=True)
    return join(
        [term.mul(wide, _extend(x, width, wide, is_signed), _extend(y, width, wide, is_signed)) for x, y in pairs], wide
    )


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


def _duplicate(width: int, count: int, a: Value) -> Value:
    return join([a] * count, width)


def _set_low(width: int, total: int, a: Value, low: Value) -> Value:
    return term.concat([(total - width, term.extract(a, total, total - 1, width)), (width, low)])


def _piece(total: int, width: int, index: int, a: Value) -> Value:
    return term.extract(a, total, width * (index + 1) - 1, width * index)


def _from_lanes(width: int, *parts: Value) -> Value:
    """VEX writes the highest lane first."""
    return term.concat([(width, part) for part in parts])


def _shift_bytes(rule: _Lane, a: Value, amount: Value) -> Value:
    return rule(128, a, amount if type(amount) is int else term.zext(amount, 8, 128))


def _lane_of(width: int, count: int, a: Value, index: Value) -> Value:
    found = lanes(a, width, count)
    if type(index) is not int:
        picked = found[0]
        for i in range(1, count):
            picked = term.ite(width, term.eq(8, index, i), found[i], picked)
        return picked
    return found[index]


def _with_lane(width: int, count: int, a: Value, index: int, value: Value) -> Value:
    parts = lanes(a, width, count)
    parts[index] = value
    return join(parts, width)


_NARROWING = (("QNarrowBin{w}Sto{n}S", True, True), ("QNarrowBin{w}Sto{n}U", True, False),
              ("QNarrowBin{w}Uto{n}U", False, False))


def _by_lanes(total: int, width: int) -> dict[str, Operation]:
    count = total // width
    table: dict[str, Operation] = {}

    def two(name: str, rule: _Lane) -> None:
        table[name.format(w=width) + f"x{count}"] = partial(_each, rule, width, count)

    two("Add{w}", term.add)
    two("Sub{w}", term.sub)
    two("Mul{w}", term.mul)
    two("CmpEQ{w}", _all_ones_if(term.eq))
    two("CmpGT{w}S", _all_ones_if(_greater_signed))
    two("CmpGT{w}U", _all_ones_if(_greater_unsigned))
    for sign, is_signed, greater in (("S", True, _greater_signed), ("U", False, _greater_unsigned)):
        two("Max{w}" + sign, _chosen(greater))
        two("Min{w}" + sign, _chosen(term.slt if is_signed else term.ult))
        two("QAdd{w}" + sign, _saturating(term.add, is_signed))
        two("QSub{w}" + sign, _saturating(term.sub, is_signed))
        two("MulHi{w}" + sign, _high_product(is_signed))
        if width < 64:
            table[f"MullEven{width}{sign}x{count}"] = partial(_widen_even, is_signed, width, count)
    two("Avg{w}U", _average)
    two("Shl{w}", term.shl)
    two("Shr{w}", term.lshr)
    two("Sar{w}", term.ashr)
    for name, rule in (("ShlN", term.shl), ("ShrN", term.lshr), ("SarN", term.ashr)):
        table[f"{name}{width}x{count}"] = partial(_each_by, rule, width, count)
    table[f"Abs{width}x{count}"] = partial(_each_one, _absolute, width, count)
    table[f"CmpNEZ{width}x{count}"] = partial(_each_one, _nonzero, width, count)
    if count > 1:
        table[f"InterleaveLO{width}x{count}"] = partial(_interleave, width, count, False)
        table[f"InterleaveHI{width}x{count}"] = partial(_interleave, width, count, True)
        table[f"CatEvenLanes{width}x{count}"] = partial(_every_other, width, count, False)
        table[f"CatOddLanes{width}x{count}"] = partial(_every_other, width, count, True)
        table[f"Perm{width}x{count}"] = partial(_permute, width, count)
        table[f"GetMSBs{width}x{count}"] = partial(_sign_bits, width, count)
        table[f"Dup{width}x{count}"] = partial(_duplicate, width, count)
        table[f"GetElem{width}x{count}"] = partial(_lane_of, width, count)
        table[f"SetElem{width}x{count}"] = partial(_with_lane, width, count)
    if width > 8:
        half = width // 2
        for pattern, from_signed, to_signed in _NARROWING:
            name = pattern.format(w=width, n=half) + f"x{2 * count}"
            rule = partial(_clamp_lane, width, half, from_signed, to_signed)
            table[name] = partial(_narrow_two, width, count, rule)
        cut = partial(_cut_lane, width, half)
        table[f"NarrowBin{width}to{half}x{2 * count}"] = partial(_narrow_two, width, count, cut)
    return table


def _clamp_lane(width: int, to: int, from_signed: bool, to_signed: bool, a: Value) -> Value:
    return _clamped(a, width, to, from_signed, to_signed)


def _cut_lane(width: int, to: int, a: Value) -> Value:
    return term.extract(a, width, to - 1, 0)


def operations() -> dict[str, Operation]:
    """VEX's vector operations by name, without ``Iop_``."""
    table: dict[str, Operation] = {}
    for total in (64, 128, 256):
        for width in (8, 16, 32, 64):
            table.update(_by_lanes(total, width))
        if total > 64:
            table[f"AndV{total}"], table[f"OrV{total}"] = partial(term.band, total), partial(term.bor, total)
            table[f"XorV{total}"], table[f"NotV{total}"] = partial(term.bxor, total), partial(term.bnot, total)
    table["ShlV128"], table["ShrV128"] = partial(_shift_bytes, term.shl), partial(_shift_bytes, term.lshr)
    table["64HLtoV128"] = partial(_from_lanes, 64)
    table["V128HLtoV256"] = partial(_from_lanes, 128)
    table["64x4toV256"] = partial(_from_lanes, 64)
    table["V128to64"], table["V128HIto64"] = partial(_piece, 128, 64, 0), partial(_piece, 128, 64, 1)
    table["V128to32"] = partial(_piece, 128, 32, 0)
    for index in range(4):
        table[f"V256to64_{index}"] = partial(_piece, 256, 64, index)
    for index in range(2):
        table[f"V256toV128_{index}"] = partial(_piece, 256, 128, index)
    table["64UtoV128"], table["32UtoV128"] = partial(_widened, 64), partial(_widened, 32)
    table["SetV128lo64"], table["SetV128lo32"] = partial(_set_low, 64, 128), partial(_set_low, 32, 128)
    return table


def _widened(width: int, a: Value) -> Value:
    return term.zext(a, width, 128)
