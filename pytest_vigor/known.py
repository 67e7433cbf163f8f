"""What is literally known on a path: answers without a solver."""

from __future__ import annotations

from pytest_vigor import term as t
from pytest_vigor.term import Bool, Term


class Known:
    """Conditions that hold, and the bounds that comparisons with constants give."""

    __slots__ = ("bounds", "holding")

    def __init__(self) -> None:
        self.holding: set[int] = set()
        self.bounds: dict[int, tuple[int, int]] = {}

    def copy(self) -> Known:
        other = Known.__new__(Known)
        other.holding, other.bounds = self.holding.copy(), self.bounds.copy()
        return other

    def add(self, condition: Bool) -> None:
        """From here on the condition holds."""
        if isinstance(condition, bool):
            return
        for part in condition.args if condition.op == "land" else (condition,):
            self.holding.add(part.uid)
            self._bound(part)

    def common(self, other: Known) -> Known:
        """What both know."""
        out = Known()
        out.holding = self.holding & other.holding
        out.bounds = {
            uid: (min(lo, other.bounds[uid][0]), max(hi, other.bounds[uid][1]))
            for uid, (lo, hi) in self.bounds.items() if uid in other.bounds
        }  # fmt: skip
        return out

    def _bound(self, condition: Term) -> None:
        if condition.op == "eq" and isinstance(condition.args[1], int) and isinstance(condition.args[0], Term):
            self.bounds[condition.args[0].uid] = condition.args[1], condition.args[1]
        if condition.op != "ult":
            return
        a, b = condition.args
        if isinstance(a, int) and isinstance(b, Term):
            lo, hi = self.bounds.get(b.uid, (b.lo, b.hi))
            self.bounds[b.uid] = max(lo, a + 1), hi
        elif isinstance(b, int) and isinstance(a, Term):
            lo, hi = self.bounds.get(a.uid, (a.lo, a.hi))
            self.bounds[a.uid] = lo, min(hi, b - 1)

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition holds or fails, as far as this tells."""
        if isinstance(condition, bool):
            return condition
        if condition.uid in self.holding:
            return True
        negated = t.lnot(condition)
        if isinstance(negated, Term) and negated.uid in self.holding:
            return False
        match condition.op:
            case "ult":
                return self._below(*condition.args)
            case "eq" if isinstance(condition.args[1], int):
                bounds = self.bounds.get(condition.args[0].uid)
                if bounds is None:
                    return None
                if not bounds[0] <= condition.args[1] <= bounds[1]:
                    return False
                return True if bounds[0] == bounds[1] else None
            case "lnot":
                inner = self.decided(condition.args[0])
                return None if inner is None else not inner
            case "land" | "lor":
                unit = condition.op == "land"
                answers = [self.decided(each) for each in condition.args]
                if any(answer is (not unit) for answer in answers):
                    return not unit
                return unit if all(answer is unit for answer in answers) else None
        return None

    def _below(self, a: t.Value, b: t.Value) -> bool | None:
        if isinstance(a, int) and isinstance(b, Term) and b.uid in self.bounds:
            lo, hi = self.bounds[b.uid]
            return True if a < lo else False if hi <= a else None
        if isinstance(b, int) and isinstance(a, Term) and a.uid in self.bounds:
            lo, hi = self.bounds[a.uid]
            return True if hi < b else False if b <= lo else None
        return None
