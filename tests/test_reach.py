"""A refutation from a state in the middle comes with steps that lead there from the start, found by the solver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_wrong import ALL, build

from pytest_vigor.counterexample import Reach
from pytest_vigor.failures import TRACE

WRONG = {wrong.name: wrong for wrong in ALL}
CHOSEN = ("bridge_loses_moved_stations", "firewall_expires_afterwards",
          "nat_shares_ports", "firewall_follows_last_sender")


@pytest.mark.parametrize("name", CHOSEN)
def test_packets_from_the_start_lead_to_a_refutation(name: str, tmp_path: Path) -> None:
    wrong = WRONG[name]
    build(wrong, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "--vigor", "--vigor-failures", "failures",
               f"properties/test_{wrong.nf}.py::{wrong.caught_by}"]  # fmt: skip
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=1200)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    (folder,) = (tmp_path / "failures").iterdir()
    example = json.loads((folder / TRACE).read_text())["counterexample"]
    assert example["confirmed"] and example["reach"] == Reach.FOUND.value
    assert example["situation"]["state"] is None, "it starts from what nf_init leaves"
    if example["number"]:
        assert "Steps that lead to the state before" in ran.stdout
    assert "run natively from its start" in ran.stdout
