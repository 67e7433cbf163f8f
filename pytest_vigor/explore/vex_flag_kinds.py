"""What each kind of operation does to the six arithmetic flags, from the arguments that VEX stores of it."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from pytest_vigor import term
from pytest_vigor.term import Bool, Term, Value

#: Positions in the flags word.
CARRY, PARITY, ADJUST, ZERO, SIGN, OVERFLOW = 0, 2, 4, 6, 7, 11
#: The method for each position.
METHODS = {
    CARRY: "carry", PARITY: "parity", ADJUST: "adjust", ZERO: "zero", SIGN: "sign", OVERFLOW: "overflow",
}


def _bit(value: Value, width: int, position: int) -> Bool:
    return term.ne(1, term.extract(value, width, position, position), 0)


def _differ(a: Bool, b: Bool) -> Bool:
    return term.lnot(term.iff(a, b))


class Later(Protocol):
    """A flags word that is not computed yet."""

    def flag(self, position: int) -> Bool: ...

    def word(self) -> Value: ...


Old: TypeAlias = "Value | Later"


def known(old: Old) -> Value:
    """The flags word as a value."""
    return old if isinstance(old, int | Term) else old.word()


def even_parity(width: int, value: Value) -> Bool:
    """Whether the low byte has an even number of ones."""
    folded = term.extract(value, width, 7, 0)
    if type(folded) is int:
        return folded.bit_count() % 2 == 0
    odd: Value = 0
    for position in range(8):
        odd = term.bxor(1, odd, term.extract(folded, 8, position, position))
    return term.eq(1, odd, 0)


class Flags:
    """The flags after an operation on ``width`` bits whose first thunk argument is its result (the common case)."""

    __slots__ = ("a", "b", "old", "width")

    def __init__(self, width: int, dep1: Value, dep2: Value, old: Old) -> None:
        self.width = width
        self.a = term.extract(dep1, 64, width - 1, 0)
        self.b = term.extract(dep2, 64, width - 1, 0)
        self.old = old

    def older(self, position: int) -> Bool:
        """A flag from before the operation."""
        if isinstance(self.old, int | Term):
            return _bit(self.old, 64, position)
        return self.old.flag(position)

    def result(self) -> Value:
        return self.a

    def negative(self, value: Value) -> Bool:
        return term.slt(self.width, value, 0)

    def carry(self) -> Bool:
        return False

    def parity(self) -> Bool:
        return even_parity(self.width, self.result())

    def adjust(self) -> Bool:
        return False

    def zero(self) -> Bool:
        return term.eq(self.width, self.result(), 0)

    def sign(self) -> Bool:
        return self.negative(self.result())

    def overflow(self) -> Bool:
        return False

    def below_or_equal(self) -> Bool:
        return term.lor(self.carry(), self.zero())

    def less(self) -> Bool:
        return _differ(self.sign(), self.overflow())

    def less_or_equal(self) -> Bool:
        return term.lor(self.zero(), self.less())

    def word(self) -> Value:
        """All six flags at their places in a 64-bit word."""
        bits: dict[int, Bool] = {at: getattr(self, method)() for at, method in METHODS.items()}
        parts: list[tuple[int, Value]] = [(64 - OVERFLOW - 1, 0)]
        parts += [(1, term.bit(bits[at]) if at in bits else 0) for at in range(OVERFLOW, -1, -1)]
        return term.concat(parts)


class Copy(Flags):
    """The flags word itself is the first argument."""

    def __init__(self, width: int, dep1: Value, dep2: Value, old: Old) -> None:
        super().__init__(64, dep1, dep2, old)

    def carry(self) -> Bool:
        return _bit(self.a, 64, CARRY)

    def parity(self) -> Bool:
        return _bit(self.a, 64, PARITY)

    def adjust(self) -> Bool:
        return _bit(self.a, 64, ADJUST)

    def zero(self) -> Bool:
        return _bit(self.a, 64, ZERO)

    def sign(self) -> Bool:
        return _bit(self.a, 64, SIGN)

    def overflow(self) -> Bool:
        return _bit(self.a, 64, OVERFLOW)


class Add(Flags):
    def old_carry(self) -> Value:
        return 0

    def addend(self) -> Value:
        return self.b

    def result(self) -> Value:
        return term.add(self.width, self.a, self.b)

    def carry(self) -> Bool:
        return term.ult(self.width, self.result(), self.a)

    def adjust(self) -> Bool:
        mixed = term.bxor(self.width, self.result(), term.bxor(self.width, self.a, self.addend()))
        return _bit(mixed, self.width, 4)

    def overflow(self) -> Bool:
        before = self.negative(self.a)
        return term.land(term.iff(before, self.negative(self.addend())), _differ(before, self.sign()))


class AddWithCarry(Add):
    # VEX stores the second argument exclusive-or the old carry, which is then its lowest bit's only use.
    def old_carry(self) -> Value:
        return term.bit(self.older(CARRY), self.width)

    def addend(self) -> Value:
        return term.bxor(self.width, self.b, self.old_carry())

    def result(self) -> Value:
        return term.add(self.width, term.add(self.width, self.a, self.addend()), self.old_carry())

    def carry(self) -> Bool:
        result, was = self.result(), self.older(CARRY)
        return term.ite(0, was, term.ule(self.width, result, self.a), term.ult(self.width, result, self.a))  # type: ignore[no-any-return]


class Subtract(Flags):
    def result(self) -> Value:
        return term.sub(self.width, self.a, self.b)

    def carry(self) -> Bool:
        return term.ult(self.width, self.a, self.b)

    def zero(self) -> Bool:
        return term.eq(self.width, self.a, self.b)

    def subtrahend(self) -> Value:
        return self.b

    def adjust(self) -> Bool:
        mixed = term.bxor(self.width, self.result(), term.bxor(self.width, self.a, self.subtrahend()))
        return _bit(mixed, self.width, 4)

    def overflow(self) -> Bool:
        before = self.negative(self.a)
        return term.land(_differ(before, self.negative(self.subtrahend())), _differ(before, self.sign()))

    def below_or_equal(self) -> Bool:
        return term.ule(self.width, self.a, self.b)

    def less(self) -> Bool:
        return term.slt(self.width, self.a, self.b)

    def less_or_equal(self) -> Bool:
        return term.sle(self.width, self.a, self.b)


class SubtractWithBorrow(Subtract):
    def old_carry(self) -> Value:
        return term.bit(self.older(CARRY), self.width)

    def subtrahend(self) -> Value:
        return term.bxor(self.width, self.b, self.old_carry())

    def result(self) -> Value:
        return term.sub(self.width, term.sub(self.width, self.a, self.subtrahend()), self.old_carry())

    def carry(self) -> Bool:
        was, b = self.older(CARRY), self.subtrahend()
        return term.ite(0, was, term.ule(self.width, self.a, b), term.ult(self.width, self.a, b))  # type: ignore[no-any-return]

    def zero(self) -> Bool:
        return term.eq(self.width, self.result(), 0)

    def below_or_equal(self) -> Bool:
        return Flags.below_or_equal(self)

    def less(self) -> Bool:
        return Flags.less(self)

    def less_or_equal(self) -> Bool:
        return Flags.less_or_equal(self)


class Logic(Flags):
    def less_or_equal(self) -> Bool:
        return term.sle(self.width, self.a, 0)


class Increment(Flags):
    def carry(self) -> Bool:
        return self.older(CARRY)

    def adjust(self) -> Bool:
        return term.eq(4, term.extract(self.a, self.width, 3, 0), 0)

    def overflow(self) -> Bool:
        return term.eq(self.width, self.a, 1 << (self.width - 1))


class Decrement(Increment):
    def adjust(self) -> Bool:
        return term.eq(4, term.extract(self.a, self.width, 3, 0), 15)

    def overflow(self) -> Bool:
        return term.eq(self.width, self.a, (1 << (self.width - 1)) - 1)


class ShiftLeft(Flags):
    # The second argument is the value shifted one place less.
    def carry(self) -> Bool:
        return self.negative(self.b)

    def overflow(self) -> Bool:
        return _differ(self.negative(self.a), self.negative(self.b))


class ShiftRight(ShiftLeft):
    def carry(self) -> Bool:
        return _bit(self.b, self.width, 0)


class Rotate(Flags):
    def parity(self) -> Bool:
        return self.older(PARITY)

    def adjust(self) -> Bool:
        return self.older(ADJUST)

    def zero(self) -> Bool:
        return self.older(ZERO)

    def sign(self) -> Bool:
        return self.older(SIGN)


class RotateLeft(Rotate):
    def carry(self) -> Bool:
        return _bit(self.a, self.width, 0)

    def overflow(self) -> Bool:
        return _differ(_bit(self.a, self.width, self.width - 1), _bit(self.a, self.width, 0))


class RotateRight(Rotate):
    def carry(self) -> Bool:
        return _bit(self.a, self.width, self.width - 1)

    def overflow(self) -> Bool:
        return _differ(_bit(self.a, self.width, self.width - 1), _bit(self.a, self.width, self.width - 2))


class MultiplyUnsigned(Flags):
    def product(self) -> Value:
        wide = 2 * self.width
        return term.mul(wide, term.zext(self.a, self.width, wide), term.zext(self.b, self.width, wide))

    def result(self) -> Value:
        return term.extract(self.product(), 2 * self.width, self.width - 1, 0)

    def carry(self) -> Bool:
        return term.ne(self.width, term.extract(self.product(), 2 * self.width, 2 * self.width - 1, self.width), 0)

    def overflow(self) -> Bool:
        return self.carry()


class MultiplySigned(MultiplyUnsigned):
    def product(self) -> Value:
        wide = 2 * self.width
        return term.mul(wide, term.sext(self.a, self.width, wide), term.sext(self.b, self.width, wide))

    def carry(self) -> Bool:
        return term.ne(2 * self.width, self.product(), term.sext(self.result(), self.width, 2 * self.width))


class AndNot(Flags):
    def parity(self) -> Bool:
        return False


class LowestSet(AndNot):
    def carry(self) -> Bool:
        return term.ne(self.width, self.b, 0)


class ResetLowest(AndNot):
    def carry(self) -> Bool:
        return term.eq(self.width, self.b, 0)


class MaskLowest(ResetLowest):
    def zero(self) -> Bool:
        return False


class AddCarryOnly(Copy):
    """``adcx``: an addition that touches the carry alone; the other flags are the older word's."""

    position = CARRY

    def __init__(self, width: int, dep1: Value, dep2: Value, old: Old) -> None:
        word = known(old)
        super().__init__(width, word, 0, word)
        was = term.extract(word, 64, self.position, self.position)
        inner = AddWithCarry(width, dep1, dep2, term.zext(was, 1, 64))
        # VEX stores the second argument exclusive-or the old flag, whichever flag it is.
        self.b = term.bit(inner.carry(), 64)

    def carry(self) -> Bool:
        return _bit(self.b, 64, 0)


class AddOverflowOnly(AddCarryOnly):
    position = OVERFLOW

    def carry(self) -> Bool:
        return Copy.carry(self)

    def overflow(self) -> Bool:
        return _bit(self.b, 64, 0)
