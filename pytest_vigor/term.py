"""Bit-vector and Boolean terms: what the explorer computes with, what a Behaviour stores, what the solver is asked.

A concrete value is a Python ``int`` (an unsigned bit-vector) or ``bool``; a symbolic one is an interned :class:`Term`.
Equal terms are the same object, so ``is`` decides syntactic equality. Width 0 means Boolean. Every constructor
simplifies: sums are linear normal forms (so that pointers and indices compare by structure) and disjoint shifts and
masks become concatenations of pieces (so that a byte-swapped header field is the same term however it was read).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from functools import reduce
from itertools import count, pairwise
from math import gcd
from typing import Any, TypeAlias

Value: TypeAlias = "int | Term"
Bool: TypeAlias = "bool | Term"


class Term:
    """An immutable node; made only by the constructors below. ``lo`` and ``hi`` bound its unsigned value."""

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
_apart: dict[Hashable, tuple[dict[tuple[Any, ...], Term], dict[int, Any]]] = {}
_whom: Hashable = None
_uids = count()
_WORD_BITS = 16  # of one's complement sums
_ARITHMETIC_BITS = 128  # wider terms are keys and vector registers, whose bounds nobody asks for


def _make(
    op: str, width: int, args: tuple[Any, ...], data: Any = None, lo: int = 0, hi: int | None = None
) -> Term:
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


def keep_apart(whom: Hashable) -> None:
    """From here on, terms are one object only with those made for the same subject, or before there was any. Terms are
    put in order by when they were made, and how hard a question is can depend on that: so it does not depend on which
    other subjects there are. Unknowns of one name stay the same unknown."""
    global _interned, _negated, _whom
    common = _apart.setdefault(None, (_interned, _negated))
    if whom not in _apart:
        _apart[whom] = dict(common[0]), dict(common[1])
    (_interned, _negated), _whom = _apart[whom], whom


def subject() -> Hashable:
    """Whose terms are made now, for whoever remembers terms."""
    return _whom


def mask(width: int) -> int:
    return (1 << width) - 1


def bounds(value: Value) -> tuple[int, int]:
    return (value, value) if type(value) is int else (value.lo, value.hi)  # type: ignore[union-attr]


def signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


# ---- leaves -------------------------------------------------------------------------------------------------------


def var(name: str, width: int) -> Term:
    """A free variable."""
    return _make("var", width, (), name)


def undefined(name: str, width: int) -> Term:
    """The content of uninitialised memory: any value, and a violation where it decides something."""
    return _make("undefined", width, (), name)


def app(name: str, width: int, *args: tuple[int, Value]) -> Term:
    """An uninterpreted function applied to ``(width, value)`` pairs."""
    return _make("app", width, tuple(v for _, v in args), (name, tuple(w for w, _ in args)))


def opaque(width: int, value: Value) -> Value:
    """The same value, which a solver takes for any value before it looks into it."""
    return value if type(value) is int else _make("opaque", width, (value,), None, *bounds(value))


# ---- linear sums --------------------------------------------------------------------------------------------------


def _linear(width: int, value: Value) -> tuple[int, dict[Term, int]]:
    if type(value) is int:
        return value, {}
    assert isinstance(value, Term)
    if value.op == "add":
        const, coeffs = value.data
        return const, dict(zip(value.args, coeffs, strict=True))
    if value.op == "shl" and type(value.args[1]) is int:
        const, atoms = _linear(width, value.args[0])
        factor = 1 << value.args[1]
        return (const * factor) & mask(width), {a: c * factor & mask(width) for a, c in atoms.items()}
    if value.op == "zext" and value.args[0].op == "concat":
        inner = value.args[0]
        zeros, low = inner.data[-1], inner.args[-1]
        if type(low) is int and low == 0:  # a shifted field: the same atom however the shift was written
            field = extract(inner, inner.width, inner.width - 1, zeros)
            const, atoms = _linear(width, zext(field, inner.width - zeros, width))
            return (const << zeros) & mask(width), {a: c << zeros & mask(width) for a, c in atoms.items()}
    return 0, {value: 1}


def _sum(width: int, const: int, atoms: dict[Term, int]) -> Value:
    const &= mask(width)
    live = sorted(((a, c) for a, c in atoms.items() if c), key=lambda item: item[0].uid)
    if not live:
        return const
    if len(live) == 1 and const == 0:
        atom, coeff = live[0]
        if coeff == 1:
            return atom
        if coeff & (coeff - 1) == 0:
            return _shift_node(width, atom, coeff.bit_length() - 1)
    if len(live) == 1 and live[0][0].op == "ite":
        atom, coeff = live[0]
        test, yes, no = atom.args
        if type(yes) is int and type(no) is int:
            ends = (const + coeff * yes) & mask(width), (const + coeff * no) & mask(width)
            return ite(width, test, *ends)  # type: ignore[no-any-return]
    low = high = signed(const, width)
    for atom, coeff in live:
        factor = signed(coeff, width)
        reach = factor * atom.lo, factor * atom.hi
        low, high = low + min(reach), high + max(reach)
    lo, hi = (low, high) if low >= 0 and high <= mask(width) else (0, mask(width))
    if lo == 0 and hi == mask(width) and signed(const, width) < 0:  # the constant may be meant as unsigned
        low, high = low + (1 << width), high + (1 << width)
        lo, hi = (low, high) if low >= 0 and high <= mask(width) else (0, mask(width))
    return _make("add", width, tuple(a for a, _ in live), (const, tuple(c for _, c in live)), lo, hi)


def _shift_node(width: int, atom: Term, amount: int) -> Term:
    hi = atom.hi << amount
    return _make("shl", width, (atom, amount), None, *((atom.lo << amount, hi) if hi <= mask(width) else (0, None)))


def add(width: int, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return (a + b) & mask(width)
    if b == 0 and type(b) is int:
        return a
    const, atoms = _linear(width, a)
    more, others = _linear(width, b)
    for atom, coeff in others.items():
        atoms[atom] = (atoms.get(atom, 0) + coeff) & mask(width)
    return _sum(width, const + more, atoms)


def scale(width: int, a: Value, factor: int) -> Value:
    """``a`` times a constant."""
    if type(a) is int:
        return (a * factor) & mask(width)
    const, atoms = _linear(width, a)
    return _sum(width, const * factor, {t: c * factor & mask(width) for t, c in atoms.items()})


def sub(width: int, a: Value, b: Value) -> Value:
    return add(width, a, scale(width, b, mask(width)))


def neg(width: int, a: Value) -> Value:
    return scale(width, a, mask(width))


def mul(width: int, a: Value, b: Value) -> Value:
    if type(a) is int:
        return scale(width, b, a)
    if type(b) is int:
        return scale(width, a, b)
    assert isinstance(a, Term) and isinstance(b, Term)
    if a.uid > b.uid:
        a, b = b, a
    if width <= _ARITHMETIC_BITS and a.hi * b.hi <= mask(width):
        return _make("mul", width, (a, b), None, a.lo * b.lo, a.hi * b.hi)
    return _make("mul", width, (a, b))


def split_base(width: int, value: Value) -> tuple[int, Value]:
    """The constant of a sum, and the rest."""
    const, atoms = _linear(width, value)
    return const, _sum(width, 0, atoms)


# ---- division -----------------------------------------------------------------------------------------------------


def udiv(width: int, a: Value, b: Value) -> Value:
    """Unsigned quotient; all ones where the divisor is zero, as in SMT-LIB."""
    if type(b) is int:
        if b == 0:
            return mask(width)
        if type(a) is int:
            return a // b
        if b & (b - 1) == 0:
            return lshr(width, a, b.bit_length() - 1)
    lo, hi = bounds(a)
    low, high = bounds(b)
    return _make("udiv", width, (a, b), None, *((lo // high, hi // low) if low else (0, None)))


def urem(width: int, a: Value, b: Value) -> Value:
    """Unsigned remainder; the dividend where the divisor is zero, as in SMT-LIB."""
    if type(b) is int:
        if b == 0:
            return a
        if type(a) is int:
            return a % b
        if b & (b - 1) == 0:
            return band(width, a, b - 1)
    low, high = bounds(b)
    return _make("urem", width, (a, b), None, 0, min(bounds(a)[1], high - 1) if low else None)


def sdiv(width: int, a: Value, b: Value) -> Value:
    """Signed quotient, rounded toward zero; 1 or -1 where the divisor is zero, as in SMT-LIB."""
    if type(a) is int and type(b) is int:
        x, y = signed(a, width), signed(b, width)
        if y == 0:
            return 1 if x < 0 else mask(width)
        return (abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)) & mask(width)
    half = mask(width) >> 1
    if bounds(a)[1] <= half and bounds(b)[1] <= half and bounds(b)[0] > 0:
        return udiv(width, a, b)
    return _make("sdiv", width, (a, b))


def srem(width: int, a: Value, b: Value) -> Value:
    """Signed remainder, with the dividend's sign; the dividend where the divisor is zero, as in SMT-LIB."""
    if type(a) is int and type(b) is int:
        x, y = signed(a, width), signed(b, width)
        if y == 0:
            return a
        return (abs(x) % abs(y) * (1 if x >= 0 else -1)) & mask(width)
    half = mask(width) >> 1
    if bounds(a)[1] <= half and bounds(b)[1] <= half and bounds(b)[0] > 0:
        return urem(width, a, b)
    return _make("srem", width, (a, b))


