"""What goes with a refutation for people to read: source lines of the NF and of the property, and what calls mean."""

from __future__ import annotations

import ast
import linecache
import os.path
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vigor.behaviour import addresses
from pytest_vigor.build import libvig_root
from pytest_vigor.contract import TRUTH, Borrowed, Contracts, Key, Loan, Out
from pytest_vigor.counterexample import Obligation, Place, Signature
from pytest_vigor.layout import IMAGE_BASE
from pytest_vigor.lines import Line, Lines, source
from pytest_vigor.property.asserts import place_in_property
from pytest_vigor.trace import Run

if TYPE_CHECKING:
    from pytest_vigor.subject import Model


_PUNCTUATION = frozenset("{}();, ")
_DECLARES = re.compile(r"(?!return\b|goto\b)\w+(\s+\**\w+)+(\[\w*\])?;")  # without a value: nothing happens there


def shown(path: str) -> str:
    """A path as pytest shows it: from the current folder, if it lies there."""
    if Path(path).is_relative_to(libvig_root()):
        return str("libvig" / Path(path).relative_to(libvig_root()))
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


# ---- the NF


def _place(line: Line) -> Place:
    return Place(shown(line.file), line.line, line.function, source(line))


def passed(lines: Lines, model: Model, block_bytes: Callable[[int], int]) -> tuple[Place, ...]:
    """The C lines that a model's paths go through, up to what they break. Each once: functions in the order in which
    they are entered, lines in the order of the source."""
    found: dict[tuple[str, str], dict[int, Place]] = {}
    for line in _lines(lines, model, block_bytes):
        place = _place(line)
        heading = line.heading and not place.text.endswith((";", "}"))
        if not (heading or _PUNCTUATION.issuperset(place.text) or _DECLARES.fullmatch(place.text)):
            found.setdefault((place.file, place.function), {})[place.line] = place
    return tuple(place for group in found.values() for _, place in sorted(group.items()))


def _lines(lines: Lines, model: Model, block_bytes: Callable[[int], int]) -> Iterator[Line]:
    for instance in model.steps:
        extents = [(start, start + block_bytes(start)) for start in addresses(instance.blocks, model.answer.value)]
        stop = -1 if model.broken is None else model.broken.where
        last = max((k for k, (start, end) in enumerate(extents) if start <= stop < end), default=len(extents))
        for start, end in extents[:last]:
            yield from lines.statements(start, end)
        if last < len(extents):
            yield from lines.statements(extents[last][0], stop + 1)


def _says_nothing(line: Line) -> bool:
    return _PUNCTUATION.issuperset(_place(line).text)


def obligation(lines: Lines, model: Model, block_bytes: Callable[[int], int]) -> Obligation | None:
    """What a model breaks, if it is not an assert."""
    owed = model.broken
    if owed is None:
        return None
    line = lines.at(owed.where)
    if line is None or _says_nothing(line):
        # In the stub through which a library function is called, or at the end of a function, where paths meet.
        own = (each for each in _lines(lines, model, block_bytes) if not Path(each.file).is_relative_to(libvig_root()))
        *_, line = [line, *(each for each in own if not _says_nothing(each))]
    return Obligation(owed.kind, owed.detail, None if line is None else _place(line))


def fault(lines: Lines, run: Run) -> Place | None:
    """The C line at which the native process was stopped."""
    found = run.last.fault
    if found is None or found.code_offset is None:
        return None
    line = lines.at(IMAGE_BASE + found.code_offset)
    return None if line is None else _place(line)


def signatures(contracts: Contracts, run: Run) -> dict[str, Signature]:
    """What the arguments and results of the calls of a run mean."""
    out = {}
    for name in sorted({call.function for result in (run.init, *run.steps) for call in result.calls}):
        contract = contracts.get(name)
        if contract is None:
            continue
        kinds = contract.parameters.items()
        keys = {parameter: str(kind.of) for parameter, kind in kinds if isinstance(kind, Key | Out) and kind.of}
        records = {parameter: kind.of for parameter, kind in kinds if isinstance(kind, Loan)}
        if isinstance(contract.returns, Borrowed):
            records["result"] = contract.returns.of
        out[name] = Signature(keys, records, contract.returns == TRUTH)
    return out


# ---- the property


def failed_assert(error: BaseException | None) -> Place | None:
    """Where an assert of a property failed: in the property, or in a function that it calls."""
    found = None if error is None else place_in_property(error)
    if found is None:
        return None
    file, line, function = found
    start, text = _statement(file, line)
    return Place(shown(file), start, function, text)


def _statement(file: str, line: int) -> tuple[int, str]:
    """Where the statement that a line is part of starts, and all of it, if it is an assert."""
    text = linecache.getlines(file)
    try:
        tree = ast.parse("".join(text))
    except SyntaxError:
        return line, linecache.getline(file, line).strip()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or line):
            return node.lineno, textwrap.dedent("".join(text[node.lineno - 1 : node.end_lineno])).rstrip()
    return line, linecache.getline(file, line).strip()
