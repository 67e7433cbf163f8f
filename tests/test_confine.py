"""What a runtime has given up ends it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from pytest_vigor.build import build_nf, libvig_root

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")
GETPID, GETPPID, GETUID, GETGID, X32 = 39, 110, 102, 104, 0x40000000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [Path(__file__).with_name("confine.c"), libvig_root() / "runtime" / "confine.c"]
    return build_nf(sources, tmp_path_factory.mktemp("confine") / "confine", flags=FLAGS)


def ends(program: Path, which: str, call: int) -> int:
    return subprocess.run([program, which, str(call)]).returncode


@pytest.mark.parametrize(("which", "call"), [("allowed", GETPPID), ("forbidden", GETPPID), ("forbidden", GETGID)])
def test_what_is_left_can_be_called(program: Path, which: str, call: int) -> None:
    assert ends(program, which, call) == 0


@pytest.mark.parametrize(
    ("which", "call"),
    [
        ("allowed", GETPID),
        ("allowed", GETPPID + X32),
        ("forbidden", GETPID),
        ("forbidden", GETUID),
        ("forbidden", GETPID + X32),
    ],
)
def test_what_was_given_up_ends_the_process(program: Path, which: str, call: int) -> None:
    assert ends(program, which, call) == -signal.SIGSYS
