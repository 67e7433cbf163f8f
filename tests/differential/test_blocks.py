"""The straight-line code of libVig and the network functions, as compiled, does what it does on the processor."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import corpus, machine, native, trials

_PIECES = 1500
_TRIALS = 64


@pytest.fixture(scope="module")
def tally(runner: Path, tmp_path_factory: pytest.TempPathFactory) -> trials.Tally:
    chance = random.Random(30)
    sources = sorted([*corpus.ROOT.glob("libvig/**/*.c"), *corpus.ROOT.glob("nfs/*/*.c")])
    sources = [source for source in sources if "runtime" not in source.parts]
    images = corpus.images(tmp_path_factory.mktemp("images"), sources)
    found = [(image, piece) for image in images for piece in corpus.pieces(image)]
    chosen = corpus.distinct([piece for _, piece in found], {piece.name: image for image, piece in found}, _PIECES)
    regions = [*(region for image in images for region in image.regions), *trials.memory(chance)]
    jobs = []
    for piece in chosen:
        states = [trials.state(chance, piece.pointers, piece.indices, others=0.25) for _ in range(_TRIALS)]
        jobs.append(native.Job(piece.start, piece.stop, states))
    wanted = native.run(runner, regions, jobs)
    memory = machine.FlatMemory(regions)
    tally = trials.Tally()
    for piece, job, outcomes in zip(chosen, jobs, wanted, strict=True):
        lifter = machine.reader(regions, piece.stop)
        undefined = trials.undefined_flags(piece.mnemonics)
        for start, want in zip(job.states, outcomes, strict=True):
            try:
                have = machine.interpret(lifter, memory, piece.start, piece.stop, start)
            except Unmodelled as refusal:
                tally.unmodelled[piece.name] = str(refusal)
                break
            tally.compare(piece.name, start, want, have, undefined, native.processor_has("avx2"))
        else:
            tally.forms |= piece.forms
    return tally


def test_compiled_code_does_what_it_does_on_the_processor(tally: trials.Tally) -> None:
    assert not tally.wrong, tally.report()
    # Only a trial that comes to its end shows something. Which pieces there are depends on sources and compiler; with
    # pointers that come from nowhere, up to about a tenth of them never end.
    assert tally.trials - tally.faults > 10_000
    assert len(tally.finished) > 0.75 * len(tally.subjects)


def test_all_of_it_is_modelled(tally: trials.Tally) -> None:
    assert tally.unmodelled == {}
