"""What real programs send through each network function is recorded by tcpdump, and no property has anything against it
when it is run through the proved binary again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from network import Network
from outside import CLIENT, EXTERNAL, PAGE, SERVER, Outside, fetch
from recording import Recording, monitored
from running import Running
from scapy.all import rdpcap
from test_wires import BRIDGE, hosts, ping

Run = Callable[..., Running]

pytestmark = pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump not installed")


def passes(nf: str, capture: Path, least: int) -> None:
    """No property fails at any of at least so many packets."""
    assert len(rdpcap(str(capture))) >= least
    said = monitored(nf, capture)
    assert f"{capture.name} on {nf}: HOLDS" in said and "FAILS" not in said, said


@pytest.mark.parametrize("nf", ["nop", "bridge"])
def test_pings_break_no_property(network: Network, run: Run, tmp_path: Path, nf: str) -> None:
    (one, _), middle, plugs = hosts(network, 2)
    recording = Recording(middle, plugs, tmp_path)
    running = run(nf, {"nop": "unused = 0", "bridge": BRIDGE}[nf], middle, plugs)
    assert ping(one, "10.0.0.2", 5)[0] == 5
    running.stop()
    passes(nf, recording.stop(), 12)


@pytest.mark.parametrize("nf", ["nat", "firewall"])
def test_fetching_a_page_breaks_no_property(network: Network, run: Run, tmp_path: Path, nf: str) -> None:
    place = Outside(network, tmp_path, {"nat": EXTERNAL, "firewall": CLIENT}[nf])
    recording = Recording(place.middle, place.plugs, tmp_path)
    running = run(nf, {"nat": place.nat, "firewall": place.firewall}[nf](), place.middle, place.plugs)
    assert fetch(place.client, SERVER) == PAGE
    assert fetch(place.server, EXTERNAL if nf == "nat" else CLIENT, check=False, timeout_s=1) == ""
    running.stop()
    passes(nf, recording.stop(), 10)
