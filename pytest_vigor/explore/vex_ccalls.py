"""The functions that VEX calls for what its operations cannot say ("clean" helpers)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore import flags
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


def _deposit(bits: int, source: Value, places: Value) -> Value:
    """``pdep``: the source's low bits, at the places that the mask has."""
    if type(places) is not int:
        raise Unmodelled("pdep with a mask that is not constant")
    parts: list[tuple[int, Value]] = []
    taken = 0
    for position in range(bits):
        if places >> position & 1:
            parts.append((1, term.extract(source, 64, taken, taken)))
            taken += 1
        else:
            parts.append((1, 0))
    return term.zext(term.concat(parts[::-1]), bits, 64)


def _extract(bits: int, source: Value, places: Value) -> Value:
    """``pext``: the bits at the places that the mask has, side by side."""
    if type(places) is not int:
        raise Unmodelled("pext with a mask that is not constant")
    chosen = [(1, term.extract(source, 64, i, i)) for i in range(bits) if places >> i & 1]
    return term.zext(term.concat(chosen[::-1]), len(chosen), 64)


CCALLS: dict[str, Callable[..., Any]] = {
    "amd64g_calculate_condition": flags.calculate_condition,
    "amd64g_calculate_rflags_all": flags.calculate_rflags_all,
    "amd64g_calculate_rflags_c": flags.calculate_rflags_c,
    "amd64g_calc_crc32b": partial(_crc32, 8, "b"),
    "amd64g_calc_crc32w": partial(_crc32, 16, "w"),
    "amd64g_calc_crc32l": partial(_crc32, 32, "l"),
    "amd64g_calc_crc32q": partial(_crc32, 64, "q"),
}
