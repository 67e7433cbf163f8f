"""Our explorer and angr's find the same paths: the same inputs lead to an end, and to the same one.

This is decided, not sampled: no input takes a path of one explorer and none of the other's, and where an input takes
a path of each, what is returned and every byte of the packet are the same.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import z3

from pytest_vigor import behaviour as b, build, contract, term as t
from pytest_vigor.behaviour import Behaviour, Called
from pytest_vigor.binary import load
from pytest_vigor.explore.explorer import explore
from pytest_vigor.frame import Frame
from pytest_vigor.headers import read_header
from pytest_vigor.translation import Translator

PACKET_BYTES = 40  # as far as these functions look
PACKET_ADDRESS, EXIT = 0x5000_0000, 0x6000_0000

HEADER = """
    #include "nf.h"
    struct nf_config { uint16_t limit; };
    struct nf_state { uint16_t limit; };
    extern VIGOR_API struct nf_state nf_state;
"""
FRAME = """
    #include "{name}.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        nf_state.limit = config->limit;
        return device_count > 0;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) now; (void) packet; (void) length_bytes; (void) device;
    {body}
    }
"""

BODIES = {
    "branches": """
        if (length_bytes < 14) { return NF_DROP; }
        if ((packet[0] & 1) != 0 && packet[1] != 0x80) { return NF_FLOOD; }
        if (packet[12] == 8 && packet[13] == 0) {
            if (length_bytes < 34 || packet[14] >> 4 != 4) { return NF_DROP; }
            packet[22] -= 1;
            return packet[22] == 0 ? NF_DROP : device;
        }
        return packet[2] < packet[3] || packet[4] == device ? NF_DROP : device;
    """,
    "switch": """
        if (length_bytes < 20) { return NF_DROP; }
        switch (packet[0]) {
        case 0: packet[1] = packet[2] + 1; return device;
        case 1: packet[3] ^= packet[4]; return NF_FLOOD;
        case 2: if (packet[5] > 9) { return NF_DROP; } packet[6] = 0; return device;
        case 3: packet[7] = (uint8_t) length_bytes; return device;
        case 4: packet[8] = packet[9] & 0x0F; return NF_FLOOD;
        case 5: packet[10] = packet[11] * 3; break;
        case 6: packet[12] = packet[13] % 10; break;
        case 9: packet[14] = packet[15] / 7; return device;
        default: return NF_DROP;
        }
        packet[16] = 1;
        return packet[17] == 0 ? device : NF_DROP;
    """,
    "loop": """
        uint32_t sum = 0;
        for (uint16_t i = 0; i < 5 && i < length_bytes; i++) {
            if (packet[i] == 0xFF) { break; }
            sum += packet[i];
        }
        return sum % 2 == 0 && sum > 5 ? device : NF_DROP;
    """,
    "config": """
        if (length_bytes > nf_state.limit || length_bytes < 2) { return NF_DROP; }
        int16_t both;
        __builtin_memcpy(&both, packet, sizeof both);
        if (both < 0) { return NF_FLOOD; }
        return both * 5 > nf_state.limit ? NF_DROP : device;
    """,
    "words": """
        if (length_bytes < 16) { return NF_DROP; }
        uint64_t first, second;
        __builtin_memcpy(&first, packet, sizeof first);
        __builtin_memcpy(&second, packet + 8, sizeof second);
        if (first == second) { return NF_FLOOD; }
        uint64_t larger = first > second ? first : second;
        larger = __builtin_bswap64(larger) >> (packet[3] & 7);
        __builtin_memcpy(packet, &larger, sizeof larger);
        return (int64_t) (first ^ second) < 0 ? device : NF_DROP;
    """,
}
BUILDS = {"O2": (), "O0": ("-O0",), "v3": ("-O3", "-march=x86-64-v3")}
CASES = [*((name, "O2") for name in BODIES), ("branches", "O0"), ("loop", "O0"), ("switch", "v3"), ("words", "v3")]


@dataclass(frozen=True)
class End:
    """The inputs that lead to an end, and what comes out there, as z3 expressions."""

    condition: Any
    value: Any
    packet: tuple[Any, ...]


BYTE = z3.Function(b.PACKET, z3.BitVecSort(16), z3.BitVecSort(8))
LENGTH, DEVICE, COUNT = (z3.BitVec(name, 16) for name in (b.LENGTH, b.DEVICE, b.DEVICE_COUNT))
LIMIT = z3.BitVec("config.limit", 16)
ALLOWED = z3.And(z3.ULT(DEVICE, COUNT), z3.ULE(LENGTH, b.LENGTH_MAX))


def ours(behaviour: Behaviour) -> list[End]:
    """The ends of our paths."""
    translator = Translator()

    def truth(condition: t.Bool) -> Any:
        return z3.BoolRef(translator(condition), translator.context).translate(z3.main_ctx())

    def bits(value: t.Value, width: int) -> Any:
        return z3.BitVecRef(translator(value, width), translator.context).translate(z3.main_ctx())

    ends = []
    for path in behaviour.paths["nf_process"]:
        assert path.ending == "returned", path.reason
        events = path.events()
        conditions = [truth(event.condition) for event in events if not isinstance(event, Called)]
        assert len(conditions) == len(events), "these functions call nothing"
        frame = Frame(b.PACKET)
        for write in path.writes:
            frame = frame.write(write.offset, write.size_bytes, write.value, write.guard)
        content = tuple(bits(frame.byte(k), 8) for k in range(PACKET_BYTES))
        ends.append(End(z3.And(*conditions), bits(path.value, 32), content))
    return ends


@pytest.fixture(scope="module")
def angr() -> Any:
    """Imported once; it takes seconds."""
    angr = pytest.importorskip("angr")
    logging.getLogger("angr").setLevel(logging.ERROR)
    logging.getLogger("cle").setLevel(logging.ERROR)
    return angr


def theirs(angr: Any, path: Path) -> list[End]:
    """The ends of the paths that angr's symbolic execution finds."""
    import claripy

    project = angr.Project(path, auto_load_libs=False)
    state = project.factory.blank_state(addr=project.loader.find_symbol("nf_process").rebased_addr)
    given = {name: claripy.BVS(name, 16, explicit_name=True) for name in (b.LENGTH, b.DEVICE, "config.limit")}
    content = [claripy.BVS(f"byte{k}", 8, explicit_name=True) for k in range(PACKET_BYTES)]
    state.memory.store(PACKET_ADDRESS, claripy.Concat(*content))
    limit = project.loader.find_symbol("nf_state").rebased_addr
    state.memory.store(limit, given["config.limit"], endness="Iend_LE")
    state.regs.rdi = given[b.DEVICE].zero_extend(48)
    state.regs.rsi = PACKET_ADDRESS
    state.regs.rdx = given[b.LENGTH].zero_extend(48)
    state.regs.rcx = claripy.BVS(b.NOW, 64)
    state.regs.rsp = 0x7FFF_0000
    state.memory.store(state.regs.rsp, claripy.BVV(EXIT, 64), endness="Iend_LE")
    state.add_constraints(given[b.LENGTH] <= b.LENGTH_MAX)
    manager = project.factory.simulation_manager(state)
    manager.explore(find=EXIT, num_find=10_000)
    assert not manager.errored and not manager.active and not manager.unconstrained
    convert = claripy.backends.z3.convert
    bytes_are = [(z3.BitVec(f"byte{k}", 8), BYTE(z3.BitVecVal(k, 16))) for k in range(PACKET_BYTES)]

    def expression(ast: Any) -> Any:
        return z3.substitute(convert(ast), *bytes_are)

    return [
        End(
            z3.And(*(expression(each) for each in end.solver.constraints)),
            expression(end.regs.eax),
            tuple(expression(end.memory.load(PACKET_ADDRESS + k, 1)) for k in range(PACKET_BYTES)),
        )
        for end in manager.found
    ]


