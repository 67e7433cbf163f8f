"""What joins conditions, and chooses by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_vigor.term.nodes import Bool, Term, Value, bounds, lnot, make


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
    return make(op, 0, tuple(sorted(flat, key=lambda t: t.uid)))


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
    return make("iff", 0, (a, b) if a.uid < b.uid else (b, a))


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
        return make("ite", 0, (test, yes, no))
    low, high = bounds(yes), bounds(no)
    return make("ite", width, (test, yes, no), None, min(low[0], high[0]), max(low[1], high[1]))


def bit(test: Bool, width: int = 1) -> Value:
    """A Boolean as the number 0 or 1."""
    return ite(width, test, 1, 0)  # type: ignore[no-any-return]


def conjuncts(condition: Bool) -> Sequence[Any]:
    """What all has to hold for a condition to hold."""
    if type(condition) is Term and condition.op == "land":
        return condition.args
    if type(condition) is Term and condition.op == "lnot" and condition.args[0].op == "lor":
        return [lnot(each) for each in condition.args[0].args]
    return (condition,)
