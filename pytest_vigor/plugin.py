"""The pytest plugin: options, marker, fixture and reports. Everything else is imported when a property runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_vigor.property.steps import Step

MEMORY_MIB = 8192
REACH_EXAMPLES = 15
_READINGS = "pytest_vigor.readings"  #: imported when the first property runs


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vigor", "pytest-vigor: proving network functions")
    group.addoption("--vigor", action="store_true", default=None, help="prove the properties of network functions")
    group.addoption("--no-vigor", action="store_false", dest="vigor", help="fuzz, whatever the ini file says")
    group.addoption(
        "--vigor-cpu-seconds", type=float, default=300.0, metavar="SECONDS",
        help="CPU time for exploring one network function, and for judging one property (default: 300)",
    )  # fmt: skip
    group.addoption(
        "--vigor-memory", type=float, default=MEMORY_MIB, metavar="MIB",
        help=f"memory that each process may take for proving; 0 for any (default: {MEMORY_MIB})",
    )  # fmt: skip
    group.addoption(
        "--vigor-report", type=Path, metavar="DIR",
        help="write what was found out as a page, DIR/index.html, and as DIR/report.json",
    )  # fmt: skip
    group.addoption(
        "--vigor-reach", type=int, default=REACH_EXAMPLES, metavar="EXAMPLES",
        help="runs to try for packets that lead to what refutes a property, if the solver finds none; 0: do not look "
        f"(default: {REACH_EXAMPLES})",
    )  # fmt: skip
    group.addoption(
        "--vigor-replay", type=Path, metavar="FILE",
        help="run a saved trace.json, or a pcap or pcapng file, on the network function, and ask each property of it",
    )  # fmt: skip
    group.addoption(
        "--vigor-failures", type=Path, metavar="DIR",
        help="where failures are kept, a folder for each (default: vigor-failures in pytest's cache folder)",
    )  # fmt: skip
    parser.addini("vigor", "prove properties without --vigor", type="bool", default=False)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_vigor import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "nf(name, header=None): the network function that a property is about: the name of a folder under nfs/, or "
        "the path of a shared object with the path of its header",
    )
    folder = config.getoption("vigor_report", None)
    if folder is not None and not hasattr(config, "workerinput"):
        from pytest_vigor.report.session import Collector

        config.pluginmanager.register(Collector(config, folder.absolute()), "vigor-report")


def is_proving(config: pytest.Config) -> bool:
    """Whether properties are to be proved, rather than tried."""
    given = config.getoption("vigor")
    return bool(config.getini("vigor") if given is None else given)


@pytest.fixture
def step(request: pytest.FixtureRequest) -> Step:
    """One call of ``nf_process`` of the network function that the mark ``nf`` names."""
    return None  # type: ignore[return-value] # replaced, for each path or example, when the property is run


def pytest_unconfigure(config: pytest.Config) -> None:
    if _READINGS in sys.modules:
        sys.modules[_READINGS].close(config)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    if "step" not in pyfuncitem.fixturenames:
        return None
    from pytest_vigor.readings import run

    run(pyfuncitem, is_proving(pyfuncitem.config))
    return True


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    if "pytest_vigor.plain" not in sys.modules:
        return None
    from pytest_vigor.render.compare import explain

    return explain(op, left, right)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    outcome = yield
    if _READINGS not in sys.modules:
        return
    from pytest_vigor.errors import VigorError
    from pytest_vigor.readings import TOLD, NotProved

    report: pytest.TestReport = outcome.get_result()
    if call.excinfo is not None and isinstance(call.excinfo.value, NotProved | VigorError):
        report.longrepr = str(call.excinfo.value)
    if call.when == "call" and item.config.getoption("vigor_report") is not None:
        from pytest_vigor.report import session

        session.tell(item, report, item.stash.get(TOLD, None))


# ---- reporting


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hypothesis's plugin imports all of Hypothesis to find out whether that has written any observations. Where nobody
    has imported it, here or in another process, it has not: proving need not wait for it."""
    config = session.config
    if is_proving(config) and "hypothesis" not in sys.modules and not config.getoption("numprocesses", None):
        config.pluginmanager.unregister(name="hypothesispytest")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    by_nf: dict[str, list[dict[str, Any]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "vigor" and report.when == "call":
                    record = json.loads(value)
                    by_nf.setdefault(record["nf"], []).append(record)
    work = sys.modules[_READINGS].work_of(config) if _READINGS in sys.modules else None
    if work is not None and work.what:  # Ctrl-C
        terminalreporter.section("vigor was stopped", sep="-")
        terminalreporter.write_line(f"while {work}")
        terminalreporter.write_line("What was explored before is kept: the next run goes on from there.")
    if not by_nf:
        return
    from pytest_vigor.render import assumptions, fuzzed_lines, replayed_lines, summary_details, summary_line

    terminalreporter.section("vigor", sep="-")
    for name, records in sorted(by_nf.items()):
        told = fuzzed_lines if "examples" in records[0] else replayed_lines if "replayed" in records[0] else None
        if told is not None:
            for line in told(name, records):
                terminalreporter.write_line(line)
            continue
        terminalreporter.write_line(summary_line(name, records))
        for line in summary_details(records) if config.get_verbosity() > 0 else ():
            terminalreporter.write_line(line)
    names = sorted({name for records in by_nf.values() for record in records for name in record["assumptions"]})
    if names and config.get_verbosity() > 0:
        for line in assumptions(names, config.get_verbosity()):
            terminalreporter.write_line(line)