# ---- pieces: concatenations, extracts, masks ------------------------------------------------------------------------

Piece: TypeAlias = "tuple[int, Value]"  # width, value; most significant first


def _pieces(width: int, value: Value) -> Iterator[Piece]:
    if type(value) is int:
        yield width, value
        return
    assert isinstance(value, Term)
    if value.op == "concat":
        yield from zip(value.data, value.args, strict=True)
    elif value.op == "zext":
        inner = value.args[0]
        yield width - inner.width, 0
        yield from _pieces(inner.width, inner)
    elif value.op == "shl" and type(value.args[1]) is int:
        amount = value.args[1]
        yield from _pieces(width - amount, extract(value.args[0], width, width - amount - 1, 0))
        yield amount, 0
    else:
        yield width, value


def concat(parts: Sequence[Piece]) -> Value:
    """Joins ``(width, value)`` pieces, most significant first."""
    out: list[tuple[int, Value]] = []
    for part_width, part in parts:
        if part_width == 0:
            continue
        for w, v in _pieces(part_width, part) if type(part) is Term and part.op != "shl" else ((part_width, part),):
            if out:
                before_width, before = out[-1]
                if type(before) is int and type(v) is int:
                    out[-1] = before_width + w, before << w | v
                    continue
                if type(before) is Term and type(v) is Term and before.op == "extract" and v.op == "add":
                    hi, lo = before.data  # the low bits of a sum are a sum of low bits
                    source = before.args[0]
                    if lo >= w and extract(source, source.width, lo - 1, lo - w) is v:
                        out[-1] = before_width + w, extract(source, source.width, hi, lo - w)
                        continue
                if type(before) is Term and type(v) is Term and before.op == v.op == "ite" and (
                    before.args[0] is v.args[0] and any(_are_numbers(before, v, side) for side in (1, 2))
                ):  # cut by extract()
                    yes, no = (concat(((before_width, before.args[k]), (w, v.args[k]))) for k in (1, 2))
                    out[-1] = before_width + w, ite(before_width + w, v.args[0], yes, no)
                    continue
                if type(before) is Term and type(v) is Term and before.op == "extract" and before.args[0] is (
                    v.args[0] if v.op == "extract" else v
                ):
                    hi, lo = before.data
                    v_hi, v_lo = v.data if v.op == "extract" else (v.width - 1, 0)
                    if lo == v_hi + 1:
                        source = before.args[0]
                        out[-1] = hi - v_lo + 1, extract(source, source.width, hi, v_lo)
                        continue
            out.append((w, v))
    if not out:
        return 0
    if len(out) == 1:
        return out[0][1]
    width = sum(w for w, _ in out)
    top_width, top = out[0]
    if len(out) == 2 and width in (32, 64) and type(top) is Term and top.op == "add" and out[1][1] == 0:
        return _raised(top, width)
    if top == 0 and type(top) is int:
        rest = concat(out[1:])
        return zext(rest, width - top_width, width)
    lo = hi = 0
    for w, v in out:
        low, high = bounds(v)
        lo, hi = lo << w | low, hi << w | high
    return _make("concat", width, tuple(v for _, v in out), tuple(w for w, _ in out), lo, hi)


