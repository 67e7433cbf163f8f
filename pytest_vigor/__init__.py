"""pytest-vigor: proves claims about network functions from their binaries.

A property imports ``assume`` and ``FLOOD`` from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_vigor.property.steps import FLOOD, assume

__version__ = "0.1.0"
__all__ = ["FLOOD", "__version__", "assume"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: pytest imports this package in every project that has the plugin installed.
    if name in ("FLOOD", "assume"):
        from pytest_vigor.property import steps

        return getattr(steps, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
