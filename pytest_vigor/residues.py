"""Remainders modulo 65,535, in a normal form: what one's complement sums (RFC 1071) are about.

Carries are folded back into such a sum, and 65,536 leaves the remainder 1: bits that are cut off and added again do not
change it. So a sum over a packet and a sum that was kept up to date by RFC 1624 are mostly the same linear form here,
however the two were computed, where as sums of bit-vectors they are equal only for a reason that is hard to find.
"""

from __future__ import annotations

from pytest_vigor import term as t
from pytest_vigor.term import Bool, Term, Value

CARRY = 16  #: the bit that carries go to
MODULUS = 0xFFFF
BITS = 32  #: of sums, unless they take more
BYTE = 8
CHOICES_MAX = 2  #: between values, that are made before a sum is asked about
CHECKSUMS = "checksums"  #: the domain of such sums, where facts are known of them


class Form:
    """A constant and factors of atoms, all modulo 65,535; ``const + sum(factor * atom)`` leaves the same remainder as
    the unsigned value that it is made of."""

    __slots__ = ("atoms", "const")

    def __init__(self, const: int = 0, atoms: dict[Term, int] | None = None) -> None:
        self.const, self.atoms = const % MODULUS, atoms or {}

    def plus(self, other: Form, factor: int = 1) -> Form:
        """This form and a multiple of another one."""
        atoms = dict(self.atoms)
        for atom, each in other.atoms.items():
            atoms[atom] = (atoms.get(atom, 0) + factor * each) % MODULUS
            if not atoms[atom]:
                del atoms[atom]
        return Form(self.const + factor * other.const, atoms)

    def is_zero(self) -> bool:
        """Whether the remainder is 0 whatever the atoms are."""
        return not self.atoms and not self.const


def is_multiple(value: Value) -> Bool:
    """Whether the unsigned value is a multiple of 65,535. Values that always leave the same remainder give the same
    condition."""
    return _is_multiple(remainder(value), CHOICES_MAX)


