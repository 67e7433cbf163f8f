"""Machines for each test, where the kernel lets us make them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from network import Machine, Network, Plug, missing
from running import Running

TOOLS = ("ping", "curl", "iperf3", "ss", "nft")


@cache
def reason_to_skip() -> str | None:
    return missing(*TOOLS)


@cache
def reason_to_skip_dpdk() -> str | None:
    asked = ["pkg-config", "--exists", "libdpdk"]
    if shutil.which("pkg-config") is None or subprocess.run(asked).returncode != 0:
        return "DPDK is not installed (libdpdk-dev)"
    return None


@pytest.fixture
def network() -> Iterator[Network]:
    """A network that is removed afterwards."""
    reason = reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    made = Network()
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(params=["linux", "dpdk"])
def io(request: pytest.FixtureRequest) -> str:
    """Who drives the devices."""
    if request.param == "dpdk" and (reason := reason_to_skip_dpdk()) is not None:
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Running]:
    """Runs an NF; it ends with its machine."""

    def start(nf: str, config: str, machine: Machine, plugs: list[Plug], io: str = "linux", *more: str) -> Running:
        return Running(nf, config, machine, plugs, io, tmp_path, *more)

    return start