def impossible(solver: z3.Solver, *conditions: Any) -> bool:
    answer = solver.check(*conditions)
    assert answer != z3.unknown, solver.reason_unknown()
    return bool(answer == z3.unsat)


@pytest.fixture(scope="module")
def contracts() -> contract.Contracts:
    return contract.collect([contract.module_at(path) for path in build.contract_files()])


@pytest.mark.parametrize(("name", "made"), CASES)
def test_paths_are_those_that_angr_finds(
    name: str, made: str, angr: Any, contracts: contract.Contracts, tmp_path: Path
) -> None:
    source, header = tmp_path / f"{name}.c", tmp_path / f"{name}.h"
    source.write_text(dedent(FRAME).replace("{name}", name).replace("{body}", BODIES[name]))
    header.write_text(dedent(HEADER))
    lenient = [flag for flag in build.FLAGS if flag != "-Wconversion"]
    binary = load(build.build_nf([source], tmp_path / f"{name}.so", flags=[*lenient, *BUILDS[made]]))
    mine = ours(explore(binary, read_header(header, [build.libvig_root()]), contracts))
    others = theirs(angr, binary.path)
    assert len(mine) >= 3 and len(others) >= 3
    solver = z3.Solver()
    solver.set("timeout", 120_000)
    solver.add(ALLOWED)
    for end in (*mine, *others):
        assert not impossible(solver, end.condition), "nothing leads here"
    for some, rest in ((mine, others), (others, mine)):
        assert impossible(solver, z3.Or(*(end.condition for end in some)), *(z3.Not(end.condition) for end in rest))
        for number, end in enumerate(some):
            overlap = z3.Or(*(other.condition for other in some[:number]))
            assert impossible(solver, end.condition, overlap), "an input takes one path"
    for end in mine:
        for other in others:
            solver.push()
            solver.add(end.condition, other.condition)
            if not impossible(solver):
                same = [end.value == other.value, *(
                    x == y for k, (x, y) in enumerate(zip(end.packet, other.packet, strict=True)) if not x.eq(y)
                )]  # fmt: skip
                assert impossible(solver, z3.Not(z3.And(*same)))
            solver.pop()
