"""The registers of amd64 as VEX lays them out, with their overlapping parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pytest_vigor import term
from pytest_vigor.explore.vex_flags import flags_word
from pytest_vigor.term import Value

GENERAL = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)
_FLAG_THUNK = ("cc_op", "cc_dep1", "cc_dep2", "cc_ndep")
_OTHERS = {"d": 176, "ac": 192, "id": 200, "fs": 208}
_VECTORS = 17  # VEX keeps one more than the machine, to work in
_VECTOR_OFFSET, _VECTOR_BYTES = 224, 32

#: The offset of each whole register that the interpreter knows, in VEX's guest state. The instruction pointer is not
#: among them: a block knows where it is.
OFFSETS: dict[str, int] = {
    **{name: 16 + 8 * i for i, name in enumerate(GENERAL)},
    **{name: 144 + 8 * i for i, name in enumerate(_FLAG_THUNK)},
    **_OTHERS,
}
_SLOTS = {name: slot for slot, name in enumerate(OFFSETS)}
_SLOT_AT = {offset: _SLOTS[name] for name, offset in OFFSETS.items()}
#: The slot of ymm0's lower half; vectors are kept as halves, because SSE code leaves the upper one alone.
FIRST_VECTOR = len(OFFSETS)

RIP_OFFSET = 184
FLAG_SLOTS = frozenset(_SLOTS[name] for name in _FLAG_THUNK)
OPERATION_SLOT = _SLOTS["cc_op"]
OLD_FLAGS_SLOT = _SLOTS["cc_ndep"]

#: What a System V function may change: to be clobbered after every call that is replaced by a contract.
CALLER_SAVED = (
    "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "flags", *(f"ymm{i}" for i in range(16)),
)


def slot_bits(slot: int) -> int:
    """The width of a slot."""
    return 64 if slot < FIRST_VECTOR else 128


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of the guest state is: bits ``low`` and up of the slot, which has ``slot_bits``."""

    slot: int
    slot_bits: int
    low: int
    bits: int


def place(offset: int, bits: int) -> Place | None:
    """The slot that holds ``bits`` at a guest state offset; for 256 bits the lower of two halves; None if nothing
    that the interpreter keeps is there."""
    if bits == 256 and (offset - _VECTOR_OFFSET) % _VECTOR_BYTES == 0:
        lower = place(offset, 128)
        return lower and Place(lower.slot, 128, 0, 256)
    vector, within = divmod(offset - _VECTOR_OFFSET, _VECTOR_BYTES)
    if 0 <= vector < _VECTORS:
        half, byte = divmod(within, 16)
        found, size = FIRST_VECTOR + 2 * vector + half, 128
    else:
        byte = offset % 8
        known, size = _SLOT_AT.get(offset - byte), 64
        if known is None:
            return None
        found = known
    return Place(found, size, 8 * byte, bits) if 8 * byte + bits <= size else None


def _named(name: str) -> tuple[int, int]:
    if name in _SLOTS:
        return _SLOTS[name], 64
    kind, number = name[:3], name[3:]
    if kind in ("xmm", "ymm") and number.isdecimal() and int(number) < 16:
        return FIRST_VECTOR + 2 * int(number), 128 if kind == "xmm" else 256
    raise KeyError(f"no register {name}")


class Registers:
    """The registers at one moment. ``slots`` is the interpreter's; others use names."""

    __slots__ = ("slots",)

    def __init__(self, slots: list[Any]) -> None:
        self.slots = slots

    @classmethod
    def fresh(cls, when: str) -> Registers:
        """Every register holds something unknown, which must decide nothing; ``when`` tells it apart from others."""
        registers = cls([0] * (FIRST_VECTOR + 2 * _VECTORS))
        registers.clobber((*GENERAL, "fs", "flags", *(f"ymm{i}" for i in range(16))), when)
        registers.write("d", 1)  # the direction flag, as the ABI has it between functions
        return registers

    def copy(self) -> Registers:
        """Another set of registers with the same contents."""
        return Registers(self.slots.copy())

    def read(self, name: str) -> Value:
        """A whole register: ``rax`` … ``r15``, ``fs``, ``xmm0`` …, ``ymm0`` …."""
        slot, bits = _named(name)
        if bits == 256:
            return term.concat([(128, self.slots[slot + 1]), (128, self.slots[slot])])
        return self.slots[slot]  # type: ignore[no-any-return]

    def write(self, name: str, value: Value) -> None:
        """Sets a whole register; of an ``xmm`` register's vector the upper half stays."""
        slot, bits = _named(name)
        if bits == 256:
            self.slots[slot] = term.extract(value, 256, 127, 0)
            self.slots[slot + 1] = term.extract(value, 256, 255, 128)
        else:
            self.slots[slot] = value

    def set_flags(self, word: Value) -> None:
        """Sets the arithmetic flags from a flags word."""
        for name, value in zip(_FLAG_THUNK, (0, word, 0, 0), strict=True):
            self.slots[_SLOTS[name]] = value

    def flags_word(self) -> Value:
        """The arithmetic flags at their places in a 64-bit word."""
        return flags_word(*(self.slots[_SLOTS[name]] for name in _FLAG_THUNK))

    def clobber(self, names: Iterable[str], when: str) -> None:
        """Sets registers (or ``flags``) to something unknown; ``when`` tells it apart from other unknowns."""
        for name in names:
            if name == "flags":
                self.set_flags(term.undefined(f"flags {when}", 64))
            else:
                self.write(name, term.undefined(f"{name} {when}", _named(name)[1]))
