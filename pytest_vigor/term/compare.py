"""Comparisons of values."""

from __future__ import annotations

from math import gcd

from pytest_vigor.term.logic import ite, land, lor
from pytest_vigor.term.nodes import Bool, Term, Value, bounds, lnot, make, mask, signed
from pytest_vigor.term.values import extract, linear, pieces_of, sext, sub, summed, zext


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
        const, atoms = linear(width, difference)
        if len(atoms) == 1:
            (atom, coeff), = atoms.items()
            if coeff == 1:
                return _equation(width, atom, -const & mask(width))
            if coeff == mask(width):
                return _equation(width, atom, const)
        positive = {t: c for t, c in atoms.items() if signed(c, width) > 0}
        negative = {t: -signed(c, width) for t, c in atoms.items() if signed(c, width) <= 0}
        if signed(const, width) > 0:
            a, b = summed(width, const, positive), summed(width, 0, negative)
        else:
            a, b = summed(width, 0, positive), summed(width, -const, negative)
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
            return eq(width, a, b) if a.op != "concat" else make("eq", 0, (a, b), width)
    elif a.uid > b.uid:  # type: ignore[union-attr]
        a, b = b, a
    return make("eq", 0, (a, b), width)


def _split(a: Term, b: int) -> list[tuple[int, Value, int]]:
    out, position = [], a.width
    for w, v in pieces_of(a.width, a):
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
    return make(op, 0, (a, b), width)


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
    const, atoms = linear(inner.width, inner)
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
    return tuple(summed(width, const, {x: c // factor for x, c in atoms.items()}) for const, atoms in parts)  # type: ignore[return-value]


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
