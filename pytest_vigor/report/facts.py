"""What a report says besides what was found out: bounds, assumptions, versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from pytest_vigor import __version__
from pytest_vigor.assumption import ASSUMPTIONS
from pytest_vigor.behaviour import LENGTH_MAX
from pytest_vigor.explore.entry import STACK_BYTES
from pytest_vigor.explore.search import FORK_BUDGET, JUMP_LIMIT, LOOP_BUDGET, PATH_LIMIT
from pytest_vigor.judge import DECISION_LIMIT
from pytest_vigor.report.schema import FORMAT, Assumption, Bound, NetworkFunction, Property, Report
from pytest_vigor.smt import DEFAULT_RESOURCES

_PACKAGES = ("angr", "pyvex", "z3-solver", "pytest", "pycparser", "pyelftools")


def report(
    *, created: str, seconds: float, collected: int, ran: int, network_functions: list[NetworkFunction],
    properties: list[Property], cpu_seconds: float, memory_mib: float,
) -> Report:  # fmt: skip
    """The report of a session."""
    return Report(
        format=FORMAT, created=created, seconds=seconds, complete=ran >= collected, collected=collected, ran=ran,
        network_functions=network_functions, properties=properties,
        assumptions=[Assumption(name=each.name, text=each.text) for each in ASSUMPTIONS],
        bounds=_bounds(cpu_seconds, memory_mib), versions=_versions(),
    )  # fmt: skip


def _bounds(cpu_seconds: float, memory_mib: float) -> list[Bound]:
    given = (
        ("frame", f"{LENGTH_MAX} bytes", "the longest frame"),
        ("CPU time", f"{cpu_seconds:g} s", "for exploring an NF, for what holds between its steps, for each property"),
        ("memory", f"{memory_mib:g} MiB" if memory_mib else "any", "of each process that proves"),
        ("stack", f"{STACK_BYTES // 1024} KiB", "what an NF may use of it"),
        ("paths", f"{PATH_LIMIT:,}", "of one entry point"),
        ("loops", f"{LOOP_BUDGET:,} rounds", f"on one path; {FORK_BUDGET} where the input decides on each"),
        ("jumps", str(JUMP_LIMIT), "possible targets of one indirect jump"),
        ("cases", f"{DECISION_LIMIT:,}", "of a property on one path that wait to be looked at"),
        ("queries", f"{DEFAULT_RESOURCES:,}", "of z3's resource units, for each question to the solver"),
    )
    return [Bound(name=name, value=value, text=text) for name, value, text in given]


def _versions() -> dict[str, str]:
    out = {"pytest-vigor": __version__, "Python": platform.python_version(), "system": platform.platform()}
    for name in _PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out
