"""The functions that VEX calls for what its operations cannot say ("clean" helpers)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore import flags, vectors
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Value

_CASTAGNOLI = 0x82F63B78  # CRC-32C, bits reversed


def crc32(bits: int, crc: int, data: int) -> int:
    """What ``crc32`` computes over ``bits`` bits of data: also the meaning of the functions ``crc32b`` … ``crc32q``."""
    crc ^= data
    for _ in range(bits):
        crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc


def _crc32(bits: int, letter: str, crc: Value, data: Value) -> Value:
    state, fresh = term.extract(crc, 64, 31, 0), term.extract(data, 64, bits - 1, 0)
    if type(state) is int and type(fresh) is int:
        return crc32(bits, state, fresh)
    # Solvers do badly on its bits, and nothing that is proved needs them: only that it is a function.
    return term.zext(term.app(f"crc32{letter}", 32, (32, state), (bits, fresh)), 32, 64)


def _deposit(source: Value, places: Value) -> Value:
    """``pdep``: the source's low bits, at the places that the mask has."""
    if type(places) is not int:
        raise Unmodelled("pdep with a mask that is not constant")
    parts: list[tuple[int, Value]] = []
    taken = 0
    for position in range(64):
        if places >> position & 1:
            parts.append((1, term.extract(source, 64, taken, taken)))
            taken += 1
        else:
            parts.append((1, 0))
    return term.concat(parts[::-1])


def _extract(source: Value, places: Value) -> Value:
    """``pext``: the bits at the places that the mask has, side by side."""
    if type(places) is not int:
        raise Unmodelled("pext with a mask that is not constant")
    chosen = [(1, term.extract(source, 64, i, i)) for i in range(64) if places >> i & 1]
    return term.zext(term.concat(chosen[::-1]), len(chosen), 64) if chosen else 0


def _rotated(left: bool, a: Value, amount: Value, word: Value, size: Value) -> Value:
    """``rcl`` and ``rcr`` by one: the value, or (for a negative size) the flags word."""
    if amount != 1 or type(size) is not int:
        raise Unmodelled("a rotation through the carry by more than one")
    wants_flags, bits = size >> 63 == 1, 8 * min(size, -size & term.mask(64))
    carry, value = term.extract(word, 64, 0, 0), term.extract(a, 64, bits - 1, 0)
    top, low = term.extract(value, bits, bits - 1, bits - 1), term.extract(value, bits, 0, 0)
    if left:
        parts, after = [(bits - 1, term.extract(value, bits, bits - 2, 0)), (1, carry)], top
        overflow = term.bxor(1, term.extract(value, bits, bits - 2, bits - 2), top)
    else:
        parts, after = [(1, carry), (bits - 1, term.extract(value, bits, bits - 1, 1))], low
        overflow = term.bxor(1, top, carry)
    if not wants_flags:
        return term.zext(term.concat(parts), bits, 64)
    return term.concat([(52, 0), (1, overflow), (10, term.extract(word, 64, 10, 1)), (1, after)])


def _multiply_add(a: Value, b: Value) -> Value:
    """``pmaddwd`` on half a vector: products of signed 16-bit lanes, added in pairs."""
    products = [
        term.mul(32, term.sext(x, 16, 32), term.sext(y, 16, 32))
        for x, y in zip(vectors.lanes(a, 16, 4), vectors.lanes(b, 16, 4), strict=True)
    ]
    return vectors.join([term.add(32, products[i], products[i + 1]) for i in (0, 2)], 32)


def _absolute_differences(a: Value, b: Value) -> Value:
    """``psadbw`` on half a vector: the sum of how far the bytes are apart."""
    total: Value = 0
    for x, y in zip(vectors.lanes(a, 8, 8), vectors.lanes(b, 8, 8), strict=True):
        apart = term.ite(8, term.ult(8, x, y), term.sub(8, y, x), term.sub(8, x, y))
        total = term.add(64, total, term.zext(apart, 8, 64))
    return total


CCALLS: dict[str, Callable[..., Any]] = {
    "amd64g_calculate_condition": flags.calculate_condition,
    "amd64g_calculate_rflags_all": flags.calculate_rflags_all,
    "amd64g_calculate_rflags_c": flags.calculate_rflags_c,
    "amd64g_calculate_RCL": partial(_rotated, True),
    "amd64g_calculate_RCR": partial(_rotated, False),
    "amd64g_calculate_pdep": _deposit,
    "amd64g_calculate_pext": _extract,
    "amd64g_calculate_mmx_pmaddwd": _multiply_add,
    "amd64g_calculate_mmx_psadbw": _absolute_differences,
    "amd64g_calc_crc32b": partial(_crc32, 8, "b"),
    "amd64g_calc_crc32w": partial(_crc32, 16, "w"),
    "amd64g_calc_crc32l": partial(_crc32, 32, "l"),
    "amd64g_calc_crc32q": partial(_crc32, 64, "q"),
}
