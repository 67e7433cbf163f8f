"""What `pytest --vigor` says of a property: passed only if proved, otherwise why not and what to do."""

from __future__ import annotations

import pytest
from project import GATE, GATE_HEADER, Project, calling

pytest_plugins = ["pytester"]

MYSTERY = calling("mystery(device) < 2 ? NF_FLOOD : NF_DROP")


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


# ---- verdicts


def test_only_what_is_proved_passes(project: Project) -> None:
    project.nf()
    project.properties("""
        def test_goes_outside(step):
            assume(step.packet.ether and step.device != step.config.wan_device)
            assert step.sent == [(step.config.wan_device, step.packet)]

        def test_never_drops(step):
            \"\"\"RFC 0 §1: nothing
            is ever dropped.

            Or so one would like.\"\"\"
            assert not step.dropped

        def test_no_such_device(step):
            assume(step.device >= step.device_count)
            assert step.dropped

        def test_unreachable_assert(step):
            if step.device == step.config.wan_device and step.sent:
                assert step.flooded

        def test_claims_nothing(step):
            step.dropped
    """)
    ran = project.prove()
    assert ran.outcomes == {
        "test_goes_outside": "passed",
        "test_never_drops": "failed",
        "test_no_such_device": "failed",
        "test_unreachable_assert": "failed",
        "test_claims_nothing": "failed",
    }
    assert ran.status == pytest.ExitCode.TESTS_FAILED
    assert ran.verdict("test_goes_outside") == "Proved"
    assert ran.verdict("test_never_drops") == "Refuted"
    refuted = ran.said("test_never_drops")
    assert refuted.startswith("REFUTED: nothing is ever dropped.") and "RFC 0 §1" in refuted
    assert "assert not step.dropped" in refuted and "CONFIRMED: gate.so, run natively" in refuted
    for name in ("test_no_such_device", "test_unreachable_assert", "test_claims_nothing"):
        assert ran.verdict(name) == "Vacuous"
        claim = name.removeprefix("test_").replace("_", " ")
        assert ran.said(name).startswith(f"VACUOUS: {claim} ")
        said = "it has no assert" if name == "test_claims_nothing" else "no assert of this property is reached"
        assert f"It claims nothing, so it fails: {said}" in ran.said(name)
    assert "FAILED test_properties.py::test_never_drops - REFUTED: nothing is ever dropped." in ran.output
    assert "gate: " in ran.output and "1 of 5 properties proved" in ran.output


def test_an_undescribed_function_makes_what_reaches_it_unknown_by_name(project: Project) -> None:
    project.nf(source=MYSTERY)
    project.properties("""
        def test_runts_are_dropped(step):
            assume(step.packet.length < 14)
            assert step.dropped

        def test_never_sent_to_one(step):
            assert not step.sent or step.flooded
    """)
    ran = project.prove()
    for name in ran.outcomes:
        assert ran.outcomes[name] == "failed" and ran.verdict(name) == "Unknown"
        assert "the NF calls mystery, which has no contract" in ran.said(name)
        assert ran.said(name).startswith("UNKNOWN: ")


def test_a_claim_that_fails_elsewhere_is_refuted_despite_an_undescribed_function(project: Project) -> None:
    project.nf(source=MYSTERY)
    project.properties("""
        def test_runts_flooded(step):
            assume(step.packet.length < 14)
            assert step.flooded
    """)
    assert project.prove().verdict("test_runts_flooded") != "Proved"


def test_a_broken_obligation_keeps_every_property_from_being_proved(project: Project) -> None:
    project.nf(source=GATE.replace("(void) packet;", "if (packet[12] == 8) { return NF_DROP; }"))
    project.properties("""
        def test_from_outside_dropped(step):
            assume(step.device == step.config.wan_device)
            assert step.dropped

        def test_in_bounds(step):
            assert step.respects("memory")

        def test_terminates(step):
            assert step.respects("termination")
    """)
    ran = project.prove()
    assert ran.outcomes["test_from_outside_dropped"] == "failed"
    assert ran.verdict("test_from_outside_dropped") == "Unknown"
    assert "breaks one" in ran.said("test_from_outside_dropped")
    assert ran.verdict("test_in_bounds") == "Refuted"
    assert "CONFIRMED" in ran.said("test_in_bounds") and "SIGSEGV" in ran.said("test_in_bounds")