def _are_numbers(a: Term, b: Term, side: int) -> bool:
    return type(a.args[side]) is int and type(b.args[side]) is int


def _raised(total: Term, width: int) -> Value:
    """A sum with zeros below it: a sum again, as it was before its low bits, all zero, were cut off."""
    const, coeffs = total.data
    zeros = width - total.width
    out: Value = const << zeros
    for atom, coeff in zip(total.args, coeffs, strict=True):
        whole = zext(atom, total.width, width)
        if atom.op == "extract" and atom.data[1] == 0 and atom.args[0].width >= width:
            whole = extract(atom.args[0], atom.args[0].width, width - 1, 0)
        out = add(width, out, scale(width, whole, coeff << zeros & mask(width)))
    return out


_extracted: dict[tuple[int, int, int], Value] = {}


def extract(value: Value, width: int, hi: int, lo: int) -> Value:
    """Bits ``hi`` to ``lo`` of a value of the given width."""
    if type(value) is not Term or not value.args:
        return _extract(value, width, hi, lo)
    key = (value.uid, hi, lo)
    found = _extracted.get(key)
    if found is None:
        found = _extracted[key] = _extract(value, width, hi, lo)
    return found


def _extract(value: Value, width: int, hi: int, lo: int) -> Value:
    if type(value) is int:
        return value >> lo & mask(hi - lo + 1)
    assert isinstance(value, Term)
    out = hi - lo + 1
    if out == width:
        return value
    op = value.op
    if value.hi >> lo == 0:
        return 0
    if op == "extract":
        inner, base = value.args[0], value.data[1]
        return extract(inner, inner.width, hi + base, lo + base)
    if op in ("concat", "zext") or (op == "shl" and type(value.args[1]) is int):
        position, chosen = width, []
        for w, v in _pieces(width, value):
            position -= w
            top, bottom = min(hi, position + w - 1), max(lo, position)
            if top >= bottom:
                chosen.append((top - bottom + 1, extract(v, w, top - position, bottom - position)))
        return concat(chosen)
    if op == "ite":
        test, yes, no = value.args
        if type(yes) is int or type(no) is int:
            return ite(out, test, extract(yes, width, hi, lo), extract(no, width, hi, lo))  # type: ignore[no-any-return]
    if op == "sext":
        inner = value.args[0]
        if hi < inner.width:
            return extract(inner, inner.width, hi, lo)
        if lo == 0:
            return sext(inner, inner.width, out)
    if op in ("band", "bor", "bxor"):
        a, b = value.args
        return _BITWISE[op](out, extract(a, width, hi, lo), extract(b, width, hi, lo))
    if lo > 0 and op == "add" and not (value.data[0] | _or(value.data[1])) & mask(lo):  # a sum, shifted
        const, coeffs = value.data
        narrow: Value = signed(const, width) >> lo & mask(width)
        for atom, coeff in zip(value.args, coeffs, strict=True):
            narrow = add(width, narrow, scale(width, atom, signed(coeff, width) >> lo & mask(width)))
        return extract(narrow, width, hi - lo, 0)
    if lo == 0 and op == "add":
        low = carried(value, out)
        if low is not None:
            return low
        const, coeffs = value.data
        total: Value = const & mask(out)
        for atom, coeff in zip(value.args, coeffs, strict=True):
            total = add(out, total, scale(out, extract(atom, width, hi, 0), coeff & mask(out)))
        return total
    if lo == 0 and op == "mul":
        return mul(out, extract(value.args[0], width, hi, 0), extract(value.args[1], width, hi, 0))
    bounded = (value.lo >> lo, value.hi >> lo) if value.hi >> lo <= mask(out) else (0, None)
    return _make("extract", out, (value,), (hi, lo), *bounded)


