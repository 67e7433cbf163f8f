"""Terms of which the solver is told less than there is to them."""

from __future__ import annotations

from typing import Any

from pytest_vigor.term import Term
from pytest_vigor.translation import Translator


class Cuts(Translator):
    """A translator to which some terms are unknown functions of what they depend on, such as a hash of its key. Each
    of a name must be the same function: what holds for any function holds for that one."""

    def __init__(self) -> None:
        super().__init__(abstract=True)
        self.cuts: dict[int, tuple[str, Term]] = {}

    def anew(self) -> Cuts:
        """Another one to which the same terms are unknown functions."""
        other = Cuts()
        other.cuts = self.cuts
        return other

    def _translate(self, term: Term) -> Any:
        found = self.cuts.get(term.uid)
        if found is None:
            return super()._translate(term)
        name, argument = found
        return self._apply(name, (argument.width,), term.width, [self(argument)])
