"""Properties that are not as docs/properties.md wants them: whatever they do, none is Proved that does not hold."""

from __future__ import annotations

import subprocess

import pytest
from project import Project

from pytest_vigor import judge

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    project.nf()
    return project


def test_decisions_of_a_run_that_asked_something_else_are_not_taken_over(project: Project) -> None:
    project.properties("""
        runs = []

        def flip():
            runs.append(None)
            return len(runs) % 2

        def test_no_packet_is_short(step):
            if flip() and step.packet.length > 100:
                pass
            assert not step.packet.length == 50

        def test_never_the_same(step):
            if flip() and step.packet.length > 100:
                pass
            assert step.packet.length != 50
    """)
    ran = project.prove()
    assert ran.verdict("test_no_packet_is_short") == "Refuted"
    assert "CONFIRMED" in ran.said("test_no_packet_is_short")
    assert ran.outcomes["test_never_the_same"] == "failed"
    assert "does not do the same each time: keep nothing between runs" in ran.said("test_never_the_same")


def test_values_of_an_earlier_run_are_refused(project: Project) -> None:
    project.properties("""
        kept = []

        def test_remembers(step):
            kept.append(step.packet.length > 100)
            assert kept[0] or not step.flooded

        def test_assumes_what_it_remembers(step):
            kept.append(step.packet.length > 100)
            assume(kept[0])
            assert not step.flooded
    """)
    ran = project.prove()
    for name in ("test_remembers", "test_assumes_what_it_remembers"):
        assert ran.outcomes[name] == "failed"
        assert "asks about a value of an earlier run: keep nothing between runs" in ran.said(name)


def test_what_is_left_over_when_there_are_too_many_cases_is_not_forgotten(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "DECISION_LIMIT", 3)
    project.properties("""
        def test_not_all_bytes_are_large(step):
            assume(step.packet.length == 14)
            try:
                large = [bool(step.packet.byte(k) > 5) for k in range(8)]
            except Exception:
                return
            assert not all(large)
    """)
    ran = project.prove()
    assert ran.verdict("test_not_all_bytes_are_large") == "Unknown"
    assert "the budget of 3 cases on one path ran out" in ran.said("test_not_all_bytes_are_large")


def test_text_of_symbols_decides_nothing(project: Project) -> None:
    project.properties("""
        import dataclasses, reprlib

        def test_by_format(step):
            assert f"{step.packet.length}" != "100"

        def test_by_str(step):
            assert str(step.packet.length > 100) != "True"

        def test_by_repr(step):
            assert repr(step.packet.length) != "100"

        def test_by_repr_of_what_has_it(step):
            assert "1" not in str([step.config, (step.device,)])

        def test_by_repr_of_a_packet(step):
            assert repr(step.packet) == "<packet>"

        def test_by_repr_elsewhere(step):
            @dataclasses.dataclass
            class Held:
                length: object

            assert reprlib.repr(Held(step.packet.length)) != "test_by_repr_elsewhere.<locals>.Held(length=100)"

        def test_by_what_is_assumed(step):
            if step.packet.length == 20:
                assume(str(step.packet.length) == "20")
                assert False

            assert not step.flooded

        def test_only_said(step):
            assert not step.flooded, f"of {step.packet.length:#06x} bytes, {step.packet.length > 14}"
    """)
    ran = project.prove()
    assert ran.verdict("test_only_said") == "Proved"
    assert len(ran.outcomes) == 8
    for name in set(ran.outcomes) - {"test_only_said"}:
        assert ran.verdict(name) == "Unknown"
        assert "makes text of what is symbolic" in ran.said(name)


def test_symbols_are_what_they_natively_are(project: Project) -> None:
    project.properties("""
        def test_number(step):
            if isinstance(step.packet.length, int):
                assert step.packet.length < 100
            assert not step.flooded

        def test_pattern(step):
            match step.packet.length:
                case int():
                    assert step.packet.length < 100
            assert not step.flooded

        def test_truth(step):
            assert not isinstance(step.packet.length > 100, bool)

        def test_no_text(step):
            assert not isinstance(step.packet.length, str)
    """)
    ran = project.prove()
    assert ran.verdict("test_no_text") == "Proved"
    for name in ("test_number", "test_pattern", "test_truth"):
        assert ran.verdict(name) == "Refuted"
        assert "CONFIRMED" in ran.said(name)