def carried(total: Term, bits: int) -> Value | None:
    """The low bits of a sum, if it is a one's complement sum before its carries are folded back, or the negative of
    one: of three 16-bit words or more, or of what is above and what is below the carries of another one. They stay low
    bits of that: as a sum of low bits they would no longer be seen to belong to the carries, and grow with each fold.
    """
    width, (const, factors), args = total.width, total.data, total.args
    factor = factors[0]
    if bits > _WORD_BITS or any(each != factor for each in factors) or factor not in (1, mask(width)):
        return None
    words = [a.args[0] if a.op == "zext" else a for a in args]
    if any(each.hi > mask(_WORD_BITS) for each in words):
        return None
    if len(args) > 2:
        if not all(a.op == "zext" and w.width == _WORD_BITS for a, w in zip(args, words, strict=True)):
            return None
    elif not all(each.op == "extract" for each in words) or words[0].args[0] is not words[-1].args[0]:
        return None
    if factor == 1:
        for atom, word in zip(args, words, strict=True) if len(args) > 2 else ():
            if word.op == "extract" and word.data == (width - 1, _WORD_BITS) and word.args[0].width == width:
                source = word.args[0]
                if add(width, source, atom) is total:  # it is folded back without having been cut off
                    kept = zext(extract(source, width, _WORD_BITS - 1, 0), _WORD_BITS, width)
                    return extract(add(width, kept, atom), width, bits - 1, 0)
        return _make("extract", bits, (total,), (bits - 1, 0)) if total.hi > mask(_WORD_BITS) else None
    positive = _sum(width, 0, dict.fromkeys(args, 1))
    assert isinstance(positive, Term)
    low = carried(positive, bits) if positive.op == "add" else None
    return None if low is None else add(bits, const & mask(bits), neg(bits, low))


def _or(values: Iterable[int]) -> int:
    return reduce(operator.or_, values, 0)


def zext(value: Value, width: int, to: int) -> Value:
    if type(value) is int or width == to:
        return value
    assert isinstance(value, Term)
    if value.op == "zext":
        return zext(value.args[0], value.args[0].width, to)
    if value.op == "ite" and type(value.args[1]) is int and type(value.args[2]) is int:
        return ite(to, *value.args)  # type: ignore[no-any-return]
    return _make("zext", to, (value,), None, value.lo, value.hi)


def sext(value: Value, width: int, to: int) -> Value:
    if width == to:
        return value
    if type(value) is int:
        return signed(value, width) & mask(to)
    assert isinstance(value, Term)
    if value.hi <= mask(width) >> 1:
        return zext(value, width, to)
    if value.op == "ite" and type(value.args[1]) is int and type(value.args[2]) is int:
        test, yes, no = value.args
        return ite(to, test, sext(yes, width, to), sext(no, width, to))  # type: ignore[no-any-return]
    if value.op == "sext":
        return sext(value.args[0], value.args[0].width, to)
    if value.op == "add":
        const, coeffs = signed(value.data[0], width), [signed(c, width) for c in value.data[1]]
        reach = [sorted((c * a.lo, c * a.hi)) for a, c in zip(value.args, coeffs, strict=True)]
        low, high = const + sum(each[0] for each in reach), const + sum(each[1] for each in reach)
        if low >= -1 << width - 1 and high < 1 << width - 1:
            total: Value = const & mask(to)  # it does not wrap, so it is the sum that a wider register makes
            for atom, coeff in zip(value.args, coeffs, strict=True):
                total = add(to, total, scale(to, zext(atom, width, to), coeff & mask(to)))
            return total
    return _make("sext", to, (value,))


def _runs(bits: int, width: int) -> list[tuple[int, int, bool]]:
    """The runs of equal bits of a mask, most significant first: ``(hi, lo, set)``."""
    runs, hi = [], width - 1
    while hi >= 0:
        state, lo = bits >> hi & 1, hi
        while lo > 0 and bits >> (lo - 1) & 1 == state:
            lo -= 1
        runs.append((hi, lo, bool(state)))
        hi = lo - 1
    return runs


def _lift(
    width: int, a: Value, b: Value, operation: Callable[[int, Value, Value], Value]
) -> Value | None:
    """Pushes an operation into an ``ite`` of constants; its other operand is a constant."""
    for x, y, swap in ((a, b, False), (b, a, True)):
        if type(x) is Term and x.op == "ite" and type(y) is int and type(x.args[1]) is int and type(x.args[2]) is int:
            test, yes, no = x.args
            pairs = ((y, yes), (y, no)) if swap else ((yes, y), (no, y))
            return ite(width, test, operation(width, *pairs[0]), operation(width, *pairs[1]))  # type: ignore[no-any-return]
    return None


