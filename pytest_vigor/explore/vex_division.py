"""Division, and divisions that a compiler has turned into multiplications.

``x / 10`` is compiled to a multiplication with a magic constant M and a shift by s. For bit-vectors that is a wide
product, which solvers are slow on, so it is turned back into a quotient wherever that is exact: with the divisor
d = ceil(2^s / M) and e = M*d - 2^s, floor(x*M / 2^s) = floor(x / d) for all x <= R if R*e < 2^s (Granlund and
Montgomery, "Division by invariant integers using multiplication", theorem 4.2). Nothing is rewritten on a guess.
"""

from __future__ import annotations

from pytest_vigor import term
from pytest_vigor.term import Term, Value, mask


def _narrow(width: int, *values: Value) -> int:
    """The least machine width that all values fit in without a sign."""
    bits = max(term.bounds(v)[1] for v in values).bit_length()
    return next((w for w in (8, 16, 32, 64) if bits <= w < width), width)


def _resize(value: Value, to: int) -> Value:
    """The same number in another width, which it fits."""
    if type(value) is not Term or value.width == to:
        return value
    return term.zext(value, value.width, to) if value.width < to else term.extract(value, value.width, to - 1, 0)


def _floor(value: Value, width: int) -> tuple[Value, int]:
    """``(x, d)`` with ``value`` = floor(x / d); ``x`` has ``width`` bits."""
    divisor = 1
    while type(value) is Term:
        inner = value.args[0] if value.op == "zext" else value
        if inner.op == "extract" and inner.data[1] > 0 and inner.data[0] < width:
            source, (high, low) = inner.args[0], inner.data
            divisor <<= low
            value = term.zext(term.extract(source, source.width, high, 0), high + 1, width)
        elif inner.op == "udiv" and type(inner.args[1]) is int and inner.args[1]:
            divisor *= inner.args[1]
            value = _resize(inner.args[0], width)
        else:
            break
    return value, divisor


def quotient(width: int, a: Value, b: Value) -> Value:
    """The unsigned quotient in its canonical form: nested divisions by constants joined, at the least width."""
    if type(b) is int and type(a) is Term and b > 1:
        x, d = _floor(a, width)
        if d > 1 and b * d <= mask(width):
            a, b = x, b * d
    small = _narrow(width, a, b)
    if small == width:
        return term.udiv(width, a, b)
    parts = term.extract(a, width, small - 1, 0), term.extract(b, width, small - 1, 0)
    # All ones for a zero divisor depends on the width: keep that case as it is.
    if term.bounds(b)[0] == 0:
        return term.udiv(width, a, b)
    return term.zext(term.udiv(small, *parts), small, width)


def _remainder(width: int, a: Value, b: Value) -> Value:
    small = _narrow(width, a, b)
    if small == width:
        return term.urem(width, a, b)
    parts = term.extract(a, width, small - 1, 0), term.extract(b, width, small - 1, 0)
    return term.zext(term.urem(small, *parts), small, width)


