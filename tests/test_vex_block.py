"""Blocks: registers and their parts, leaving and going on, what is obliged and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_vigor import term
from pytest_vigor.explore import vex_registers
from pytest_vigor.explore.block import CALLER_SAVED, Block, Branch, Jump, Leave, Registers, Split, run
from pytest_vigor.explore.lift import Lifter
from pytest_vigor.explore.vex_unmodelled import Unmodelled

_AT = 0x1000


class _Memory:
    def __init__(self) -> None:
        self.loads: list[tuple[Any, int, int]] = []
        self.stores: list[tuple[Any, int, Any, int]] = []
        self.obliged: list[tuple[Any, str, int]] = []

    def load(self, address: term.Value, size_bytes: int, where: int) -> term.Value:
        self.loads.append((address, size_bytes, where))
        return term.var(f"loaded{len(self.loads)}", 8 * size_bytes)

    def store(self, address: term.Value, size_bytes: int, value: term.Value, where: int) -> None:
        self.stores.append((address, size_bytes, value, where))

    def oblige(self, condition: term.Bool, kind: str, where: int) -> None:
        self.obliged.append((condition, kind, where))


def _block(code: str) -> Block:
    content = bytes.fromhex(code)
    return Lifter(lambda address, size: content[address - _AT :][:size]).block(_AT)


def _registers(**values: term.Value) -> Registers:
    registers = Registers.fresh("at entry")
    for name in vex_registers.GENERAL:
        registers.write(name, values.get(name, term.var(name, 64)))
    return registers


def _run(code: str, registers: Registers | None = None, memory: _Memory | None = None) -> tuple[Leave, Registers]:
    registers = registers or _registers()
    return run(_block(code), None, registers, memory or _Memory()), registers


def test_the_layout_is_the_lifters() -> None:
    archinfo = pytest.importorskip("archinfo")
    at = {name: offset for name, (offset, _) in archinfo.ArchAMD64().registers.items()}
    assert {name: at[name] for name in vex_registers.OFFSETS} == vex_registers.OFFSETS
    assert at["rip"] == vex_registers.RIP_OFFSET
    assert vex_registers.place(at["ymm0"], 128) == vex_registers.Place(vex_registers.FIRST_VECTOR, 128, 0, 128)


def test_parts_of_registers_overlap() -> None:
    _, registers = _run("b4 12 b0 34 c3", _registers(rax=0xFFFF_FFFF_FFFF_FFFF))  # mov ah, 0x12; mov al, 0x34
    assert registers.read("rax") == 0xFFFF_FFFF_FFFF_1234
    _, registers = _run("b8 05 00 00 00 c3", _registers(rax=0xFFFF_FFFF_FFFF_FFFF))  # mov eax, 5
    assert registers.read("rax") == 5
    _, registers = _run("66 89 f8 c3")  # mov ax, di
    assert registers.read("rax") is term.concat([
        (48, term.extract(term.var("rax", 64), 64, 63, 16)), (16, term.extract(term.var("rdi", 64), 64, 15, 0)),
    ])


def test_copies_of_registers_are_apart() -> None:
    first = _registers()
    second = first.copy()
    second.write("rax", 7)
    second.write("ymm3", 1 << 200)
    assert first.read("rax") is term.var("rax", 64)
    assert second.read("ymm3") == 1 << 200 and second.read("xmm3") == 0


def test_what_a_call_may_change_is_unknown_after_it() -> None:
    registers = _registers(rbx=3, rax=4)
    registers.set_flags(0x40)
    registers.clobber(CALLER_SAVED, "after the call")
    assert registers.read("rbx") == 3
    rax, flags = registers.read("rax"), registers.flags_word()
    assert isinstance(rax, term.Term) and rax.undefined
    assert isinstance(flags, term.Term) and flags.undefined


def test_a_symbolic_exit_leaves_both_sides_open() -> None:
    # cmp edi, esi; jb +16; mov eax, 1; ret
    code = "39 f7 72 10 b8 01 00 00 00 c3"
    leave, registers = _run(code)
    assert leave == Branch(
        term.ult(32, term.extract(term.var("rdi", 64), 64, 31, 0), term.extract(term.var("rsi", 64), 64, 31, 0)),
        _AT + 20, "Ijk_Boring", leave.cursor,  # type: ignore[union-attr]
    )
    assert isinstance(leave, Branch)
    for _ in range(2):  # the cursor can be used again
        assert run(_block(code), leave.cursor, registers.copy(), _Memory()) == Jump(_AT + 4, "Ijk_Boring")


def test_a_concrete_exit_is_followed() -> None:
    assert _run("39 f7 72 10 c3", _registers(rdi=1, rsi=2))[0] == Jump(_AT + 20, "Ijk_Boring")
    assert _run("39 f7 72 10 c3", _registers(rdi=2, rsi=1))[0] == Jump(_AT + 4, "Ijk_Boring")


def test_calls_and_returns_are_told_apart() -> None:
    memory = _Memory()
    leave, registers = _run("e8 10 00 00 00", _registers(rsp=0x7000), memory)
    assert leave == Jump(_AT + 21, "Ijk_Call")
    assert memory.stores == [(0x6FF8, 8, _AT + 5, _AT)]
    assert registers.read("rsp") == 0x6FF8
    assert _block("e8 10 00 00 00").end == _AT + 5
    leave, _ = _run("c3", _registers(rsp=0x7000))
    assert leave == Jump(term.var("loaded1", 64), "Ijk_Ret")


def test_memory_accesses_say_where() -> None:
    memory = _Memory()
    _run("90 8b 47 04 66 89 06 c3", _registers(rsp=0x7000), memory)  # nop; mov eax, [rdi+4]; mov [rsi], ax
    assert memory.loads[0] == (term.add(64, term.var("rdi", 64), 4), 4, _AT + 1)
    value = term.extract(term.var("loaded1", 32), 32, 15, 0)
    assert memory.stores == [(term.var("rsi", 64), 2, value, _AT + 4)]


def test_a_division_obliges_its_divisor_and_its_quotient() -> None:
    memory = _Memory()
    _run("31 d2 f7 f7 c3", None, memory)  # xor edx, edx; div edi
    divisor = term.extract(term.var("rdi", 64), 64, 31, 0)
    assert memory.obliged == [(term.ne(32, divisor, 0), "division by zero", _AT + 2)]
    memory = _Memory()
    _run("f7 f7 c3", None, memory)  # div edi
    (_, zero, _), (fits, overflow, _) = memory.obliged
    assert (zero, overflow) == ("division by zero", "quotient overflow")
    high = term.extract(term.var("rdx", 64), 64, 31, 0)
    assert fits is term.lor(term.eq(32, divisor, 0), term.ult(32, high, divisor))


def test_a_signed_division_overflows_at_the_least_number_only() -> None:
    memory = _Memory()
    _, registers = _run("99 f7 ff c3", None, memory)  # cdq; idiv edi
    a, b = (term.extract(term.var(name, 64), 64, 31, 0) for name in ("rax", "rdi"))
    assert memory.obliged[1][0] is term.lor(term.eq(32, b, 0), term.ne(32, a, 1 << 31), term.ne(32, b, (1 << 32) - 1))
    assert registers.read("rax") is term.zext(term.sdiv(32, a, b), 32, 64)
    assert registers.read("rdx") is term.zext(term.srem(32, a, b), 32, 64)


def test_short_divisions_must_fit_their_own_width() -> None:
    memory = _Memory()
    _run("40 f6 f7 c3", _registers(rax=0x1234), memory)  # div dil
    divisor = term.extract(term.var("rdi", 64), 64, 7, 0)
    assert memory.obliged[1][0] is term.lor(term.eq(8, divisor, 0), term.ult(8, 0x12, divisor))


def test_a_bit_test_of_registers_does_without_memory() -> None:
    memory = _Memory()
    # bt eax, edi; setc cl
    _, registers = _run("0f a3 f8 0f 92 c1 c3", _registers(rax=0x1234, rcx=0, rsp=0x7000), memory)
    assert memory.stores == [] and len(memory.loads) == 1  # the return address
    number = term.zext(term.extract(term.var("rdi", 64), 64, 4, 0), 5, 32)
    bit = term.extract(term.lshr(32, 0x1234, number), 32, 0, 0)
    assert registers.read("rcx") is term.bit(term.ne(1, bit, 0), 64)


def test_a_masked_move_splits_at_a_symbolic_mask() -> None:
    registers = _registers()
    registers.write("ymm1", term.var("mask", 256))
    memory = _Memory()
    code = "c4 e2 71 8c 06 c3"  # vpmaskmovd xmm0, xmm1, [rsi]
    leave = run(_block(code), None, registers, memory)
    assert isinstance(leave, Split) and memory.loads == []
    other = _Memory()
    assert isinstance(run(_block(code), leave.yes, registers.copy(), memory), Split)
    assert isinstance(run(_block(code), leave.no, registers.copy(), other), Split)
    assert (len(memory.loads), len(other.loads)) == (1, 0)


def test_unaligned_operands_of_vector_instructions_are_an_exit_of_their_own() -> None:
    for code in ("0f 28 06 c3", "66 0f fe 06 c3"):  # movaps xmm0, [rsi]; paddd xmm0, [rsi]
        leave, _ = _run(code)
        assert isinstance(leave, Branch) and leave.kind == "Ijk_SigSEGV"
        assert _run(code, _registers(rsi=0x2008))[0] == Jump(_AT, "Ijk_SigSEGV")
        memory = _Memory()
        _run(code, _registers(rsi=0x2010), memory)
        assert memory.loads[0] == (0x2010, 16, _AT)
    assert not isinstance(_run("0f 10 06 c3")[0], Branch)  # movups xmm0, [rsi]


def test_traps_on_purpose_are_signals() -> None:
    assert _run("0f 0b")[0] == Jump(_AT, "Ijk_SigILL")
    assert _run("cc")[0].kind == "Ijk_SigTRAP"  # type: ignore[union-attr]


def test_what_cannot_be_decoded_is_refused_with_its_bytes() -> None:
    with pytest.raises(Unmodelled, match=r"62 f1 7c 48 10 07.* at 0x1000"):  # AVX-512
        _block("62 f1 7c 48 10 07")
    with pytest.raises(Unmodelled, match="at 0x1000"):
        _block("")
    # Only when it is reached.
    block = _block("89 f8 62 f1 7c 48 10 07")
    assert run(block, None, _registers(), _Memory()) == Jump(_AT + 2, "Ijk_Boring")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("0f a2 c3", "amd64g_dirtyhelper_CPUID"), ("0f 31 c3", "amd64g_dirtyhelper_RDTSC"),
        ("f2 0f 58 c1 c3", "Iop_Add64F0x2"), ("d8 c1 c3", "VEX"),
    ],
)
def test_what_has_no_model_is_refused_by_name(code: str, what: str) -> None:
    with pytest.raises(Unmodelled, match=f"{what}.* at 0x1001"):
        _run("90 " + code)


@pytest.mark.parametrize("code", ["66 0f a5 d8", "66 0f ad d8", "66 0f a4 d8 14", "66 0f ac 06 03"])
def test_double_shifts_of_16_bits_by_more_are_refused(code: str) -> None:
    with pytest.raises(Unmodelled, match="a double shift of 16 bits that may be by more at 0x1000"):
        _run(f"{code} c3")  # shld ax, bx, cl; shrd ax, bx, cl; shld ax, bx, 20; shrd [rsi], ax, 3


def test_double_shifts_that_are_defined_are_not_refused() -> None:
    assert _run("66 0f a4 d8 03 c3", _registers(rax=0x1234, rbx=0xE000))[1].read("rax") == 0x91A7
    assert _run("0f a5 d8 c3", _registers(rax=1, rbx=0x8000_0000, rcx=1))[1].read("rax") == 3


def test_a_symbolic_checksum_instruction_is_a_function() -> None:
    _, registers = _run("f2 0f 38 f1 c7 c3")  # crc32 eax, edi
    a, b = (term.extract(term.var(name, 64), 64, 31, 0) for name in ("rax", "rdi"))
    assert registers.read("rax") is term.zext(term.app("crc32l", 32, (32, a), (32, b)), 32, 64)
    _, registers = _run("f2 0f 38 f1 c7 c3", _registers(rax=0xFFFF_FFFF, rdi=0x3433_3231))
    assert registers.read("rax") == 0x09C5_0B11  # "1234"


def test_byte_swaps_are_pieces() -> None:
    _, registers = _run("66 c1 c7 08 0f b7 c7 c3")  # rol di, 8; movzx eax, di
    rdi = term.var("rdi", 64)
    swapped = term.concat([(8, term.extract(rdi, 64, 7, 0)), (8, term.extract(rdi, 64, 15, 8))])
    assert registers.read("rax") is term.zext(swapped, 16, 64)


def test_a_trap_is_no_way_on() -> None:
    assert _block("0f 28 06 c3").targets == ()  # movaps xmm0, [rsi]
    assert _block("39 f7 72 10 c3").targets == (_AT + 20, _AT + 4)
