"""The values of C's integer constant expressions, computed in C's own types: `~0u` is 4294967295."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_vigor.errors import HeaderError
from pytest_vigor.headers.declarations import where
from pytest_vigor.layout import Integer

if TYPE_CHECKING:
    from pytest_vigor.headers.declarations import Layouts

_INT = Integer(4, signed=True)
_SIZE = Integer(8)
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92, "'": 39, '"': 34}
_SAME_TYPE: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Number:
    """A value with the C type that decides how it goes on."""

    value: int
    type: Integer


def evaluate(node: Any, layouts: Layouts) -> int:
    """The value of an integer constant expression, a pycparser node; HeaderError if it is none."""
    return _number(node, layouts).value


def enumerator_value(name: str, layouts: Layouts) -> int:
    """The value of an enumerator: its own, or one more than its predecessor's."""
    enumerator, previous = layouts.declared.enumerators[name]
    if enumerator.value is not None:
        return evaluate(enumerator.value, layouts)
    return 0 if previous is None else enumerator_value(previous, layouts) + 1


def constants(expansions: Mapping[str, str], layouts: Layouts) -> dict[str, int]:
    """The macros that stand for integers, with their values. Others, such as include guards, are left out."""
    from pycparser.c_parser import CParser, ParseError

    found = {}
    for name, expansion in expansions.items():
        words = set(re.findall(r"[A-Za-z_]\w*", expansion))
        # The parser must know which names are types; which types they are, the layouts know.
        types = "".join(f"typedef int {word}; " for word in sorted(words & layouts.declared.typedefs.keys()))
        try:
            tree = CParser().parse(f"{types}int value = {expansion};", filename=name)
            found[name] = evaluate(tree.ext[-1].init, layouts)
        except (ParseError, HeaderError):
            continue
    return found


def _number(node: Any, layouts: Layouts) -> Number:
    from pycparser import c_ast

    match node:
        case c_ast.Constant():
            return _literal(node)
        case c_ast.ID(name=name) if name in layouts.declared.enumerators:
            return Number(enumerator_value(name, layouts), _INT)
        case c_ast.UnaryOp(op="sizeof"):
            return Number(layouts.place(node.expr).type.size_bytes, _SIZE)
        case c_ast.UnaryOp(op="_Alignof"):
            return Number(layouts.place(node.expr).alignment, _SIZE)
        case c_ast.UnaryOp(op=op) if op in ("+", "-", "~", "!"):
            operand = _promote(_number(node.expr, layouts))
            if op == "!":
                return Number(int(operand.value == 0), _INT)
            return _wrap({"+": operand.value, "-": -operand.value, "~": ~operand.value}[op], operand.type)
        case c_ast.BinaryOp():
            return _binary(node, layouts)
        case c_ast.TernaryOp():
            left, right = _number(node.iftrue, layouts), _number(node.iffalse, layouts)
            chosen = left if _number(node.cond, layouts).value else right
            return _wrap(chosen.value, _common(left, right))
        case c_ast.Cast():
            target = layouts.place(node.to_type).type
            if isinstance(target, Integer):
                return _wrap(_number(node.expr, layouts).value, target)
    raise HeaderError(f"{where(node)}: this is not an integer constant expression", "write a plain number")


def _literal(node: Any) -> Number:
    text: str = node.value
    if node.type == "char":
        inner = text[1:-1]
        if len(inner) == 1:
            return Number(ord(inner), _INT)
        if len(inner) == 2 and inner[0] == "\\" and inner[1] in _ESCAPES:
            return Number(_ESCAPES[inner[1]], _INT)
    match = re.fullmatch(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlL]*)", text)
    if match is None:
        raise HeaderError(f"{where(node)}: {text} is not an integer", "write a plain number")
    digits, suffix = match[1], match[2].lower()
    octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
    value = int(digits, 8 if octal else 0)
    decimal = digits.isdigit() and not octal
    for size_bytes in (8,) if "l" in suffix else (4, 8):
        for signed in (False,) if "u" in suffix else (True,) if decimal else (True, False):
            candidate = Integer(size_bytes, signed=signed)
            if _wrap(value, candidate).value == value:
                return Number(value, candidate)
    raise HeaderError(f"{where(node)}: {text} is too large for any integer type", "write a smaller number")


def _binary(node: Any, layouts: Layouts) -> Number:
    left, right = _promote(_number(node.left, layouts)), _promote(_number(node.right, layouts))
    op: str = node.op
    if op in ("&&", "||"):
        both = (left.value != 0, right.value != 0)
        return Number(int(all(both) if op == "&&" else any(both)), _INT)
    if op in ("<<", ">>") and 0 <= right.value < left.type.size_bytes * 8:
        shifted = left.value << right.value if op == "<<" else left.value >> right.value
        return _wrap(shifted, left.type)
    common = _common(left, right)
    a, b = _wrap(left.value, common).value, _wrap(right.value, common).value
    if op in _SAME_TYPE:
        return _wrap(_SAME_TYPE[op](a, b), common)
    if op in _COMPARISONS:
        return Number(int(_COMPARISONS[op](a, b)), _INT)
    if op in ("/", "%") and b != 0:
        # C rounds towards zero, Python down.
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return _wrap(quotient if op == "/" else a - quotient * b, common)
    raise HeaderError(f"{where(node)}: {left.value} {op} {right.value} has no value in C", "correct the expression")


def _promote(number: Number) -> Number:
    return Number(number.value, _INT) if number.type.size_bytes < 4 else number


def _common(left: Number, right: Number) -> Integer:
    types = (_promote(left).type, _promote(right).type)
    size_bytes = max(each.size_bytes for each in types)
    return Integer(size_bytes, signed=all(each.signed for each in types if each.size_bytes == size_bytes))


def _wrap(value: int, to: Integer) -> Number:
    if to.boolean:
        return Number(int(value != 0), to)
    bits = to.size_bytes * 8
    value %= 1 << bits
    return Number(value - (1 << bits) if to.signed and value >> (bits - 1) else value, to)
