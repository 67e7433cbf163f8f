"""Terms as z3 expressions, translated once each through z3's C interface: shared nodes stay shared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from z3 import z3core as c

from pytest_vigor import term as t
from pytest_vigor.room import Room
from pytest_vigor.term import Bool, Term

PRODUCTS = frozenset({"mul", "udiv", "urem", "sdiv", "srem", "opaque"})


class Translator(Room):
    """Terms to z3 expressions, each once, in a context of its own: what z3 does depends on what else is in there. Keeps
    a reference to every expression that it made.

    With ``abstract``, products and quotients of two unknowns are uninterpreted functions: an Unsat is right, a Sat may
    not be.
    """

    def __init__(self, abstract: bool = False) -> None:
        super().__init__()
        self.abstract = abstract
        self._asts: dict[int, Any] = {}
        self._simple: dict[int, Any] = {}
        self._products: dict[int, bool] = {}
        self._sorts: dict[int, Any] = {0: self.keep_sort(c.Z3_mk_bool_sort(self.ref))}
        self._functions: dict[tuple[Any, ...], Any] = {}
        self._true, self._false = self.keep(c.Z3_mk_true(self.ref)), self.keep(c.Z3_mk_false(self.ref))

    def _sort(self, width: int) -> Any:
        if width not in self._sorts:
            self._sorts[width] = self.keep_sort(c.Z3_mk_bv_sort(self.ref, width))
        return self._sorts[width]

    def products(self, value: Any) -> bool:
        """Whether a value depends on a product, quotient or remainder, or on what is opaque."""
        if not isinstance(value, Term):
            return False
        if value.uid not in self._products:
            self._products[value.uid] = value.op in PRODUCTS or any(self.products(a) for a in value.args)
        return self._products[value.uid]

    def numeral(self, value: int, width: int) -> Any:
        return self.keep(c.Z3_mk_numeral(self.ref, str(value), self._sort(width)))

    def _function(self, name: str, domain: tuple[int, ...], width: int) -> Any:
        key = (name, domain, width)
        if key not in self._functions:
            sorts = (c.Sort * len(domain))(*[self._sort(w) for w in domain])
            symbol = c.Z3_mk_string_symbol(self.ref, name)
            function = c.Z3_mk_func_decl(self.ref, symbol, len(domain), sorts, self._sort(width))
            self._functions[key] = self.keep_function(function)
        return self._functions[key]

    def _apply(self, name: str, domain: tuple[int, ...], width: int, args: list[Any]) -> Any:
        function = self._function(name, domain, width)
        return self.keep(c.Z3_mk_app(self.ref, function, len(args), (c.Ast * len(args))(*args)))

    def simple(self, condition: Bool) -> Any:
        """A condition in z3's own normal form. An incremental solver brings only the first of what it is told into that
        form; terms that it gets in two forms are equal to it only once it has compared them bit by bit."""
        if isinstance(condition, bool):
            return self(condition)
        ast = self._simple.get(condition.uid)
        if ast is None:
            ast = self._simple[condition.uid] = self.keep(c.Z3_simplify(self.ref, self(condition)))
        return ast

    def __call__(self, value: Any, width: int = 0) -> Any:
        if isinstance(value, bool):
            return self._true if value else self._false
        if isinstance(value, int):
            return self.numeral(value, width)
        ast = self._asts.get(value.uid)
        if ast is None:
            ast = self._asts[value.uid] = self._translate(value)
        return ast

    def _translate(self, term: Term) -> Any:
        ctx, width, args = self.ref, term.width, term.args
        match term.op:
            case "var" | "undefined":
                return self._apply(term.data, (), width, [])
            case "app":
                name, domain = term.data
                return self._apply(name, domain, width, [self(a, w) for a, w in zip(args, domain, strict=True)])
            case "add":
                const, coeffs = term.data
                total = self.numeral(const, width) if const else None
                for a, k in zip(args, coeffs, strict=True):
                    ast = self(a, width)
                    if k == t.mask(width):
                        made = c.Z3_mk_bvneg if total is None else c.Z3_mk_bvsub
                        total = self.keep(made(ctx, ast) if total is None else made(ctx, total, ast))
                        continue
                    if k != 1:
                        ast = self.keep(c.Z3_mk_bvmul(ctx, self.numeral(k, width), ast))
                    total = ast if total is None else self.keep(c.Z3_mk_bvadd(ctx, total, ast))
                return total
            case "extract":
                return self.keep(c.Z3_mk_extract(ctx, *term.data, self(args[0])))
            case "zext":
                return self.keep(c.Z3_mk_zero_ext(ctx, width - args[0].width, self(args[0])))
            case "sext":
                return self.keep(c.Z3_mk_sign_ext(ctx, width - args[0].width, self(args[0])))
            case "concat":
                asts = [self(a, w) for a, w in zip(args, term.data, strict=True)]
                joined = asts[0]
                for ast in asts[1:]:
                    joined = self.keep(c.Z3_mk_concat(ctx, joined, ast))
                return joined
            case "ite":
                return self.keep(c.Z3_mk_ite(ctx, self(args[0]), self(args[1], width), self(args[2], width)))
            case "lnot":
                return self.keep(c.Z3_mk_not(ctx, self(args[0])))
            case "iff":
                return self.keep(c.Z3_mk_iff(ctx, self(args[0]), self(args[1])))
            case "land" | "lor":
                make = c.Z3_mk_and if term.op == "land" else c.Z3_mk_or
                return self.keep(make(ctx, len(args), (c.Ast * len(args))(*[self(a) for a in args])))
        if term.op == "opaque":
            return self._apply(f"opaque.{term.uid}", (), width, []) if self.abstract else self(args[0])
        if self.abstract and term.op in PRODUCTS:
            asts = [self(args[0], width), self(args[1], width)]
            return self._apply(f"{term.op}.{width}", (width, width), width, asts)
        operand = term.data if term.width == 0 else width
        return self.keep(_BINARY[term.op](ctx, self(args[0], operand), self(args[1], operand)))

    def model_truth(self, model: Any, condition: Term) -> bool | None:
        """Whether a z3 model satisfies a condition, None if z3 does not say."""
        result = (c.Ast * 1)()
        c.Z3_model_eval(self.ref, model.model, self.simple(condition), True, result)
        return {1: True, -1: False}.get(c.Z3_get_bool_value(self.ref, result[0]))

    def model_value(self, model: Any, leaf: Term, args: tuple[Any, ...]) -> Any:
        """The value of a variable, or of a function at concrete arguments, in a z3 model."""
        if leaf.op == "app" and args != leaf.args:
            name, domain = leaf.data
            ast = self._apply(name, domain, leaf.width, [self(a, w) for a, w in zip(args, domain, strict=True)])
        else:
            ast = self(leaf)
        result = (c.Ast * 1)()
        c.Z3_model_eval(self.ref, model.model, ast, True, result)
        if leaf.width == 0:
            return bool(c.Z3_get_bool_value(self.ref, result[0]) == 1)
        return int(c.Z3_get_numeral_string(self.ref, result[0]))


_BINARY = {
    "mul": c.Z3_mk_bvmul, "udiv": c.Z3_mk_bvudiv, "urem": c.Z3_mk_bvurem, "sdiv": c.Z3_mk_bvsdiv,
    "srem": c.Z3_mk_bvsrem, "band": c.Z3_mk_bvand, "bor": c.Z3_mk_bvor, "bxor": c.Z3_mk_bvxor,
    "shl": c.Z3_mk_bvshl, "lshr": c.Z3_mk_bvlshr, "ashr": c.Z3_mk_bvashr, "eq": c.Z3_mk_eq,
    "ult": c.Z3_mk_bvult, "ule": c.Z3_mk_bvule, "slt": c.Z3_mk_bvslt, "sle": c.Z3_mk_bvsle,
}  # fmt: skip


def factors(conditions: Iterable[Bool]) -> dict[Term, None]:
    """Those unknowns without which products and quotients have one unknown side at most."""
    found: dict[Term, None] = {}
    stack, seen = [*conditions], set()
    while stack:
        term = stack.pop()
        if isinstance(term, Term) and term.uid not in seen:
            seen.add(term.uid)
            stack.extend(term.args)
            if term.op in PRODUCTS and term.op != "opaque":
                sides = [t.leaves(side).values() for side in (term.args[1:] if term.op != "mul" else term.args)]
                found |= dict.fromkeys(min((side for side in sides if side), key=len, default=()))
    return found
