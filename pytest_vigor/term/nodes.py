"""The nodes of terms: how they are made one, the leaves, and what is not so.

A concrete value is a Python ``int`` (an unsigned bit-vector) or ``bool``; a symbolic one is an interned :class:`Term`.
Equal terms are the same object, so ``is`` decides syntactic equality. Width 0 means Boolean.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, TypeAlias

Value: TypeAlias = "int | Term"
Bool: TypeAlias = "bool | Term"


class Term:
    """An immutable node; made only by constructors. ``lo`` and ``hi`` bound its unsigned value."""

    __slots__ = ("args", "data", "hi", "lo", "op", "uid", "undefined", "width")

    op: str
    width: int
    args: tuple[Any, ...]
    data: Any
    uid: int
    lo: int
    hi: int
    undefined: bool  #: mentions an uninitialised byte

    def __repr__(self) -> str:
        return show(self)

    def __bool__(self) -> bool:
        raise TypeError(f"the term {self!r} has no truth value of its own")

    def __reduce__(self) -> Any:
        raise TypeError("terms are stored through behaviour.dump, not pickled")


LEAVES = frozenset({"var", "app", "undefined"})
_interned: dict[tuple[Any, ...], Term] = {}
_negated: dict[int, Any] = {}
_uids = count()


def make(
    op: str, width: int, args: tuple[Any, ...], data: Any = None, lo: int = 0, hi: int | None = None
) -> Term:
    """The one node of an operation; constructors have simplified it."""
    key = (op, width, data, *[a.uid if type(a) is Term else ~a if type(a) is int else str(a) for a in args])
    found = _interned.get(key)
    if found is not None:
        return found
    term = Term.__new__(Term)
    term.op, term.width, term.args, term.data = op, width, args, data
    term.uid = next(_uids)
    term.lo, term.hi = lo, (1 << width) - 1 if hi is None else hi
    term.undefined = op == "undefined" or any(type(a) is Term and a.undefined for a in args)
    _interned[key] = term
    return term


class Apart:
    """The terms of one subject, for as long as anyone has this."""

    __slots__ = ("interned", "negated", "number")

    def __init__(self, interned: dict[tuple[Any, ...], Term], negated: dict[int, Any]) -> None:
        self.interned, self.negated, self.number = interned, negated, next(_uids)


_common = _apart = Apart(_interned, _negated)


def keep_apart(apart: Apart | None = None) -> Apart:
    """From here on, terms are one object only with those made for the same subject (a new one if none is given), or
    before there was any. Terms are put in order by when they were made, and how hard a question is can depend on that:
    so it does not depend on which other subjects there are. Unknowns of one name stay the same unknown."""
    global _interned, _negated, _apart
    _apart = Apart(dict(_common.interned), dict(_common.negated)) if apart is None else apart
    _interned, _negated = _apart.interned, _apart.negated
    return _apart


def subject() -> int:
    """Whose terms are made now, for whoever remembers terms."""
    return _apart.number


def mask(width: int) -> int:
    return (1 << width) - 1


def bounds(value: Value) -> tuple[int, int]:
    return (value, value) if type(value) is int else (value.lo, value.hi)  # type: ignore[union-attr]


def signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def var(name: str, width: int) -> Term:
    """A free variable."""
    return make("var", width, (), name)


def undefined(name: str, width: int) -> Term:
    """The content of uninitialised memory: any value, and a violation where it decides something."""
    return make("undefined", width, (), name)


def app(name: str, width: int, *args: tuple[int, Value]) -> Term:
    """An uninterpreted function applied to ``(width, value)`` pairs."""
    return make("app", width, tuple(v for _, v in args), (name, tuple(w for w, _ in args)))


def opaque(width: int, value: Value) -> Value:
    """The same value, which a solver takes for any value before it looks into it."""
    return value if type(value) is int else make("opaque", width, (value,), None, *bounds(value))


def parts(value: Any) -> Iterator[Term]:
    """Every term in a value, itself included, each once."""
    visited: set[int] = set()
    stack = [value]
    while stack:
        term = stack.pop()
        if type(term) is Term and term.uid not in visited:
            visited.add(term.uid)
            yield term
            stack.extend(term.args)


def lnot(a: Bool) -> Bool:
    """Negation, which comparisons take in."""
    if isinstance(a, bool):
        return not a
    found: Bool | None = _negated.get(a.uid)
    if found is None:
        found = _negated[a.uid] = _lnot(a)
    return found


def _lnot(a: Term) -> Bool:
    if a.op == "lnot":
        return a.args[0]  # type: ignore[no-any-return]
    if a.op == "ult":
        return _at_most(a.data, a.args[1], a.args[0])
    if a.op in ("ule", "slt", "sle"):
        flipped = {"ule": "ult", "slt": "sle", "sle": "slt"}[a.op]
        return make(flipped, 0, (a.args[1], a.args[0]), a.data)
    return make("lnot", 0, (a,))


def _at_most(width: int, a: Value, b: Value) -> Bool:
    """``a <= b`` unsigned, as ``<`` where one side is a constant: one form for each comparison."""
    if isinstance(a, int):
        return True if a == 0 else make("ult", 0, (a - 1, b), width)
    if isinstance(b, int):
        return True if b == mask(width) else make("ult", 0, (a, b + 1), width)
    return make("ule", 0, (a, b), width)


_SIGNS = {"mul": "*", "udiv": "/u", "urem": "%u", "sdiv": "/s", "srem": "%s", "band": "&", "bor": "|", "bxor": "^",
          "shl": "<<", "lshr": ">>", "ashr": ">>s", "eq": "==", "ult": "<u", "ule": "<=u", "slt": "<s", "sle": "<=s",
          "land": "and", "lor": "or", "iff": "iff"}


def show(value: Any, depth: int = 12) -> str:
    """A short reading for messages and debugging."""
    if type(value) is int:
        return hex(value) if value > 9 else str(value)
    if type(value) is not Term:
        return str(value)
    if depth == 0:
        return "…"
    args = [show(a, depth - 1) for a in value.args]
    match value.op:
        case "var" | "undefined":
            return str(value.data)
        case "app":
            return f"{value.data[0]}({', '.join(args)})"
        case "add":
            const, coeffs = value.data
            terms = [a if c == 1 else f"{signed(c, value.width)}*{a}" for a, c in zip(args, coeffs, strict=True)]
            return "(" + " + ".join(terms + ([str(signed(const, value.width))] if const else [])) + ")"
        case "extract":
            return f"{args[0]}[{value.data[0]}:{value.data[1]}]"
        case "concat":
            return "concat(" + ", ".join(f"{a}:{w}" for a, w in zip(args, value.data, strict=True)) + ")"
        case "zext" | "sext":
            return f"{value.op}{value.width}({args[0]})"
        case "lnot":
            return f"not {args[0]}"
        case "opaque":
            return args[0]
        case "ite":
            return f"({args[1]} if {args[0]} else {args[2]})"
    return "(" + f" {_SIGNS[value.op]} ".join(args) + ")"
