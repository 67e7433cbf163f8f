"""The hooks that other plugins and ``conftest.py`` files may implement."""

from __future__ import annotations

from types import ModuleType


def pytest_vigor_contracts() -> list[ModuleType]:  # type: ignore[empty-body]
    """Modules that declare contracts for further library functions."""
