"""From an address in a binary to the C source line it was compiled from, if there is debug information."""

from __future__ import annotations

import linecache
import os.path
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_vigor.layout import IMAGE_BASE


@dataclass(frozen=True, slots=True)
class Line:
    """A line of C source. `function` is the one written there, "" if unknown, even where it was inlined; `heading`
    is whether it is where that function is declared."""

    file: str
    line: int
    function: str
    heading: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the line table. Line 0 starts what came from no line."""

    offset: int
    file: str
    line: int
    statement: bool


def source(line: Line) -> str:
    """The text of the line, or "" if its file is not there."""
    return linecache.getline(line.file, line.line).strip()


class Lines:
    """The line table of a binary, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def at(self, address: int) -> Line | None:
        """The source line of an instruction of the loaded binary; None without debug information."""
        place = self._before(address)
        return self._line(self._rows[place]) if place >= 0 else None

    def statements(self, start: int, end: int) -> Iterator[Line]:
        """The source lines of a basic block: those that the compiler says start there, and that of its last
        instruction. What else it has lines for is mostly moved there from elsewhere."""
        first, last = self._before(start - 1) + 1, self._before(end - 1)
        for place in range(first, last + 1):
            row = self._rows[place]
            if row.statement or place == last:
                line = self._line(row)
                if line is not None:
                    yield line
        if last < first and (line := self.at(start)) is not None:
            yield line

    def _before(self, address: int) -> int:
        """The place of the last row that starts at an address or before it."""
        return bisect_right(self._rows, address - IMAGE_BASE, key=_offset) - 1

    def _line(self, row: _Row) -> Line | None:
        if not row.line:
            return None
        starts = self._functions.get(row.file, ())
        place = bisect_right(starts, row.line, key=_declared) - 1
        declared, name = starts[place] if place >= 0 else (0, "")
        return Line(row.file, row.line, name, row.line == declared)

    @cached_property
    def _rows(self) -> list[_Row]:
        return self._tables[0]

    @cached_property
    def _functions(self) -> dict[str, list[tuple[int, str]]]:
        """By file, the lines on which functions are declared that are defined there."""
        return self._tables[1]

    @cached_property
    def _tables(self) -> tuple[list[_Row], dict[str, list[tuple[int, str]]]]:
        from elftools.common.exceptions import DWARFError, ELFError
        from elftools.construct import ConstructError
        from elftools.elf.elffile import ELFFile

        rows: list[_Row] = []
        functions: dict[str, set[tuple[int, str]]] = {}
        try:
            with self.path.open("rb") as stream:
                elf = ELFFile(stream)
                if not elf.has_dwarf_info() or elf.get_section_by_name(".debug_line") is None:
                    return [], {}
                dwarf = elf.get_dwarf_info()
                for unit in dwarf.iter_CUs():
                    program = dwarf.line_program_for_CU(unit)
                    if program is not None:
                        files = _file_names(program, unit)
                        rows += _unit_rows(program, files)
                        for file, line, name in _unit_functions(unit, files):
                            functions.setdefault(file, set()).add((line, name))
        except (DWARFError, ELFError, ConstructError, OSError):
            # Lines only decorate a report; the verdict must not depend on debug information that cannot be read.
            return [], {}
        # Sorted by address alone: of several rows for one address the compiler's last one holds.
        return sorted(rows, key=_offset), {file: sorted(found) for file, found in functions.items()}


def _offset(row: _Row) -> int:
    return row.offset


def _declared(function: tuple[int, str]) -> int:
    return function[0]


def _unit_rows(program: Any, files: dict[int, str]) -> Iterator[_Row]:
    pending: list[_Row] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        line = 0 if state.end_sequence else state.line
        pending.append(_Row(state.address, files.get(state.file, ""), line, bool(state.is_stmt)))
        if state.end_sequence:
            # Functions that the linker threw away stay in the table at address 0.
            if pending[0].offset != 0:
                yield from pending
            pending = []


def _file_names(program: Any, unit: Any) -> dict[int, str]:
    attributes = unit.get_top_DIE().attributes
    home = _text(attributes["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in attributes else ""
    folders = [os.path.join(home, _text(folder)) for folder in program["include_directory"]]
    first = 0
    if program["version"] < 5:
        folders, first = [home, *folders], 1
    names = {}
    for number, entry in enumerate(program["file_entry"], first):
        folder = folders[entry.dir_index] if entry.dir_index < len(folders) else home
        names[number] = os.path.normpath(os.path.join(folder, _text(entry.name)))
    return names


def _unit_functions(unit: Any, files: dict[int, str]) -> Iterator[tuple[str, int, str]]:
    """File, line and name of each function that is defined, whether or not it is inlined wherever it is called."""
    for die in unit.iter_DIEs():
        found = die.attributes
        if die.tag == "DW_TAG_subprogram" and "DW_AT_declaration" not in found and "DW_AT_decl_line" in found:
            file = files.get(found["DW_AT_decl_file"].value, "")
            yield file, found["DW_AT_decl_line"].value, _text(found["DW_AT_name"].value)


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
