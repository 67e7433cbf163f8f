"""Text for a terminal of 80 columns: sections, paragraphs and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 80
INDENT = "  "
CHANGED = "<-"
LABEL = 30


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. `after` is None where there is only one value to show."""

    label: str
    before: str
    after: str | None = None
    #: Lines under a changed entry say by themselves what changed.
    marked: bool = True

    @property
    def changed(self) -> bool:
        return self.after is not None and self.after != self.before


def paragraph(text: str, indent: str = "", hanging: str | None = None) -> list[str]:
    """Running text, wrapped. Words longer than a line stay whole: they are paths or addresses to be copied."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False, break_on_hyphens=False,
    ) or [indent.rstrip()]  # fmt: skip


def section(title: str, lines: Iterable[str]) -> list[str]:
    """A title with lines below it; nothing without lines."""
    found = [line.rstrip() for line in lines]
    return [title, *found, ""] if found else []


def table(title: str, headings: tuple[str, str], rows: Sequence[Row]) -> list[str]:
    """Labels with one or two values. Where two do not fit side by side, they go below their label."""
    if not rows:
        return []
    two = any(row.after is not None for row in rows)
    before = max([len(headings[0]) if two else 0, *(len(row.before) for row in rows)])
    after = max([len(headings[1]) if two else 0, *(len(row.after or "") for row in rows)])
    room = WIDTH - len(INDENT) - 2 - before - (2 + after + 1 + len(CHANGED) if two else 0)
    longest = max([len(title) - len(INDENT), *(len(row.label) for row in rows)])
    if room < min(longest, LABEL):
        return [title, *_stacked(headings, rows), ""]
    width = max([len(title) - len(INDENT), *(len(row.label) for row in rows if len(row.label) <= room)])
    lines = [
        f"{title:{width + len(INDENT)}}  {headings[0]:{before}}  {headings[1]}" if two or not headings[1] else title
    ]
    for row in rows:
        label = row.label
        if len(label) > width:
            lines += paragraph(label, INDENT, INDENT * 3)
            label = ""
        line = f"{INDENT}{label:{width}}  {row.before:{before}}"
        if row.after is not None:
            line += f"  {row.after:{after}}" + (f" {CHANGED}" if row.changed and row.marked else "")
        lines.append(line)
    return [*(line.rstrip() for line in lines), ""]


def _stacked(headings: tuple[str, str], rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        one = row.after is None or not row.changed
        whole = f"{INDENT}{row.label}  {row.before}"
        if one and len(whole) <= WIDTH:
            lines.append(whole)
            continue
        lines += paragraph(row.label, INDENT, INDENT * 3)
        values = [("", row.before)] if one else [(headings[0], row.before), (headings[1], str(row.after))]
        width = max(len(name) for name, _ in values)
        for number, (name, value) in enumerate(values):
            mark = f" {CHANGED}" if row.marked and number else ""
            start = f"{INDENT * 2}{name:{width}}  " if name else INDENT * 2
            lines += paragraph(value + mark, start, " " * len(start))
    return lines
