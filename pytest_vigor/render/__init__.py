"""Verdicts as text: what failed, from which state, on which packet, and what the native binary did."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_vigor.assumption import ASSUMPTIONS
from pytest_vigor.counterexample import Counterexample
from pytest_vigor.render.text import paragraph
from pytest_vigor.verdict import Refuted, Unknown, Vacuous, Verdict

# "RFC 3022 §2.2: only sessions opened from inside get translated."
_CITED = re.compile(
    r"(?P<cited>(?:RFC|IEEE|ISO|IEC|ITU|ETSI|ANSI|draft-)[^:]*|[^:]*(?:§|section \d)[^:]*): +(?P<claim>.+)"
)


def claim_of(name: str, docstring: str | None) -> str:
    """The claim of a property: its docstring's first paragraph, else its name."""
    first = (docstring or "").strip().split("\n\n")[0]
    return " ".join(first.split()) or name.removeprefix("test_").replace("_", " ")


def failure(claim: str, verdict: Verdict, verbosity: int = 0) -> str:
    """The report of a property that was not proved."""
    match verdict:
        case Vacuous(reason, remedy):
            lines = _fails(f"It claims nothing, so it fails: {reason}.", remedy)
        case Unknown(reason, remedy):
            said = paragraph(f"Reason: {reason.rstrip('.')}.")
            lines = _fails("Neither proved nor refuted, so it fails.", remedy, ["", *said])
        case Refuted(_, Counterexample() as example):
            from pytest_vigor.render.refutation import refutation  # only what fails has to wait for it

            lines = refutation(example, verbosity)
        case _:
            lines = []
    return "\n".join([*_heading(type(verdict).__name__.upper(), claim), "", *lines]).rstrip()


def citation(claim: str) -> tuple[str, str]:
    """What a claim cites, "" if nothing, and what it says."""
    found = _CITED.fullmatch(claim)
    return (found["cited"], found["claim"]) if found else ("", claim)


def _heading(verdict: str, claim: str) -> list[str]:
    cited, said = citation(claim)
    indent = " " * (len(verdict) + 2)
    lines = paragraph(f"{verdict}: {said}", "", indent)
    return [*lines, *paragraph(f"({cited})", indent)] if cited else lines


def _fails(why: str, remedy: str, reason: Sequence[str] = ()) -> list[str]:
    lines = [*paragraph(why), *reason]
    return [*lines, "", *paragraph(f"What would help: {remedy.rstrip('.')}.")] if remedy else lines


def summary_line(name: str, records: Sequence[Mapping[str, Any]]) -> str:
    """What became of one network function."""
    proved = sum(record["verdict"] == "Proved" for record in records)
    first = records[0]
    seconds = first["explore_seconds"] + sum(record["seconds"] for record in records)
    properties = "1 property" if len(records) == 1 else f"{len(records)} properties"
    return (
        f"{name}: {first['paths']} paths, {first['obligations']} obligations, "
        f"{proved} of {properties} proved, {seconds:.1f} s{' (cached)' if first['cached'] else ''}{_loud(records)}"
    )


def fuzzed_lines(name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What fuzzing one network function came to."""
    examples, reached = (sum(record[what] for record in records) for what in ("examples", "reached"))
    refuted = sum(record["verdict"] == "Refuted" for record in records)
    properties = "1 property" if len(records) == 1 else f"{len(records)} properties"
    yield (
        f"{name}: fuzzed: {examples:,} examples, {reached:,} reached an assert, {refuted} of {properties} refuted, "
        f"{sum(record['seconds'] for record in records):.1f} s{_loud(records)}"
    )
    idle = [record["property"] for record in records if record["verdict"] == "Fuzzed" and not record["reached"]]
    if idle:
        yield from paragraph(f"passed, but no example got to an assert of: {', '.join(idle)}", "  ", "    ")


def replayed_lines(name: str, records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What replaying on one network function came to."""
    refuted = [record["property"] for record in records if record["verdict"] == "Refuted"]
    first = records[0]
    fine = "FIXED" if first["is_trace"] else "HOLDS"
    said = f"{'STILL FAILS' if first['is_trace'] else 'FAILS'}: {', '.join(refuted)}" if refuted else fine
    yield from paragraph(f"{first['replayed']} on {name}: {said}{_loud(records)}", "", "  ")
    if any(record["rebuilt"] for record in records):
        yield f"  it was saved for another build of {name}"


def _loud(records: Sequence[Mapping[str, Any]]) -> str:
    count = sum(record["verdict"] == "Refuted" and not record.get("confirmed", True) for record in records)
    return f"\n  !! {count} NOT CONFIRMED by the native binary: see above" if count else ""


def summary_details(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the proofs about one network function rest on, besides the binary."""
    for text in records[0]["invariants"]:
        yield from paragraph(f"between steps: {text}", "  ", "    ")


def assumptions(names: Sequence[str], verbosity: int) -> Iterator[str]:
    """What all proofs of a session take for granted."""
    if verbosity < 2:
        yield from paragraph(f"assuming (docs/assumptions.md): {', '.join(names)}", "", "  ")
        return
    yield "assuming (docs/assumptions.md):"
    for each in ASSUMPTIONS:
        if each.name in names:
            yield from paragraph(f"{each.name}: {each.text}", "  ", "    ")