def test_questions_about_identity_are_unknown(project: Project) -> None:
    project.write("asking.py", """
        def is_short(packet):
            return (packet.length < 100) is True
    """)
    project.properties("""
        import functools, operator

        import asking
        from asking import is_short

        def named(property):
            @functools.wraps(property)
            def renamed(step):
                property(step)
            return renamed

        def test_is_not_true(step):
            assert (step.packet.length > 100) is not True

        def test_is_true_elsewhere(step):
            assert not is_short(step.packet)

        def test_is_true_in_a_module(step):
            assert not asking.is_short(step.packet)

        def test_is_another_number(step):
            assert step.device is not step.config.wan_device

        def test_has_another_id(step):
            assert id(step.device) != id(step.config.wan_device)

        def test_is_not_true_by_a_function(step):
            assert not operator.is_(step.packet.length > 100, True)

        def test_is_of_no_integer_by_name(step):
            assert type(step.packet.length).__name__ != "int"

        def test_answers_as_no_integer_does(step):
            assert (5).__lt__(step.packet.length)

        def test_is_no_integer(step):
            assert type(step.packet.length) is not int

        @named
        def test_is_not_true_within(step):
            assert all((step.packet.byte(k) == 7) is not True for k in range(2))

        @functools.cache
        def limit(short):
            return 100 if short is True else 200

        def test_is_true_in_what_is_cached(step):
            assert limit(step.packet.length < 0) == 200

        class TestClass:
            def is_long(self, packet):
                return (packet.length > 100) is True

            def test_is_true_in_a_method(self, step):
                assert not self.is_long(step.packet)

        exec(compile("def from_nowhere(packet): return packet.length < 65536", "nowhere.py", "exec"))

        MISSING = object()

        def test_is_compared(step):
            assert from_nowhere(step.packet) == True and step.packet is not None
            assert step.packet.length is not MISSING
    """)
    ran = project.prove()
    assert ran.verdict("test_is_compared") == "Proved"
    for name, verdict in ran.outcomes.items():
        if name != "test_is_compared":
            assert verdict == "failed" and ran.verdict(name) == "Unknown"
            assert "the property asks which object something is, or of which type, in" in ran.said(name)
    assert len(ran.outcomes) == 13
    assert "in asking.py:3" in ran.said("test_is_true_elsewhere")


def test_what_symbols_cannot_do_decides_nothing(project: Project) -> None:
    project.properties("""
        from contextlib import suppress

        def test_has_no_such_attribute(step):
            assert not hasattr(step.packet.length, "bit_length")

        def test_is_no_bound(step):
            with pytest.raises(TypeError):
                range(step.packet.length)
            assert True

        def test_is_no_key(step):
            with pytest.raises(TypeError):
                {step.packet.length: 1}
            assert True

        def test_has_no_absolute_value(step):
            length = 0
            with suppress(Exception):
                length = abs(step.packet.length)
            assert length == 0

        def test_is_no_byte(step):
            assume(step.packet.length > 0)
            try:
                content = bytes([step.packet.byte(0)])
            except TypeError:
                content = b""
            assert content == b""

        def test_is_no_float(step):
            is_long = False
            with suppress(TypeError):
                is_long = step.packet.length > 99.5
            assert not is_long

        def test_has_no_content(step):
            content = b""
            with suppress(TypeError):
                content = step.packet.content()
            assert content == b""

        def test_is_not_scaled(step):
            is_long = False
            with suppress(TypeError):
                is_long = step.packet.length * 1.5 > 100
            assert not is_long

        def test_is_not_added(step):
            count = 0
            with suppress(TypeError):
                count = sum([step.packet.length > 100])
            assert count == 0

        def test_cannot_be_negative(step):
            number = 0
            with suppress(TypeError):
                number = (step.packet.length - 2000) // 2
            assert number == 0

        kept = []

        def test_of_an_earlier_run(step):
            kept.append(step.packet.length > 100)
            with suppress(Exception):
                assert not kept[0]
            assert True
    """)
    ran = project.prove()
    assert ran.outcomes.pop("test_of_an_earlier_run") == "failed"
    assert len(ran.outcomes) == 10
    for name in ran.outcomes:
        assert ran.verdict(name) == "Unknown"
        assert "goes on without an answer that something symbolic does not have" in ran.said(name)


def test_truth_is_one_or_zero_to_bits(project: Project) -> None:
    project.properties("""
        def test_two(step):
            assume(step.packet.length > 20)
            assert (step.packet.length > 15) & 2

        def test_both_bits(step):
            assert step.packet.length <= 15 or not (step.packet.length > 15) ^ 3

        def test_lowest_bit(step):
            assume(step.packet.length > 20)
            assert step.packet.length & (step.packet.length > 15)

        def test_right(step):
            assume(step.packet.length > 20)
            assert (step.packet.length & (step.packet.length > 15)) == step.packet.length % 2
            assert ((step.packet.length > 15) | 2) == 3
            assert (step.packet.length > 15) != 0
    """)
    ran = project.prove()
    assert ran.verdict("test_right") == "Proved"
    for name in ("test_two", "test_both_bits", "test_lowest_bit"):
        assert ran.verdict(name) == "Refuted"
        assert "CONFIRMED" in ran.said(name)


