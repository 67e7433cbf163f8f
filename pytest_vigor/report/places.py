"""Lines of source, for a report."""

from __future__ import annotations

from pytest_vigor.evidence import shown
from pytest_vigor.lines import Line, Lines, source
from pytest_vigor.report.schema import Place


def place_of(line: Line) -> Place:
    """A line with its text."""
    return Place(file=shown(line.file), line=line.line, text=source(line))


def place_at(lines: Lines, address: int) -> Place | None:
    """The line of an instruction, if there is debug information."""
    line = lines.at(address) if address else None
    return None if line is None else place_of(line)
