"""A pytest plugin that counts what the solver is asked, for ``prove.py``: too slow to be on while one measures."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from pytest_vigor import proofs
from pytest_vigor.smt import Answer, Solver

COUNT: Counter[str] = Counter()
original = Solver.check


def check(solver: Solver, *conditions: Any, **options: Any) -> Answer:
    COUNT["queries"] += 1
    return original(solver, *conditions, **options)


def pytest_configure() -> None:
    Solver.check = check  # type: ignore[method-assign]
    proofs.idle_processors = lambda: 0  # what other processes ask would not be counted


def pytest_unconfigure() -> None:
    with open(os.environ["QUERIES_FILE"], "w") as file:
        file.write(str(COUNT["queries"]))
