"""Bit-vector and Boolean terms: what the explorer computes with, what a Behaviour stores, what the solver is asked.

A concrete value is a Python ``int`` (an unsigned bit-vector) or ``bool``; a symbolic one is an interned :class:`Term`.
Every constructor simplifies.
"""

from pytest_vigor.term.compare import eq, ne, sle, slt, ule, ult
from pytest_vigor.term.division import sdiv, srem, udiv, urem
from pytest_vigor.term.logic import bit, conjuncts, iff, implies, ite, land, lor
from pytest_vigor.term.nodes import (
    LEAVES,
    Apart,
    Bool,
    Term,
    Value,
    app,
    bounds,
    keep_apart,
    lnot,
    mask,
    opaque,
    parts,
    show,
    signed,
    subject,
    undefined,
    var,
)
from pytest_vigor.term.values import (
    Piece,
    add,
    ashr,
    band,
    bnot,
    bor,
    bxor,
    carried,
    concat,
    extract,
    lshr,
    mul,
    neg,
    scale,
    sext,
    shl,
    split_base,
    sub,
    zext,
)
from pytest_vigor.term.walk import build, evaluate, leaf_uids, leaves, shape, substitute

__all__ = [
    "LEAVES", "Apart", "Bool", "Piece", "Term", "Value", "add", "app", "ashr", "band", "bit", "bnot", "bor", "bounds",
    "build", "bxor", "carried", "concat", "conjuncts", "eq", "evaluate", "extract", "iff", "implies", "ite",
    "keep_apart", "land", "leaf_uids", "leaves", "lnot", "lor", "lshr", "mask", "mul", "ne", "neg", "opaque",
    "parts", "scale", "sdiv", "sext", "shape", "shl", "show", "signed", "sle", "slt", "split_base", "srem", "sub",
    "subject", "substitute", "udiv", "ule", "ult", "undefined", "urem", "var", "zext",
]  # fmt: skip
