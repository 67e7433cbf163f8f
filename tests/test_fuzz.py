"""Plain `pytest`: properties are tried on the native binary, and what fails is shown as a refutation is."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from project import ALWAYS_THE_SAME, GATE, GATE_HEADER, Project

from pytest_vigor import assume
from pytest_vigor.build import binary_of
from pytest_vigor.fuzz.configurations import SIZE_MAX
from pytest_vigor.fuzz.words import names
from pytest_vigor.network_function import NetworkFunction
from pytest_vigor.trial import Trials

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
CRASHES = GATE.replace("(void) now;", 'if (now > 1000) { __builtin_trap(); }')
HANGS = GATE.replace("(void) now;", "while (now > 1000) { }")
READS_BEFORE = GATE.replace("(void) packet;", "if (packet[-1] == 7) { return NF_DROP; }")

# Remembers the last destination port, and answers packets from there only.
STATEFUL_HEADER = """
    #ifndef GATE_H
    #define GATE_H
    #include "nf.h"
    #include "net/net.h"
    #include "typed.h"
    struct nf_config { uint32_t capacity; uint16_t wan_device; };
    struct nf_state { FLOW_TABLE(ports, net_be16); uint16_t wan_device; };
    extern VIGOR_API struct nf_state nf_state;
    #endif
"""
STATEFUL = """
    #include "{name}.h"
    #include "flow_table/flow_table.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        if (config->capacity < 1 || config->capacity > 16 || config->wan_device >= device_count) {
            return false;
        }
        nf_state.ports = flow_table_alloc(sizeof(net_be16), config->capacity);
        nf_state.wan_device = config->wan_device;
        return nf_state.ports != NULL;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
        if (ports == NULL) {
            return NF_DROP;
        }
        uint32_t index;
        if (device != nf_state.wan_device) {
            if (!flow_table_find_and_refresh(nf_state.ports, &ports->dst_port, now, &index)) {
                flow_table_put(nf_state.ports, &ports->dst_port, now, &index);
            }
            return nf_state.wan_device;
        }
        if (!flow_table_find(nf_state.ports, &ports->src_port, &index)) {
            return NF_DROP;
        }
        return nf_state.wan_device == 0 ? 1 : 0;
    }
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    made = Project(pytester)
    made.write("conftest.py", ALWAYS_THE_SAME)
    return made


def test_what_holds_passes_and_the_summary_says_how_much_was_tried(project: Project) -> None:
    project.nf()
    project.properties("""
        def test_from_outside_dropped(step):
            assume(step.device == step.config.wan_device)
            assert step.dropped

        def test_never_there(step):
            assume(step.packet.length > 1518)
            assert step.dropped
    """)
    ran = project.run()
    assert ran.outcomes == {"test_from_outside_dropped": "passed", "test_never_there": "passed"}
    assert ran.verdict("test_from_outside_dropped") == "Fuzzed"
    tried = ran.records["test_from_outside_dropped"]
    assert 0 < tried["reached"] <= tried["examples"]
    assert ran.records["test_never_there"]["reached"] == 0
    said = " ".join(ran.output.split())
    assert "gate: fuzzed: " in said and "reached an assert, 0 of 2 properties refuted" in said
    assert "passed, but no example got to an assert of: test_never_there" in said


def test_what_fails_is_shown_as_a_refutation_from_the_start(project: Project) -> None:
    project.nf()
    project.properties("""
        def test_never_drops(step):
            \"\"\"RFC 0 §1: nothing is ever dropped.\"\"\"
            assert not step.dropped
    """)
    ran = project.run()
    assert ran.verdict("test_never_drops") == "Refuted" and ran.records["test_never_drops"]["confirmed"]
    shown = ran.said("test_never_drops")
    assert shown.startswith("REFUTED: nothing is ever dropped. (RFC 0 §1)")
    assert "> assert not step.dropped" in shown
    assert "CONFIRMED: gate.so, run natively from its start, fails the same assert." in shown
    assert "The state before is the one that nf_init leaves." in shown