def band(width: int, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return a & b
    if type(a) is int:
        a, b = b, a
    assert isinstance(a, Term)
    if type(b) is int:
        if b == 0:
            return 0
        if b == mask(width):
            return a
        if a.hi <= b and b & (b + 1) == 0:
            return a
        lifted = _lift(width, a, b, band)
        if lifted is not None:
            return lifted
        runs = _runs(b, width)
        if len(runs) <= 8:
            return concat([(hi - lo + 1, extract(a, width, hi, lo) if on else 0) for hi, lo, on in runs])
        return _make("band", width, (a, b), None, 0, min(a.hi, b))
    assert isinstance(b, Term)
    if a is b:
        return a
    if a.uid > b.uid:
        a, b = b, a
    if width <= _ARITHMETIC_BITS:
        aligned = _aligned(width, a, b, band)
        if aligned is not None:
            return aligned
    return _make("band", width, (a, b), None, 0, min(a.hi, b.hi))


def _aligned(width: int, a: Value, b: Value, operation: Callable[[int, Value, Value], Value]) -> Value | None:
    """A bitwise operation piece by piece, where at least one side of every piece is constant."""
    left, right = list(_pieces(width, a)), list(_pieces(width, b))
    if len(left) == 1 and len(right) == 1:
        return None
    cuts, position = set(), width
    for pieces in (left, right):
        position = width
        for w, _ in pieces:
            cuts.add(position)
            position -= w
    edges = [*sorted(cuts, reverse=True), 0]
    parts: list[tuple[int, Value]] = []
    for top, bottom in pairwise(edges):
        x, y = extract(a, width, top - 1, bottom), extract(b, width, top - 1, bottom)
        if type(x) is not int and type(y) is not int:
            return None
        parts.append((top - bottom, operation(top - bottom, x, y)))
    return concat(parts)


def bor(width: int, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return a | b
    if type(a) is int:
        a, b = b, a
    assert isinstance(a, Term)
    if type(b) is int:
        if b == 0:
            return a
        if b == mask(width):
            return b
        lifted = _lift(width, a, b, bor)
        if lifted is not None:
            return lifted
        runs = _runs(b, width)
        if len(runs) <= 8:
            return concat(
                [(hi - lo + 1, mask(hi - lo + 1) if on else extract(a, width, hi, lo)) for hi, lo, on in runs]
            )
    elif a is b:
        return a
    elif a.uid > b.uid:  # type: ignore[union-attr]
        a, b = b, a
    aligned = _aligned(width, a, b, bor)
    if aligned is not None:
        return aligned
    top = max(bounds(a)[1], bounds(b)[1]).bit_length()
    return _make("bor", width, (a, b), None, max(bounds(a)[0], bounds(b)[0]), mask(top))


def bxor(width: int, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return a ^ b
    if a is b:
        return 0
    if type(a) is int:
        a, b = b, a
    assert isinstance(a, Term)
    if b == 0 and type(b) is int:
        return a
    if type(b) is int and b == mask(width):
        return sub(width, b, a)  # complement: -1 - a
    lifted = _lift(width, a, b, bxor)
    if lifted is not None:
        return lifted
    aligned = _aligned(width, a, b, bxor)
    if aligned is not None:
        return aligned
    if type(b) is Term and a.uid > b.uid:
        a, b = b, a
    return _make("bxor", width, (a, b), None, 0, mask(max(bounds(a)[1], bounds(b)[1]).bit_length()))


def bnot(width: int, a: Value) -> Value:
    return sub(width, mask(width), a)


def shl(width: int, a: Value, amount: Value) -> Value:
    """Shift left; zero from ``amount >= width`` on."""
    if type(amount) is int:
        return 0 if amount >= width else scale(width, a, 1 << amount)
    if a == 0 and type(a) is int:
        return 0
    lifted = _lift(width, a, amount, shl)
    return lifted if lifted is not None else _make("shl", width, (a, amount))


def lshr(width: int, a: Value, amount: Value) -> Value:
    """Logical shift right; zero from ``amount >= width`` on."""
    if type(amount) is int:
        if amount >= width:
            return 0
        return zext(extract(a, width, width - 1, amount), width - amount, width)
    lifted = _lift(width, a, amount, lshr)
    return lifted if lifted is not None else _make("lshr", width, (a, amount), None, 0, bounds(a)[1])


def ashr(width: int, a: Value, amount: Value) -> Value:
    """Arithmetic shift right; the sign everywhere from ``amount >= width`` on."""
    if type(amount) is int:
        amount = min(amount, width - 1)
        return sext(extract(a, width, width - 1, amount), width - amount, width)
    return _make("ashr", width, (a, amount))


# ---- Booleans -----------------------------------------------------------------------------------------------------


def lnot(a: Bool) -> Bool:
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
        return _make(flipped, 0, (a.args[1], a.args[0]), a.data)
    return _make("lnot", 0, (a,))


def _at_most(width: int, a: Value, b: Value) -> Bool:
    """``a <= b`` unsigned, as ``<`` where one side is a constant: one form for each comparison."""
    if isinstance(a, int):
        return True if a == 0 else _make("ult", 0, (a - 1, b), width)
    if isinstance(b, int):
        return True if b == mask(width) else _make("ult", 0, (a, b + 1), width)
    return _make("ule", 0, (a, b), width)


def land(*args: Bool) -> Bool:
    return _junction("land", True, args)


def lor(*args: Bool) -> Bool:
    """Disjunction; ``a or (not a and b)`` becomes ``a or b``, as the branches of ``||`` make it."""
    whole = _junction("lor", False, args)
    if not isinstance(whole, Term) or whole.op != "lor" or not any(a.op == "land" for a in whole.args):
        return whole
    others = {t.uid for t in whole.args}
    parts: list[Bool] = []
    for a in whole.args:
        if a.op == "land":
            kept = [c for c in a.args if not (isinstance(n := lnot(c), Term) and n.uid in others)]
            a = land(*kept) if len(kept) < len(a.args) else a
        parts.append(a)
    if all(x is y for x, y in zip(parts, whole.args, strict=True)):
        return whole
    return lor(*parts)


def _junction(op: str, unit: bool, args: tuple[Bool, ...]) -> Bool:
    flat: dict[Term, None] = {}
    for a in args:
        if isinstance(a, bool):
            if a is not unit:
                return a
        elif a.op == op:
            flat.update(dict.fromkeys(a.args))
        else:
            flat[a] = None
    for a in flat:
        if lnot(a) in flat:
            return not unit
    if not flat:
        return unit
    if len(flat) == 1:
        return next(iter(flat))
    return _make(op, 0, tuple(sorted(flat, key=lambda t: t.uid)))


def implies(a: Bool, b: Bool) -> Bool:
    return lor(lnot(a), b)


def iff(a: Bool, b: Bool) -> Bool:
    if isinstance(a, bool):
        return b if a else lnot(b)
    if isinstance(b, bool):
        return a if b else lnot(a)
    if a is b:
        return True
    if a is lnot(b):
        return False
    return _make("iff", 0, (a, b) if a.uid < b.uid else (b, a))


def ite(width: int, test: Bool, yes: Any, no: Any) -> Any:
    """If-then-else of two values of one width (0: Booleans)."""
    if isinstance(test, bool):
        return yes if test else no
    if yes is no or (type(yes) is int and type(no) is int and yes == no):
        return yes
    if width == 0:
        if isinstance(yes, bool):
            return lor(test, no) if yes else land(lnot(test), no)
        if isinstance(no, bool):
            return lor(lnot(test), yes) if no else land(test, yes)
    if test.op == "lnot":
        test, yes, no = test.args[0], no, yes
    if type(yes) is Term and yes.op == "ite" and yes.args[0] is test:
        yes = yes.args[1]
    if type(no) is Term and no.op == "ite" and no.args[0] is test:
        no = no.args[2]
    if width == 0:
        return _make("ite", 0, (test, yes, no))
    low, high = bounds(yes), bounds(no)
    return _make("ite", width, (test, yes, no), None, min(low[0], high[0]), max(low[1], high[1]))


def bit(test: Bool, width: int = 1) -> Value:
    """A Boolean as the number 0 or 1."""
    return ite(width, test, 1, 0)  # type: ignore[no-any-return]


def eq(width: int, a: Value, b: Value) -> Bool:
    if type(a) is int and type(b) is int:
        return a == b
    if a is b:
        return True
    (a_lo, a_hi), (b_lo, b_hi) = bounds(a), bounds(b)
    if a_hi < b_lo or b_hi < a_lo:
        return False
    if type(a) is int:
        a, b = b, a
    assert isinstance(a, Term)
    if type(b) is int:
        if a.op == "ite" and (type(a.args[1]) is int or type(a.args[2]) is int):
            test, yes, no = a.args
            return ite(0, test, eq(width, yes, b), eq(width, no, b))  # type: ignore[no-any-return]
        if a.op == "zext":
            inner = a.args[0]
            return eq(inner.width, inner, b)
        if a.op == "bor" and b == 0:
            return land(eq(width, a.args[0], 0), eq(width, a.args[1], 0))
        if a.op == "concat" and width > 64:
            return land(*(eq(w, x, y) for w, x, y in _split(a, b)))
        if a.op in ("concat", "shl"):
            constant = [(w, x, y) for w, x, y in _split(a, b) if type(x) is int]
            if any(x != y for _, x, y in constant):
                return False
            if constant:
                return land(*(eq(w, x, y) for w, x, y in _split(a, b) if type(x) is not int))
        if a.op == "sext":
            inner = a.args[0]
            small = b & mask(inner.width)
            return eq(inner.width, inner, small) if sext(small, inner.width, width) == b else False
    elif isinstance(b, Term):
        if a.op == "zext" and b.op == "zext":
            wide = max(a.args[0].width, b.args[0].width)
            if wide < width:
                return eq(wide, zext(a.args[0], a.args[0].width, wide), zext(b.args[0], b.args[0].width, wide))
        if a.op == "concat" and b.op == "concat" and a.data == b.data:
            return land(*(eq(w, x, y) for w, x, y in zip(a.data, a.args, b.args, strict=True)))
    if (a.op == "add" or (type(b) is Term and b.op == "add")) and width <= 64:
        difference = sub(width, a, b)
        if type(difference) is int:
            return difference == 0
        const, atoms = _linear(width, difference)
        if len(atoms) == 1:
            (atom, coeff), = atoms.items()
            if coeff == 1:
                return _equation(width, atom, -const & mask(width))
            if coeff == mask(width):
                return _equation(width, atom, const)
        positive = {t: c for t, c in atoms.items() if signed(c, width) > 0}
        negative = {t: -signed(c, width) for t, c in atoms.items() if signed(c, width) <= 0}
        if signed(const, width) > 0:
            a, b = _sum(width, const, positive), _sum(width, 0, negative)
        else:
            a, b = _sum(width, 0, positive), _sum(width, -const, negative)
    return _equation(width, a, b)


def _equation(width: int, a: Value, b: Value) -> Bool:
    if type(a) is int:
        a, b = b, a
    (a_lo, a_hi), (b_lo, b_hi) = bounds(a), bounds(b)
    if a_hi < b_lo or b_hi < a_lo:
        return False
    assert isinstance(a, Term)
    if type(b) is int:
        if a.op in ("zext", "concat", "sext") or (a.op == "ite" and type(a.args[1]) is int):
            return eq(width, a, b) if a.op != "concat" else _make("eq", 0, (a, b), width)
    elif a.uid > b.uid:  # type: ignore[union-attr]
        a, b = b, a
    return _make("eq", 0, (a, b), width)


def _split(a: Term, b: int) -> list[tuple[int, Value, int]]:
    out, position = [], a.width
    for w, v in _pieces(a.width, a):
        position -= w
        out.append((w, v, b >> position & mask(w)))
    return out


def ne(width: int, a: Value, b: Value) -> Bool:
    return lnot(eq(width, a, b))


def ult(width: int, a: Value, b: Value) -> Bool:
    if type(a) is int and type(b) is int:
        return a < b
    (a_lo, a_hi), (b_lo, b_hi) = bounds(a), bounds(b)
    if a_hi < b_lo:
        return True
    if a_lo >= b_hi:
        return False
    return _compare("ult", width, a, b)


def ule(width: int, a: Value, b: Value) -> Bool:
    return lnot(ult(width, b, a))


def _compare(op: str, width: int, a: Value, b: Value) -> Bool:
    if a is b:
        return op in ("ule", "sle")
    if op == "ult":
        smaller = _divided(width, a, b)
        if smaller is not None:
            return ult(width, *smaller)
        if type(a) is Term and a.op == "zext" and bounds(b)[1] <= mask(a.args[0].width):
            inner = a.args[0].width
            return ult(inner, a.args[0], extract(b, width, inner - 1, 0))
        if type(b) is Term and b.op == "zext" and bounds(a)[1] <= mask(b.args[0].width):
            inner = b.args[0].width
            return ult(inner, extract(a, width, inner - 1, 0), b.args[0])
        if type(a) is int and type(b) is Term and (shifted := _shifted(b)) is not None:
            inner, zeros = shifted
            return ult(inner.width, a >> zeros, inner)
        if type(b) is int and type(a) is Term and (shifted := _shifted(a)) is not None:
            inner, zeros = shifted
            return ult(inner.width, inner, -(-b >> zeros))
    for x, y, swap in ((a, b, False), (b, a, True)):
        if type(x) is Term and x.op == "ite" and type(y) is int and type(x.args[1]) is int and type(x.args[2]) is int:
            test, yes, no = x.args
            rule = ult if op == "ult" else slt
            return ite(0, test, rule(width, y, yes) if swap else rule(width, yes, y),  # type: ignore[no-any-return]
                       rule(width, y, no) if swap else rule(width, no, y))
        if type(x) is Term and (chosen := _chosen(op, x)) is not None:
            is_least, one, other = chosen
            rule = ult if op == "ult" else slt
            both = [rule(width, y, each) if swap else rule(width, each, y) for each in (one, other)]
            return land(*both) if is_least == swap else lor(*both)
    return _make(op, 0, (a, b), width)


def _chosen(op: str, value: Term) -> tuple[bool, Value, Value] | None:
    """Whether a value is the less, or the greater, of two by a comparison, and of which; None if it is neither."""
    if value.op != "ite" or type(value.args[0]) is not Term or value.args[0].op != op:
        return None
    sides = value.args[0].args
    for yes, no in (value.args[1:], value.args[:0:-1]):
        if yes == sides[0] and no == sides[1]:
            return yes is value.args[1], yes, no
    return None


def _multiples(width: int, value: Value) -> tuple[int, dict[Term, int]] | None:
    """A value as a sum of multiples that never wraps, if it plainly is one."""
    if type(value) is int:
        return value, {}
    assert isinstance(value, Term)
    inner = value.args[0] if value.op == "zext" else value
    if inner.op not in ("add", "shl"):
        return None
    const, atoms = _linear(inner.width, inner)
    if const + sum(coeff * atom.hi for atom, coeff in atoms.items()) > mask(inner.width):
        return None
    return const, {zext(atom, inner.width, width): coeff for atom, coeff in atoms.items()}  # type: ignore[misc]


def _divided(width: int, a: Value, b: Value) -> tuple[Value, Value] | None:
    """Two sums with a factor in common, without it: of the same order."""
    left, right = _multiples(width, a), _multiples(width, b)
    if left is None or right is None:
        return None
    factor = gcd(*left[1].values(), *right[1].values())
    if factor <= 1 or any(atoms and const % factor for const, atoms in (left, right)):
        return None
    low = left[0] // factor  # a number is below a multiple if it is when rounded down
    high = -(-right[0] // factor)  # and above one if it is when rounded up
    parts = ((low, left[1]), (high, right[1]))
    return tuple(_sum(width, const, {x: c // factor for x, c in atoms.items()}) for const, atoms in parts)  # type: ignore[return-value]


def _shifted(value: Term) -> tuple[Term, int] | None:
    """What a value is a multiple of a power of two of, without wrapping, and which power."""
    if value.op == "shl" and type(value.args[1]) is int and value.args[0].hi << value.args[1] <= mask(value.width):
        return value.args
    if value.op == "concat" and type(value.args[-1]) is int and value.args[-1] == 0:
        zeros = value.data[-1]
        inner = extract(value, value.width, value.width - 1, zeros)
        return (inner, zeros) if type(inner) is Term else None
    return None


def slt(width: int, a: Value, b: Value) -> Bool:
    if type(a) is int and type(b) is int:
        return signed(a, width) < signed(b, width)
    half = mask(width) >> 1
    (a_lo, a_hi), (b_lo, b_hi) = bounds(a), bounds(b)
    if a_hi <= half and b_hi <= half:
        return ult(width, a, b)
    if a_lo > half and b_hi <= half:
        return True
    if a_hi <= half and b_lo > half:
        return False
    return _compare("slt", width, a, b)


def sle(width: int, a: Value, b: Value) -> Bool:
    return lnot(slt(width, b, a))


# ---- walking ------------------------------------------------------------------------------------------------------

_BITWISE: dict[str, Callable[[int, Value, Value], Value]] = {"band": band, "bor": bor, "bxor": bxor}
_BINARY: dict[str, Callable[[int, Value, Value], Value]] = {
    "mul": mul, "udiv": udiv, "urem": urem, "sdiv": sdiv, "srem": srem, "shl": shl, "lshr": lshr, "ashr": ashr,
    **_BITWISE,
}
_COMPARISON: dict[str, Callable[[int, Value, Value], Bool]] = {"eq": eq, "ult": ult, "ule": ule, "slt": slt, "sle": sle}


def build(op: str, width: int, args: Sequence[Any], data: Any) -> Any:
    """Makes a node of the given shape through the simplifying constructors: what :func:`substitute` and loading use."""
    if op in _BINARY:
        return _BINARY[op](width, args[0], args[1])
    if op in _COMPARISON:
        return _COMPARISON[op](data, args[0], args[1])
    match op:
        case "var" | "undefined":
            return _make(op, width, (), data)
        case "app":
            return app(data[0], width, *zip(data[1], args, strict=True))
        case "add":
            const, coeffs = data
            total: Value = const
            for a, c in zip(args, coeffs, strict=True):
                total = add(width, total, scale(width, a, c))
            return total
        case "opaque":
            return opaque(width, args[0])
        case "concat":
            return concat(list(zip(data, args, strict=True)))
        case "extract":
            a, source = args[0], data[2]
            return extract(a, source, data[0], data[1])
        case "zext":
            return zext(args[0], data, width)
        case "sext":
            return sext(args[0], data, width)
        case "ite":
            return ite(width, args[0], args[1], args[2])
        case "lnot":
            return lnot(args[0])
        case "land":
            return land(*args)
        case "lor":
            return lor(*args)
        case "iff":
            return iff(args[0], args[1])
    raise ValueError(f"no such operation: {op}")


def shape(term: Term) -> Any:
    """``data`` as :func:`build` wants it: with the width of the operand where the node alone does not tell."""
    if term.op == "extract":
        return (*term.data, term.args[0].width)
    if term.op in ("zext", "sext"):
        return term.args[0].width
    return term.data


_NOTHING: Mapping[Term, Any] = {}


def substitute(
    value: Any, replace: Callable[[Term], Any | None], memo: dict[int, Any], forms: Mapping[Term, Any] = _NOTHING,
    within: Set[int] | None = None,
) -> Any:  # fmt: skip
    """Rebuilds a value with some leaves replaced. ``replace`` is asked for each ``var`` and ``app`` (whose arguments
    are already rebuilt) and returns ``None`` to keep it. ``forms`` are replacements of other terms. Only what has a
    leaf ``within`` these uids is looked into, if they are given."""
    if type(value) is not Term:
        return value
    done = memo.get(value.uid)
    if done is not None:
        return done
    if within is not None and within.isdisjoint(leaf_uids(value)):
        return value
    same, args = True, []
    for old in value.args:
        arg = substitute(old, replace, memo, forms, within) if type(old) is Term else old
        same = same and arg is old
        args.append(arg)
    new: Any = value if same else build(value.op, value.width, args, shape(value))
    if type(new) is Term:
        replaced = replace(new) if new.op in LEAVES else forms.get(new)
        new = new if replaced is None else replaced
    memo[value.uid] = new
    return new


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


def conjuncts(condition: Bool) -> Sequence[Any]:
    """What all has to hold for a condition to hold."""
    if type(condition) is Term and condition.op == "land":
        return condition.args
    if type(condition) is Term and condition.op == "lnot" and condition.args[0].op == "lor":
        return [lnot(each) for each in condition.args[0].args]
    return (condition,)


def leaves(value: Any, seen: dict[int, Term] | None = None) -> dict[int, Term]:
    """Every ``var``, ``undefined`` and ``app`` in a value, by uid."""
    seen = {} if seen is None else seen
    for term in parts(value):
        if term.op in LEAVES:
            seen[term.uid] = term
    return seen


_leaf_uids: dict[int, frozenset[int]] = {}


def leaf_uids(value: Any) -> frozenset[int]:
    """The uids of all leaves in a value."""
    if type(value) is not Term:
        return frozenset()
    found = _leaf_uids.get(value.uid)
    if found is None:
        own = (value.uid,) if value.op in LEAVES else ()
        found = _leaf_uids[value.uid] = frozenset(own).union(*map(leaf_uids, value.args))
    return found


def evaluate(value: Any, leaf: Callable[[Term, tuple[Any, ...]], Any], memo: dict[int, Any]) -> Any:
    """The concrete value under an assignment. ``leaf(term, args)`` gives leaves, with an app's concrete arguments."""
    if type(value) is not Term:
        return value
    if value.uid in memo:
        return memo[value.uid]
    if value.op == "ite":
        result = evaluate(value.args[1 if evaluate(value.args[0], leaf, memo) else 2], leaf, memo)
    else:
        args = tuple(evaluate(a, leaf, memo) for a in value.args)
        result = leaf(value, args) if value.op in LEAVES else build(value.op, value.width, args, shape(value))
    memo[value.uid] = result
    return result


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
