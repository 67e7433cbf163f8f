"""A report as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_vigor.report.picture import Picture, picture
from pytest_vigor.report.schema import EntryPoint, NetworkFunction, Property, Report

FOLDER = Path(__file__).parent
VERDICTS = ("Refuted", "Error", "Unknown", "Vacuous", "Proved")  #: what needs attention first
ORDER = ("Proved", "Refuted", "Unknown", "Vacuous", "Error")  #: of columns
MARKS = {"Proved": "✓", "Refuted": "✗", "Vacuous": "∅", "Unknown": "?", "Error": "!"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """An entry point with its tree, and for each path the names of the properties that looked at it."""

    entry: EntryPoint
    picture: Picture
    lookers: list[list[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """What is shown of a network function; of one that could not be looked at, only its properties are known."""

    name: str
    found: NetworkFunction | None
    properties: list[Property]
    tally: dict[str, int]
    drawn: list[Drawn] = field(default_factory=list)

    @property
    def failures(self) -> list[Property]:
        return [each for each in self.properties if each.verdict != "Proved"]

    @property
    def seconds(self) -> float:
        explored = self.found.explore_seconds if self.found is not None else 0.0
        return explored + sum(each.seconds for each in self.properties)


def page(report: Report) -> str:
    """The page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["include_raw"] = lambda name: Markup((FOLDER / name).read_text())
    environment.filters["base"] = base
    sections = _sections(report)
    columns, shared = _shared(report.properties)
    return environment.get_template("page.html").render(
        report=report, sections=sections, tally=_tally(report.properties), order=ORDER, marks=MARKS,
        columns=columns, shared=shared,
        unconfirmed=[each for each in report.properties if each.confirmed is False],
        looked={s.name: {each.name: each.looked_at for each in s.properties} for s in sections},
    )  # fmt: skip


def base(name: str) -> str:
    """The name of a test function, without what it is parametrized with."""
    return name.partition("[")[0]


def _tally(properties: Iterable[Property]) -> dict[str, int]:
    counts = Counter(each.verdict for each in properties)
    return {name: counts[name] for name in VERDICTS}  # type: ignore[index]


def _sections(report: Report) -> list[Section]:
    found = {each.name: each for each in report.network_functions}
    out = []
    for name in sorted({*found, *(each.nf for each in report.properties)}):
        properties = [each for each in report.properties if each.nf == name]
        properties.sort(key=lambda each: (VERDICTS.index(each.verdict), each.id))
        nf = found.get(name)
        drawn = [_drawn(entry, properties) for entry in nf.entries] if nf is not None else []
        out.append(Section(name, nf, properties, _tally(properties), drawn))
    return out


def _drawn(entry: EntryPoint, properties: list[Property]) -> Drawn:
    lookers: list[list[str]] = [[] for _ in entry.paths]
    for each in properties if entry.name == "nf_process" else ():
        for path in each.looked_at:
            lookers[path].append(each.name)
    return Drawn(entry, picture(entry), lookers)


def _shared(properties: list[Property]) -> tuple[list[str], dict[str, dict[str, Property]]]:
    """The network functions, and those properties that are claimed of several, by network function."""
    by_claim: dict[str, dict[str, Property]] = {}
    for each in properties:
        by_claim.setdefault(base(each.id), {})[each.nf] = each
    shared = {claim: found for claim, found in by_claim.items() if len(found) > 1}
    return sorted({name for found in shared.values() for name in found}), shared
