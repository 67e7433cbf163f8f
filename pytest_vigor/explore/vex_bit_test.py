"""``bt``, ``bts``, ``btr`` and ``btc`` between registers, which VEX does by way of memory.

VEX stores the register below the stack, loads the byte that the bit is in, and perhaps stores and loads again. With a
symbolic bit number that would be memory at a symbolic address. This finds the parts in what VEX makes, and computes
the tested bit and the changed register from the register itself.
"""

from __future__ import annotations

from typing import Any

from pytest_vigor import term
from pytest_vigor.explore.block import Leave, Memory, Step
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Value


class BitTest:
    """One such instruction while its statements are converted. Numbers are indices of temporaries."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.register: tuple[int, int, int] | None = None  # where VEX stores it, its bits, its value
        self.byte: tuple[int, int] | None = None  # where VEX loads the byte from, and to
        self.widened: int | None = None
        self.shifted: int | None = None
        self.amount: int | None = None  # of the bit in its byte

    def stored(self, address: int, bits: int, value: int) -> None:
        if self.register is None:
            self.register = address, bits, value

    def loaded(self, address: int, out: int) -> tuple[Any, ...] | None:
        """For a load: the step that takes its place, and what that reads; ``None`` if nothing needs it."""
        if self.register is None:
            raise Unmodelled("a bit test of a new shape")
        if self.byte is None:
            self.byte = address, out
            return None
        if self.amount is None or address != self.register[0]:
            raise Unmodelled("a bit test of a new shape")
        return self._step(out, _CHANGES[self.kind])

    def computed(self, out: int, name: str, args: list[int], zero: int) -> tuple[Any, ...] | None:
        """For an operation: the step that takes its place if it computes the tested bit, and what that reads."""
        if name == "Iop_Shl8":
            self.amount = args[1]
        elif self.byte is None:
            pass
        elif name == "Iop_8Uto64" and args[0] == self.byte[1]:
            self.widened = out
        elif name == "Iop_Shr64" and args[0] == self.widened:
            self.shifted, self.amount = out, args[1]
        elif name == "Iop_And64" and args[0] in (self.shifted, self.widened) and args[0] is not None:
            if args[0] == self.widened:
                self.amount = zero
            return self._step(out, _bit)
        return None

    def _step(self, out: int, rule: Any) -> tuple[Any, ...]:
        assert self.register is not None and self.byte is not None and self.amount is not None
        (base, bits, register), (address, _), amount = self.register, self.byte, self.amount

        def step(t: list[Any], s: list[Any], m: Memory) -> Leave | None:
            byte = term.extract(term.sub(64, t[address], t[base]), 64, 60, 0)
            number = term.concat([(61, byte), (3, term.extract(t[amount], 8, 2, 0))])
            t[out] = rule(bits, t[register], term.extract(number, 64, bits - 1, 0))
            return None

        made: Step = step
        return made, base, register, address, amount


def _bit(bits: int, value: Value, number: Value) -> Value:
    return term.zext(term.extract(term.lshr(bits, value, number), bits, 0, 0), 1, 64)


def _set(bits: int, value: Value, number: Value) -> Value:
    return term.bor(bits, value, term.shl(bits, 1, number))


def _reset(bits: int, value: Value, number: Value) -> Value:
    return term.band(bits, value, term.bnot(bits, term.shl(bits, 1, number)))


def _complement(bits: int, value: Value, number: Value) -> Value:
    return term.bxor(bits, value, term.shl(bits, 1, number))


_CHANGES = {"set": _set, "reset": _reset, "complement": _complement}
