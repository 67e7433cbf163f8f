"""A refutation as people get it: the situation, what the native binary did there, and which claim fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pytest_vigor.headers import Header
from pytest_vigor.trace import Run, Situation


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a source file, and its text there; `function` is "" where that is not known."""

    file: str
    line: int
    function: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" in {self.function}" if self.function else "")


@dataclass(frozen=True, slots=True)
class Obligation:
    """What a binary owes on every execution, and the C line that owes it, if there is debug information."""

    kind: str  #: such as "memory"
    detail: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What the numbers of a library call mean: `keys` and `records` give, for parameters (or "result"), the parameter
    that is the structure to which they belong; `truth` is whether the result is true or false."""

    keys: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, str] = field(default_factory=dict)
    truth: bool = False


class Reach(Enum):
    """Whether packets lead to the state that a counterexample starts from."""

    UNKNOWN = "unknown"  #: nobody has looked
    FOUND = "found"  #: its steps are all of them, from the state that nf_init leaves
    NOT_FOUND = "not found"  #: not within the budget


@dataclass(frozen=True, slots=True)
class Counterexample:
    """``confirmed`` is whether the native binary, run from that situation, breaks the claim too; ``message`` is how:
    the failed assert with its plain values, or what became of the process.

    ``location`` is the failed assert, ``lines`` the C lines that the path went through, ``fault`` the C line at which
    the native process was stopped. ``number`` is the step that the claim is about: those before it lead to its state.
    """

    header: Header
    situation: Situation
    run: Run
    message: str
    confirmed: bool
    entry: str
    obligation: Obligation | None = None
    location: Place | None = None
    lines: tuple[Place, ...] = ()
    fault: Place | None = None
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    number: int = 0
    reach: Reach = Reach.UNKNOWN
    any_fields: tuple[str, ...] = ()  #: fields of the packet of that step that may have other values as well

    def to_json(self) -> dict[str, Any]:
        """The counterexample as plain dicts and lists."""
        return {
            "header": self.header.to_json(),
            "situation": self.situation.to_json(),
            "run": self.run.to_json(),
            "message": self.message,
            "confirmed": self.confirmed,
            "entry": self.entry,
            "obligation": None if self.obligation is None else {
                "kind": self.obligation.kind,
                "detail": self.obligation.detail,
                "place": _place_to_json(self.obligation.place),
            },
            "location": _place_to_json(self.location),
            "lines": [_place_to_json(each) for each in self.lines],
            "fault": _place_to_json(self.fault),
            "signatures": {
                name: {"keys": dict(each.keys), "records": dict(each.records), "truth": each.truth}
                for name, each in self.signatures.items()
            },
            "number": self.number,
            "reach": self.reach.value,
            "any_fields": list(self.any_fields),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Counterexample:
        """The inverse of to_json."""
        owed = data["obligation"]
        return cls(
            header=Header.from_json(data["header"]),
            situation=Situation.from_json(data["situation"]),
            run=Run.from_json(data["run"]),
            message=data["message"],
            confirmed=data["confirmed"],
            entry=data["entry"],
            obligation=Obligation(owed["kind"], owed["detail"], _place(owed["place"])) if owed else None,
            location=_place(data["location"]),
            lines=tuple(Place(**each) for each in data["lines"]),
            fault=_place(data["fault"]),
            signatures={name: Signature(**each) for name, each in data["signatures"].items()},
            number=data.get("number", 0),
            reach=Reach(data.get("reach", Reach.UNKNOWN.value)),
            any_fields=tuple(data.get("any_fields", ())),
        )


def _place_to_json(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"file": place.file, "line": place.line, "function": place.function, "text": place.text}


def _place(data: dict[str, Any] | None) -> Place | None:
    return None if data is None else Place(**data)