def test_a_state_is_reached_by_packets_and_the_report_lists_them(project: Project) -> None:
    project.nf(source=STATEFUL, header=STATEFUL_HEADER)
    project.properties("""
        def test_outside_is_never_let_in(step):
            assume(step.device == step.config.wan_device)
            assert step.dropped
    """)
    ran = project.run()
    assert ran.verdict("test_outside_is_never_let_in") == "Refuted"
    shown = ran.said("test_outside_is_never_let_in")
    assert "Steps that lead to the state before 1. now" in shown and " 3. now" not in shown
    assert "The state before is one that these steps lead to." in shown


def test_a_symbolic_refutation_comes_with_packets_that_lead_to_it(project: Project) -> None:
    project.nf(source=STATEFUL, header=STATEFUL_HEADER)
    project.properties("""
        def test_outside_is_never_let_in(step):
            assume(step.device == step.config.wan_device)
            assert step.dropped
    """)
    shown = project.prove().said("test_outside_is_never_let_in")
    assert "Steps that lead to the state before 1. now" in shown and "C lines on the way" in shown
    assert "The state before is one that these steps lead to." in shown
    shown = project.prove("--vigor-reach", "0").said("test_outside_is_never_let_in")
    assert "whether packets lead to it is not known" in shown


def test_a_state_that_no_packets_lead_to_is_said_not_to_be_reached(project: Project) -> None:
    # The count goes in twos, which no invariant that is guessed says.
    header = GATE_HEADER.replace("struct nf_state { uint16_t wan_device; }", "struct nf_state { uint64_t count; }")
    project.nf(header=header, source="""
        #include "{name}.h"
        struct nf_state nf_state;
        bool nf_init(const struct nf_config *config, uint16_t device_count)
        {
            (void) config;
            nf_state.count = 0;
            return device_count == 2;
        }
        int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
        {
            (void) packet;
            (void) length_bytes;
            (void) now;
            nf_state.count += 2;
            return nf_state.count == 7 ? NF_DROP : device ^ 1;
        }
    """)
    project.properties("def test_never_drops(step):\n    assert not step.dropped\n")
    ran = project.prove()
    assert ran.verdict("test_never_drops") == "Refuted"
    assert "no packets were found within the budget that lead to it" in ran.said("test_never_drops")


def test_a_property_over_two_steps_gets_what_it_asks_for(project: Project) -> None:
    project.nf(source=STATEFUL, header=STATEFUL_HEADER)
    project.properties("""
        def swapped(packet):
            ports = packet.tcpudp
            return packet.with_(tcpudp={"src_port": ports.dst_port, "dst_port": ports.src_port})

        def test_reply_comes_in(step):
            assume(step.packet.tcpudp and step.device != step.config.wan_device and not step.old.ports.full)
            assert not step.then(step.config.wan_device, swapped(step.packet), step.now).dropped

        def test_reply_is_kept_out(step):
            assume(step.packet.tcpudp and step.device != step.config.wan_device and not step.old.ports.full)
            assert step.then(step.config.wan_device, swapped(step.packet), ...).dropped
    """)
    ran = project.run()
    assert ran.verdict("test_reply_comes_in") == "Fuzzed" and ran.records["test_reply_comes_in"]["reached"] > 0
    assert ran.verdict("test_reply_is_kept_out") == "Refuted"
    assert "Step 2 of 2" in ran.texts["test_reply_is_kept_out"]


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [(CRASHES, "crash", "SIGILL"), (HANGS, "termination", "does not return"), (READS_BEFORE, "memory", "SIGSEGV")],
    ids=["crash", "hang", "guard"],
)
def test_what_takes_the_nf_down_is_a_report_and_the_next_property_runs(
    project: Project, source: str, kind: str, words: str
) -> None:
    project.nf(source=source)
    project.properties(f"""
        def test_respects(step):
            assert step.respects("{kind}")

        def test_respects_contracts(step):
            assert step.respects("contract")

        def test_configured(step):
            assert step.config.wan_device < step.device_count
    """)
    ran = project.run()
    assert ran.verdict("test_respects") == "Refuted"
    assert words in ran.said("test_respects") and "CONFIRMED" in ran.said("test_respects")
    assert ran.verdict("test_respects_contracts") == ran.verdict("test_configured") == "Fuzzed"