def test_symbols_are_their_own_copies(project: Project) -> None:
    project.properties("""
        import copy, dataclasses

        @dataclasses.dataclass
        class Held:
            length: object

        def test_copies(step):
            assert dataclasses.asdict(Held(step.packet.length))["length"] == step.packet.length
            assert copy.copy(step.packet.length > 3) == (step.packet.length > 3)
    """)
    assert project.prove().verdict("test_copies") == "Proved"


def test_what_a_property_changes_is_not_taken_for_what_it_was(project: Project) -> None:
    project.properties("""
        seen = []

        def count(value, counted=[]):
            counted.append(value)
            return len(counted)

        def test_module(step):
            seen.append(1)
            assert len(seen) < 50 or step.packet.length != 100

        def test_default(step):
            assert count(1) < 50 or step.packet.length != 100

        @pytest.mark.parametrize("numbers", [[]])
        def test_parameter(step, numbers):
            numbers.append(1)
            assert len(numbers) < 50 or step.packet.length != 100
    """)
    for arguments in ((), ("--vigor-report", "out")):
        ran = project.prove(*arguments)
        assert len(ran.outcomes) == 3
        for name in ran.outcomes:
            assert ran.verdict(name) == "Unknown"
            assert "the property changes data" in ran.said(name)
    assert not project.proofs()


def test_what_is_changed_is_seen_though_no_proof_is_kept(project: Project) -> None:
    project.properties("""
        import os

        seen = []

        @pytest.fixture
        def nothing():
            return object()

        def test_knows_of_the_world(step):
            seen.append(os.sep)
            assert len(seen) < 50 or step.packet.length != 100

        def test_has_a_fixture(step, nothing):
            seen.append(nothing)
            assert len(seen) < 50 or step.packet.length != 100
    """)
    ran = project.prove()
    assert len(ran.outcomes) == 2
    for name in ran.outcomes:
        assert ran.verdict(name) == "Unknown" and "the property changes data" in ran.said(name)


def test_arguments_that_hypothesis_makes_up_are_not_all_that_there_are(project: Project) -> None:
    project.properties("""
        from hypothesis import HealthCheck, given, settings, strategies

        @settings(suppress_health_check=list(HealthCheck), derandomize=True, database=None)
        @given(strategies.integers(0, 2**30))
        def test_no_number(step, number):
            assert number != 12345678
    """)
    ran = project.prove()
    assert ran.verdict("test_no_number") == "Unknown"
    assert "Hypothesis makes up arguments of the property" in ran.said("test_no_number")


def test_nothing_is_proved_where_python_leaves_asserts_out(project: Project) -> None:
    project.write("checks.py", """
        def check(step):
            assert step.packet.length != 100
    """)
    project.properties("""
        import checks

        def test_claim(step):
            checks.check(step)
            assert True
    """)
    environment = {**project.environment, "PYTHONOPTIMIZE": "1"}
    command = project.command("--vigor", "-rA", "--vigor-reach", "0")
    ran = subprocess.run(command, cwd=project.path, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 1
    assert "Reason: Python leaves asserts out" in ran.stdout


def test_what_is_never_the_same_decides_nothing(project: Project) -> None:
    project.properties("""
        import random
        from random import random as chance

        twice = iter([True, True])

        def below(limit):
            return random.randrange(limit)

        def test_takes_from_an_iterator(step):
            assert next(twice, False) or step.flooded

        def test_throws_dice(step):
            assert below(1) or not step.flooded

        def test_imports_dice(step):
            import secrets as dice
            assert dice.randbelow(1) < 2 or step.flooded

        def test_throws_dice_by_name(step):
            assert chance() < 2 or step.flooded
    """)
    ran = project.prove()
    for name in ran.outcomes:
        assert ran.verdict(name) == "Unknown" and "names what gives another answer each time" in ran.said(name)
    assert len(ran.outcomes) == 4


def test_what_ends_a_test_does_not_end_a_proof(project: Project) -> None:
    project.properties("""
        def test_skips(step):
            if step.device == 0:
                pytest.skip("not this one")
            assert not step.flooded

        def test_expects_to_fail(step):
            if step.device == 0:
                pytest.xfail("not this one")
            assert not step.flooded

        def test_fails(step):
            if step.flooded:  # which is never
                pytest.fail("flooded")
            assert not step.flooded

        def test_fails_for_one(step):
            if step.device == 0:
                pytest.fail("not this one")
            assert not step.flooded
    """)
    ran = project.prove()
    wanted = {"test_skips": "skip", "test_expects_to_fail": "xfail", "test_fails_for_one": "fail"}
    assert ran.outcomes == {"test_fails": "passed"} | dict.fromkeys(wanted, "failed")
    for name, way in wanted.items():
        assert ran.said(name).startswith(f"{name} ends with pytest.{way}('not this one') in a proof: ")
