"""Whole functions, made up and compiled, give the same results in the interpreter as on the processor."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import corpus, generate, machine, native, trials

_SEEDS = (1, 2)
_FUNCTIONS = 20
_BLOCKS = 1500  # to run of each function: the shorter it is, the more trials
_POINTER = 1  # rcx, the fourth argument


def _arguments(chance: random.Random) -> native.State:
    return trials.state(chance, (_POINTER,), (), flags=False)


@pytest.fixture(scope="module")
def tally(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> trials.Tally:
    directory = tmp_path_factory.mktemp("made")
    sources = []
    for seed in _SEEDS:
        sources.append(directory / f"made{seed}.c")
        sources[-1].write_text(generate.program(seed, _FUNCTIONS))
    images = corpus.images(directory, sources)
    chance = random.Random(40)
    regions = [*(region for image in images for region in image.regions), *trials.memory(chance)]
    calls = [
        (f"{image.name} {name}", start)
        for image in images
        for name, (start, _) in image.functions.items()
        if name[0] == "f" and name[1:].isdecimal()
    ]
    lifter, memory = machine.reader(regions), machine.FlatMemory(regions)
    jobs = []
    for _, start in calls:
        states = [_arguments(chance) for _ in range(3)]
        longest = max(machine.cost(lifter, memory, start, state) for state in states)
        count = min(max(_BLOCKS // longest, 20), 300)
        jobs.append(native.Job(start, None, [*states, *(_arguments(chance) for _ in range(count))]))
    wanted = native.run(runner, regions, jobs)
    tally = trials.Tally()
    for (name, start), job, outcomes in zip(calls, jobs, wanted, strict=True):
        for state, want in zip(job.states, outcomes, strict=True):
            try:
                have = machine.interpret(lifter, memory, start, None, state)
            except Unmodelled as refusal:
                tally.unmodelled[name] = str(refusal)
                break
            tally.compare(name, state, want, have, native.ARITHMETIC, native.processor_has("avx2"))
    return tally


def test_functions_return_what_they_return_on_the_processor(tally: trials.Tally) -> None:
    assert not tally.wrong, tally.report()
    assert tally.faults == 0
    assert tally.trials > 10_000


def test_all_of_it_is_modelled(tally: trials.Tally) -> None:
    assert tally.unmodelled == {}
