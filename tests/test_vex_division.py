"""Divisions that compilers turned into multiplications are divisions again, and only where that is exact."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from pytest_vigor import term
from pytest_vigor.explore import ops
from pytest_vigor.explore.block import Jump, Registers, run
from pytest_vigor.explore.lift import Lifter

_RETURN = 0xF00


def _values(value: Any, name: str) -> list[int]:
    """The value for each x of 8 bits."""
    return [term.evaluate(value, lambda leaf, _, x=x: x if leaf.data == name else 0, {}) for x in range(256)]


def _signed(x: int) -> int:
    return term.signed(x, 8)


def _magics(shift: int) -> list[int]:
    """Constants that are, or nearly are, the magic one of some divisor."""
    near = {(1 << shift) // d + more for d in (2, 3, 5, 6, 7, 10, 11, 13, 25, 60, 100, 127, 255) for more in (0, 1, 2)}
    return sorted(m for m in near | {1, 3, 255, 256, 257} if 0 < m < 258)


@pytest.mark.parametrize("shift", range(1, 16))
def test_unsigned_multiplications_keep_their_value(shift: int) -> None:
    x = term.var("x", 8)
    found = 0
    for magic in _magics(shift):
        product = ops.apply("Iop_Mul16", (ops.apply("Iop_8Uto16", (x,)), magic))
        result = ops.apply("Iop_Shr16", (product, shift))
        assert _values(result, "x") == [(x * magic & 0xFFFF) >> shift for x in range(256)]
        found += "/u" in str(result)
    assert found or shift < 9


@pytest.mark.parametrize("shift", range(8, 16))
def test_signed_multiplications_keep_their_value(shift: int) -> None:
    x = term.var("x", 8)
    found = 0
    for magic in _magics(shift):
        product = ops.apply("Iop_Mul16", (ops.apply("Iop_8Sto16", (x,)), magic))
        shifted = ops.apply("Iop_Sar16", (product, shift))
        ends = {
            ("Iop_Sub16", ops.apply("Iop_Sar16", (ops.apply("Iop_8Sto16", (x,)), 7))): lambda x: -(x >> 7),
            ("Iop_Add16", ops.apply("Iop_Shr16", (product, 15))): lambda x: x >> 15 & 1,
        }
        for (name, sign), more in ends.items():
            result = ops.apply(name, (shifted, sign))
            expected = []
            for value in map(_signed, range(256)):
                wrapped = term.signed(value * magic & 0xFFFF, 16)
                expected.append((wrapped >> shift) + more(value if name == "Iop_Sub16" else wrapped) & 0xFFFF)
            assert _values(result, "x") == expected
            found += "/s" in str(result)
    assert found or shift > 14


@pytest.mark.parametrize("inner", (3, 7, 10, 85))
@pytest.mark.parametrize("shift", range(4))
def test_nested_divisions_keep_their_value(inner: int, shift: int) -> None:
    x = term.var("x", 8)
    quotient = term.udiv(8, ops.apply("Iop_Shr8", (x, shift)), inner)
    again = ops.apply("Iop_Shr8", (quotient, shift))
    assert _values(again, "x") == [(x >> shift) // inner >> shift for x in range(256)]
    rest = ops.apply("Iop_Sub8", (x, term.scale(8, again, 5)))
    assert _values(rest, "x") == [x - 5 * ((x >> shift) // inner >> shift) & 255 for x in range(256)]


_DIVISORS = {
    "uint8_t": (3, 5, 7, 10, 100), "uint16_t": (3, 7, 10, 14, 1500), "int32_t": (3, 7, 10, 100, 1_000_000_000),
    "uint32_t": (3, 6, 7, 10, 14, 28, 641, 1518, 1_000_000_000), "int64_t": (3, 7, 10, 1_000_000_000),
    "uint64_t": (3, 6, 7, 10, 14, 28, 641, 1518, 1_000_000_000, 9_000_000_000),
}
_COMPILERS = [
    (name, level) for name in ("gcc", "clang") if shutil.which(name) for level in ("-O0", "-O2", "-Os")
]


class _Stack:
    def __init__(self) -> None:
        self.words: dict[tuple[str, int], term.Value] = {}

    def load(self, address: term.Value, size_bytes: int, where: int) -> term.Value:
        return self.words.get((str(address), size_bytes), _RETURN)

    def store(self, address: term.Value, size_bytes: int, value: term.Value, where: int) -> None:
        self.words[str(address), size_bytes] = value

    def oblige(self, condition: term.Bool, kind: str, where: int) -> None:
        raise AssertionError(kind)


@pytest.mark.parametrize(("compiler", "level"), _COMPILERS)
def test_compiled_divisions_by_constants_are_found(tmp_path: Path, compiler: str, level: str) -> None:
    lines = ["#include <stdint.h>"]
    for kind, divisors in _DIVISORS.items():
        for d in divisors:
            lines.append(f"{kind} q_{kind}_{d}({kind} x) {{ return x / {d}; }}")
            lines.append(f"{kind} r_{kind}_{d}({kind} x) {{ return x % {d}; }}")
    source, image = tmp_path / "divide.c", tmp_path / "divide.o"
    source.write_text("\n".join(lines))
    subprocess.run([compiler, level, "-c", "-o", image, source], check=True)
    with image.open("rb") as stream:
        elf = ELFFile(stream)
        text = elf.get_section_by_name(".text").data()
        functions = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
    lifter = Lifter(lambda address, size: text[address - 0x1000 : address - 0x1000 + size])
    for name in [n for n in functions if n[:2] in ("q_", "r_")]:
        kind, divisor = name[2:].rsplit("_", 1)
        bits, is_signed = int("".join(filter(str.isdigit, kind))), kind[0] == "i"
        x = term.var("x", bits)
        registers, stack, address = Registers.fresh("at entry"), _Stack(), functions[name] + 0x1000
        registers.write("rdi", (term.sext if is_signed else term.zext)(x, bits, 64))
        registers.write("rsp", 0x7000)
        while address != _RETURN:
            leave = run(lifter.block(address), None, registers, stack)
            assert isinstance(leave, Jump) and isinstance(leave.target, int)
            address = leave.target
        rax = registers.read("rax")
        result = rax if bits == 64 else ops.apply(f"Iop_64to{bits}", (rax,))
        rules = {"q": (term.udiv, term.sdiv), "r": (term.urem, term.srem)}
        assert result is rules[name[0]][is_signed](bits, x, int(divisor)), name
