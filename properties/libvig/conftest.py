"""Proving libVig's compiled functions: the fixture that does it, and the table of what is proved."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

BOUNDS = "libvig bound"
#: The modules that take longest. They are begun first, in this order, so that processes end at about the same time.
LONGEST = ("test_runtime", "test_probing_every_capacity", "test_libvig_structures")


@pytest.fixture(scope="session")
def cpu_seconds(request):
    """What the proof of one function may take."""
    config = request.config
    given = config.getoption("vigor")
    if not (config.getini("vigor") if given is None else given):
        pytest.skip("a proof about libVig: run pytest with --vigor")
    return 10 * config.getoption("vigor_cpu_seconds")


@pytest.fixture
def library(on_its_own, cpu_seconds):
    """The compiled libVig, as it is shipped."""
    from pytest_vigor.build import build_libvig, libvig_root
    from pytest_vigor.refine.library import Library

    return Library.at(build_libvig(), libvig_root(), cpu_seconds)


@pytest.fixture
def on_its_own():
    """How hard a question is can depend on what was asked before: so each function is looked at as if it were alone."""
    from pytest_vigor.term import keep_apart

    keep_apart()


@pytest.fixture
def shown(request, record_property):
    """Fails unless every verdict is that the claim holds; notes the bound for the table."""

    def check(function, bound, verdicts):
        from pytest_vigor.refine.library import Shown

        count = 0
        for count, (sizes, verdict) in enumerate(verdicts, start=1):  # noqa: B007
            if not isinstance(verdict, Shown):
                record_property(BOUNDS, (function, type(verdict).__name__, str(sizes)))
                pytest.fail(f"{function} at {sizes}: {verdict}", pytrace=False)
        assert count > 0, f"nothing was asked of {function}"
        record_property(BOUNDS, (function, "Proved", bound))
        row = f"| `{function}` | Proved | {bound} |"
        assert row in documented, f"docs/libvig_proofs.md lacks the row {row}"

    documented = (Path(__file__).parents[2] / "docs" / "libvig_proofs.md").read_text().splitlines()
    return check


def pytest_configure(config):
    """Has Ctrl-C end pytest-xdist's workers at once: they would wait for a solver's answer and have nothing to tell."""
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def _rows(reports) -> Iterator[tuple[str, str, str]]:
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == BOUNDS and getattr(report, "when", "") == "call":
                yield tuple(value)


def pytest_terminal_summary(terminalreporter):
    rows = [row for reports in terminalreporter.stats.values() for row in _rows(reports)]
    if rows:
        terminalreporter.section("libVig")
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        for row in sorted(rows):
            terminalreporter.write_line(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}")
