"""Replaying NFs and libraries that are wrong: whatever they do, the parent learns what it was."""

import shutil
import struct
import subprocess
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_vigor.binary import load
from pytest_vigor.build import build_libvig, build_nf, contract_files, libvig_root
from pytest_vigor.headers import Header, read_header
from pytest_vigor.native.machine import LISTINGS, assemble
from pytest_vigor.replay import replay, situation
from pytest_vigor.trace import Entries, Run, Situation, Step

CAPACITY = 4
# Wrong on purpose, so the compiler would have something to say.
FLAGS = ("-std=c11", "-O2", "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-w")
HEADER = """
    #include "flow_table/flow_table.h"
    #include "index_pool/index_pool.h"
    #include "map/map.h"
    #include "net/net.h"
    #include "nf.h"
    #include "typed.h"
    #include "vector/vector.h"

    struct nf_config { uint32_t capacity; };
    struct record { uint8_t small; uint32_t large; };
    struct nf_state {
        FLOW_TABLE(flows, struct net_mac);
        INDEX_POOL(pool);
        MAP(names, uint32_t);
        VECTOR(records, struct record);
        uint64_t count;
    };
    extern VIGOR_API struct nf_state nf_state;
"""
INIT = """
    nf_state.flows = flow_table_alloc(6, config->capacity);
    nf_state.pool = index_pool_alloc(config->capacity);
    nf_state.names = map_alloc(4, config->capacity);
    nf_state.records = vector_alloc(sizeof(struct record), config->capacity);
    return true;
"""
SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    #include "wrong.h"

    struct nf_state nf_state;
    {functions}
    bool nf_init(const struct nf_config *config, uint16_t device_count) {{ {init} }}
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now) {{ {process} }}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "wrong.h").write_text(textwrap.dedent(HEADER))
    build_libvig(folder / "libvig.so")
    return folder


@pytest.fixture(scope="module")
def header(shared: Path) -> Header:
    return read_header(shared / "wrong.h", [libvig_root()])


class Lab:
    """Builds NFs around the body of nf_process, and runs them."""

    def __init__(self, folder: Path, shared: Path, header: Header) -> None:
        self.folder, self.shared, self.header = folder, shared, header

    def situation(
        self, process: str, functions: str = "", init: str = INIT, packet: bytes = bytes(60), steps: int = 1,
        library: Path | None = None, contracts: Sequence[Path] = (), capacity: int = CAPACITY,
        state: dict[str, Entries] | None = None,
    ) -> Situation:  # fmt: skip
        source = self.folder / "wrong.c"
        source.write_text(textwrap.dedent(SOURCE.format(process=process, functions=functions, init=init)))
        flags = [*FLAGS, f"-I{self.shared}"]
        return situation(
            load(build_nf([source], self.folder / "wrong.so", flags=flags)),
            self.header,
            library or self.shared / "libvig.so",
            contracts or contract_files(),
            struct.pack("<I", capacity),
            2,
            [Step(device=1, packet=packet, now=100 + number) for number in range(steps)],
            state,
        )

    def __call__(self, process: str, cpu_seconds: float = 2.0, **changes: Any) -> Run:
        return replay(self.situation(process, **changes), cpu_seconds)


@pytest.fixture
def run(tmp_path: Path, shared: Path, header: Header) -> Lab:
    return Lab(tmp_path, shared, header)


# ---- crashes


@pytest.mark.parametrize(
    ("process", "guard", "offset", "place"),
    [
        ("return packet[length_bytes];", "after", 60, "60 of"),
        ("return packet[length_bytes + 65535];", "after", 60 + 65535, "65595 of"),
        ("packet[length_bytes] = 0; return 0;", "after", 60, "60 of"),
        ("return packet[-1];", "before", -1, "1 before"),
        ("packet[-20] = 1; return 0;", "before", -20, "20 before"),
    ],
)
def test_touching_what_is_not_the_packet_is_a_crash(
    run: Lab, process: str, guard: str, offset: int, place: str
) -> None:
    ran = run(process)
    assert ran.ending == "crashed"
    fault = ran.last.fault
    assert fault is not None and fault.code_offset is not None
    assert (fault.signal, fault.guard, fault.offset_bytes) == ("SIGSEGV", guard, offset)
    assert ran.last.detail == f"SIGSEGV at byte {place} the packet of 60 bytes"


def test_an_empty_packet_has_no_byte(run: Lab) -> None:
    fault = run("return packet[0];", packet=b"").last.fault
    assert fault is not None and (fault.guard, fault.offset_bytes) == ("after", 0)