def _is_multiple(form: Form, choices: int) -> Bool:
    """Whether the remainder is 0. So many choices between values are made first: each may cancel out with others."""
    if not form.atoms:
        return form.is_zero()
    choice = next((atom for atom in form.atoms if atom.op == "ite"), None) if choices else None
    if choice is not None:
        test, *sides = choice.args
        factor = form.atoms[choice]
        rest = form.plus(Form(0, {choice: 1}), -factor)
        chosen = (rest.plus(remainder(each), factor) for each in sides)
        return t.ite(0, test, *(_is_multiple(each, choices - 1) for each in chosen))  # type: ignore[no-any-return]
    factors = {atom: each - MODULUS if each > MODULUS // 2 else each for atom, each in form.atoms.items()}
    least = form.const + sum(each * atom.hi for atom, each in factors.items() if each < 0)
    const = form.const + -(least // MODULUS) * MODULUS if least < 0 else form.const
    most = const + sum(each * atom.hi for atom, each in factors.items() if each > 0)
    width = max(most.bit_length() + 1, *(atom.width for atom in factors), BITS)
    total: Value = const
    for atom in sorted(factors, key=lambda atom: atom.uid):
        total = t.add(width, total, t.scale(width, t.zext(atom, atom.width, width), factors[atom] & t.mask(width)))
    return t.eq(width, t.urem(width, total, MODULUS), 0)


def is_zero(total: Term) -> Bool:
    """What a one's complement sum whose carries have been folded back is if its remainder is 0, and only then: one of
    the two zeros, of which 65,535 is the one that something other than zeros adds up to."""
    none, all_ones = (t.eq(total.width, total, each) for each in (0, MODULUS))
    nothing = t.land(*(t.eq(each.width, each, 0) for each in dict.fromkeys(_parts(total))))
    return t.land(t.iff(is_multiple(total), t.lor(none, all_ones)), t.implies(none, nothing))


def _parts(value: Value) -> list[Term]:
    """Terms that are all 0 where the unsigned value is."""
    if not isinstance(value, Term):
        return []
    if value.op in ("zext", "concat"):
        return [part for each in value.args for part in _parts(each)]
    if value.op != "add" or value.data[0]:
        return [value]
    summands = _summands(value)
    if min(summands.values()) < 0 or _reach(summands)[1] > t.mask(value.width):
        return [value]
    folded = {_carry(each.args[0]): each.args[0] for each in summands if _is_low(each)}
    wholes = {carry: whole for carry, whole in folded.items() if carry in summands}
    lows = [each for each in summands if _is_low(each) and _carry(each.args[0]) in wholes]
    return [part for each in summands if each not in lows for part in _parts(wholes.get(each, each))]


_found: dict[int, tuple[Term, ...]] = {}


def sums(condition: Bool) -> tuple[Term, ...]:
    """The sums, of 16 bits when their carries have been folded back, that a condition compares with a zero."""
    if not isinstance(condition, Term):
        return ()
    if condition.uid not in _found:
        _found[condition.uid] = _compared(condition)
    return _found[condition.uid]


def _compared(condition: Term) -> tuple[Term, ...]:
    if condition.op == "eq" and condition.args[1] in (0, MODULUS) and condition.args[0].op in ("add", "extract"):
        total = condition.args[0]
        low, high = _reach(_summands(total)) if total.op == "add" else (0, total.hi)
        const = t.signed(total.data[0], total.width) if total.op == "add" else 0
        is_folded = low + const >= 0 and high + const <= MODULUS
        return (total,) if is_folded and total not in remainder(total).atoms else ()
    inner = condition.args if condition.op in ("land", "lor", "lnot", "iff", "ite") else ()
    return tuple(dict.fromkeys(total for each in inner for total in sums(each)))


_forms: dict[int, Form] = {}


def remainder(value: Value) -> Form:
    """The form of an unsigned value."""
    if isinstance(value, int):
        return Form(value)
    found = _forms.get(value.uid)
    if found is None:
        found = _forms[value.uid] = _remainder(value)
    return found


def _remainder(term: Term) -> Form:
    args = term.args
    match term.op:
        case "zext" | "opaque":
            return remainder(args[0])
        case "concat":
            return _joined(list(zip(term.data, args, strict=True)))
        case "shl" if isinstance(args[1], int) and args[0].hi << args[1] <= t.mask(term.width):
            return Form().plus(remainder(args[0]), 1 << args[1])
        case "add":
            return _sum(term)
        case "extract" if args[0].op in t.LEAVES:
            return _bytes(args[0], *term.data)
        case "var" | "app" | "undefined" if term.width > BYTE:
            return _bytes(term, term.width - 1, 0)
        case "extract":
            high, low = term.data
            return _above(args[0], low).plus(_above(args[0], high + 1), -(1 << (high + 1 - low)))
        case "ite":
            return _choice(*args) or Form(0, {term: 1})
    return Form(0, {term: 1})


def _joined(parts: list[tuple[int, Value]]) -> Form:
    form, place = Form(), 0
    for width, part in reversed(parts):
        form = form.plus(remainder(part), 1 << place)
        place += width
    return form


def _sum(term: Term) -> Form:
    """A sum that cannot leave its width, whether its constant is meant as signed or not; any other is an atom."""
    const, summands = term.data[0], _summands(term)
    least, most = _reach(summands)
    for each in (const, t.signed(const, term.width)):
        if each + least >= 0 and each + most <= t.mask(term.width):
            form = Form(each)
            for atom, factor in summands.items():
                form = form.plus(remainder(atom), factor)
            return form
    return Form(0, {term: 1})


def _summands(term: Term) -> dict[Term, int]:
    factors = (t.signed(factor, term.width) for factor in term.data[1])
    return dict(zip(map(_unextended, term.args), factors, strict=True))


def _unextended(term: Term) -> Term:
    return term.args[0] if term.op == "zext" else term


def _reach(summands: dict[Term, int]) -> tuple[int, int]:
    """Bounds of a sum. A carry that is folded back does not lead beyond 16 bits again."""
    least = most = 0
    done: set[Term] = set()
    for atom in sorted(summands, key=lambda atom: atom.op != "extract" or atom.data[1] != 0):
        factor, low, high = summands[atom], atom.lo, atom.hi
        if atom in done:
            continue
        if _is_low(atom):
            total = atom.args[0]
            carry = _carry(total)
            if carry is not None and summands.get(carry) == factor:
                done.add(carry)
                low, high = 0, max((total.hi >> CARRY) - 1 + MODULUS, (total.hi >> CARRY) + (total.hi & MODULUS))
        least, most = least + min(factor * low, factor * high), most + max(factor * low, factor * high)
    return least, most


def _is_low(term: Term) -> bool:
    """Whether it is what is left of a sum without its carry."""
    return term.op == "extract" and term.data == (CARRY - 1, 0)


def _carry(total: Term) -> Term | None:
    carry = t.extract(total, total.width, total.width - 1, CARRY)
    return _unextended(carry) if isinstance(carry, Term) else None


def _bytes(leaf: Term, high: int, low: int) -> Form:
    """Some bits of an unknown, byte by byte: then it does not matter of which parts a sum is."""
    form, place = Form(), low
    while place <= high:
        top = min(high, place | (BYTE - 1))
        piece = t.extract(leaf, leaf.width, top, place)
        assert isinstance(piece, Term)
        form = form.plus(Form(0, {piece: 1}), 1 << (place - low))
        place = top + 1
    return form


def _above(term: Term, place: int) -> Form:
    """What is above a bit of a term."""
    if place == 0:
        return remainder(term)
    if place >= term.width:
        return Form()
    if place == CARRY and term.op == "add" and term.data[0] + _reach(_summands(term))[1] <= MODULUS:
        return Form()
    above = t.extract(term, term.width, term.width - 1, place)
    if isinstance(above, Term) and above.op == "extract" and above.args[0] is term:
        return Form(0, {above: 1})
    return remainder(above)


def _choice(test: Bool, yes: Value, no: Value) -> Form | None:
    """Of two values the one, where they leave the same remainder because the test holds, or wherever it holds: 0 and
    65,535 do."""
    yes_form, no_form = remainder(yes), remainder(no)
    difference = yes_form.plus(no_form, -1)
    if difference.is_zero():
        return no_form
    if isinstance(test, Term) and test.op == "eq":
        equal = remainder(test.args[0]).plus(remainder(test.args[1]), -1)
        if difference.plus(equal).is_zero() or difference.plus(equal, -1).is_zero():
            return no_form
    return None
