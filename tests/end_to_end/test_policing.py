"""What passes a policer is what was committed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Network
from running import Running, config

Run = Callable[..., Running]

RATE = (sys.executable, str(Path(__file__).with_name("rate.py")))
SIZE_BYTES = 1000


@pytest.mark.parametrize("rate_bytes_per_s", [250_000, 1_000_000])
def test_measured_rate_is_the_configured_one(network: Network, run: Run, rate_bytes_per_s: int) -> None:
    inside, middle, outside = (network.machine(name) for name in ("inside", "middle", "outside"))
    inside_plug, inner = network.cable(inside, middle)
    outside_plug, outer = network.cable(outside, middle)
    inside.address(inside_plug, "10.0.0.1/24")
    outside.address(outside_plug, "10.0.0.2/24")
    settings = config(rate_bytes_per_s=rate_bytes_per_s, burst_bytes=50_000, capacity=64, wan_device=1)
    policer = run("policer", settings, middle, [inner, outer])
    outside.run("ip", "neigh", "replace", "10.0.0.1", "lladdr", inside_plug.mac, "dev", outside_plug.name)
    counter = inside.start(*RATE, "count", str(SIZE_BYTES), "4", stdout=subprocess.PIPE)
    assert counter.stdout is not None and counter.stdout.readline() == "ready\n"
    offered_per_second = 4 * rate_bytes_per_s // SIZE_BYTES
    outside.run(*RATE, "send", "10.0.0.1", str(SIZE_BYTES), str(offered_per_second), "6")
    measured = float(counter.stdout.readline())
    assert measured == pytest.approx(rate_bytes_per_s, rel=0.05)
    assert policer.stop()["dropped by nf"] > 0