def test_a_property_over_two_steps(project: Project) -> None:
    project.nf()
    project.properties("""
        def test_again_the_same(step):
            later = step.then(step.device, step.packet, step.now + 1)
            assert later.dropped == step.dropped

        def test_outside_follows(step):
            later = step.then(step.config.wan_device, step.packet, step.now)
            assert not later.dropped
    """)
    ran = project.prove()
    assert ran.verdict("test_again_the_same") == "Proved"
    assert ran.verdict("test_outside_follows") == "Refuted"


def test_what_is_not_there_refutes_a_property_that_reads_it(project: Project) -> None:
    project.nf()
    project.properties("""
        def test_sent_outside(step):
            assert step.sent[0][0] == step.config.wan_device

        def test_next_device(step):
            expected = step.packet.with_(ether={"type": 0xFFF0 + 8 * step.device_count})
            assert step.sent != [(step.device, expected)]

        def test_absent_only_where_left_out(step):
            assume(not step.dropped)
            assert step.sent[0][0] == step.config.wan_device
    """)
    ran = project.prove()
    text = ran.said("test_sent_outside")
    assert ran.verdict("test_sent_outside") == "Refuted"
    assert "IndexError: list index out of range" in text and "CONFIRMED" in text and "dropped: nothing is sent" in text
    assert ran.verdict("test_next_device") == "Refuted"
    assert "ValueError: 65536 does not fit in 16 bits" in ran.said("test_next_device")
    assert ran.verdict("test_absent_only_where_left_out") == "Proved"


def test_out_of_budget_is_unknown_and_says_how_to_raise_it(project: Project) -> None:
    project.nf()
    project.properties("def test_runs_out(step):\n    assert step.dropped or step.device != step.config.wan_device\n")
    ran = project.prove("--vigor-cpu-seconds", "0")
    assert ran.outcomes == {"test_runs_out": "failed"}
    assert ran.verdict("test_runs_out") == "Unknown"
    assert "0 CPU seconds" in ran.said("test_runs_out")


# ---- properties that are wrong as programs


def test_a_property_that_raises_fails_with_its_traceback(project: Project) -> None:
    project.nf()
    project.properties("""
        def misuse(step):
            return step.packet + 1

        def test_type_error(step):
            assert misuse(step) == 2

        def test_absent_header(step):
            assert step.packet.ether.dst >= 0

        def test_no_such_field(step):
            assert step.config.nonsense == 1
    """)
    ran = project.prove()
    assert set(ran.outcomes.values()) == {"failed"}
    text = ran.said("test_type_error")
    assert "TypeError" in text and "return step.packet + 1" in text and "test_type_error" in text
    assert "packet.ether.dst is read where the packet has no ether header: say assume(packet.ether) first" in (
        ran.said("test_absent_header")
    )
    assert "struct nf_config has no field 'nonsense'; it has wan_device" in ran.said("test_no_such_field")
    assert "was stopped" not in ran.output


def test_other_fixtures_and_parameters_reach_a_property(project: Project) -> None:
    project.nf()
    project.properties("""
        @pytest.fixture
        def minimum():
            return 14

        @pytest.mark.parametrize("extra", [0, -1])
        def test_length(step, minimum, extra):
            assume(step.device != step.config.wan_device)
            assert step.dropped == (step.packet.length < minimum + extra)

        class TestInside:
            def test_in_a_class(self, step):
                assume(step.packet.length < 14)
                assert step.dropped
    """)
    ran = project.prove()
    assert ran.outcomes == {"test_length[0]": "passed", "test_length[-1]": "failed", "test_in_a_class": "passed"}
    assert ran.verdict("test_length[-1]") == "Refuted"


# ---- switching it on and off


@pytest.mark.parametrize(("arguments", "verdict"), [((), "Proved"), (("--no-vigor",), "Fuzzed")])
def test_the_ini_option_makes_proving_the_default(project: Project, arguments: tuple[str, ...], verdict: str) -> None:
    project.nf()
    project.properties("def test_one(step):\n    assert step.dropped or step.packet.length >= 14\n")
    project.pytester.makeini("[pytest]\nvigor = true\naddopts = -p no:hypothesispytest")
    assert project.run(*arguments).verdict("test_one") == verdict


def test_an_ordinary_test_is_left_alone(project: Project) -> None:
    project.write("test_ordinary.py", """
        import pytest

        def test_passes():
            assert True

        def test_fails():
            x = 3
            assert x == 4
    """)
    ran = project.prove()
    assert ran.outcomes == {"test_passes": "passed", "test_fails": "failed"}
    assert "assert 3 == 4" in ran.said("test_fails") and "x = 3" in ran.said("test_fails")


