"""The instructions of :mod:`assembly`, assembled one after the other."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import capstone
from elftools.elf.elffile import ELFFile

from . import native, trials
from .assembly import instructions

_JUMP_BYTES = 5
_ADDRESS = 0xF00_0000


@dataclass(frozen=True, slots=True)
class Snippet:
    """``start`` up to ``end``, where a jump to the next address follows, to ``stop``: it makes the block end there."""

    text: str
    start: int
    end: int
    undefined: int  #: the flags that it leaves undefined

    @property
    def stop(self) -> int:
        return self.end + _JUMP_BYTES


def assemble(directory: Path) -> tuple[native.Region, list[Snippet]]:
    texts = instructions(native.processor_has("avx2"))
    lines = [".intel_syntax noprefix"]
    for i, text in enumerate(texts):
        lines += [f"start{i}:", text.replace("; ", "\n"), f"end{i}:", ".byte 0xe9, 0, 0, 0, 0"]
    source, image = directory / "snippets.s", directory / "snippets"
    source.write_text("\n".join(lines) + "\n")
    place = f"-Wl,-Ttext={_ADDRESS:#x},-e,0,--build-id=none"
    subprocess.run(["gcc", "-nostdlib", "-static", place, "-o", image, source], check=True)
    with image.open("rb") as stream:
        elf = ELFFile(stream)
        section = elf.get_section_by_name(".text")
        region = native.Region(section["sh_addr"], section.data(), False)
        at = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    found = []
    for i, text in enumerate(texts):
        start, end = at[f"start{i}"], at[f"end{i}"]
        code = region.content[start - region.address : end - region.address]
        mnemonics = [m for _, _, m, _ in disassembler.disasm_lite(code, start)]
        found.append(Snippet(text, start, end, trials.undefined_flags(mnemonics)))
    return region, found


def with_word(region: native.Region, address: int, word: int) -> native.Region:
    """The region with an 8-byte word changed, if it lies in it."""
    at = address - region.address
    if not 0 <= at <= len(region.content) - 8:
        return region
    return replace(region, content=region.content[:at] + word.to_bytes(8, "little") + region.content[at + 8 :])
