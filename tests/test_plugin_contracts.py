"""Contracts for functions that are not libVig's, brought by a project's own conftest."""

from __future__ import annotations

import subprocess

import pytest
from project import Project, calling

pytest_plugins = ["pytester"]

CALLER = calling("mystery(device)")
MYSTERY = """
    from pytest_vigor.contract import U16, Outcome, contract

    @contract(value=U16, returns=U16)
    def mystery(call, value):
        call.requires(value < 1000, "the value is small")
        return Outcome(call.choose("result", 16, lambda n: n <= value))
"""
HOOK = """
    import mystery_contract

    def pytest_vigor_contracts():
        return [mystery_contract]
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester)
    pytester.syspathinsert()
    project.nf(source=CALLER)
    project.write("mystery_contract.py", MYSTERY)
    return project


def test_a_contract_makes_an_unknown_function_provable(project: Project) -> None:
    project.properties("""
        def test_goes_down(step):
            assume(step.device_count < 1000)
            for device, _ in step.sent:
                assert device <= step.device

        def test_keeps_contracts(step):
            assert step.respects("contract")
    """)
    without = project.prove()
    assert {without.verdict(name) for name in without.outcomes} <= {"Unknown"}
    assert "mystery" in without.said("test_goes_down")
    project.write("conftest.py", HOOK)
    # Devices from 1,000 on break what the contract requires, so nothing is proved until nf_init refuses them.
    early = project.prove()
    assert early.verdict("test_goes_down") == "Unknown" and "mystery requires that the value is small" in (
        early.said("test_goes_down")
    )
    project.nf(source=CALLER.replace("return config->", "return device_count < 1000 && config->"))
    ran = project.prove()
    assert {ran.verdict(name) for name in ran.outcomes} == {"Proved"}, ran.texts


def test_two_contracts_for_one_function_are_an_error_that_names_both(project: Project) -> None:
    project.write("other_contract.py", MYSTERY)
    project.write("conftest.py", """
        import mystery_contract, other_contract

        def pytest_vigor_contracts():
            return [mystery_contract, other_contract]
    """)
    project.properties("def test_it(step):\n    assert not step.flooded\n")
    ran = project.prove()
    assert ran.outcomes == {"test_it": "failed"}
    text = ran.said("test_it")
    assert text.startswith("mystery has two contracts, in ")
    assert "mystery_contract.py" in text and "other_contract.py" in text


def test_a_second_contract_for_a_function_of_libvig_is_an_error(project: Project) -> None:
    project.write("mystery_contract.py", """
        from pytest_vigor.contract import TRUTH, Outcome, State, contract
        from pytest_vigor.ghost.map import Map

        @contract(map=State(Map), returns=TRUTH)
        def map_size(call, map):
            return Outcome(0)
    """)
    project.write("conftest.py", HOOK)
    project.properties("def test_it(step):\n    assert not step.flooded\n")
    assert "map_size has two contracts" in project.prove().said("test_it")


def test_a_contract_that_raises_is_not_a_proof(project: Project) -> None:
    project.write("mystery_contract.py", MYSTERY.replace("value < 1000", "value < nonsense"))
    project.write("conftest.py", HOOK)
    project.properties("def test_it(step):\n    assert not step.flooded\n")
    ran = project.prove()
    assert ran.outcomes == {"test_it": "failed"}
    assert "nonsense" in ran.said("test_it")


# ---- the function itself


LIBRARY = """
    #include <stdint.h>
    uint16_t mystery(uint16_t value) { return WHAT; }
"""
LINKED = """
    import pytest
    from pytest_vigor import assume

    pytestmark = pytest.mark.nf("out/gate.so", header="nfs/gate/gate.h")

    def test_stays_below_two(step):
        assume(step.device_count < 1000)
        for device, _ in step.sent:
            assert device < 2

    def test_may_flood(step):
        assert not step.sent
"""


def linked(project: Project, what: str) -> None:
    """The gate as a binary that is linked with a library of its own, built by hand."""
    project.nf(source=CALLER.replace("return config->", "return device_count < 1000 && config->"))
    source = project.write("mystery.c", LIBRARY.replace("WHAT", what))
    library = project.path / "libmystery.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    project.binary("gate", "out", f"-L{project.path}", f"-Wl,-rpath,{project.path}", "-Wl,--no-as-needed", "-lmystery")
    project.write("conftest.py", HOOK)
    project.write("test_linked.py", LINKED)


def test_a_refutation_runs_the_real_function(project: Project) -> None:
    linked(project, "value")
    ran = project.prove()
    assert {ran.verdict(name) for name in ran.outcomes} == {"Refuted"}, ran.texts
    for name in ran.outcomes:
        assert "CONFIRMED: gate.so" in ran.said(name) and "mystery(value=" in ran.said(name), ran.texts[name]


def test_what_only_the_contract_allows_is_no_refutation(project: Project) -> None:
    linked(project, "value < 2 ? value : 1")
    ran = project.prove()
    assert ran.verdict("test_may_flood") == "Refuted" and "CONFIRMED: gate.so" in ran.said("test_may_flood")
    assert ran.verdict("test_stays_below_two") == "Unknown", ran.texts
    assert "would choose otherwise" in ran.said("test_stays_below_two")


def test_a_function_that_breaks_its_contract_is_noticed(project: Project) -> None:
    linked(project, "value + 1")
    ran = project.prove("-k", "flood")
    assert ran.verdict("test_may_flood") == "Refuted"
    assert "NOT CONFIRMED" in ran.said("test_may_flood") and "mystery" in ran.said("test_may_flood"), ran.texts
