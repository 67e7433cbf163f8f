"""The flags of amd64 as VEX keeps them: a "thunk" (operation, two arguments, older flags), evaluated when asked.

The conditions are Booleans over the operation's own arguments, so that ``cmp a, b; jb`` is the one term ``a <u b``
instead of bits of a flags word.
"""

from __future__ import annotations

from pytest_vigor import term
from pytest_vigor.explore.vex_flag_kinds import CARRY, Flags, Old
from pytest_vigor.explore.vex_flags import Pending, either, flag, flags, flags_word
from pytest_vigor.explore.vex_unmodelled import Unmodelled
from pytest_vigor.term import Bool, Value


def pending(cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Old:
    """The flags word after an operation, computed now only if it is a number."""
    if type(cc_op) is int and type(dep1) is int and type(dep2) is int and type(old) is int:
        return flags_word(cc_op, dep1, dep2, old)
    return Pending(cc_op, dep1, dep2, old)


def _condition(cond: int, of: Flags) -> Bool:
    match cond >> 1:
        case 0:
            holds = of.overflow()
        case 1:
            holds = of.carry()
        case 2:
            holds = of.zero()
        case 3:
            holds = of.below_or_equal()
        case 4:
            holds = of.sign()
        case 5:
            holds = of.parity()
        case 6:
            holds = of.less()
        case _:
            holds = of.less_or_equal()
    return term.lnot(holds) if cond & 1 else holds


def condition(cond: Value, cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Bool:
    """Whether amd64 condition number ``cond`` (as in ``jcc``) holds after the thunk's operation."""
    if type(cond) is not int:
        raise Unmodelled("a condition code that is not constant")
    if type(cc_op) is int:
        return _condition(cond, flags(cc_op, dep1, dep2, old))
    test, yes, no = either(cc_op, dep1, dep2, old)
    return term.ite(0, test, condition(cond, *yes), condition(cond, *no))  # type: ignore[no-any-return]


def calculate_condition(cond: Value, cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Value:
    """VEX's ``amd64g_calculate_condition``: 0 or 1 in 64 bits."""
    return term.bit(condition(cond, cc_op, dep1, dep2, old), 64)


def calculate_rflags_all(cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Value:
    """VEX's ``amd64g_calculate_rflags_all``: the word of all six flags."""
    return flags_word(cc_op, dep1, dep2, old)


def calculate_rflags_c(cc_op: Value, dep1: Value, dep2: Value, old: Old) -> Value:
    """VEX's ``amd64g_calculate_rflags_c``: the carry as 0 or 1 in 64 bits."""
    return term.bit(flag(CARRY, cc_op, dep1, dep2, old), 64)