def test_a_property_that_raises_fails_with_its_traceback(project: Project) -> None:
    project.nf()
    project.properties("def test_misused(step):\n    assert step.packet + 1\n")
    ran = project.run()
    assert ran.outcomes == {"test_misused": "failed"}
    assert "TypeError: unsupported operand" in ran.texts["test_misused"]


def test_an_nf_that_accepts_nothing_is_skipped_with_a_reason(project: Project) -> None:
    project.nf(source=GATE.replace("return config->wan_device < device_count;", "return device_count > 1000;"))
    project.properties("def test_anything(step):\n    assert step.dropped\n")
    ran = project.run()
    assert ran.outcomes == {"test_anything": "skipped"}
    assert "nf_init accepts no configuration that fuzzing tried" in ran.said("test_anything")


def test_the_profile_in_force_decides_how_much_is_tried(project: Project) -> None:
    project.nf()
    project.properties("def test_one(step):\n    assert step.sent or step.dropped\n")
    project.write("conftest.py", """
        from hypothesis import settings

        settings.register_profile("short", max_examples=7)
        settings.load_profile("short")
    """)
    assert project.run().records["test_one"]["examples"] == 7


def test_fuzzing_the_shipped_nfs_finds_nothing_wrong(pytester: pytest.Pytester) -> None:
    # A short look at each: what holds natively is what is proved.
    found = pytester.run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", ROOT,
        "-k", "test_capacity or test_static_entries_stay or test_wire or test_only_between or test_preferences_stay",
        str(ROOT / "properties"),
    )  # fmt: skip
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*nat: fuzzed:*0 of 2 properties refuted*"])


def test_arguments_that_an_nf_accepts_are_found_by_asking_it() -> None:
    folder = ROOT / "nfs" / "router"
    trials = Trials(seed=0)
    try:
        found = trials.ready(NetworkFunction("router", binary_of(folder), folder / "router.h")).ground.accepted
    finally:
        trials.close()
    routes = [(int.from_bytes(each[:4], "big"), *struct.unpack("<HH", each[4:])) for each in found["router_add_route"]]
    assert len(routes) > 10 and len({length for _, length, _ in routes}) > 3
    for prefix, length, device in routes:
        assert device < 2 and length <= 32 and not prefix & ((1 << 32 - length) - 1)


def test_configurations_are_often_at_the_limits_of_what_an_nf_accepts() -> None:
    folder = ROOT / "nfs" / "policer"
    trials = Trials(seed=0)
    try:
        ready = trials.ready(NetworkFunction("policer", binary_of(folder), folder / "policer.h")).ground
    finally:
        trials.close()
    found = ready.configurations
    places = {leaf.path: number for number, leaf in enumerate(found.leaves)}
    rate, burst, capacity = (places[name] for name in ("rate_bytes_per_s", "burst_bytes", "capacity"))
    assert {min(found.accepted[each]) for each in (rate, burst, capacity)} == {1}
    assert max(found.accepted[rate]) == 10**12 and max(found.accepted[burst]) == (1 << 32) - 1
    assert max(found.accepted[capacity]) <= SIZE_MAX, "a table that large takes too long"
    random = Random(0)
    drawn = [found.chosen([random.getrandbits(32) for _ in range(found.width)])[0] for _ in range(1_000)]
    offset = found.leaves[burst].offset
    bursts = [int.from_bytes(each[offset : offset + 4], "little") for each in drawn]
    assert all(100 < bursts.count(limit) < 500 for limit in (1, (1 << 32) - 1))


def is_whole(packet: Any) -> bool:
    return bool(packet.ipv4.checksum_is_right)


def test_what_a_property_names_is_in_it_and_in_what_it_calls() -> None:
    def property_(step: Any) -> None:
        assume(any(each.udp for each in (step.packet,)) and is_whole(step.packet))
        assert step.packet.byte(14) == 0x45

    assert {"packet", "udp", "ipv4", "checksum_is_right", "byte 14"} <= names(property_)
    assert "Truth" not in names(property_), "what the tool itself names is left out"
