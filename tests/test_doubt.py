"""Verdicts are the same where nothing is known quickly: a property goes on in doubt, and its asserts are asked of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_wrong import ALL, build

DOUBTING = """import pytest_vigor.smt as smt
smt.BRIEFLY = 1  # as good as no resources for the solver that is asked first
"""


@pytest.mark.parametrize("name", ["firewall_follows_last_sender", "bridge_loses_moved_stations"])
def test_what_is_wrong_is_refuted_and_the_rest_proved(name: str, tmp_path: Path) -> None:
    wrong = next(each for each in ALL if each.name == name)
    build(wrong, tmp_path)
    (tmp_path / "doubting.py").write_text(DOUBTING)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "doubting", "--vigor", f"properties/test_{wrong.nf}.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=1200
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    refuted = [line.split(" ")[1] for line in ran.stdout.splitlines() if line.startswith("FAILED ")]
    assert f"properties/test_{wrong.nf}.py::{wrong.caught_by}" in refuted
    assert "Unknown" not in ran.stdout
