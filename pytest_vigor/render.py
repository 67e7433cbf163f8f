"""Verdicts as text: what failed, from which state, on which packet, and what the native binary did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_vigor.counterexample import Counterexample
from pytest_vigor.verdict import Refuted, Unknown, Vacuous, Verdict


def claim_of(name: str, docstring: str | None) -> str:
    """The claim of a property: its docstring's first paragraph, else its name."""
    first = (docstring or "").strip().split("\n\n")[0].replace("\n", " ")
    return first or name.removeprefix("test_").replace("_", " ")


def failure(claim: str, verdict: Verdict, verbosity: int = 0) -> str:
    """The report of a property that was not proved."""
    match verdict:
        case Vacuous(reason):
            return f"VACUOUS: {claim}\n\n{reason}\nWeaken its assumptions until a case is left."
        case Unknown(reason, remedy):
            text = f"UNKNOWN: {claim}\n\n{reason}"
            return f"{text}\nWhat would help: {remedy}" if remedy else text
        case Refuted(_, Counterexample() as example):
            return _refuted(claim, example)
    return f"{type(verdict).__name__}: {claim}"


def _refuted(claim: str, example: Counterexample) -> str:
    lines = [f"REFUTED: {claim}", ""]
    lines.append(example.message or "The native binary does not break the claim: report this.")
    lines.append(repr(example.situation))
    lines.append(repr(example.run))
    lines.extend(example.source_lines)
    return "\n".join(lines)


def summary_line(name: str, records: Sequence[Mapping[str, Any]]) -> str:
    """What became of one network function."""
    proved = sum(record["verdict"] == "Proved" for record in records)
    first = records[0]
    seconds = first["explore_seconds"] + sum(record["seconds"] for record in records)
    return (
        f"{name}: {first['paths']} paths, {first['obligations']} obligations, "
        f"{proved} of {len(records)} properties proved, {seconds:.1f} s{', cached' if first['cached'] else ''}"
    )
