"""Compiled C to run: libVig and the network functions as they are, and functions made up from a seed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import capstone
from capstone import x86
from elftools.elf.elffile import ELFFile

from . import native, trials

ROOT = Path(__file__).resolve().parents[2]
_PAGE = 0x1000
_DISTANCE = 0x20_0000  # between images
_COMMON = (
    "-std=gnu11", "-g0", "-fPIC", "-fwrapv", "-fno-strict-aliasing", "-fno-stack-protector", "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables", "-w", f"-I{ROOT / 'libvig'}", f"-I{ROOT}",
)
_LEVELS = ("-O0", "-O2", "-Os", "-O3 -march=x86-64-v3")


@dataclass(frozen=True, slots=True)
class Image:
    """A program at a fixed address of its own: its memory, and where its functions start and end."""

    name: str
    regions: tuple[native.Region, ...]
    functions: dict[str, tuple[int, int]]

    def code(self, start: int, stop: int) -> bytes:
        for region in self.regions:
            if region.address <= start < region.address + len(region.content):
                return region.content[start - region.address : stop - region.address]
        raise KeyError(f"no code at {start:#x} in {self.name}")


def compilers() -> list[tuple[str, str]]:
    """Compiler and optimisation, as far as this machine has and can run them."""
    levels = [level for level in _LEVELS if "v3" not in level or native.processor_has("avx2")]
    pairs = [("gcc", level) for level in levels]
    if shutil.which("clang"):
        pairs += [("clang", level) for level in levels if level != "-Os"]
    return pairs


def images(
    directory: Path, sources: Sequence[Path], levels: Sequence[tuple[str, str]] | None = None
) -> list[Image]:
    """Each source compiled by each compiler at each level, each at an address of its own."""
    jobs = [(source, *pair) for source in sources for pair in levels or compilers()]

    def build(numbered: tuple[int, tuple[Path, str, str]]) -> Image:
        number, (source, compiler, level) = numbered
        program = directory / f"image{number}"
        subprocess.run([compiler, *level.split(), *_COMMON, "-c", "-o", f"{program}.o", source], check=True)
        place = f"-Wl,-Ttext-segment={trials.CODE + number * _DISTANCE:#x},-e,0,--build-id=none"
        undefined = "-Wl,--unresolved-symbols=ignore-all,--no-warn-rwx-segments"
        subprocess.run(
            ["gcc", "-nostdlib", "-static", place, undefined, "-o", program, f"{program}.o"], check=True
        )
        return _load(f"{source.stem} {compiler} {level}", program)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(build, enumerate(jobs)))


def _load(name: str, program: Path) -> Image:
    with program.open("rb") as stream:
        elf = ELFFile(stream)
        regions = []
        for segment in elf.iter_segments("PT_LOAD"):
            start = segment["p_vaddr"] & -_PAGE
            end = segment["p_vaddr"] + segment["p_memsz"] + _PAGE - 1 & -_PAGE
            content = (bytes(segment["p_vaddr"] - start) + segment.data()).ljust(end - start, b"\0")
            regions.append(native.Region(start, content, bool(segment["p_flags"] & 2)))
        functions = {
            s.name: (s["st_value"], s["st_value"] + s["st_size"])
            for s in elf.get_section_by_name(".symtab").iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s["st_size"] and s["st_shndx"] != "SHN_UNDEF"
        }
    return Image(name, tuple(regions), functions)


@dataclass(frozen=True, slots=True)
class Piece:
    """Straight-line code, and which registers it takes as pointers and as indices."""

    name: str
    start: int
    stop: int
    mnemonics: tuple[str, ...]
    forms: frozenset[str]
    pointers: frozenset[int]
    indices: frozenset[int]


_ENDS = frozenset((x86.X86_GRP_JUMP, x86.X86_GRP_CALL, x86.X86_GRP_RET, x86.X86_GRP_INT))
_LONGEST = 12  # instructions: the longer, the more likely is a pointer that comes from nowhere
_FAMILIES = ("a", "c", "d", "b", "sp", "bp", "si", "di")


def _general(name: str) -> int | None:
    """The number of the general register that a register's name is part of."""
    if name[:1] == "r" and name[1:].rstrip("dwb").isdecimal():
        return int(name[1:].rstrip("dwb"))
    stem = name.removeprefix("e").removeprefix("r").removesuffix("x").removesuffix("l").removesuffix("h")
    stem = stem if stem not in ("s", "b") or name[-1] in "xlh" else name
    return _FAMILIES.index(stem) if stem in _FAMILIES else None


def pieces(image: Image) -> Iterator[Piece]:
    """The straight-line pieces of an image's functions, not too long, without what ends them."""
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    disassembler.detail = True
    for function, (start, stop) in image.functions.items():
        instructions = list(disassembler.disasm(image.code(start, stop), start))
        targets = {
            i.operands[0].imm
            for i in instructions
            if i.group(x86.X86_GRP_JUMP) and i.operands[0].type == x86.X86_OP_IMM
        }
        current: list[capstone.CsInsn] = []
        for instruction in instructions:
            if len(current) == _LONGEST or (current and instruction.address in targets):
                yield _piece(f"{image.name} {function}", current)
                current = []
            if _ENDS & set(instruction.groups) or b"\x64" in instruction.bytes[:2]:  # fs: is not ours to read
                if current:
                    yield _piece(f"{image.name} {function}", current)
                current = []
            else:
                current.append(instruction)
        if current:
            yield _piece(f"{image.name} {function}", current)


def _piece(name: str, instructions: list[capstone.CsInsn]) -> Piece:
    written: set[int] = set()
    pointers: set[int] = set()
    indices: set[int] = set()
    forms = set()
    for instruction in instructions:
        shape = []
        for operand in instruction.operands:
            kind = {x86.X86_OP_REG: "r", x86.X86_OP_IMM: "i", x86.X86_OP_MEM: "m"}[operand.type]
            shape.append(f"{kind}{operand.size}")
            if operand.type != x86.X86_OP_MEM or instruction.id in (x86.X86_INS_LEA, x86.X86_INS_NOP):
                continue
            for register, found in ((operand.mem.base, pointers), (operand.mem.index, indices)):
                number = _general(instruction.reg_name(register)) if register else None
                if number is not None and number not in written:
                    found.add(number)
        forms.add(f"{instruction.mnemonic} {' '.join(shape)}")
        for register in instruction.regs_access()[1]:
            number = _general(instruction.reg_name(register))
            if number is not None:
                written.add(number)
    last = instructions[-1]
    return Piece(
        f"{name} {instructions[0].address:#x}", instructions[0].address, last.address + last.size,
        tuple(i.mnemonic for i in instructions), frozenset(forms), frozenset(pointers - {4}),
        frozenset(indices - pointers),
    )


def distinct(found: Sequence[Piece], image_of: dict[str, Image], limit: int) -> list[Piece]:
    """Pieces with different bytes; first those with an instruction of a form not seen before, then the longest."""
    by_bytes: dict[bytes, Piece] = {}
    for piece in found:
        by_bytes.setdefault(image_of[piece.name].code(piece.start, piece.stop), piece)
    seen: set[str] = set()
    first, rest = [], []
    for piece in by_bytes.values():
        (first if piece.forms - seen else rest).append(piece)
        seen |= piece.forms
    return [*first, *sorted(rest, key=lambda p: p.start - p.stop)][:limit]
