"""A client inside and a server outside, with a NAT or a firewall between them."""

from __future__ import annotations

import json
from pathlib import Path

from network import Machine, Network, mac
from running import config

CLIENT, SERVER, EXTERNAL = "10.0.0.2", "192.0.2.9", "192.0.2.1"
GATEWAY_INSIDE, GATEWAY_OUTSIDE = mac(0xAA, 1), mac(0xAA, 2)
PAGE = "There is a page behind this gate."


class Outside:
    """Device 0 of `plugs` is inside, device 1 outside."""

    def __init__(self, network: Network, folder: Path, server_sees: str) -> None:
        self.client, self.middle, self.server = (network.machine(name) for name in ("client", "middle", "server"))
        self.client_plug, inside = network.cable(self.client, self.middle)
        self.server_plug, outside = network.cable(self.server, self.middle)
        self.plugs = [inside, outside]
        self.client.address(self.client_plug, f"{CLIENT}/24")
        self.client.route("192.0.2.0/24", self.client_plug, "10.0.0.1", GATEWAY_INSIDE)
        self.server.address(self.server_plug, f"{SERVER}/24")
        self.server.route(f"{server_sees}/32", self.server_plug, "192.0.2.254", GATEWAY_OUTSIDE)
        served = folder / "served"
        served.mkdir()
        (served / "index.html").write_text(PAGE)
        self.server.serve(served)
        self.client.serve(served)

    def links(self) -> list[dict[str, str]]:
        """The NF's configuration of its neighbours."""
        return [
            {"own": GATEWAY_INSIDE, "next_hop": self.client_plug.mac},
            {"own": GATEWAY_OUTSIDE, "next_hop": self.server_plug.mac},
        ]

    def nat(self) -> str:
        """A NAT's configuration."""
        return config(
            expiration_ns=60_000_000_000,
            external_ip=EXTERNAL,
            capacity=60_000,
            start_port=1024,
            wan_device=1,
            links=self.links(),
        )

    def firewall(self) -> str:
        """A firewall's configuration."""
        return config(expiration_ns=60_000_000_000, capacity=65_536, wan_device=1, links=self.links())


def fetch(machine: Machine, address: str, check: bool = True, timeout_s: float = 5) -> str:
    """A page, or "" if there is none."""
    url = f"http://{address}/"
    return machine.run("curl", "-sS", "--noproxy", "*", "--max-time", str(timeout_s), url, check=check).stdout


def iperf_bits_per_s(client: Machine, server: Machine, address: str, *more: str) -> float:
    """What TCP makes of the way there, over two seconds."""
    served = server.start("iperf3", "-s", "-1")
    server.listens(5201)
    said = client.run("iperf3", "-J", "-t", "2", "-c", address, *more).stdout
    served.wait(10)  # or the next one may find the port taken
    return float(json.loads(said)["end"]["sum_received"]["bits_per_second"])
