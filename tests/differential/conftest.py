"""What the differential tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import native


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native runner, compiled."""
    return native.compile_runner(tmp_path_factory.mktemp("runner"))
