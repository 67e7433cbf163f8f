"""Sums, pieces and masks: linear normal forms, so that pointers and indices compare by structure, and concatenations of
pieces, so that a byte-swapped header field is the same term however it was read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import pairwise
from typing import TypeAlias

from pytest_vigor.term.logic import ite
from pytest_vigor.term.nodes import Term, Value, bounds, make, mask, signed

_WORD_BITS = 16  # of one's complement sums
_ARITHMETIC_BITS = 128  # wider terms are keys and vector registers, whose bounds nobody asks for

# ---- linear sums -----------------------------------------------------------------------------------------------------


def linear(width: int, value: Value) -> tuple[int, dict[Term, int]]:
    """The linear normal form: a constant, and the factor of each summand."""
    if type(value) is int:
        return value, {}
    assert isinstance(value, Term)
    if value.op == "add":
        const, coeffs = value.data
        return const, dict(zip(value.args, coeffs, strict=True))
    if value.op == "shl" and type(value.args[1]) is int:
        const, atoms = linear(width, value.args[0])
        factor = 1 << value.args[1]
        return (const * factor) & mask(width), {a: c * factor & mask(width) for a, c in atoms.items()}
    if value.op == "zext" and value.args[0].op == "concat":
        inner = value.args[0]
        zeros, low = inner.data[-1], inner.args[-1]
        if type(low) is int and low == 0:  # a shifted field: the same atom however the shift was written
            field = extract(inner, inner.width, inner.width - 1, zeros)
            const, atoms = linear(width, zext(field, inner.width - zeros, width))
            return (const << zeros) & mask(width), {a: c << zeros & mask(width) for a, c in atoms.items()}
    return 0, {value: 1}


def summed(width: int, const: int, atoms: dict[Term, int]) -> Value:
    """The sum in linear normal form."""
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
    return make("add", width, tuple(a for a, _ in live), (const, tuple(c for _, c in live)), lo, hi)


def _shift_node(width: int, atom: Term, amount: int) -> Term:
    hi = atom.hi << amount
    return make("shl", width, (atom, amount), None, *((atom.lo << amount, hi) if hi <= mask(width) else (0, None)))


def add(width: int, a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return (a + b) & mask(width)
    if b == 0 and type(b) is int:
        return a
    const, atoms = linear(width, a)
    more, others = linear(width, b)
    for atom, coeff in others.items():
        atoms[atom] = (atoms.get(atom, 0) + coeff) & mask(width)
    return summed(width, const + more, atoms)


def scale(width: int, a: Value, factor: int) -> Value:
    """``a`` times a constant."""
    if type(a) is int:
        return (a * factor) & mask(width)
    const, atoms = linear(width, a)
    return summed(width, const * factor, {t: c * factor & mask(width) for t, c in atoms.items()})


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
        return make("mul", width, (a, b), None, a.lo * b.lo, a.hi * b.hi)
    return make("mul", width, (a, b))


def split_base(width: int, value: Value) -> tuple[int, Value]:
    """The constant of a sum, and the rest."""
    const, atoms = linear(width, value)
    return const, summed(width, 0, atoms)

# ---- pieces: concatenations, extracts, masks -------------------------------------------------------------------------

Piece: TypeAlias = "tuple[int, Value]"  # width, value; most significant first


def pieces_of(width: int, value: Value) -> Iterator[Piece]:
    """What a value is a concatenation of, most significant first."""
    if type(value) is int:
        yield width, value
        return
    assert isinstance(value, Term)
    if value.op == "concat":
        yield from zip(value.data, value.args, strict=True)
    elif value.op == "zext":
        inner = value.args[0]
        yield width - inner.width, 0
        yield from pieces_of(inner.width, inner)
    elif value.op == "shl" and type(value.args[1]) is int:
        amount = value.args[1]
        yield from pieces_of(width - amount, extract(value.args[0], width, width - amount - 1, 0))
        yield amount, 0
    else:
        yield width, value


def concat(parts: Sequence[Piece]) -> Value:
    """Joins ``(width, value)`` pieces, most significant first."""
    out: list[tuple[int, Value]] = []
    for part_width, part in parts:
        if part_width == 0:
            continue
        for w, v in pieces_of(part_width, part) if type(part) is Term and part.op != "shl" else ((part_width, part),):
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
    return make("concat", width, tuple(v for _, v in out), tuple(w for w, _ in out), lo, hi)


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
        for w, v in pieces_of(width, value):
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
        return BITWISE[op](out, extract(a, width, hi, lo), extract(b, width, hi, lo))
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
    return make("extract", out, (value,), (hi, lo), *bounded)


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
        return make("extract", bits, (total,), (bits - 1, 0)) if total.hi > mask(_WORD_BITS) else None
    positive = summed(width, 0, dict.fromkeys(args, 1))
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
    return make("zext", to, (value,), None, value.lo, value.hi)


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
    return make("sext", to, (value,))


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
        return make("band", width, (a, b), None, 0, min(a.hi, b))
    assert isinstance(b, Term)
    if a is b:
        return a
    if a.uid > b.uid:
        a, b = b, a
    if width <= _ARITHMETIC_BITS:
        aligned = _aligned(width, a, b, band)
        if aligned is not None:
            return aligned
    return make("band", width, (a, b), None, 0, min(a.hi, b.hi))


def _aligned(width: int, a: Value, b: Value, operation: Callable[[int, Value, Value], Value]) -> Value | None:
    """A bitwise operation piece by piece, where at least one side of every piece is constant."""
    left, right = list(pieces_of(width, a)), list(pieces_of(width, b))
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
    return make("bor", width, (a, b), None, max(bounds(a)[0], bounds(b)[0]), mask(top))


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
    return make("bxor", width, (a, b), None, 0, mask(max(bounds(a)[1], bounds(b)[1]).bit_length()))


def bnot(width: int, a: Value) -> Value:
    return sub(width, mask(width), a)


def shl(width: int, a: Value, amount: Value) -> Value:
    """Shift left; zero from ``amount >= width`` on."""
    if type(amount) is int:
        return 0 if amount >= width else scale(width, a, 1 << amount)
    if a == 0 and type(a) is int:
        return 0
    lifted = _lift(width, a, amount, shl)
    return lifted if lifted is not None else make("shl", width, (a, amount))


def lshr(width: int, a: Value, amount: Value) -> Value:
    """Logical shift right; zero from ``amount >= width`` on."""
    if type(amount) is int:
        if amount >= width:
            return 0
        return zext(extract(a, width, width - 1, amount), width - amount, width)
    lifted = _lift(width, a, amount, lshr)
    return lifted if lifted is not None else make("lshr", width, (a, amount), None, 0, bounds(a)[1])


def ashr(width: int, a: Value, amount: Value) -> Value:
    """Arithmetic shift right; the sign everywhere from ``amount >= width`` on."""
    if type(amount) is int:
        amount = min(amount, width - 1)
        return sext(extract(a, width, width - 1, amount), width - amount, width)
    return make("ashr", width, (a, amount))


BITWISE: dict[str, Callable[[int, Value, Value], Value]] = {"band": band, "bor": bor, "bxor": bxor}
