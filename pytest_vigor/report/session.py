"""What a session found out, collected from the reports of its tests and written when it ends, however it ends."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest

from pytest_vigor.report.schema import NetworkFunction, Property, Told

#: The attribute of a test's report with what is told of a property, as JSON: reports go from process to process.
TOLD = "vigor_told"


def tell(item: pytest.Item, report: pytest.TestReport, told: str | None) -> None:
    """Adds to a property's report what is told of it: of one that ended in an error, that it did."""
    if told is None and report.failed and "step" in getattr(item, "fixturenames", ()):
        mark = item.get_closest_marker("nf")
        name = Path(str(mark.args[0])).stem if mark is not None and mark.args else "none"
        failed = Property(
            id=item.nodeid, name=item.name, nf=name, claim=item.name, verdict="Error", text=str(report.longrepr)
        )
        told = msgspec.json.encode(Told(property=failed)).decode()
    if told is not None:
        setattr(report, TOLD, told)


class Collector:
    """A plugin of the process that the others report to."""

    def __init__(self, config: pytest.Config, folder: Path) -> None:
        self._config, self.folder = config, folder
        self._started = monotonic()
        self._properties: dict[str, Property] = {}
        self._network_functions: dict[str, NetworkFunction] = {}
        self._collected = 0
        self._ran: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._collected = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Any) -> None:
        self._collected = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._ran.add(report.nodeid)
        text = getattr(report, TOLD, None)
        if text is None:
            return
        told = msgspec.json.decode(text, type=Told)
        self._properties[report.nodeid] = told.property
        found = told.network_function
        # Of several processes that looked at a binary, one explored it.
        if found is not None and (found.name not in self._network_functions or not found.cached):
            self._network_functions[found.name] = found

    def pytest_sessionfinish(self) -> None:
        from pytest_vigor.report.facts import report
        from pytest_vigor.report.page import page

        found = report(
            created=datetime.now(UTC).replace(microsecond=0).isoformat(),
            seconds=round(monotonic() - self._started, 1),
            collected=self._collected, ran=len(self._ran),
            network_functions=[each for _, each in sorted(self._network_functions.items())],
            properties=[each for _, each in sorted(self._properties.items())],
            cpu_seconds=self._config.getoption("vigor_cpu_seconds"),
            memory_mib=self._config.getoption("vigor_memory"),
        )  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "report.json", msgspec.json.format(msgspec.json.encode(found)))
        _write(self.folder / "index.html", page(found).encode())

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(f"report: {os.path.relpath(self.folder / 'index.html')}")


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole, or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chmod(name, 0o644)
    os.replace(name, path)
