"""Every integer instruction that compilers emit does in the interpreter what it does on the processor."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import capstone
import pytest
from elftools.elf.elffile import ELFFile

from pytest_vigor.explore import ops
from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import machine, native, trials
from .assembly import instructions

_TRIALS = 40
_JUMP_BYTES = 5  # what the runner overwrites

# Instructions of the list that VEX has no exact meaning for, or that nothing but hand-written code uses: they must be
# refused by name, and this is what they are.
_SHIFTS = ("psllw", "pslld", "psllq", "psrlw", "psrld", "psrlq", "psraw", "psrad")
_REFUSED = {
    "lea ax, [rbx+rcx*4+77]",
    "phminposuw xmm0, xmm1",
    "mpsadbw xmm0, xmm1, 3",
    "vmpsadbw ymm0, ymm1, ymm2, 5",
    # The machine reads 16 bytes, VEX 8.
    *(s for s in instructions(True) if s.split()[0].removeprefix("v") in _SHIFTS and "[" in s),
}


def _assemble(directory: Path, snippets: list[str]) -> tuple[native.Region, list[tuple[int, int]]]:
    lines = [".intel_syntax noprefix"]
    for i, snippet in enumerate(snippets):
        lines += [f"start{i}:", snippet.replace("; ", "\n"), f"stop{i}:", ".byte 0xe9, 0, 0, 0, 0"]
    source, image = directory / "snippets.s", directory / "snippets"
    source.write_text("\n".join(lines) + "\n")
    place = f"-Wl,-Ttext={trials.CODE:#x},-e,0,--build-id=none"
    subprocess.run(["gcc", "-nostdlib", "-static", place, "-o", image, source], check=True)
    with image.open("rb") as stream:
        elf = ELFFile(stream)
        text = elf.get_section_by_name(".text")
        at = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        region = native.Region(text["sh_addr"], text.data(), False)
    return region, [(at[f"start{i}"], at[f"stop{i}"]) for i in range(len(snippets))]


@pytest.fixture(scope="module")
def operations() -> Iterator[set[str]]:
    """The VEX operations that the instructions are made of."""
    seen: set[str] = set()
    original = ops.operation

    def operation(name: str) -> ops.Operation:
        seen.add(name)
        return original(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "operation", operation)
        yield seen


@pytest.fixture(scope="module")
def tally(runner: Path, tmp_path_factory: pytest.TempPathFactory, operations: set[str]) -> trials.Tally:
    chance = random.Random(20)
    wide = native.processor_has("avx2")
    snippets = instructions(wide)
    code, places = _assemble(tmp_path_factory.mktemp("snippets"), snippets)
    regions = [code, *trials.memory(chance)]
    jobs = [native.Job(a, b, [trials.state(chance) for _ in range(_TRIALS)]) for a, b in places]
    wanted = native.run(runner, regions, jobs)
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    lifter, memory = machine.reader(regions), machine.FlatMemory(regions)
    found = trials.Tally()
    for snippet, job, outcomes in zip(snippets, jobs, wanted, strict=True):
        assert job.stop is not None
        bytes_ = code.content[job.entry - code.address : job.stop - code.address]
        mnemonics = [m for _, _, m, _ in disassembler.disasm_lite(bytes_, job.entry)]
        undefined = trials.undefined_flags(mnemonics)
        for start, want in zip(job.states, outcomes, strict=True):
            try:
                have = machine.interpret(lifter, memory, job.entry, job.stop + _JUMP_BYTES, start)
            except Unmodelled as refusal:
                found.unmodelled[snippet] = refusal.what
                break
            found.compare(snippet, start, want, have, undefined, wide)
    return found


def test_instructions_do_what_they_do_on_the_processor(tally: trials.Tally) -> None:
    assert not tally.wrong, tally.report()
    assert tally.trials > 50_000 or not native.processor_has("avx2")


def test_what_is_refused_is_known(tally: trials.Tally) -> None:
    assert {s: w for s, w in tally.unmodelled.items() if s not in _REFUSED} == {}
    assert tally.unmodelled.get("mpsadbw xmm0, xmm1, 3") == "VEX helper amd64g_calc_mpsadbw"


@pytest.mark.skipif(not native.processor_has("avx2"), reason="the processor has no AVX2")
def test_every_operation_takes_part(tally: trials.Tally, operations: set[str]) -> None:
    assert set(ops.OPERATIONS) - operations == set()
