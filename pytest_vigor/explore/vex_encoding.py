"""What VEX does not keep of an instruction, from its bytes."""

from __future__ import annotations

from dataclasses import dataclass

_PREFIXES = frozenset(b"\x66\x67\xf2\xf3\x2e\x36\x3e\x26\x64\x65\xf0")
_BIT_TESTS = {0xA3: "test", 0xAB: "set", 0xB3: "reset", 0xBB: "complement"}
# Of the SSE instructions these take a 16-byte operand at any address: movups, movupd; movdqu; lddqu; pcmpXstrX.
_UNALIGNED = {("", 0x10), ("\x66", 0x10), ("\xf3", 0x6F), ("\xf2", 0xF0)}
_UNALIGNED_3A = range(0x60, 0x64)
_VECTOR_SHIFTS = b"\xd1\xd2\xd3\xe1\xe2\xf1\xf2\xf3"


@dataclass(frozen=True, slots=True)
class Encoding:
    """The parts of an instruction; ``opcode`` is the bytes after prefixes, up to the one that tells it from others."""

    prefixes: bytes
    rex: int
    opcode: bytes
    rest: bytes
    avx: bool = False

    def division_bits(self) -> int | None:
        """How many bits the quotient of a ``div`` or ``idiv`` may have: VEX divides all short ones in 32 bits."""
        match self.opcode[0]:
            case 0xF6:
                return 8
            case 0xF7:
                return 64 if self.rex & 8 else 16 if 0x66 in self.prefixes else 32
        return None

    def register_bit_test(self) -> str | None:
        """Which of ``bt``, ``bts``, ``btr``, ``btc`` between registers it is."""
        if len(self.opcode) == 2 and self.opcode[0] == 0x0F and not self.avx and self.rest[:1] >= b"\xc0":
            return _BIT_TESTS.get(self.opcode[1])
        return None

    def is_undefined_shift(self) -> bool:
        """Whether it is a ``shld`` or ``shrd`` of 16 bits that may be by more than these: the manual leaves open what
        comes of that, and processors and VEX do not agree."""
        if 0x66 not in self.prefixes or self.rex & 8 or self.avx or self.opcode[:1] != b"\x0f":
            return False
        match self.opcode[1]:
            case 0xA4 | 0xAC:
                return self.rest[0] < 0xC0 or self.rest[1] & 31 > 16
            case 0xA5 | 0xAD:
                return True
        return False

    def wants_alignment(self) -> bool:
        """Whether it is an SSE instruction that traps if its 16-byte memory operand is not aligned."""
        if self.avx:
            return False
        if len(self.opcode) == 3:
            return not (self.opcode[1] == 0x3A and self.opcode[2] in _UNALIGNED_3A)
        kind = next((chr(p) for p in (0xF3, 0xF2, 0x66) if p in self.prefixes), "")
        return (kind, self.opcode[1]) not in _UNALIGNED

    def shifts_by_memory(self) -> bool:
        """Whether it shifts vectors by an amount in memory: the machine reads 16 bytes of it, VEX only 8."""
        return self.opcode[0] == 0x0F and self.opcode[1] in _VECTOR_SHIFTS and self.rest[:1] < b"\xc0"


def decode(code: bytes) -> Encoding:
    """The instruction that the bytes start with."""
    if code[0] in (0xC4, 0xC5):
        long = code[0] == 0xC4
        table = {2: b"\x0f\x38", 3: b"\x0f\x3a"}.get(code[1] & 0x1F, b"\x0f") if long else b"\x0f"
        at = 3 if long else 2
        return Encoding(b"", 0, table + code[at : at + 1], code[at + 1 :], True)
    at = 0
    while code[at] in _PREFIXES:
        at += 1
    prefixes, rex = code[:at], 0
    if code[at] & 0xF0 == 0x40:
        rex = code[at]
        at += 1
    size = 1
    if code[at] == 0x0F:
        size = 3 if code[at + 1] in (0x38, 0x3A) else 2
    return Encoding(prefixes, rex, code[at : at + size], code[at + size :])
