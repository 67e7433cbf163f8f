"""Expressions over the integers, by z3's C interface: its Python classes take most of the time of a short question.

They are written as for these classes, and make the same expressions. All live as long as their context.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import z3
from z3 import z3core as c

from pytest_vigor.room import Room, at_work


class Expression:
    """An integer or a truth value. Comparing two makes an expression, too."""

    __slots__ = ("ast", "of", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, of: Arithmetic, ast: Any, value: int | None = None) -> None:
        self.of, self.ast, self.value = of, ast, value

    @property
    def id(self) -> int:
        """The same for the same expression in its context."""
        return int(c.Z3_get_ast_id(self.of.ref, self.ast))

    def __add__(self, other: Any) -> Expression:
        return self.of.made(c.Z3_mk_add, self, other)

    def __sub__(self, other: Any) -> Expression:
        return self.of.made(c.Z3_mk_sub, self, other)

    def __mul__(self, other: Any) -> Expression:
        return self.of.made(c.Z3_mk_mul, self, other)

    def __rmul__(self, other: int) -> Expression:
        return self.of.made(c.Z3_mk_mul, other, self)

    def __lt__(self, other: Any) -> Expression:
        return self.of.compared(c.Z3_mk_lt, self, other)

    def __le__(self, other: Any) -> Expression:
        return self.of.compared(c.Z3_mk_le, self, other)

    def __gt__(self, other: Any) -> Expression:
        return self.of.compared(c.Z3_mk_gt, self, other)

    def __ge__(self, other: Any) -> Expression:
        return self.of.compared(c.Z3_mk_ge, self, other)

    def __eq__(self, other: Any) -> Expression:  # type: ignore[override]
        return self.of.compared(c.Z3_mk_eq, self, other)


class Arithmetic(Room):
    """What is made in a context of its own: an answer does not depend on what was asked before."""

    def __init__(self) -> None:
        super().__init__()
        self._integers = self.keep_sort(c.Z3_mk_int_sort(self.ref))
        self._truths = self.keep_sort(c.Z3_mk_bool_sort(self.ref))
        self._functions: dict[tuple[str, int], Any] = {}

    def _expression(self, ast: Any, value: int | None = None) -> Expression:
        return Expression(self, self.keep(ast), value)

    def integer(self, value: int) -> Expression:
        """A number."""
        return self._expression(c.Z3_mk_numeral(self.ref, str(value), self._integers), value)

    def truth(self, value: bool) -> Expression:
        """True or false."""
        return self._expression(c.Z3_mk_true(self.ref) if value else c.Z3_mk_false(self.ref))

    def unknown(self, name: str) -> Expression:
        """An unknown number."""
        return self._expression(c.Z3_mk_const(self.ref, c.Z3_mk_string_symbol(self.ref, name), self._integers))

    def unknown_truth(self, name: str) -> Expression:
        """An unknown truth value."""
        return self._expression(c.Z3_mk_const(self.ref, c.Z3_mk_string_symbol(self.ref, name), self._truths))

    def applied(self, name: str, *arguments: Expression) -> Expression:
        """The value of an unknown function of numbers, a number."""
        key, count = (name, len(arguments)), len(arguments)
        if key not in self._functions:
            symbol = c.Z3_mk_string_symbol(self.ref, name)
            domain = (c.Sort * count)(*[self._integers] * count)
            self._functions[key] = self.keep_function(
                c.Z3_mk_func_decl(self.ref, symbol, count, domain, self._integers)
            )
        return self._expression(c.Z3_mk_app(self.ref, self._functions[key], count, self._asts(arguments)))

    def _asts(self, expressions: Sequence[Any]) -> Any:
        asts = [(each if isinstance(each, Expression) else self.integer(each)).ast for each in expressions]
        return (c.Ast * len(asts))(*asts)

    def made(self, make: Any, *operands: Any) -> Expression:
        """What an operation of many makes of operands."""
        return self._expression(make(self.ref, len(operands), self._asts(operands)))

    def compared(self, make: Any, one: Any, other: Any) -> Expression:
        """What an operation of two makes of operands."""
        return self._expression(make(self.ref, *self._asts((one, other))))

    def either(self, test: Expression, yes: Any, no: Any) -> Expression:
        """One of two numbers."""
        return self._expression(c.Z3_mk_ite(self.ref, test.ast, *self._asts((yes, no))))

    def negated(self, one: Expression) -> Expression:
        """That something is not so."""
        return self._expression(c.Z3_mk_not(self.ref, one.ast))

    def every(self, *all_: Expression) -> Expression:
        """That all are so."""
        return self.made(c.Z3_mk_and, *all_)

    def some(self, *any_: Expression) -> Expression:
        """That some are so."""
        return self.made(c.Z3_mk_or, *any_)

    def implied(self, one: Expression, other: Expression) -> Expression:
        """That the other is so if the one is."""
        return self.compared(c.Z3_mk_implies, one, other)

    def solved(self, logic: str, conditions: Iterable[Expression], resources: int, seed: int) -> Model | bool | None:
        """Values that satisfy conditions, False if there are none, None if the solver gives up."""
        solver = z3.SolverFor(logic, ctx=self.context)
        solver.set("rlimit", resources)
        solver.set("ctrl_c", False)
        solver.set("random_seed", seed)
        for each in conditions:
            c.Z3_solver_assert(self.ref, solver.solver, each.ast)
        with at_work(self.context):
            answer = solver.check()
        if answer == z3.unknown:
            return None
        return Model(self, solver.model()) if answer == z3.sat else False


class Model:
    """Values of expressions."""

    __slots__ = ("_model", "_of")

    def __init__(self, of: Arithmetic, model: z3.ModelRef) -> None:
        self._of, self._model = of, model

    def value(self, expression: Expression, complete: bool = False) -> int | bool | None:
        """The value of an expression; None if it may be any, but for a ``complete`` answer."""
        result = (c.Ast * 1)()
        c.Z3_model_eval(self._of.ref, self._model.model, expression.ast, complete, result)
        truth = c.Z3_get_bool_value(self._of.ref, result[0])
        if truth != 0:
            return bool(truth == 1)
        is_number = c.Z3_is_numeral_ast(self._of.ref, result[0])
        return int(c.Z3_get_numeral_string(self._of.ref, result[0])) if is_number else None
