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
    """A line of C source. `function` is the innermost one written there, "" if unknown, even where it was inlined."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def source(line: Line) -> str:
    """The text of the line, or "" if its file is not there."""
    return linecache.getline(line.file, line.line).strip()


class Lines:
    """The line table of a binary, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def at(self, address: int) -> Line | None:
        """The source line of an instruction of the loaded binary; None without debug information."""
        place = bisect_right(self._rows, address - IMAGE_BASE, key=lambda row: row[0]) - 1
        if place < 0:
            return None
        _, file, line = self._rows[place]
        return Line(file, line, self._function(address - IMAGE_BASE)) if line else None

    def _function(self, offset: int) -> str:
        """The smallest range wins: an inlined function lies within the one that it was inlined into."""
        around = [(end - start, name) for start, end, name in self._functions if start <= offset < end]
        return min(around)[1] if around else ""

    @cached_property
    def _rows(self) -> list[tuple[int, str, int]]:
        """(offset, file, line), sorted; line 0 starts what came from no line."""
        return self._tables[0]

    @cached_property
    def _functions(self) -> list[tuple[int, int, str]]:
        return self._tables[1]

    @cached_property
    def _tables(self) -> tuple[list[tuple[int, str, int]], list[tuple[int, int, str]]]:
        from elftools.common.exceptions import DWARFError, ELFError
        from elftools.construct import ConstructError
        from elftools.elf.elffile import ELFFile

        rows: list[tuple[int, str, int]] = []
        functions: list[tuple[int, int, str]] = []
        try:
            with self.path.open("rb") as stream:
                elf = ELFFile(stream)
                if not elf.has_dwarf_info() or elf.get_section_by_name(".debug_line") is None:
                    return rows, functions
                dwarf = elf.get_dwarf_info()
                for unit in dwarf.iter_CUs():
                    rows += _unit_rows(dwarf, unit)
                    functions += _unit_functions(dwarf, unit)
        except (DWARFError, ELFError, ConstructError, OSError):
            # Lines only decorate a report; the verdict must not depend on debug information that cannot be read.
            return [], []
        # Sorted by address alone: of several rows for one address the compiler's last one holds.
        return sorted(rows, key=lambda row: row[0]), functions


def _unit_rows(dwarf: Any, unit: Any) -> Iterator[tuple[int, str, int]]:
    program = dwarf.line_program_for_CU(unit)
    if program is None:
        return
    files = _file_names(program, unit)
    pending: list[tuple[int, str, int]] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        pending.append((state.address, files.get(state.file, ""), 0 if state.end_sequence else state.line))
        if state.end_sequence:
            # Functions that the linker threw away stay in the table at address 0.
            if pending[0][0] != 0:
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


def _unit_functions(dwarf: Any, unit: Any) -> Iterator[tuple[int, int, str]]:
    base_attribute = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = base_attribute.value if base_attribute else 0
    for die in unit.iter_DIEs():
        if die.tag in ("DW_TAG_subprogram", "DW_TAG_inlined_subroutine"):
            name = _name(die)
            for start, end in _ranges(dwarf, unit, die, base):
                yield start, end, name


def _name(die: Any) -> str:
    while "DW_AT_name" not in die.attributes:
        link = next((key for key in ("DW_AT_abstract_origin", "DW_AT_specification") if key in die.attributes), None)
        if link is None:
            return ""
        die = die.get_DIE_from_attribute(link)
    return _text(die.attributes["DW_AT_name"].value)


def _ranges(dwarf: Any, unit: Any, die: Any, base: int) -> Iterator[tuple[int, int]]:
    attributes = die.attributes
    if "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
        low, high = attributes["DW_AT_low_pc"].value, attributes["DW_AT_high_pc"]
        # As an address it is the end, as a constant it is the size.
        yield low, high.value if high.form == "DW_FORM_addr" else low + high.value
    elif "DW_AT_ranges" in attributes:
        from elftools.dwarf.ranges import BaseAddressEntry, RangeEntry

        for entry in dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            elif isinstance(entry, RangeEntry):
                shift = 0 if entry.is_absolute else base
                yield entry.begin_offset + shift, entry.end_offset + shift


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
