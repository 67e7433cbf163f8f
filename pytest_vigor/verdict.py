"""What can be said about a property: Proved, Refuted, Vacuous, Unknown with a reason; or only Fuzzed or Replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Proved:
    """The claim holds on every path, in every state, for every input. Made by ``judge`` only; ``proofs`` keeps it."""

    paths: int  #: over which it was judged
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """No example of those that were tried fails, which proves nothing. ``reached`` counts those that got to an
    assert."""

    examples: int
    reached: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """On the packets that were replayed, the claim holds."""

    steps: int


@dataclass(frozen=True, slots=True)
class Refuted:
    """The claim fails for the inputs and the state of a model. ``counterexample`` is what shows it."""

    claim: str
    counterexample: Any


@dataclass(frozen=True, slots=True)
class Vacuous:
    """No assert of the property is ever reached: it claims nothing. ``remedy`` is what would help."""

    reason: str
    remedy: str = (
        "see whether its assumptions contradict each other, or leave out all that this network function ever does; "
        "weaken them until a case is left. An assert in a loop over nothing is not reached, either"
    )


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is shown. ``reason`` says what stood in the way and ``remedy`` what would help; ``where`` is the address
    in the binary that it is about, if any."""

    reason: str
    remedy: str = ""
    where: int = 0


Verdict = Proved | Fuzzed | Replayed | Refuted | Vacuous | Unknown
