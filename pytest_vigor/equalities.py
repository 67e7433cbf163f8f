"""What is equal on a path, put into effect: leaves of which another form is known are replaced by it.

A solver finds two keys of many bytes equal only bit by bit. Where a run says outright which bytes are equal, the keys
become one term, and most of what is asked about them is answered by how terms are made.
"""

from __future__ import annotations

from typing import Any

from pytest_vigor import term as t
from pytest_vigor.known import Known
from pytest_vigor.term import Bool, Term

ROUNDS = 4  #: of rewriting, after which a further equality is not worth the time
LEAVES = frozenset({"var", "app"})


class Equalities:
    """Replacements that follow from conditions: each is a consequence of what was learnt, so a condition and its
    rewritten form have the same truth wherever that holds."""

    __slots__ = ("_memo", "_of")

    def __init__(self) -> None:
        self._of: dict[int, Any] = {}  #: by leaf; no replacement mentions a replaced leaf
        self._memo: dict[int, Any] = {}

    def copy(self) -> Equalities:
        other = Equalities()
        other._of, other._memo = dict(self._of), dict(self._memo)
        return other

    def __call__(self, value: Any) -> Any:
        """The value, rewritten."""
        if self._of.keys().isdisjoint(t.leaf_uids(value)):
            return value
        return t.substitute(value, self._replace, self._memo)

    def _replace(self, leaf: Term) -> Any:
        return self._of.get(leaf.uid)

    def learn(self, condition: Bool) -> bool:
        """Takes a condition that holds, in rewritten form; whether it gave a replacement."""
        if isinstance(condition, bool):
            return False
        learnt = False
        for part in condition.args if condition.op == "land" else (condition,):
            part = self(part) if learnt else part
            if isinstance(part, Term):
                learnt |= self._learn(part)
        return learnt

    def _learn(self, part: Term) -> bool:
        if part.op in LEAVES:
            return self._put(part, True)
        if part.op == "lnot" and part.args[0].op in LEAVES:
            return self._put(part.args[0], False)
        if part.op not in ("eq", "iff"):
            return False
        a, b = part.args
        for leaf, other in ((a, b), (b, a)) if _newer(a, b) else ((b, a), (a, b)):
            if isinstance(leaf, Term) and leaf.op in LEAVES and leaf.uid not in t.leaf_uids(other):
                return self._put(leaf, other)
        return False

    def _put(self, leaf: Term, value: Any) -> bool:
        def replace(each: Term) -> Any:
            return value if each is leaf else None

        memo: dict[int, Any] = {}
        for uid, other in self._of.items():
            if leaf.uid in t.leaf_uids(other):
                self._of[uid] = t.substitute(other, replace, memo)
        self._of[leaf.uid] = value
        self._memo = {}
        return True


def _newer(a: Any, b: Any) -> bool:
    """Whether a term was made after another; a number comes before all terms."""
    return isinstance(a, Term) and not (isinstance(b, Term) and b.uid > a.uid)


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