def test_a_null_pointer_is_a_crash_outside_the_packet(run: Lab) -> None:
    fault = run("return *(volatile int *) (uintptr_t) (length_bytes - 60);").last.fault
    assert fault is not None and (fault.address, fault.guard) == (0, None)


@pytest.mark.parametrize(
    ("process", "signal"),
    [
        ("return 100 / (length_bytes - 60);", "SIGFPE"),
        ("__builtin_trap();", "SIGILL"),
        ("abort();", "SIGABRT"),
        ("volatile int much[9999]; much[now] = nf_process(device, packet, 0, 1); return much[now];", "SIGSEGV"),
    ],
)
def test_every_fatal_signal_is_a_crash(run: Lab, process: str, signal: str) -> None:
    ran = run(process)
    assert ran.ending == "crashed"
    assert ran.last.fault is not None and ran.last.fault.signal == signal


def test_ending_the_process_is_a_crash(run: Lab) -> None:
    ran = run('write(2, "no more\\n", 8); exit(0);')
    assert ran.ending == "crashed"
    assert ran.last.detail == "it ended its process with status 0\nno more"


def test_a_bad_pointer_given_to_the_library_is_a_crash_in_that_call(run: Lab) -> None:
    ran = run("uint32_t out; return flow_table_find(nf_state.flows, packet + 55, &out);")
    assert (ran.ending, ran.last.function) == ("crashed", "flow_table_find")
    assert ran.last.fault is not None and ran.last.fault.guard == "after"


def test_a_crash_keeps_what_went_before(run: Lab) -> None:
    ran = run("nf_state.count++; index_pool_take(nf_state.pool, now, &(uint32_t) {0}); "
              "return nf_state.count == 2 ? packet[60] : 3;", steps=3)  # fmt: skip
    assert [step.ending for step in ran.steps] == ["returned", "crashed"]
    assert ran.steps[0].value == 3
    assert ran.last.scalars_old == {"count": 1}
    assert ran.last.old is not None and ran.last.old["pool"].entries == {0: (0, 100)}
    assert [call.function for call in ran.last.calls] == ["index_pool_take"]


# ---- hangs


def test_an_endless_loop_hangs_and_says_where(run: Lab) -> None:
    ran = run("while (*(volatile uint8_t *) packet == 0) {} return 0;", cpu_seconds=0.1)
    assert ran.ending == "hung"
    assert ran.last.fault is not None and ran.last.fault.code_offset is not None


def test_waiting_hangs(run: Lab) -> None:
    assert run("sleep(1000); return 0;", cpu_seconds=0.05).ending == "hung"


def test_calling_the_library_for_ever_hangs(run: Lab) -> None:
    ran = run("while (!index_pool_is_used(nf_state.pool, 0)) {} return 0;")
    assert (ran.ending, len(ran.last.calls)) == ("hung", 5_000)


def test_filling_a_large_table_in_nf_init_is_no_hang(run: Lab) -> None:
    fill = "for (uint32_t i = 0; i < config->capacity; i++) { index_pool_take(nf_state.pool, i, &(uint32_t) {0}); }"
    ran = run("return 0;", init=INIT.replace("return", f"{fill} return"), capacity=4_500)
    assert ran.ending == "returned"
    assert ran.last.old is not None and len(ran.last.old["pool"].entries) == 4_500


# ---- refusals


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"init": "return false;"}, "nf_init returned false"),
        ({"functions": "void elsewhere(void);", "init": "elsewhere(); return true;"}, "undefined symbol: elsewhere"),
        ({"state": {"flows": {0: (1, 5), CAPACITY: (2, 6)}}}, "flow_table_restore refuses index 4 with age 6 in flows"),
        ({"state": {"records": {CAPACITY: 1}}}, "records has no record 4"),
        ({"state": {"names": {1 << 32: 1}}}, "0x100000000 is more than names has bytes for, 4"),
        ({"init": "return true;", "state": {"pool": {0: (0, 1)}}}, "after nf_init, there is no structure pool"),
    ],
)
def test_what_cannot_be_set_up_is_refused(run: Lab, changes: dict[str, object], detail: str) -> None:
    ran = run("return 0;", **changes)
    assert ran.ending == "refused"
    assert detail in ran.last.detail
    assert not ran.steps


def test_a_crash_in_nf_init_is_one_of_nf_init(run: Lab) -> None:
    ran = run("return 0;", init="return ((volatile uint8_t *) config)[4];")
    assert (ran.ending, ran.last.entry, ran.steps) == ("crashed", "nf_init", ())
    assert ran.last.fault is not None and ran.last.fault.offset_bytes == 4


# ---- preconditions


BORROW = "struct record *record = vector_borrow(nf_state.records, {index});"


