"""The compiled libraries that the tests share."""

from pathlib import Path

import pytest

from pytest_vigor.build import FLAGS
from pytest_vigor.term import keep_apart
from tests.libvig.compiled import CHECKED, Library, build, contracts


@pytest.fixture(autouse=True)
def alone() -> None:
    """What is asked does not depend on which tests came before."""
    keep_apart()


@pytest.fixture(scope="session")
def shipped_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shipped") / "libvig.so")


@pytest.fixture(scope="session")
def checked_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("checked") / "libvig.so", [*FLAGS, CHECKED])


@pytest.fixture(scope="session")
def shipped(shipped_path: Path) -> Library:
    """libVig as it is shipped."""
    return Library(shipped_path, contracts())


@pytest.fixture(scope="session")
def checked(checked_path: Path) -> Library:
    """libVig as it is shipped, but checking what it requires."""
    return Library(checked_path, contracts())
