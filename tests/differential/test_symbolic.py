"""What a symbolic run gives, evaluated under an assignment, is what a concrete run gives from it."""

from __future__ import annotations

import random

import pytest

from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import concolic, corpus, generate, machine, native, snippets, test_instructions, trials

_TRIALS = 3


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> trials.Tally:
    chance, tally = random.Random(50), trials.Tally()
    code, found = snippets.assemble(tmp_path_factory.mktemp("snippets"))
    regions = [code, *trials.memory(chance)]
    lifter, memory = machine.reader(regions), machine.FlatMemory(regions)
    for snippet in found:
        for _ in range(_TRIALS):
            state = trials.state(chance)
            try:
                want = machine.interpret(lifter, memory, snippet.start, snippet.stop, state)
                have = concolic.interpret(lifter, regions, snippet.start, snippet.stop, state, chance, {4, 6, 7})
            except Unmodelled as refusal:
                tally.unmodelled[snippet.text] = refusal.what
                continue
            if have is not None:
                tally.compare(snippet.text, state, want, have, 0, True)
    return tally


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> trials.Tally:
    chance, tally = random.Random(60), trials.Tally()
    directory = tmp_path_factory.mktemp("made")
    source = directory / "made.c"
    source.write_text(generate.program(3, 25))
    for image in corpus.images(directory, [source]):
        regions = [*image.regions, *trials.memory(chance)]
        lifter, memory = machine.reader(regions), machine.FlatMemory(regions)
        for name, (start, _) in image.functions.items():
            if not name[1:].isdecimal():
                continue
            for _ in range(_TRIALS):
                state = trials.state(chance, (1,), (), flags=False)
                memory.reset()
                want = machine.interpret(lifter, memory, start, None, state)
                slot = state.general[4]
                placed = [snippets.with_word(region, slot, machine.RETURN_ADDRESS) for region in regions]
                have = concolic.interpret(lifter, placed, start, machine.RETURN_ADDRESS, state, chance, {1, 4})
                if have is not None:
                    tally.compare(f"{image.name} {name}", state, want, have, native.ARITHMETIC, True)
    return tally


def test_instructions_give_the_same_symbolically(instructions: trials.Tally) -> None:
    assert not instructions.wrong, instructions.report()
    assert instructions.trials > 5_000 or not native.processor_has("avx2")


def test_functions_give_the_same_symbolically(functions: trials.Tally) -> None:
    assert not functions.wrong, functions.report()
    assert functions.trials > 200


def test_only_masks_must_be_concrete_besides(instructions: trials.Tally) -> None:
    assert {s.split()[0] for s in instructions.unmodelled if s not in test_instructions.REFUSED} == {"pdep", "pext"}