@pytest.mark.parametrize(
    ("process", "function", "detail"),
    [
        (f"{BORROW.format(index='4')} return record->small;", "vector_borrow", "the index is below the capacity"),
        (f"{BORROW.format(index='1')} vector_borrow(nf_state.records, 1);", "vector_borrow", "is not on loan"),
        (f"{BORROW.format(index='1')} vector_give_back(nf_state.records, (char *) record + 1);",
         "vector_give_back", "record is on loan from records"),
        (f"{BORROW.format(index='2')} return 0;", "vector_give_back", "is given back before the step ends"),
        ("flow_table_refresh(nf_state.flows, 0, now);", "flow_table_refresh", "the index is used"),
        ("uint32_t i; flow_table_put(nf_state.flows, packet, -now, &i);", "flow_table_put", "now is not negative"),
        ("for (uint32_t i, n = 0; n < 2; n++) flow_table_put(nf_state.flows, packet, now, &i);",
         "flow_table_put", "the key is absent"),
        ("uint32_t i; index_pool_take(nf_state.pool, now, &i); index_pool_take(nf_state.pool, now - 1, &i);",
         "index_pool_take", "now is not before any age in the pool"),
        ("return map_erase((struct map *) nf_state.pool, packet);", "map_erase", "map points at a structure"),
        ("return map_size(NULL);", "map_size", "map points at a structure"),
        (f"{BORROW.format(index='0')} vector_give_back(nf_state.records, record); record->large = 7; return 0;",
         None, "records changes only through its functions"),
    ],
)  # fmt: skip
def test_a_breach_of_contract_is_a_violation(run: Lab, process: str, function: str | None, detail: str) -> None:
    ran = run(process)
    assert (ran.ending, ran.last.function) == ("violated", function)
    assert detail in ran.last.detail
    if function is not None and "before the step ends" not in ran.last.detail:
        assert (ran.last.calls[-1].function, ran.last.calls[-1].returned) == (function, False)
    assert not ran.differs_with_stack


def test_a_breach_is_not_carried_out(run: Lab) -> None:
    ran = run("uint32_t i = 9; flow_table_erase(nf_state.flows, i); packet[60] = 1; return 0;")
    assert ran.ending == "violated"
    assert [(call.function, call.returned) for call in ran.last.calls] == [("flow_table_erase", False)]


def test_vectors_too_large_to_compare_have_their_bounds_checked(run: Lab) -> None:
    ran = run("vector_borrow(nf_state.records, 100000); return 0;", capacity=100_000)
    assert (ran.ending, ran.last.detail) == ("violated", "the index is below the capacity")


# ---- uninitialised memory


@pytest.mark.parametrize(
    "process",
    [
        "volatile struct record on_stack; if (length_bytes < 60) on_stack.small = 1; return on_stack.small;",
        # What the library leaves on the stack must not pass for a value either.
        "index_pool_is_used(nf_state.pool, 0); return left_behind();",
        "volatile struct record on_stack; packet[3] = on_stack.small; return 0;",
        "volatile struct record on_stack; map_put(nf_state.names, packet, on_stack.large); return 0;",
        "volatile struct record on_stack; return on_stack.small ? *(int *) 8 : 0;",
        'register uint64_t unset __asm__("rbx"); __asm__("" : "=r"(unset)); return unset & 1;',
    ],
)
def test_what_depends_on_uninitialised_memory_is_noticed(run: Lab, process: str) -> None:
    functions = "__attribute__((noinline)) static int left_behind(void) { volatile int some[64]; return some[20]; }"
    ran = run(process, functions=functions)
    assert ran.differs_with_stack
    assert "depends on uninitialised memory" in ran.difference


def test_padding_that_is_copied_is_no_difference(run: Lab) -> None:
    process = f"""
        {BORROW.format(index="0")}
        volatile struct record on_stack; on_stack.small = 1; on_stack.large = 2;
        memcpy(record, (void *) &on_stack, sizeof on_stack);
        vector_give_back(nf_state.records, record);
        return 0;
    """
    ran = run(process)
    assert ran.last.new is not None and ran.last.new["records"].entries == {0: 0x00000002_A5A5A5_01}
    assert not ran.differs_with_stack, ran.difference


def test_every_kind_of_structure_is_read_and_set_up(run: Lab) -> None:
    state: dict[str, Entries] = {
        "flows": {3: (0xABC, 7), 0: (0xDEF, 9)},
        "pool": {2: (0, 8)},
        "names": {5: 6, 0: 1},
        "records": {1: 0x9_000000_08},
    }
    init = INIT.replace("return", "index_pool_take(nf_state.pool, 1, &(uint32_t) {0}); return")
    ran = run("nf_state.count = nf_state.count + 2; return 0;", init=init, state=state)
    assert ran.last.old is not None
    assert {name: dict(held.entries) for name, held in ran.last.old.items()} == state
    assert ran.last.new == ran.last.old
    assert ran.last.scalars_new == {"count": 2}


