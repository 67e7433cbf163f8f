"""Random machine states, and the comparison of what two machines made of them."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from .native import ARITHMETIC, Outcome, Region, State

SCRATCH, SCRATCH_BYTES = 0x2000_0000, 0x4000
STACK, STACK_BYTES = 0x3000_0000, 0x2000
CODE = 0x1000_0000

_NUMBERS = tuple(
    n & (1 << 64) - 1
    for bits in (8, 16, 32, 64)
    for n in (0, 1, 2, -1, -2, (1 << bits) - 1, 1 << bits - 1, (1 << bits - 1) - 1, (1 << bits - 1) + 1)
)
_CF, _PF, _AF, _ZF, _SF, _OF = 1, 4, 0x10, 0x40, 0x80, 0x800
_BUS_ERROR, _SEGMENTATION_FAULT = 7, 11  # a stack access to an address that is not canonical is the former
#: The flags that each condition looks at.
CONDITIONS = {
    "o": _OF, "b": _CF, "e": _ZF, "be": _CF | _ZF, "s": _SF, "p": _PF, "l": _SF | _OF, "le": _ZF | _SF | _OF,
    "no": _OF, "ae": _CF, "ne": _ZF, "a": _CF | _ZF, "ns": _SF, "np": _PF, "ge": _SF | _OF, "g": _ZF | _SF | _OF,
}

# What Intel's manual leaves undefined after each instruction, and ZF after bit tests: the manual says that they keep
# it, VEX clears it, and no compiler relies on it.
_UNDEFINED: dict[str, int] = {
    **dict.fromkeys(("and", "or", "xor", "test"), _AF),
    **dict.fromkeys(("mul", "imul"), _SF | _ZF | _AF | _PF),
    **dict.fromkeys(("div", "idiv"), ARITHMETIC),
    **dict.fromkeys(("shl", "sal", "shr", "sar", "shld", "shrd"), _AF | _OF),
    **dict.fromkeys(("rol", "ror", "rcl", "rcr"), _OF),
    **dict.fromkeys(("bsf", "bsr"), ARITHMETIC & ~_ZF),
    **dict.fromkeys(("lzcnt", "tzcnt"), _OF | _SF | _PF | _AF),
    **dict.fromkeys(("bt", "bts", "btr", "btc"), _OF | _SF | _AF | _PF | _ZF),
    **dict.fromkeys(("andn", "blsi", "blsr", "blsmsk", "bzhi"), _AF | _PF),
    "bextr": _AF | _SF | _PF,
}
_ADDS_UNDEFINED = frozenset(("rol", "ror", "rcl", "rcr", "shl", "sal", "shr", "sar", "shld", "shrd"))
_DEFINE_ALL = """add sub cmp adc sbb neg xadd cmpxchg and or xor test mul imul div idiv andn blsi blsr blsmsk bzhi bextr
lzcnt tzcnt popcnt sahf ptest vptest bsf bsr cmpsb cmpsw cmpsd cmpsq scasb scasw scasd scasq"""
_DEFINES_ALL = frozenset(_DEFINE_ALL.split())
_DEFINES_ONE = {"bt": _CF, "bts": _CF, "btr": _CF, "btc": _CF, "stc": _CF, "clc": _CF, "cmc": _CF}


def undefined_flags(mnemonics: Iterable[str]) -> int:
    """The flags whose value nobody promises after the instructions. Shifts keep flags if they shift by nothing."""
    undefined = 0
    for name in mnemonics:
        name = name.split()[-1]  # without "lock"
        if name in ("inc", "dec"):
            undefined &= _CF
        elif name in _ADDS_UNDEFINED:
            undefined |= _UNDEFINED[name]
        elif name in _DEFINES_ALL:
            undefined = _UNDEFINED.get(name, 0)
        elif name in _DEFINES_ONE:
            undefined = undefined & ~_DEFINES_ONE[name] | _UNDEFINED.get(name, 0)
    return undefined


def number(chance: random.Random) -> int:
    """A 64-bit number, often one at an edge."""
    kind = chance.random()
    if kind < 0.3:
        return chance.choice(_NUMBERS)
    if kind < 0.5:
        return chance.randrange(64)
    if kind < 0.7:
        return chance.getrandbits(32)
    return chance.getrandbits(64)


@functools.cache
def vectors(seed: int) -> bytes:
    """Sixteen vector registers; lanes repeat, so that comparisons of lanes can be equal."""
    chance = random.Random(seed)
    pool = [chance.getrandbits(64), chance.getrandbits(64), chance.choice(_NUMBERS), 0, (1 << 64) - 1,
            0x7F80_807F_0001_FFFF, 0x8000_7FFF_FFFF_0000]
    words = [chance.choice(pool) if chance.random() < 0.6 else chance.getrandbits(64) for _ in range(64)]
    return b"".join(word.to_bytes(8, "little") for word in words)


def _pointer(chance: random.Random) -> int:
    return SCRATCH + SCRATCH_BYTES // 2 + 32 * chance.randrange(-96, 96)


def state(
    chance: random.Random,
    pointers: Iterable[int] = (6, 7),
    indices: Iterable[int] = (10,),
    flags: bool = True,
    others: float = 0,
) -> State:
    """A state whose ``pointers`` point into scratch memory, whose ``indices`` are small and whose stack is usable.
    The ``others`` point there, too, as often as that says."""
    general = [_pointer(chance) if chance.random() < others else number(chance) for _ in range(16)]
    for i in indices:
        general[i] = chance.randrange(48)
    for i in pointers:
        general[i] = _pointer(chance) + (chance.randrange(32) if chance.random() < 0.2 else 0)
    general[4] = STACK + STACK_BYTES // 2 + 16 * chance.randrange(-8, 8) + 8
    if 5 not in pointers:
        general[5] = STACK + STACK_BYTES // 2 + 0x400 + 16 * chance.randrange(8)
    return State(tuple(general), chance.getrandbits(12) & ARITHMETIC if flags else 0, vectors(chance.getrandbits(7)))


def memory(chance: random.Random) -> list[Region]:
    """Scratch memory and a stack, of words that point into scratch memory, of pairs of small numbers, and of any."""

    def word() -> int:
        kind = chance.random()
        if kind < 0.5:
            return _pointer(chance)
        return chance.randrange(48) << 32 | chance.randrange(48) if kind < 0.8 else number(chance)

    def words(size_bytes: int) -> bytes:
        return b"".join(word().to_bytes(8, "little") for _ in range(size_bytes // 8))

    return [Region(SCRATCH, words(SCRATCH_BYTES), True), Region(STACK, words(STACK_BYTES), True)]


@dataclass(slots=True)
class Tally:
    """What was compared, and what disagreed."""

    trials: int = 0
    faults: int = 0
    subjects: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    unmodelled: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def compare(self, subject: str, start: State, want: Outcome, have: Outcome, undefined: int, upper: bool) -> None:
        """Counts a trial, and says what is different in it."""
        self.trials += 1
        self.subjects.add(subject)
        if want.signal or have.signal:
            self.faults += 1
            if want.signal != have.signal and (want.signal, have.signal) != (_BUS_ERROR, _SEGMENTATION_FAULT):
                self.wrong.append(f"{subject}: signal {have.signal} instead of {want.signal}\n  from {start}")
            return
        self.finished.add(subject)
        same_flags = not (want.state.flags ^ have.state.flags) & ~undefined
        same_registers = want.state.general == have.state.general and want.state.vectors == have.state.vectors
        if same_flags and same_registers and want.memory == have.memory:
            return
        different = [
            f"register {i}: {b:#x} instead of {a:#x}"
            for i, (a, b) in enumerate(zip(want.state.general, have.state.general, strict=True))
            if a != b
        ]
        if not same_flags:
            different.append(f"flags {have.state.flags:#x} instead of {want.state.flags:#x}, undefined {undefined:#x}")
        for i in range(16):
            size = 32 if upper else 16
            a, b = (o.state.vectors[32 * i : 32 * i + size][::-1].hex() for o in (want, have))
            if a != b:
                different.append(f"ymm{i} {b} instead of {a}")
        if want.memory != have.memory:
            different += [
                f"memory {at:#x}: {have.memory.get(at)} instead of {want.memory.get(at)}"
                for at in sorted(want.memory.keys() | have.memory.keys())
                if want.memory.get(at) != have.memory.get(at)
            ]
        if different:
            self.wrong.append(f"{subject}: " + "; ".join(different) + f"\n  from {start}")

    def report(self) -> str:
        """What disagreed, the first of it."""
        return f"{len(self.wrong)} of {self.trials} trials differ, such as\n" + "\n".join(self.wrong[:8])
