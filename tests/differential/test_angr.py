"""The interpreter agrees with angr's own engine, block by block: a second opinion on the same lifted code.

angr takes milliseconds for a block, so this tries each a few times; the processor is the oracle for many inputs.
"""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

from pytest_vigor.explore.vex_registers import GENERAL
from pytest_vigor.explore.vex_unmodelled import Unmodelled

from . import corpus, machine, native, snippets, trials

_SNIPPETS, _PIECES, _TRIALS = 250, 120, 2
_RED_ZONE_BYTES = 128
# angr disagrees with the processor about CF and OF after these.
_WRONG_IN_ANGR = ("mul", "imul")


class _Engine:
    """angr's engine, on the same regions."""

    def __init__(self, regions: list[native.Region]) -> None:
        import angr
        import claripy

        self.number = claripy.BVV
        self.regions = [region for region in regions if region.writable]
        code = next(region for region in regions if not region.writable)
        main = {"backend": "blob", "arch": "amd64", "base_addr": code.address, "entry_point": code.address}
        self.project = angr.Project(io.BytesIO(code.content), main_opts=main, auto_load_libs=False)
        options = {angr.options.ZERO_FILL_UNCONSTRAINED_MEMORY, angr.options.ZERO_FILL_UNCONSTRAINED_REGISTERS}
        self.state = self.project.factory.blank_state(addr=code.address, add_options=options)
        for region in regions:
            self.state.memory.store(region.address, region.content)
        self.refusals = angr.errors.AngrError, angr.errors.SimError

    def run(self, entry: int, stop: int, start: native.State, code: bytes) -> native.Outcome | None:
        """None if angr cannot, or does not come to the end."""
        state: Any = self.state.copy()
        for name, value in zip(GENERAL, start.general, strict=True):
            setattr(state.regs, name, value)
        state.regs.cc_op, state.regs.cc_dep1, state.regs.cc_dep2, state.regs.cc_ndep = 0, start.flags, 0, 0
        state.regs.d, state.regs.rip = 1, entry
        for i in range(16):
            vector = int.from_bytes(start.vectors[32 * i : 32 * i + 32], "little")
            setattr(state.regs, f"ymm{i}", self.number(vector, 256))
        try:
            after = self.project.factory.successors(state, insn_bytes=code)
        except self.refusals:
            return None
        if len(after.flat_successors) != 1 or after.flat_successors[0].addr != stop:
            return None
        state = after.flat_successors[0]
        value = state.solver.eval
        vectors = b"".join(value(getattr(state.regs, f"ymm{i}")).to_bytes(32, "little") for i in range(16))
        general = tuple(value(getattr(state.regs, name)) for name in GENERAL)
        memory = {}
        for region in self.regions:
            size = len(region.content)
            content = value(state.memory.load(region.address, size), cast_to=bytes)
            for at in range(0, size, 8):
                if content[at : at + 8] != region.content[at : at + 8]:
                    memory[region.address + at] = int.from_bytes(content[at : at + 8], "little")
        return native.Outcome(0, native.State(general, value(state.regs.flags) & native.ARITHMETIC, vectors), memory)


def _compare(
    tally: trials.Tally,
    engine: _Engine,
    regions: list[native.Region],
    subject: tuple[str, int, int, int, bytes],
    states: list[native.State],
) -> None:
    name, entry, stop, undefined, code = subject
    lifter, memory = machine.reader(regions, stop), machine.FlatMemory(regions)
    for state in states:
        try:
            have = machine.interpret(lifter, memory, entry, stop, state)
        except Unmodelled as refusal:
            tally.unmodelled[name] = str(refusal)
            return
        want = None if have.signal else engine.run(entry, stop, state, code)
        if want is not None:
            _forget_scratch(want, have, state.general[4])
            tally.compare(name, state, want, have, undefined, True)


def _forget_scratch(want: native.Outcome, have: native.Outcome, stack: int) -> None:
    """Below the stack VEX has scratch space for bit tests, which the interpreter does without.

    What the interpreter does write there (where a block lowers the stack pointer) must be what angr writes.
    """
    for address in want.memory.keys() - have.memory.keys():
        if trials.STACK <= address < stack - _RED_ZONE_BYTES:
            del want.memory[address]


@pytest.fixture(scope="module")
def tally(tmp_path_factory: pytest.TempPathFactory) -> trials.Tally:
    chance, tally = random.Random(70), trials.Tally()
    code, found = snippets.assemble(tmp_path_factory.mktemp("snippets"))
    sources = sorted(path for path in corpus.ROOT.glob("libvig/*/*.c") if path.parent.name != "runtime")
    images = corpus.images(tmp_path_factory.mktemp("images"), sources, (("gcc", "-O2"), ("gcc", "-O0")))
    regions = [code, *trials.memory(chance), *(region for image in images for region in image.regions)]
    engine = _Engine(regions)
    subjects = []
    usable = [snippet for snippet in found if snippet.text.split()[0] not in _WRONG_IN_ANGR]
    for snippet in chance.sample(usable, _SNIPPETS):
        content = code.content[snippet.start - code.address : snippet.end - code.address]
        states = [trials.state(chance) for _ in range(_TRIALS)]
        subjects.append(((snippet.text, snippet.start, snippet.end, snippet.undefined, content), states))
    pieces = [(image, piece) for image in images for piece in corpus.pieces(image)]
    for image, piece in chance.sample(pieces, min(_PIECES, len(pieces))):
        content, undefined = image.code(piece.start, piece.stop), trials.undefined_flags(piece.mnemonics)
        if set(_WRONG_IN_ANGR) & set(piece.mnemonics):
            undefined = native.ARITHMETIC
        states = [trials.state(chance, piece.pointers, piece.indices) for _ in range(_TRIALS)]
        subjects.append(((piece.name, piece.start, piece.stop, undefined, content), states))
    for subject, states in subjects:
        _compare(tally, engine, regions, subject, states)
    return tally


def test_blocks_end_as_in_angr(tally: trials.Tally) -> None:
    assert not tally.wrong, tally.report()
    assert tally.trials > 300