# ---- which network function


def test_a_property_without_a_mark_says_how_to_mark_it(project: Project) -> None:
    project.write("test_it.py", """
        import pytest

        def test_unmarked(step):
            assert step.dropped

        @pytest.mark.nf()
        def test_unnamed(step):
            assert step.dropped
    """)
    ran = project.prove()
    for name in ("test_unmarked", "test_unnamed"):
        assert ran.outcomes[name] == "failed"
        assert ran.said(name) == (
            f"test_it.py::{name} does not say which network function it is about: "
            'mark it: @pytest.mark.nf("bridge")'
        )


def test_a_network_function_that_is_not_there_is_named(project: Project) -> None:
    project.properties("def test_it(step):\n    assert step.dropped\n", nf="nowhere")
    ran = project.prove()
    assert ran.outcomes == {"test_it": "failed"}
    assert ran.said("test_it") == (
        "test_properties.py::test_it is about the network function 'nowhere', which is not there: "
        "put it into nfs/nowhere/nowhere.c and nowhere.h, or mark the path of a shared object"
    )


def test_the_nearest_nfs_folder_above_the_file_counts(project: Project) -> None:
    project.nf()
    body = "def test_it(step):\n    assert step.dropped or step.packet.length >= 14\n"
    project.properties(body, name="a/b/test_it.py")
    assert project.prove().outcomes == {"test_it": "passed"}


def test_a_source_that_does_not_compile_shows_the_compilers_words(project: Project) -> None:
    project.nf(source=GATE.replace("return NF_DROP;", "return NF_DROPPED;"))
    project.properties("def test_it(step):\n    assert step.dropped\n")
    text = project.prove().said("test_it")
    assert "gate.c does not compile" in text and "NF_DROPPED" in text


SHARED_OBJECT = """
    import pytest
    from pytest_vigor import assume

    @pytest.mark.nf("out/gate.so", header="nfs/gate/gate.h")
    def test_it(step):
        assume(step.packet.ether and step.device != step.config.wan_device)
        assert step.sent == [(step.config.wan_device, step.packet)]
"""


@pytest.mark.parametrize(
    "flags", [(), ("-s",), ("-s", "-O3", "-march=x86-64-v3"), ("-O0",)], ids=["plain", "stripped", "v3", "O0"]
)
def test_a_shared_object_is_proved_with_the_header_of_the_mark(project: Project, flags: tuple[str, ...]) -> None:
    project.nf()
    project.binary("gate", "out", *flags)
    (project.path / "nfs/gate/gate.c").unlink()
    project.write("test_it.py", SHARED_OBJECT)
    ran = project.prove()
    assert ran.outcomes == {"test_it": "passed"}, ran.texts


def test_a_shared_object_that_is_not_there_is_named(project: Project) -> None:
    project.write("test_it.py", SHARED_OBJECT)
    assert "there is no file out/gate.so: build it, or correct the path in the mark" in (
        project.prove().said("test_it")
    )


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (GATE_HEADER.replace("uint16_t wan_device;", "uint16_t wan_device", 1), ("gate.h:5:40", "correct the header")),
        (GATE_HEADER.replace('#include "nf.h"', '#include "nowhere.h"'), ("nowhere.h",)),
        (GATE_HEADER.replace("struct nf_config", "struct config"), ("nf_config",)),
    ],
    ids=["syntax", "include", "no configuration"],
)
def test_a_header_that_cannot_be_read_says_why(project: Project, header: str, words: tuple[str, ...]) -> None:
    project.nf()
    project.binary("gate", "out")
    project.nf(header=header)
    project.write("test_it.py", SHARED_OBJECT)
    ran = project.prove()
    assert ran.outcomes == {"test_it": "failed"}
    assert all(word in ran.said("test_it") for word in words), ran.said("test_it")
    assert "Traceback" not in ran.said("test_it") and "pytest_vigor/" not in ran.said("test_it")


def test_a_file_that_is_no_shared_object_is_an_error(project: Project) -> None:
    project.nf()
    project.write("out/gate.so", "not a shared object")
    project.write("test_it.py", SHARED_OBJECT)
    text = project.prove().said("test_it")
    assert "gate.so" in text and "pytest_vigor/" not in text
