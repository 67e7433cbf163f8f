"""What a report says. ``report.json`` has this form; ``docs/report.schema.json`` is the same as a JSON schema.

Texts about paths are for reading: conditions and values as ``terms`` writes them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT = 1  #: grows when a reader of earlier reports would be misled


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Some facts."""


class Place(Record, frozen=True, kw_only=True):
    """A line of source, with its text."""

    file: str
    line: int
    text: str = ""


class Event(Record, frozen=True, kw_only=True):
    """Something on the way of a path. Paths share their beginnings: ``before`` is the place in the list of events of
    what came before, -1 where nothing did. An obligation holds on every execution, or is broken."""

    kind: Literal["condition", "call", "obligation"]
    text: str
    before: int
    place: Place | None = None


class Path(Record, frozen=True, kw_only=True):
    """A straight line through a call of an entry point. ``last`` is the place of its last event, -1 without any.

    ``possible`` is false where no state between steps leads along it, and null where that was not asked. ``sent`` says
    what of the packet was written, whatever became of it then.
    """

    last: int
    ending: Literal["returned", "failed", "stuck"]
    outcome: str
    possible: bool | None = None
    sent: list[str] = []
    reason: str = ""
    place: Place | None = None


class EntryPoint(Record, frozen=True, kw_only=True):
    """All paths of a function through which an NF is called."""

    name: str
    events: list[Event]
    paths: list[Path]


class Block(Record, frozen=True, kw_only=True):
    """A basic block of the binary; ``offset`` is where in the file's image it starts."""

    offset: int
    size_bytes: int
    lines: list[Place]


class Coverage(Record, frozen=True, kw_only=True):
    """Which basic blocks of the entry points some path reaches. Blocks that start at different places can overlap."""

    blocks: int
    unreached: list[Block]


class Structure(Record, frozen=True, kw_only=True):
    """A data structure of the NF."""

    name: str
    kind: str
    parameters: dict[str, str]


class NetworkFunction(Record, frozen=True, kw_only=True):
    """A binary, explored."""

    name: str
    binary: str
    digest: str
    explore_seconds: float
    cached: bool  #: nothing was explored, as it had been before
    queries: int
    obligations: int
    broken: list[str]  #: obligations that are not shown to hold
    invariants: list[str]
    structures: list[Structure]
    entries: list[EntryPoint]
    coverage: Coverage | None


class Property(Record, frozen=True, kw_only=True):
    """A property of one network function, and what became of it. ``text`` is the report of a property that was not
    proved. ``counterexample`` is one as `counterexample.Counterexample.to_json` gives it. ``looked_at`` are the places
    of the paths of nf_process that its assumptions do not leave out; those after a refutation are not looked at."""

    id: str
    name: str
    nf: str
    claim: str
    citation: str = ""
    verdict: Literal["Proved", "Refuted", "Vacuous", "Unknown", "Error"]
    confirmed: bool | None = None  #: by the native binary
    seconds: float = 0.0
    cached: bool = False
    text: str = ""
    counterexample: dict[str, Any] | None = None
    looked_at: list[int] = []


class Assumption(Record, frozen=True, kw_only=True):
    """Something that is taken for granted."""

    name: str
    text: str


class Bound(Record, frozen=True, kw_only=True):
    """A limit on what was done."""

    name: str
    value: str
    text: str


class Report(Record, frozen=True, kw_only=True):
    """A session."""

    format: int
    created: str  #: ISO 8601, UTC
    seconds: float
    complete: bool  #: every test that was collected was run
    collected: int
    ran: int
    network_functions: list[NetworkFunction]
    properties: list[Property]
    assumptions: list[Assumption]
    bounds: list[Bound]
    versions: dict[str, str]


class Told(Record, frozen=True, kw_only=True):
    """What goes with the report of one property, from the process that judged it."""

    property: Property
    network_function: NetworkFunction | None = None


def schema() -> dict[str, Any]:
    """The JSON schema of a report."""
    return msgspec.json.schema(Report)
