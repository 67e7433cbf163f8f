"""Going through terms: what is in them, and others that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from pytest_vigor.term.compare import eq, sle, slt, ule, ult
from pytest_vigor.term.division import sdiv, srem, udiv, urem
from pytest_vigor.term.logic import iff, ite, land, lor
from pytest_vigor.term.nodes import LEAVES, Bool, Term, Value, app, lnot, make, opaque, parts
from pytest_vigor.term.values import BITWISE, add, ashr, concat, extract, lshr, mul, scale, sext, shl, zext

_BINARY: dict[str, Callable[[int, Value, Value], Value]] = {
    "mul": mul, "udiv": udiv, "urem": urem, "sdiv": sdiv, "srem": srem, "shl": shl, "lshr": lshr, "ashr": ashr,
    **BITWISE,
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
            return make(op, width, (), data)
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