def divide_unsigned(wide: int, width: int, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient and remainder of a dividend of ``wide`` bits, as ``div`` gives them if the quotient fits."""
    if type(a) is int and type(b) is int:
        return (a // b & mask(width), a % b) if b else (mask(width), a & mask(width))
    if term.bounds(a)[1] <= mask(width):
        low = term.extract(a, wide, width - 1, 0)
        return quotient(width, low, b), _remainder(width, low, b)
    divisor = term.zext(b, width, wide)
    both = term.udiv(wide, a, divisor), term.urem(wide, a, divisor)
    return term.extract(both[0], wide, width - 1, 0), term.extract(both[1], wide, width - 1, 0)


def divide_signed(wide: int, width: int, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient and remainder of a signed dividend of ``wide`` bits, as ``idiv`` gives them if the quotient fits."""
    low = term.extract(a, wide, width - 1, 0)
    if b == 0 and type(b) is int:
        return mask(width), low
    if _is_extended(wide, width, a, low):
        half = mask(width) >> 1
        least, most = term.bounds(b)
        if term.bounds(low)[1] <= half and least > 0 and most <= half:
            return quotient(width, low, b), _remainder(width, low, b)
        return term.sdiv(width, low, b), term.srem(width, low, b)
    divisor = term.sext(b, width, wide)
    both = term.sdiv(wide, a, divisor), term.srem(wide, a, divisor)
    return term.extract(both[0], wide, width - 1, 0), term.extract(both[1], wide, width - 1, 0)


def _is_extended(wide: int, width: int, a: Value, low: Value) -> bool:
    """Whether the dividend is its own low half, sign-extended."""
    if wide == width:
        return True
    widened = term.sext(low, width, wide)
    return widened == a if type(a) is int and type(widened) is int else widened is a


def fits_unsigned(wide: int, width: int, bits: int, a: Value, b: Value) -> term.Bool:
    """Whether the quotient fits ``bits`` bits, for a divisor that is not zero: the dividend's top is below it."""
    top = term.extract(a, wide, wide - 1, bits)
    if type(top) is int and top == 0:
        return True
    return term.ult(wide - bits, top, term.extract(term.zext(b, width, wide), wide, wide - bits - 1, 0))


def fits_signed(wide: int, width: int, bits: int, a: Value, b: Value) -> term.Bool:
    """Whether the signed quotient fits ``bits`` bits, for a divisor that is not zero."""
    low = term.extract(a, wide, bits - 1, 0)
    divisor = term.extract(b, width, bits - 1, 0)
    if _is_extended(wide, bits, a, low):
        return term.lor(term.ne(bits, low, 1 << (bits - 1)), term.ne(bits, divisor, mask(bits)))
    whole = term.sdiv(wide, a, term.sext(b, width, wide))
    return term.eq(wide, term.sext(term.extract(whole, wide, bits - 1, 0), bits, wide), whole)


# ---- multiplications that are divisions -----------------------------------------------------------------------------


def _single(value: Value) -> tuple[int, Term] | None:
    """``(c, x)`` for a product c*x that does not wrap."""
    if type(value) is not Term or value.op != "add":
        return None
    const, coeffs = value.data
    if const or len(coeffs) != 1 or coeffs[0] * value.args[0].hi > mask(value.width):
        return None
    return coeffs[0], value.args[0]


def _exact_divisor(magic: int, shift: int, largest: int) -> int | None:
    """The d with floor(magic*x / 2^shift) = floor(x / d) for all x up to ``largest``, if there is one."""
    divisor = -(-(1 << shift) // magic)
    excess = magic * divisor - (1 << shift)
    return divisor if divisor > 1 and largest * excess < 1 << shift else None


def _shifted(value: Term) -> tuple[Term, int] | None:
    """``(x, n)`` for ``x >> n``: an extract that leaves out nothing above it."""
    if value.op != "extract" or value.args[0].hi > mask(value.data[0] + 1):
        return None
    return value.args[0], value.data[1]


def as_quotient(width: int, value: Value) -> Value:
    """A value just shifted right, as a quotient if it is a multiplication by a magic constant; otherwise unchanged."""
    inner = value.args[0] if type(value) is Term and value.op == "zext" else value
    if type(inner) is not Term:
        return value
    parts = _shifted(inner)
    if parts is None:
        return value
    source, shift = parts
    if source.op == "udiv" and type(source.args[1]) is int and source.args[1] << shift <= mask(source.width):
        found: Value = quotient(source.width, source.args[0], source.args[1] << shift)
        return _resize(found, width)
    if source.op == "add":
        scaled = _single(source)
        if scaled is None:
            scaled, more = _averaged(source)
            shift += more
        if scaled is not None:
            magic, x = scaled
            divisor = _exact_divisor(magic, shift, x.hi)
            # x has up to twice the width of the result; the quotient of a wider x may not fit it.
            if divisor is not None and x.hi <= mask(width):
                return quotient(width, _resize(x, width), divisor)
    return value


def _averaged(source: Term) -> tuple[tuple[int, Term] | None, int]:
    """The detour for magic constants that are one bit too long: t + ((x - t) >> 1), where t = (m*x) >> n.

    It is floor((2^n + m)*x / 2^(n+1)) because t <= x, and it does not wrap.
    """
    const, coeffs = source.data
    if const or coeffs != (1, 1):
        return None, 0
    for t, half in (source.args, source.args[::-1]):
        whole = half.args[0] if half.op == "zext" else half
        if whole.op != "extract" or whole.data != (whole.args[0].width - 1, 1):
            continue
        parts = _shifted(t.args[0] if t.op == "zext" else t)
        if parts is None:
            continue
        product, shift = parts
        scaled = _single(product)
        if scaled is None or scaled[0] >> shift:
            continue
        magic, x = scaled
        width = whole.args[0].width
        if x.hi > mask(width):
            continue
        if whole.args[0] is term.sub(width, _resize(x, width), _resize(t, width)):
            return ((1 << shift) + magic, x), shift + 1
    return None, 0


def as_multiple(width: int, a: Value, keep: int) -> Value | None:
    """``a`` with its low bits cleared by the mask ``keep``, if that is a multiple of a quotient: ``2 * (x / 6)``."""
    zeros = (keep & -keep).bit_length() - 1
    if zeros <= 0 or keep != mask(width) >> zeros << zeros:
        return None
    found = as_quotient(width, term.lshr(width, a, zeros))
    inner = found.args[0] if type(found) is Term and found.op == "zext" else found
    return term.shl(width, found, zeros) if type(inner) is Term and inner.op == "udiv" else None


def as_signed_quotient(width: int, value: Value) -> Value:
    """``((M*x) >> s) - (x >> 31)``, or with the product's sign bit added, as a quotient; otherwise unchanged.

    Rounding toward zero is floor(M*x / 2^s) plus one for a negative x. That is exact for n-bit x if e > 0 and
    2^(n-1)*e <= 2^s, by the same argument on -x.
    """
    if type(value) is not Term or value.op != "add" or value.data[0] or len(value.args) != 2:
        return value
    coeffs = value.data[1]
    for i in (0, 1):
        shifted, sign = value.args[i], value.args[1 - i]
        if coeffs[i] != 1:
            continue
        high = shifted.args[0] if shifted.op == "sext" else shifted
        if high.op != "extract" or high.data[0] != high.args[0].width - 1:
            continue
        source, shift = high.args[0], high.data[1]
        scaled = _signed_product(source)
        if scaled is None:
            continue
        magic, x, more = scaled
        n, coeff = x.width, coeffs[1 - i]
        negative, top = term.extract(x, n, n - 1, n - 1), source.width - 1
        also = term.extract(source, top + 1, top, top)
        one_less = coeff == mask(width) and sign is term.sext(negative, 1, width)
        one_more = coeff == 1 and sign in (term.zext(negative, 1, width), term.zext(also, 1, width))
        divisor = _exact_divisor(magic, shift + more, (1 << (n - 1)) - 1)
        if not (one_less or one_more) or divisor is None or divisor >> (n - 1):
            continue
        excess = magic * divisor - (1 << (shift + more))
        if excess > 0 and excess << (n - 1) <= 1 << (shift + more):
            return term.sext(term.sdiv(n, x, divisor), n, width)
    return value


def _signed_product(source: Term) -> tuple[int, Term, int] | None:
    """``(M, x, n)`` for a term that is floor(M*x / 2^n) for a signed x and a positive M."""
    if source.op != "add" or source.data[0]:
        return None
    atoms, coeffs = source.args, source.data[1]
    if len(coeffs) == 1 and atoms[0].op == "sext":
        x = atoms[0].args[0]
        fits = coeffs[0] << x.width <= 1 << source.width  # no wrap, and the constant is meant as positive
        return (coeffs[0], x, 0) if fits else None
    if coeffs != (1, 1):
        return None
    for x, t in (atoms, atoms[::-1]):  # a constant that is negative as a number: x is added
        n = source.width
        if t.op != "extract" or t.data != (2 * n - 1, n) or t.args[0].op != "add":
            continue
        product = t.args[0]
        wide = term.sext(x, n, 2 * n)
        if product.data[0] == 0 and len(product.args) == 1 and product.args[0] is wide:
            magic = term.signed(product.data[1][0], 2 * n) + (1 << n)
            if 0 < magic < 1 << n:
                return magic, x, n
    return None


def as_remainder(width: int, value: Value) -> Value:
    """``x - d*(x / d)`` as a remainder; otherwise unchanged."""
    if type(value) is not Term or value.op != "add":
        return value
    const, coeffs = value.data
    if const or len(coeffs) != 2 or 1 not in coeffs:
        return value
    for i in (0, 1):
        x, q = value.args[i], value.args[1 - i]
        if coeffs[i] != 1:
            continue
        divisor = -coeffs[1 - i] & mask(width)
        inner = q.args[0] if q.op in ("zext", "sext") else q
        if inner.op == "udiv" and inner.args[1] == divisor:
            if term.zext(inner.args[0], inner.width, width) is x:
                return _remainder(width, x, divisor)
        elif inner.op == "sdiv" and inner.args[1] == divisor and term.sext(inner.args[0], inner.width, width) is x:
            return term.sext(term.srem(inner.width, inner.args[0], divisor), inner.width, width)
    return value
