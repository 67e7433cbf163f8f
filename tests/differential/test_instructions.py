"""Every integer instruction that compilers emit does in the interpreter what it does on the processor."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_vigor.explore import ops
from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import machine, native, snippets, trials
from .assembly import instructions

_TRIALS = 40

# Instructions of the list that VEX has no exact meaning for, or that nothing but hand-written code uses: they must be
# refused by name, and this is what they are.
_SHIFTS = ("psllw", "pslld", "psllq", "psrlw", "psrld", "psrlq", "psraw", "psrad")
REFUSED = {
    "lea ax, [rbx+rcx*4+77]",
    "phminposuw xmm0, xmm1",
    "mpsadbw xmm0, xmm1, 3",
    "vmpsadbw ymm0, ymm1, ymm2, 5",
    # The machine reads 16 bytes, VEX 8.
    *(s for s in instructions(True) if s.split()[0].removeprefix("v") in _SHIFTS and "[" in s),
}


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
    code, found = snippets.assemble(tmp_path_factory.mktemp("snippets"))
    regions = [code, *trials.memory(chance)]
    jobs = [native.Job(s.start, s.end, [trials.state(chance) for _ in range(_TRIALS)]) for s in found]
    wanted = native.run(runner, regions, jobs)
    lifter, memory = machine.reader(regions), machine.FlatMemory(regions)
    tally, wide = trials.Tally(), native.processor_has("avx2")
    for snippet, job, outcomes in zip(found, jobs, wanted, strict=True):
        for start, want in zip(job.states, outcomes, strict=True):
            try:
                have = machine.interpret(lifter, memory, snippet.start, snippet.stop, start)
            except Unmodelled as refusal:
                tally.unmodelled[snippet.text] = refusal.what
                break
            tally.compare(snippet.text, start, want, have, snippet.undefined, wide)
    return tally


def test_instructions_do_what_they_do_on_the_processor(tally: trials.Tally) -> None:
    assert not tally.wrong, tally.report()
    assert tally.trials > 50_000 or not native.processor_has("avx2")


def test_what_is_refused_is_known(tally: trials.Tally) -> None:
    assert {s: w for s, w in tally.unmodelled.items() if s not in REFUSED} == {}
    assert tally.unmodelled.get("mpsadbw xmm0, xmm1, 3") == "VEX helper amd64g_calc_mpsadbw"


@pytest.mark.skipif(not native.processor_has("avx2"), reason="the processor has no AVX2")
def test_every_operation_takes_part(tally: trials.Tally, operations: set[str]) -> None:
    assert set(ops.OPERATIONS) - operations == set()