# ---- a library that is wrong


@pytest.mark.parametrize(
    ("file", "right", "wrong", "process", "detail"),
    [
        ("index_pool/ages.h", "->age < time ?", "->age <= time ?",
         "index_pool_take(nf_state.pool, now, &(uint32_t) {0}); index_pool_expire_before(nf_state.pool, now);",
         "the result is 0x1, not 0x0"),
        ("map/map.c", "return map->size;", "return 0;",
         "map_put(nf_state.names, packet, 3); map_size(nf_state.names);", "the result is 0x0, not 0x1"),
        ("flow_table/flow_table.c", "ages_renew(&table->ages, *out_index, now);", "",
         "uint32_t i; flow_table_put(nf_state.flows, packet, 1, &i);"
         "flow_table_find_and_refresh(nf_state.flows, packet, 2, &i);",
         "afterwards table is not as it should be: 0x0 is (0x0, 1), not (0x0, 2)"),
        ("flow_table/flow_table.c", "*out_index = index;\n    return true;", "*out_index = index + 4; return true;",
         "uint32_t i; flow_table_put(nf_state.flows, packet, now, &i);", "out_index = 4 is not allowed"),
        ("flow_table/flow_table.c", "return find(table, key, out_index);", "*out_index = 1; return false;",
         "uint32_t i; flow_table_find(nf_state.flows, packet, &i);", "it wrote to out_index"),
        ("map/map.c", "return map->size;", "for (volatile int i = 0; ; i = 1) {}",
         "map_size(nf_state.names);", "it did not return in its time, in map_size"),
        ("vector/vector.c", "records + index * vector", "records + (index & 2) * vector",
         "", "vector_borrow lends overlapping or scattered records"),
    ],
)  # fmt: skip
def test_a_library_that_breaks_its_contract_is_a_mismatch(
    run: Lab, tmp_path: Path, file: str, right: str, wrong: str, process: str, detail: str
) -> None:
    copy = tmp_path / "libvig"
    shutil.copytree(libvig_root(), copy)
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    sources = [path for path in sorted(copy.glob("*/*.c")) if path.parent.name != "runtime"]
    library = build_nf(sources, tmp_path / "libvig.so", flags=["-std=c11", "-fPIC", "-shared", "-w", f"-I{copy}"])
    ran = run(f"{process} return 0;", library=library, cpu_seconds=0.2)
    assert ran.ending == ("hung" if "its time" in detail else "mismatch"), ran.last
    assert detail in ran.last.detail


def test_a_contract_that_fails_is_no_verdict_on_the_nf(run: Lab, tmp_path: Path) -> None:
    contract = tmp_path / "contract.py"
    text = (libvig_root() / "map/contract.py").read_text()
    contract.write_text(text.replace("return Outcome(map.size)", "return Outcome(map.count)"))
    ran = run("return map_size(nf_state.names);", contracts=[contract])
    assert ran.ending == "broken"
    assert "has no attribute 'count'" in ran.last.detail


def test_functions_without_a_contract_just_run(run: Lab) -> None:
    ran = run("return map_size(nf_state.names);", contracts=[libvig_root() / "vector/contract.py"])
    assert (ran.ending, ran.last.value, ran.last.calls) == ("returned", 0, ())


def test_a_binary_that_has_gone_is_refused(run: Lab, tmp_path: Path) -> None:
    given = run.situation("return 0;")
    (tmp_path / "wrong.so").unlink()
    ran = replay(given)
    assert ran.ending == "refused"
    assert "wrong.so cannot be read" in ran.last.detail


# ---- our own instructions


def test_machine_code_is_what_its_listing_says(tmp_path: Path) -> None:
    for listing in LISTINGS:
        operands = dict.fromkeys(("pattern", "target", "slot"), 0x1122334455667788)
        lines = [line.strip().split("  ", 1)[1].strip() for line in listing.splitlines() if line.strip()]
        equals = [f"{name} = {value:#x}" for name, value in operands.items()]
        (tmp_path / "listing.s").write_text("\n".join([".intel_syntax noprefix", *equals, *lines, ""]))
        subprocess.run(["cc", "-c", "listing.s", "-o", "listing.o"], cwd=tmp_path, check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "listing.o", "code"], cwd=tmp_path, check=True)
        assert (tmp_path / "code").read_bytes() == assemble(listing, **operands)
