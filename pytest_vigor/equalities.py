"""What is equal on a path, put into effect: a term of which a simpler form is known is replaced by it.

A solver finds two keys of many bytes equal only bit by bit. Where a run says outright which bytes are equal, the keys
become one term, and most of what is asked about them is answered by how terms are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from pytest_vigor import term as t
from pytest_vigor.known import Known
from pytest_vigor.term import Bool, Term

CHOICES = 2
ROUNDS = 4  #: of rewriting, after which a further equality is not worth the time
LEAVES = frozenset({"var", "app"})
BYTE = 8
WORD = 64  #: bits of what is likely a place, not a key
PUT_TOGETHER = frozenset({"extract", "concat", "zext"})


class Equalities:
    """Replacements that follow from conditions: each is a consequence of what was learnt, so a condition and its
    rewritten form have the same truth wherever that holds."""

    __slots__ = ("_forms", "_memo", "_of", "_seen_by")

    def __init__(self) -> None:
        self._of: dict[Term, Any] = {}  #: by leaf; no replacement mentions a replaced leaf
        self._forms: dict[Term, Any] = {}  #: by terms that are not leaves
        self._seen_by: set[int] = set()  #: leaves of which one is in whatever is replaced
        self._memo: dict[int, Any] = {}

    def copy(self) -> Equalities:
        other = Equalities()
        other._of, other._memo = dict(self._of), dict(self._memo)
        other._forms, other._seen_by = dict(self._forms), set(self._seen_by)
        return other

    def __call__(self, value: Any) -> Any:
        """The value, rewritten."""
        return t.substitute(value, self._replace, self._memo, self._forms, self._seen_by)

    def _replace(self, leaf: Term) -> Any:
        return self._of.get(leaf)

    def learn(self, condition: Bool) -> bool:
        """Takes a condition that holds, in rewritten form; whether it gave a replacement."""
        if isinstance(condition, bool):
            return False
        learnt = False
        for part in t.conjuncts(condition):
            part = self(part) if learnt else part
            if isinstance(part, Term):
                learnt |= self._learn(part)
        return learnt

    def _learn(self, part: Term) -> bool:
        if part.op in LEAVES:
            return self._put(part, True)
        if part.op == "lnot" and part.args[0].op in LEAVES:
            return self._put(part.args[0], False)
        if part.op == "ult":
            return self._learn_width(*part.args)
        if part.op not in ("eq", "iff"):
            return False
        a, b = part.args
        sides = ((a, b), (b, a)) if _newer(a, b) else ((b, a), (a, b))
        leaves = [(one, other) for one, other in sides if isinstance(one, Term) and one.op in LEAVES]
        for leaf, other in leaves:
            if leaf.uid not in t.leaf_uids(other):
                return self._put(leaf, other)
        if leaves:  # which is a part of the other
            return self._put(leaves[0][1], leaves[0][0])
        whole, other = (a, b) if isinstance(a, Term) and a.op == "concat" else (b, a)
        if isinstance(whole, Term) and whole.op == "concat":
            return self.learn(t.land(*_by_parts(whole, other)))
        return False

    def _learn_width(self, total: Any, limit: Any) -> bool:
        """A sum is what its low bits say if it is less than so much."""
        if isinstance(limit, Term) or total.op != "add" or limit < 2 or limit.bit_count() != 1:
            return False
        bits = (limit - 1).bit_length()
        low = t.zext(t.extract(total, total.width, bits - 1, 0), bits, total.width)
        return isinstance(low, Term) and low is not total and self._put(low, total)

    def _put(self, term: Term, value: Any) -> bool:
        def replace(each: Term) -> Any:
            return value if each is term else None

        memo: dict[int, Any] = {}
        forms, within = {term: value}, {_trigger(term)}

        def rewritten(known: dict[Term, Any]) -> dict[Term, Any]:
            pairs = [(t.substitute(each, replace, memo, forms, within), other) for each, other in known.items()]
            return {
                each: t.substitute(other, replace, memo, forms, within)
                for each, other in pairs if isinstance(each, Term) and (each.op in LEAVES) is (known is self._of)
            }  # fmt: skip

        self._of, self._forms = rewritten(self._of), rewritten(self._forms)
        (self._of if term.op in LEAVES else self._forms)[term] = value
        self._seen_by |= {_trigger(each) for each in (*self._of, *self._forms)}
        self._memo = {}
        return True


def _trigger(term: Term) -> int:
    """A leaf that is wherever a term is."""
    return term.uid if term.op in LEAVES else next(iter(t.leaf_uids(term)))


def _by_parts(whole: Term, other: Any) -> Iterator[Bool]:
    """That something is equal to what is put together, part by part."""
    low = whole.width
    for width, part in zip(whole.data, whole.args, strict=True):
        low -= width
        yield t.eq(width, part, t.extract(other, whole.width, low + width - 1, low))


def _newer(a: Any, b: Any) -> bool:
    """Whether a term was made after another; a number comes before all terms."""
    return isinstance(a, Term) and not (isinstance(b, Term) and b.uid > a.uid)


def same_arguments(condition: Bool) -> Iterator[Bool]:
    """For values of one function that a condition compares, that their arguments are the same, each once."""
    found: dict[int, Bool] = {}
    for part in t.parts(condition):
        if part.op == "eq":
            sides = [_applied(each) for each in part.args]
            for one, other in product(*sides):
                if one is not other and one.data == other.data and max(one.data[1]) <= WORD:
                    same = t.land(*(t.eq(*pair) for pair in zip(one.data[1], one.args, other.args, strict=True)))
                    if isinstance(same, Term):
                        found.setdefault(same.uid, same)
    yield from found.values()


def uncut(values: Iterable[Any]) -> Iterator[Bool]:
    """For sums of low bits in some values, that the sum of what these were cut from fits into as many; not for what is
    opaque."""
    seen: set[int] = set()
    stack = list(values)
    while stack:
        term = stack.pop()
        if isinstance(term, Term) and term.uid not in seen and term.op not in ("app", "opaque"):
            seen.add(term.uid)
            stack.extend(term.args)
            is_sum = term.op == "add" and term.width > BYTE
            cut = [each.args[0].width for each in term.args if _is_low(each)] if is_sum else []
            if cut:
                yield t.ule(max(cut), _sum_of_whole(term, max(cut)), t.mask(term.width))


def _is_low(value: Any) -> bool:
    return isinstance(value, Term) and value.op == "extract" and value.data[1] == 0


def _sum_of_whole(total: Term, width: int) -> Any:
    """A sum in more bits, of what its summands were cut from."""
    const, coeffs = total.data
    out = const
    for atom, coeff in zip(total.args, coeffs, strict=True):
        source = atom.args[0] if _is_low(atom) and atom.args[0].width <= width else atom
        factor = t.signed(coeff, total.width) & t.mask(width)
        out = t.add(width, out, t.scale(width, t.zext(source, source.width, width), factor))
    return out


def _applied(value: Any) -> list[Term]:
    """The functions whose values a value is made of."""
    if not isinstance(value, Term):
        return []
    if value.op == "app":
        return [value]
    return [each for arg in value.args for each in _applied(arg)] if value.op in PUT_TOGETHER else []


class Settled:
    """Conditions that hold, and what they literally imply together."""

    __slots__ = ("_holding", "_stale", "equal", "impossible", "known")

    def __init__(self) -> None:
        self.known, self.equal = Known(), Equalities()
        self.impossible = False  #: whether they plainly contradict each other
        self._holding: list[Bool] = []  #: as the equalities rewrite them
        self._stale = False

    def copy(self) -> Settled:
        other = Settled()
        other.known, other.equal, other.impossible = self.known.copy(), self.equal.copy(), self.impossible
        other._holding, other._stale = list(self._holding), self._stale
        return other

    def add(self, condition: Bool) -> None:
        """From here on the condition holds."""
        self.known.add(condition)
        rewritten = self.equal(condition)
        if rewritten is not condition:
            self._note(rewritten)
        if rewritten is not True:
            self._holding.append(rewritten)
            self._stale |= self.equal.learn(rewritten)

    def _note(self, condition: Bool) -> None:
        if self.known.decided(condition) is False:
            self.impossible = True
        self.known.add(condition)

    def settle(self) -> None:
        """Puts into effect what was learnt since the last time."""
        for _ in range(ROUNDS):
            if not self._stale or self.impossible:
                return
            self._stale = False
            before, self._holding = self._holding, []
            for condition in before:
                rewritten = self.equal(condition)
                if rewritten is not condition:
                    self._note(rewritten)
                if rewritten is not True:
                    self._holding.append(rewritten)
                    self._stale |= rewritten is not condition and self.equal.learn(rewritten)

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition holds or fails, as far as this tells."""
        found = self.at_once(condition)
        if found is None and self._stale:
            self.settle()
            found = self.at_once(condition)
        return found

    def at_once(self, condition: Bool) -> bool | None:
        """The same, as far as it tells without looking at everything again."""
        found = self.known.decided(condition)
        return found if found is not None else self.known.decided(self.equal(condition))

    def follows(self, claim: Bool, choices: int = CHOICES) -> bool:
        """Whether a claim plainly cannot be otherwise, whichever way up to so many choices in it go: of alternatives of
        which one holds, none would be left."""
        otherwise = self.copy()
        for part in t.conjuncts(t.lnot(claim)):
            if otherwise.at_once(part) is False:
                return True
            otherwise.add(part)
        otherwise.settle()
        if any(otherwise.impossible or not otherwise._choose() for _ in range(ROUNDS)):
            return True
        choice = next((part for part in t.parts(claim) if part.op == "ite"), None)
        if choice is None or not choices:
            return False
        condition, *ways = choice.args
        return all(
            self._with(chosen).follows(t.substitute(claim, lambda _: None, {}, {choice: way}), choices - 1)
            for chosen, way in zip((condition, t.lnot(condition)), ways, strict=True)
        )

    def _with(self, condition: Bool) -> Settled:
        other = self.copy()
        other.add(condition)
        other.settle()
        return other

    def _choose(self) -> bool:
        """Takes what is the only one left of alternatives; whether there is one of each."""
        for condition in [each for each in self._holding if isinstance(each, Term) and each.op == "lor"]:
            left = [each for each in condition.args if self.known.decided(each) is not False]
            if not left:
                return False
            if len(left) == 1 and self.known.decided(left[0]) is None:
                self.add(left[0])
        self.settle()
        return not self.impossible
