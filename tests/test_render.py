"""Refutations and other verdicts as people read them. The counterexamples under render/ were saved from real runs.

With --update-snapshots, the snapshots are written instead of compared.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_vigor.counterexample import Counterexample, Obligation, Place
from pytest_vigor.render import assumptions, claim_of, failure, summary_details, summary_line
from pytest_vigor.render.native import replayed
from pytest_vigor.render.packets import hexdump, scapy
from pytest_vigor.render.text import WIDTH, Row, table
from pytest_vigor.trace import Call, Fault, Run, StepResult
from pytest_vigor.verdict import Refuted, Unknown, Vacuous

FOLDER = Path(__file__).parent / "render"
SAVED = sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(".header"))


def saved(name: str) -> tuple[str, Counterexample]:
    """A claim, and what refutes it."""
    data = json.loads((FOLDER / f"{name}.json").read_text())
    header = json.loads((FOLDER / f"{data['header']}.header.json").read_text())
    return data["claim"], Counterexample.from_json({**data["counterexample"], "header": header})


def shown(name: str, verbosity: int = 0, **changes: Any) -> str:
    claim, example = saved(name)
    return failure(claim, Refuted(claim, dataclasses.replace(example, **changes)), verbosity)


Check = Callable[[str, str], None]


@pytest.fixture
def check(request: pytest.FixtureRequest) -> Check:
    """Compares a text with the one that is kept under a name."""

    def compare(name: str, text: str) -> None:
        path = FOLDER / f"{name}.txt"
        if request.config.getoption("--update-snapshots", default=False):
            path.write_text(text + "\n")
        assert text + "\n" == path.read_text(), "run with --update-snapshots if it is meant to look like this"

    return compare


@pytest.mark.parametrize("name", SAVED)
def test_refutation_reads_as_it_did(name: str, check: Check) -> None:
    check(name, shown(name))


def test_v_shows_the_lines_of_libvig_too(check: Check) -> None:
    check("packet_changed_v", shown("packet_changed", 1))


def test_vv_shows_the_packet_for_other_tools(check: Check) -> None:
    check("many_entries_vv", shown("many_entries", 2))


@pytest.mark.parametrize("name", SAVED)
def test_refutation_fits_80_columns(name: str) -> None:
    wide = [line for line in shown(name, 1).splitlines() if len(line) > WIDTH]
    assert not wide


@pytest.mark.parametrize("name", SAVED)
def test_counterexample_survives_json(name: str) -> None:
    _, example = saved(name)
    assert Counterexample.from_json(json.loads(json.dumps(example.to_json()))) == example


# ---- what the native binary did


def native(name: str = "entry_expired", **changes: Any) -> str:
    _, example = saved(name)
    return "\n".join(replayed(dataclasses.replace(example, **changes)))


def ended(name: str, ending: str, **changes: Any) -> Run:
    """A saved run whose last step ended otherwise."""
    run = saved(name)[1].run
    last = dataclasses.replace(run.last, ending=ending, fault=None, function=None, **changes)
    return dataclasses.replace(run, steps=(*run.steps[:-1], last))


def test_assert_that_holds_natively_is_louder_than_a_refutation() -> None:
    assert native(confirmed=False, message="").splitlines()[:3] == [
        "!! NOT CONFIRMED: bridge.so, run natively from this state, does not fail the",
        "!! assert.",
        "!! A contract or the engine is wrong about this NF: report this, with the output",
    ]


def test_calls_of_a_loop_do_not_fill_the_report() -> None:
    claim, example = saved("endless_loop")
    before = tuple(Call("map_erase", {"map": "seen", "key": each}, 1, returned=True) for each in range(100))
    spinning = (Call("map_size", {"map": "seen"}, 0, returned=True),) * 5000
    last = dataclasses.replace(example.run.last, calls=(*before, *spinning))
    example = dataclasses.replace(example, run=dataclasses.replace(example.run, steps=(last,)))
    text = failure(claim, Refuted(claim, example))
    assert "map_size(seen) = 0, 5000 times in a row" in text
    assert "... 73 calls are left out ..." in text
    assert text.count("map_erase") == 27
    assert len(text.splitlines()) < 90


def test_library_that_breaks_its_contract_is_no_confirmation() -> None:
    run = ended("entry_expired", "mismatch", detail="the result is 0x1, not 0x0")
    run = dataclasses.replace(run, steps=(dataclasses.replace(run.last, function="flow_table_put"),))
    text = native(confirmed=False, run=run)
    assert "finds that flow_table_put does not do what its contract says" in " ".join(text.replace("!! ", "").split())


def test_memory_error_need_not_show_natively() -> None:
    owed = Obligation("memory", "2-byte read of a record of ports stays within it", Place("nfs/bridge/bridge.c", 65))
    text = " ".join(native(confirmed=False, message="", obligation=owed).replace("!! ", "").split())
    assert "NOT CONFIRMED" in text and "the processor notices only what leaves the packet" in text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            Fault("SIGSEGV", 0x1000, "after", 60),
            "is stopped by SIGSEGV at byte 60 of the packet, which has 60: 1 byte past its end",
        ),
        (
            Fault("SIGSEGV", 0x1000, "after", 63),
            "is stopped by SIGSEGV at byte 63 of the packet, which has 60: 4 bytes past its end",
        ),
        (Fault("SIGSEGV", 0x1000, "before", -1), "is stopped by SIGSEGV at 1 byte before the start of the packet"),
        (Fault("SIGSEGV", 8), "is stopped by SIGSEGV at the address 0x8, a null pointer's"),
        (Fault("SIGSEGV", 1 << 40), "is stopped by SIGSEGV outside of the packet"),
        (Fault("SIGFPE"), "is stopped by SIGFPE."),
    ],
)
def test_crash_says_where_it_was_relative_to_the_packet(fault: Fault, words: str) -> None:
    run = ended("entry_expired", "crashed")
    run = dataclasses.replace(run, steps=(dataclasses.replace(run.last, fault=fault),))
    owed = Obligation("memory", "4-byte read of the packet stays within it")
    assert words in " ".join(native(run=run, obligation=owed).split())


def test_refusing_nf_init_is_told() -> None:
    run = Run(StepResult("nf_init", "refused", "nf_init returned false"))
    text = native(confirmed=False, run=run)
    assert "run natively with this configuration, cannot be set up: nf_init returned false" in " ".join(
        text.replace("!! ", "").split()
    )


def test_initial_state_is_called_so() -> None:
    assert "The state before is the one that nf_init leaves." in native("endless_loop")
    assert "whether packets lead to it is not known" in native("broken_contract")


def test_dependence_on_uninitialised_memory_is_told_beside_a_failed_assert() -> None:
    run = dataclasses.replace(saved("entry_expired")[1].run, differs_with_stack=True, difference="step 1: packet ...")
    text = native(run=run)
    assert "fails the same assert" in text and "Besides, it depends on memory that nobody initialised" in text


# ---- other verdicts


def test_citation_goes_below_the_claim() -> None:
    text = failure("RFC 3022 §2.2: only sessions opened from inside get translated.", Vacuous("no assert is reached"))
    assert text.splitlines()[:2] == [
        "VACUOUS: only sessions opened from inside get translated.",
        "         (RFC 3022 §2.2)",
    ]


def test_colon_in_a_claim_is_no_citation() -> None:
    assert failure("two ways: in and out", Vacuous("x")).startswith("VACUOUS: two ways: in and out\n")


def test_vacuous(check: Check) -> None:
    check("vacuous", failure("group frames are flooded", Vacuous("no assert of this property is reached on any path")))


def test_unknown(check: Check) -> None:
    reason = "net_resolve has no contract (bridge.c:71)"
    check("unknown", failure("nothing is lost", Unknown(reason, "write one in a conftest.py: see docs/contracts.md")))


def test_claim_is_the_first_paragraph_or_the_name() -> None:
    assert claim_of("test_no_loop", None) == "no loop"
    assert claim_of("test_no_loop", "RFC 1: a claim\n    in two lines.\n\n    More.") == "RFC 1: a claim in two lines."


RECORD = {
    "verdict": "Proved", "confirmed": False, "paths": 33, "obligations": 627, "explore_seconds": 1.5, "seconds": 0.25,
    "cached": True, "invariants": ["no age in stations lies after the latest step"], "assumptions": ["ONE_THREAD"],
}  # fmt: skip


def test_summary() -> None:
    assert (
        summary_line("bridge", [RECORD]) == "bridge: 33 paths, 627 obligations, 1 of 1 property proved, 1.8 s (cached)"
    )
    two = [{**RECORD, "cached": False}, {**RECORD, "verdict": "Refuted", "confirmed": True}]
    assert summary_line("bridge", two) == "bridge: 33 paths, 627 obligations, 1 of 2 properties proved, 2.0 s"
    assert list(summary_details([RECORD])) == ["  between steps: no age in stations lies after the latest step"]


def test_summary_is_loud_about_what_the_binary_does_not_confirm() -> None:
    lines = summary_line("bridge", [{**RECORD, "verdict": "Refuted"}]).splitlines()
    assert lines[1:] == ["  !! 1 NOT CONFIRMED by the native binary: see above"]


def test_assumptions_are_explained_with_vv() -> None:
    assert list(assumptions(["ONE_THREAD"], 1)) == ["assuming (docs/assumptions.md): ONE_THREAD"]
    assert list(assumptions(["ONE_THREAD"], 2))[1:] == [
        "  ONE_THREAD: one call into the NF ends before the next begins"
    ]


# ---- parts


@pytest.mark.parametrize("name", ["translated", "many_entries", "two_packets"])
def test_scapy_expression_is_the_packet(name: str) -> None:
    layers = pytest.importorskip("scapy.layers.l2")
    from scapy.packet import Raw

    for step in saved(name)[1].situation.steps:
        expression = scapy(step.packet)
        assert bytes(eval(expression, {"Ether": layers.Ether, "Raw": Raw, "bytes": bytes})) == step.packet


def test_packets_without_a_whole_header_are_raw_for_scapy() -> None:
    assert scapy(b"\x01\x02") == 'Raw(bytes.fromhex("0102"))'
    assert scapy(bytes(14)).endswith("type=0x0000)")


def test_hexdump() -> None:
    assert list(hexdump(b"0123456789abcdef\x00~")) == [
        "0000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef",
        "0010  00 7e                                             .~",
    ]


def test_wide_values_go_below_their_label() -> None:
    rows = [Row("a" * 20, "b" * 30, "c" * 30), Row("d", "e", "e")]
    assert table("T", ("before", "after"), rows) == [
        "T",
        "  " + "a" * 20,
        "    before  " + "b" * 30,
        "    after   " + "c" * 30 + " <-",
        "  d  e",
        "",
    ]
