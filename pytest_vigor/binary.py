"""An NF's shared object as the dynamic loader would lay it out: segments in place, relocations applied.

Only what the loader itself looks at is read, so a binary stripped of sections and all other symbols loads as well.
"""

from __future__ import annotations

import hashlib
import io
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from pytest_vigor.errors import BinaryError
from pytest_vigor.layout import IMAGE_BASE, IMPORT_BASE

NF_FUNCTIONS = ("nf_init", "nf_process")
IMPORT_STRIDE = 16

_LIMIT_BYTES = 1 << 40
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")
_REMEDY_DAMAGED = "build it again"
_REMEDY_SHARED = "build it with `-shared -fPIC` for x86-64"
_SHARED_OBJECT_KINDS = {"ET_EXEC": "an executable", "ET_REL": "an object file that is not linked", "ET_CORE": "a core"}


class _Relocate(IntEnum):
    """The x86-64 psABI's numbers of those relocations that a plain shared object has."""

    NONE = 0
    SYMBOL = 1  # R_X86_64_64
    GLOB_DAT = 6
    JUMP_SLOT = 7
    RELATIVE = 8


class _SymbolType(IntEnum):
    NOTYPE = 0
    OBJECT = 1
    FUNC = 2
    COMMON = 5
    TLS = 6
    IFUNC = 10


class _Symbol(NamedTuple):
    name: str
    type: int
    weak: bool
    defined: bool
    absolute: bool
    value: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of memory with its permissions. `data` may be shorter than it is: the rest is zeroes."""

    address: int
    size_bytes: int
    data: bytes = field(repr=False)
    writable: bool
    executable: bool

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.size_bytes


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place, relative to the image's start, that holds the address of a symbol plus an addend."""

    offset: int
    symbol: str
    addend: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A shared object in memory at IMAGE_BASE.

    `exports` are its functions, `objects` its visible data with their sizes, `hidden` all other data that has names,
    unless it was stripped of these, `imports` the names of the functions and data that it expects from elsewhere, at
    made-up addresses. `constant_ranges` are the addresses, first and behind the last, that never change after loading.
    `initialisers` run before anything else does.
    """

    path: Path
    digest: str
    segments: tuple[Segment, ...]
    constant_ranges: tuple[tuple[int, int], ...]
    exports: dict[str, int]
    objects: dict[str, tuple[int, int]]
    hidden: tuple[tuple[str, int, int], ...]  #: name, address and size in bytes, by address
    imports: dict[int, str]
    relocations: tuple[Relocation, ...]
    initialisers: tuple[int, ...]
    needed: tuple[str, ...]

    def segment(self, address: int, size_bytes: int = 1) -> Segment | None:
        """The segment in which all these bytes lie."""
        for segment in self.segments:
            if segment.address <= address and address + size_bytes <= segment.end:
                return segment
        return None

    def code(self, address: int, size_bytes: int) -> bytes:
        """At most so many bytes of code; none where there is none."""
        segment = self.segment(address)
        if segment is None or not segment.executable:
            return b""
        return self.read(address, min(size_bytes, segment.end - address))

    def read(self, address: int, size_bytes: int) -> bytes:
        """The bytes there as they are after loading."""
        segment = self.segment(address, size_bytes)
        if segment is None:
            what = f"{self.path} has no {size_bytes} bytes at {address:#x}"
            raise BinaryError(what, "this is a defect of pytest-vigor: report it")
        start = address - segment.address
        return segment.data[start : start + size_bytes].ljust(size_bytes, b"\0")

    def writable(self, address: int) -> bool:
        """Whether the byte there can change after loading. The global offset table counts as unchangeable."""
        segment = self.segment(address)
        return segment is not None and segment.writable and not self._is_constant(address)

    def executable(self, address: int) -> bool:
        """Whether the byte there can be run."""
        segment = self.segment(address)
        return segment is not None and segment.executable

    def constant(self, address: int, size_bytes: int) -> bytes | None:
        """The bytes there if none of them can ever change, otherwise None."""
        place = bisect_right(self.constant_ranges, (address, 1 << 64)) - 1
        if place < 0 or address + size_bytes > self.constant_ranges[place][1]:
            return None
        return self.read(address, size_bytes)

    def _is_constant(self, address: int) -> bool:
        place = bisect_right(self.constant_ranges, (address, 1 << 64)) - 1
        return place >= 0 and address < self.constant_ranges[place][1]


def load(path: Path, required: Sequence[str] = NF_FUNCTIONS) -> Binary:
    """Loads a shared object that exports the required functions."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BinaryError(f"{path} cannot be read ({error.strerror})", "build it, or correct the path") from error
    try:
        binary = _Loader(path, content).load()
    except BinaryError:
        raise
    except Exception as error:
        # pyelftools fails in many ways on files that were cut or altered; none of them is more telling than this.
        raise BinaryError(f"{path} is damaged ({error or type(error).__name__})", _REMEDY_DAMAGED) from error
    missing = [name for name in required if name not in binary.exports]
    if missing:
        what = f"{path} does not export {' and '.join(missing)}"
        raise BinaryError(what, "define what nf.h declares as it does, with default visibility")
    return binary


