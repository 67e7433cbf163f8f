"""The paths of an entry point as a tree, laid out like an outline: what comes later lies below and to the right."""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_vigor.report.schema import EntryPoint, Event, Path

WIDTH = 900  #: of the picture, in its own units
INDENT, GAP, LINE, PADDING = 20, 6, 16, 6
LETTER = 6.65  #: the width of one, in a monospaced font of eleven units
LINES = 4  #: of one text
DEEPEST = 22  #: forks that are still indented
PATHS = 500  #: more are not drawn


@dataclass(slots=True)
class Text:
    """A line in a box. ``kind`` is that of its event, or "outcome"; ``full`` is all of a text that was cut."""

    kind: str
    text: str
    y: float
    full: str = ""


@dataclass(slots=True)
class Box:
    """What happens between two forks, or how a path ends: then ``path`` is its place, and ``outcome`` how."""

    x: float
    y: float
    texts: list[Text]
    place: str = ""
    path: int | None = None
    outcome: str = ""
    note: str = ""

    @property
    def width(self) -> float:
        return WIDTH - self.x - 1

    @property
    def height(self) -> float:
        return LINE * len(self.texts) + 2 * PADDING


@dataclass(slots=True)
class Picture:
    """Boxes, the lines between them as SVG paths, and how many paths are left out."""

    width: int = WIDTH
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    left_out: int = 0


@dataclass(slots=True)
class _Fork:
    """Events up to a fork, and what comes after it."""

    events: deque[Event]
    below: list[_Fork]
    paths: list[int]


def picture(entry: EntryPoint) -> Picture:
    """The tree of an entry point."""
    out = Picture(left_out=max(0, len(entry.paths) - PATHS))
    y = 1.0
    work: list[tuple[_Fork, int, tuple[float, float] | None]] = [
        (fork, 0, None) for fork in reversed(_forks(entry, entry.paths[:PATHS]))
    ]
    while work:
        fork, depth, parent = work.pop()
        x = 1.0 + INDENT * min(depth, DEEPEST)
        start = parent
        if fork.events:
            box = _events(fork.events, x, y)
            y = _place(out, box, parent)
            start, depth = (x + INDENT / 2, box.y + box.height), depth + 1
        for path in fork.paths:
            box = _ending(path, entry.paths[path], 1.0 + INDENT * min(depth, DEEPEST), y)
            y = _place(out, box, start)
        work += [(each, depth, start) for each in reversed(fork.below)]
    out.height = y
    return out


def _forks(entry: EntryPoint, paths: Sequence[Path]) -> list[_Fork]:
    below: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    wanted: set[int] = set()
    for number, path in enumerate(paths):
        ends.setdefault(path.last, []).append(number)
        at = path.last
        while at >= 0 and at not in wanted:
            wanted.add(at)
            at = entry.events[at].before
    for place in sorted(wanted):
        below.setdefault(entry.events[place].before, []).append(place)

    forks: dict[int, _Fork] = {}
    for place in sorted(wanted, reverse=True):  # what comes later stands later in the list
        following = [forks.pop(each) for each in below.get(place, [])]
        if len(following) == 1 and place not in ends:
            following[0].events.appendleft(entry.events[place])
            forks[place] = following[0]
        else:
            forks[place] = _Fork(deque([entry.events[place]]), following, ends.get(place, []))
    return [*([_Fork(deque(), [], ends[-1])] if -1 in ends else []), *(forks[each] for each in below.get(-1, []))]


def _place(out: Picture, box: Box, parent: tuple[float, float] | None) -> float:
    out.boxes.append(box)
    if parent is not None:
        x, y = parent
        out.lines.append(f"M{x:g} {y:g}V{box.y + PADDING + LINE / 2:g}H{box.x:g}")
    return box.y + box.height + GAP


def _events(events: Iterable[Event], x: float, y: float) -> Box:
    place = next((each.place for each in events if each.place and each.kind == "condition"), None)
    where = f"{place.file.rpartition('/')[2]}:{place.line}" if place is not None else ""
    box = Box(x, y, [], where)
    owed = sum(each.kind == "obligation" for each in events)
    conditions, said = 0, set[str]()
    for each in events:
        if each.kind == "obligation":
            continue
        if each.kind == "condition" and each.text in said:
            continue  # the compiler asks again
        said.add(each.text)
        lead = ""
        if each.kind == "condition":
            lead = "and " if conditions else "if "
            conditions += 1
        _add(box, each.kind, lead + each.text, len(where) + 2 if not box.texts else 0)
    if owed:
        _add(box, "obligation", f"{owed} obligation{'s' if owed > 1 else ''}", len(where) + 2 if not box.texts else 0)
    return box


def _ending(number: int, path: Path, x: float, y: float) -> Box:
    kind = path.outcome.partition(" ")[0] if path.ending == "returned" else path.ending
    box = Box(x, y, [], path=number, outcome=kind, note="" if path.possible in (True, None) else "impossible")
    impossible = "" if box.note == "" else ": no state between steps leads here"
    _add(box, "outcome", f"{number + 1}  {path.outcome}{impossible}", 18)
    for text in path.sent if path.outcome != "dropped" else ():
        _add(box, "sent", text, 0)
    if path.reason:
        _add(box, "sent", path.reason, 0)
    return box


def _add(box: Box, kind: str, text: str, kept_free: int) -> None:
    lines = list(_wrapped(text, int((box.width - 2 * PADDING) / LETTER), kept_free))
    full = ""
    if len(lines) > LINES:
        lines, full = [*lines[: LINES - 1], lines[LINES - 1][:-2] + " …"], text
    for each in lines:
        box.texts.append(Text(kind, each, PADDING + LINE * len(box.texts) + 12, full))


def _wrapped(text: str, columns: int, kept_free: int) -> Iterator[str]:
    first, *rest = textwrap.wrap(text, columns - kept_free, break_on_hyphens=False) or [""]
    yield first
    if rest:
        indented = textwrap.wrap(" ".join(rest), columns - 4, break_on_hyphens=False)
        yield from ("    " + line for line in indented)
