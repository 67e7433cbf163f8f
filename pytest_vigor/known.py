"""What is literally known on a path: answers without a solver."""

from __future__ import annotations

from pytest_vigor import term as t
from pytest_vigor.comparisons import OPERATIONS, Comparisons
from pytest_vigor.term import Bool, Term, Value


class Known:
    """Conditions that hold, the bounds that comparisons with constants give, and what is before what."""

    __slots__ = ("bounds", "comparisons", "holding")

    def __init__(self) -> None:
        self.holding: set[int] = set()
        self.bounds: dict[int, tuple[int, int]] = {}
        self.comparisons = Comparisons()

    def copy(self) -> Known:
        other = Known.__new__(Known)
        other.holding, other.bounds = self.holding.copy(), self.bounds.copy()
        other.comparisons = self.comparisons.copy()
        return other

    def add(self, condition: Bool) -> None:
        """From here on the condition holds."""
        if isinstance(condition, bool):
            return
        for part in t.conjuncts(condition):
            self.holding |= {part.uid, _in_any_order(part)}
            self._bound(part)
            if part.op in OPERATIONS:
                self.comparisons.add(part)

    def common(self, other: Known) -> Known:
        """What both know."""
        out = Known()
        out.holding = self.holding & other.holding
        out.comparisons = self.comparisons.common(other.comparisons)
        out.bounds = {
            uid: (min(lo, other.bounds[uid][0]), max(hi, other.bounds[uid][1]))
            for uid, (lo, hi) in self.bounds.items() if uid in other.bounds
        }  # fmt: skip
        return out

    def _bound(self, condition: Term) -> None:
        if condition.op == "eq" and isinstance(condition.args[1], int) and isinstance(condition.args[0], Term):
            self._within(condition.args[0], condition.args[1], condition.args[1])
        if condition.op not in ("ult", "ule"):
            return
        (low, _), (_, high) = (self.reach(condition.data, each) for each in condition.args)
        a, b = condition.args
        apart = condition.op == "ult"
        if isinstance(a, Term):
            self._within(a, low, high - apart)
        if isinstance(b, Term):
            self._within(b, low + apart, high)

    def _within(self, value: Term, low: int, high: int) -> None:
        """The value lies between these, and what it is made of accordingly."""
        lo, hi = self.reach(value.width, value)
        self.bounds[value.uid] = lo, hi = max(lo, low), min(hi, high)
        match value.op:
            case "zext":
                self._within(value.args[0], lo, hi)
            case "shl" if isinstance(value.args[1], int) and value.args[0].hi << value.args[1] <= t.mask(value.width):
                self._within(value.args[0], -(-lo >> value.args[1]), hi >> value.args[1])
            case "concat" if isinstance(value.args[-1], int) and value.args[-1] == 0:
                zeros = value.data[-1]
                field = t.extract(value, value.width, value.width - 1, zeros)
                if isinstance(field, Term):
                    self._within(field, -(-lo >> zeros), hi >> zeros)
            case "add" if value.data[1] == (1,):
                const = t.signed(value.data[0], value.width)
                if lo - const >= 0 and hi - const <= t.mask(value.width):
                    self._within(value.args[0], lo - const, hi - const)

    def reach(self, width: int, value: Value) -> tuple[int, int]:
        """Bounds of a value, by what is known of its parts."""
        if isinstance(value, int):
            return value, value
        lo, hi = self.bounds.get(value.uid, (value.lo, value.hi))
        low, high = lo, hi
        if value.op == "zext":
            low, high = self.reach(value.args[0].width, value.args[0])
        elif value.op == "add" or (value.op == "shl" and isinstance(value.args[1], int)):
            const, coeffs = value.data if value.op == "add" else (0, (1 << value.args[1],))
            low = high = t.signed(const, width)
            for atom, coeff in zip(value.args, coeffs, strict=False):
                factor = t.signed(coeff, width)
                ends = sorted(factor * end for end in self.reach(width, atom))
                low, high = low + ends[0], high + ends[1]
            if high < 0:
                low, high = low + (1 << width), high + (1 << width)
            if low < 0 or high > t.mask(width):
                return lo, hi
        return max(lo, low), min(hi, high)

    def signed_reach(self, width: int, value: Value) -> tuple[int, int]:
        """The same for the value as two's complement."""
        half = t.mask(width - 1)
        if isinstance(value, int):
            return t.signed(value, width), t.signed(value, width)
        if value.op == "sext":
            return self.signed_reach(value.args[0].width, value.args[0])
        lo, hi = self.reach(width, value)
        if hi <= half:
            return lo, hi
        exact = self.unwrapped(width, value)
        if exact is not None:
            return exact
        return (t.signed(lo, width), t.signed(hi, width)) if lo > half else (-half - 1, half)

    def unwrapped(self, width: int, value: Term) -> tuple[int, int] | None:
        """Bounds of a sum or product of signed parts, if it is what their integers make and never wraps."""
        if value.op == "add":
            const, coeffs = value.data
            low = high = t.signed(const, width)
            for atom, coeff in zip(value.args, coeffs, strict=True):
                factor = t.signed(coeff, width)
                ends = sorted(factor * end for end in self.signed_reach(width, atom))
                low, high = low + ends[0], high + ends[1]
        elif value.op == "mul":
            (a, b), (c, d) = (self.signed_reach(width, each) for each in value.args)
            low, *_, high = sorted((a * c, a * d, b * c, b * d))
        else:
            return None
        return (low, high) if -(1 << width - 1) <= low and high < 1 << width - 1 else None

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition holds or fails, as far as this tells."""
        if isinstance(condition, bool):
            return condition
        if condition.uid in self.holding or _in_any_order(condition) in self.holding:
            return True
        negated = t.lnot(condition)
        if isinstance(negated, Term) and (negated.uid in self.holding or _in_any_order(negated) in self.holding):
            return False
        match condition.op:
            case "ult" | "slt" | "ule" | "sle":
                reach = self.reach if condition.op[0] == "u" else self.signed_reach
                a, b = (reach(condition.data, each) for each in condition.args)
                found = _before(a, b) if condition.op in ("ult", "slt") else _not(_before(b, a))
                return self.comparisons.decided(condition) if found is None else found
            case "eq" if isinstance(condition.args[1], int):
                bounds = self.bounds.get(condition.args[0].uid)
                if bounds is None:
                    return None
                if not bounds[0] <= condition.args[1] <= bounds[1]:
                    return False
                return True if bounds[0] == bounds[1] else None
            case "lnot":
                return _not(self.decided(condition.args[0]))
            case "land" | "lor":
                unit = condition.op == "land"
                answers = [self.decided(each) for each in condition.args]
                if any(answer is (not unit) for answer in answers):
                    return not unit
                return unit if all(answer is unit for answer in answers) else None
        return None


def _in_any_order(condition: Term) -> int:
    """What stands for a condition or, that bytes are all zero, for that of the same bytes in another order."""
    equal = condition.args[0] if condition.op == "lnot" else condition
    if equal.op != "eq" or equal.args[1] != 0 or equal.args[0].op != "concat":
        return condition.uid
    bytes_ = equal.args[0]
    parts = sorted(zip(bytes_.data, bytes_.args, strict=True), key=lambda part: getattr(part[1], "uid", -1))
    ordered = t.eq(bytes_.width, t.concat(parts), 0)
    ordered = t.lnot(ordered) if equal is not condition else ordered
    return ordered.uid if isinstance(ordered, Term) else condition.uid


def _not(found: bool | None) -> bool | None:
    return None if found is None else not found


def _before(a: tuple[int, int], b: tuple[int, int]) -> bool | None:
    """Whether a number between the bounds ``a`` is less than any between ``b``."""
    return True if a[1] < b[0] else False if a[0] >= b[1] else None
