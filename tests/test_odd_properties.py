"""Properties that are not as docs/properties.md wants them: whatever they do, none is Proved that does not hold."""

from __future__ import annotations

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
        import itertools

        flip = itertools.cycle([True, False])

        def test_no_packet_is_short(step):
            if next(flip) and step.packet.length > 100:
                pass
            assert not step.packet.length == 50

        def test_never_the_same(step):
            if next(flip) and step.packet.length > 100:
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
        def test_by_format(step):
            assert f"{step.packet.length}" != "100"

        def test_by_str(step):
            assert str(step.packet.length > 100) != "True"

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
    for name in ("test_by_format", "test_by_str", "test_by_what_is_assumed"):
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
        import functools

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

        def test_is_compared(step):
            assert from_nowhere(step.packet) == True and step.packet is not None
    """)
    ran = project.prove()
    assert ran.verdict("test_is_compared") == "Proved"
    for name, verdict in ran.outcomes.items():
        if name != "test_is_compared":
            assert verdict == "failed" and ran.verdict(name) == "Unknown"
            assert "whether something is True or False, or of which type it is, in" in ran.said(name)
    assert len(ran.outcomes) == 8
    assert "in asking.py:3" in ran.said("test_is_true_elsewhere")