class _Loader:
    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self.headers: list[Any] = []
        self.memory: list[bytearray] = []
        self.symbols: list[_Symbol] = []
        self.imports: dict[str, int] = {}
        self.constant: list[tuple[int, int]] = []
        self.table: Any = None
        self.relocations: list[Relocation] = []

    def load(self) -> Binary:
        self._place_segments()
        self.symbols = list(self._read_symbols())
        self._relocate()
        segments = tuple(
            Segment(
                IMAGE_BASE + header["p_vaddr"],
                header["p_memsz"],
                bytes(memory),
                bool(header["p_flags"] & 2),
                bool(header["p_flags"] & 1),
            )
            for header, memory in zip(self.headers, self.memory, strict=True)
        )
        self.constant += [(segment.address, segment.end) for segment in segments if not segment.writable]
        defined = [symbol for symbol in self.symbols if symbol.defined and symbol.name]
        data = [each for each in defined if each.type in (_SymbolType.OBJECT, _SymbolType.COMMON)]
        objects = {each.name: (self._address(each), each.size_bytes) for each in data}
        return Binary(
            path=self.path,
            digest=hashlib.sha256(self.content).hexdigest(),
            segments=segments,
            constant_ranges=_merge(self.constant),
            exports={each.name: self._address(each) for each in defined if each.type == _SymbolType.FUNC},
            objects=objects,
            hidden=tuple(sorted(self._hidden(set(objects.values())), key=lambda each: each[1:])),
            imports={address: name for name, address in self.imports.items()},
            relocations=tuple(self.relocations),
            initialisers=self._read_initialisers(),
            needed=tuple(tag.needed for tag in self.dynamic.iter_tags("DT_NEEDED")),
        )

    def _place_segments(self) -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

        if not self.content.startswith(b"\x7fELF"):
            raise BinaryError(f"{self.path} is no ELF file", _REMEDY_SHARED)
        try:
            elf = ELFFile(io.BytesIO(self.content))
        except ELFError as error:
            raise BinaryError(f"{self.path} is damaged ({error})", _REMEDY_DAMAGED) from error
        if elf.elfclass != 64 or elf["e_machine"] != "EM_X86_64":
            machine = elf["e_machine"]
            machine = machine.removeprefix("EM_") if isinstance(machine, str) else f"machine number {machine}"
            raise BinaryError(f"{self.path} is for {elf.elfclass}-bit {machine}, not for x86-64", _REMEDY_SHARED)
        if elf["e_type"] != "ET_DYN":
            kind = _SHARED_OBJECT_KINDS.get(elf["e_type"], f"of the kind {elf['e_type']}")
            raise BinaryError(f"{self.path} is {kind}, not a shared object", _REMEDY_SHARED)
        self.dynamic: Any = None
        self.table = elf.get_section_by_name(".symtab")
        end = 0
        for segment in elf.iter_segments():
            header = segment.header
            if header["p_type"] == "PT_LOAD":
                if header["p_offset"] + header["p_filesz"] > len(self.content):
                    raise BinaryError(f"{self.path} is cut short", _REMEDY_DAMAGED)
                if header["p_vaddr"] < end or header["p_memsz"] < header["p_filesz"]:
                    raise BinaryError(f"{self.path} is damaged (its segments overlap)", _REMEDY_DAMAGED)
                end = header["p_vaddr"] + header["p_memsz"]
                start = header["p_offset"]
                self.headers.append(header)
                self.memory.append(bytearray(self.content[start : start + header["p_filesz"]]))
            elif header["p_type"] == "PT_GNU_RELRO":
                start = IMAGE_BASE + header["p_vaddr"]
                self.constant.append((start, start + header["p_memsz"]))
            elif header["p_type"] == "PT_TLS":
                what = f"{self.path} has thread-local variables"
                raise BinaryError(what, "remove _Thread_local: an NF has one thread")
            elif header["p_type"] == "PT_DYNAMIC":
                self.dynamic = segment
        if self.dynamic is None or not self.headers:
            raise BinaryError(f"{self.path} is not dynamically linked", _REMEDY_SHARED)
        if end > _LIMIT_BYTES:
            raise BinaryError(f"{self.path} asks for {end:,} bytes of memory", "take large memory in nf_init")

    def _read_symbols(self) -> Iterator[_Symbol]:
        _, table = self.dynamic.get_table_offset("DT_SYMTAB")
        _, names = self.dynamic.get_table_offset("DT_STRTAB")
        count = self.dynamic.num_symbols()
        for name, info, _, section, value, size_bytes in _SYMBOL.iter_unpack(
            self._slice(table, count * _SYMBOL.size)
        ):
            start = names + name
            text = self.content[start : self.content.index(b"\0", start)].decode()
            yield _Symbol(text, info & 15, info >> 4 == 2, section != 0, section == 0xFFF1, value, size_bytes)

    def _hidden(self, visible: set[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
        """Data that only the symbol table for linkers and debuggers names, which the loader does without."""
        for symbol in self.table.iter_symbols() if self.table is not None else ():
            place = IMAGE_BASE + symbol["st_value"], symbol["st_size"]
            is_data = symbol["st_info"]["type"] == "STT_OBJECT" and symbol["st_shndx"] not in ("SHN_UNDEF", "SHN_ABS")
            if is_data and place[1] and place not in visible:
                yield symbol.name, *place

    def _slice(self, start: int, size_bytes: int) -> bytes:
        if start + size_bytes > len(self.content):
            raise BinaryError(f"{self.path} is cut short", _REMEDY_DAMAGED)
        return self.content[start : start + size_bytes]

    def _relocate(self) -> None:
        for symbol in self.symbols:
            if symbol.defined and symbol.type == _SymbolType.IFUNC:
                what = f"{self.path} chooses {symbol.name} while it is loaded (IFUNC)"
                raise BinaryError(what, "build without target_clones and ifunc attributes")
        tags = {tag.entry.d_tag: tag.entry.d_val for tag in self.dynamic.iter_tags()}
        if "DT_REL" in tags:
            raise BinaryError(f"{self.path} has relocations without addends", _REMEDY_SHARED)
        tables = self.dynamic.get_relocation_tables()
        if "RELR" in tables:
            for relocation in tables["RELR"].iter_relocations():
                place = relocation["r_offset"]
                self._write(place, int.from_bytes(self._at(place), "little") + IMAGE_BASE)
        for start_tag, size_tag in (("DT_RELA", "DT_RELASZ"), ("DT_JMPREL", "DT_PLTRELSZ")):
            if start_tag not in tags or not tags.get(size_tag):
                continue
            _, start = self.dynamic.get_table_offset(start_tag)
            for place, info, addend in _RELA.iter_unpack(self._slice(start, tags[size_tag])):
                self._apply(place, info & 0xFFFF_FFFF, info >> 32, addend)

    def _apply(self, place: int, kind: int, index: int, addend: int) -> None:
        if kind == _Relocate.NONE:
            return
        if kind == _Relocate.RELATIVE:
            self._write(place, IMAGE_BASE + addend)
            return
        if kind not in (_Relocate.SYMBOL, _Relocate.GLOB_DAT, _Relocate.JUMP_SLOT):
            from elftools.elf.enums import ENUM_RELOC_TYPE_x64

            names = {number: name for name, number in ENUM_RELOC_TYPE_x64.items() if isinstance(number, int)}
            what = f"{self.path} needs the relocation {names.get(kind, kind)}"
            raise BinaryError(what, "build it as plain C, without thread-local variables or IFUNCs")
        symbol = self.symbols[index]
        if kind != _Relocate.SYMBOL:
            # Slots of the global offset table: the loader fills them, and no code of the NF's writes to them.
            addend = 0
            self.constant.append((IMAGE_BASE + place, IMAGE_BASE + place + 8))
        self.relocations.append(Relocation(place, symbol.name, addend))
        self._write(place, self._resolve(symbol) + addend)

    def _resolve(self, symbol: _Symbol) -> int:
        if symbol.defined:
            return self._address(symbol)
        if symbol.weak:
            return 0
        if symbol.type == _SymbolType.TLS:
            what = f"{self.path} uses the thread-local variable {symbol.name}"
            raise BinaryError(what, "an NF has one thread: use a plain variable")
        return self.imports.setdefault(symbol.name, IMPORT_BASE + IMPORT_STRIDE * len(self.imports))

    @staticmethod
    def _address(symbol: _Symbol) -> int:
        return symbol.value if symbol.absolute else IMAGE_BASE + symbol.value

    def _find(self, place: int) -> tuple[bytearray, int]:
        for header, memory in zip(self.headers, self.memory, strict=True):
            start = place - header["p_vaddr"]
            if start >= 0 and start + 8 <= len(memory):
                return memory, start
        raise BinaryError(f"{self.path} is damaged (a relocation lies outside, at {place:#x})", _REMEDY_DAMAGED)

    def _at(self, place: int) -> bytes:
        memory, start = self._find(place)
        return bytes(memory[start : start + 8])

    def _write(self, place: int, value: int) -> None:
        memory, start = self._find(place)
        memory[start : start + 8] = (value % (1 << 64)).to_bytes(8, "little")

    def _read_initialisers(self) -> tuple[int, ...]:
        tags = {tag.entry.d_tag: tag.entry.d_val for tag in self.dynamic.iter_tags()}
        first = [IMAGE_BASE + tags["DT_INIT"]] if "DT_INIT" in tags else []
        start, size_bytes = tags.get("DT_INIT_ARRAY", 0), tags.get("DT_INIT_ARRAYSZ", 0)
        listed = [int.from_bytes(self._at(place), "little") for place in range(start, start + size_bytes, 8)]
        return (*first, *listed)


def _merge(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
