"""The benchmark of running network functions: its traffic passes all of them, without a single loss."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(
    subprocess.run("pkg-config --exists libdpdk", shell=True, stderr=subprocess.DEVNULL).returncode != 0,
    reason="DPDK is not installed (libdpdk-dev)",
)
def test_every_nf_is_measured() -> None:
    command = [sys.executable, "benchmarks/run_nfs.py", "-n", "2", "--burst", "32", "--frames", "5000", "--no-priority"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[2:8]]
    assert [line[:2] for line in lines] == [
        [nf, "32"] for nf in ("nop", "bridge", "nat", "firewall", "maglev", "policer")
    ]
    for line in lines:
        assert float(line[2]) > 0
        assert re.fullmatch(r"\[\d+\.\d\d-\d+\.\d\d\]", line[3])
