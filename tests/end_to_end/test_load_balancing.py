"""Clients behind a load balancer get answers from its backends, and go on getting them when one dies.

Backends answer directly, as Maglev has it: they know the service's address as their own, and each has a cable to the
client on which only answers go.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from network import Machine, Network, Plug, mac
from outside import fetch
from running import Running, config

Run = Callable[..., Running]

SERVICE, CLIENT = "198.51.100.1", "10.0.0.2"
BALANCER = mac(0xAA, 1)
HEARTBEAT = str(Path(__file__).with_name("backend.py"))

#: What has the backend's address goes to the service's, and back without the NF's doing.
READDRESSED = f"""
table ip readdressed {{
    chain prerouting {{
        type filter hook prerouting priority raw;
        ip daddr 10.1.0.0/16 tcp dport 80 ip daddr set {SERVICE} notrack
    }}
}}
"""


def backend(network: Network, middle: Machine, client: Machine, number: int, folder: Path) -> tuple[Machine, Plug]:
    """A web server that says its number."""
    machine = network.machine(f"backend{number}")
    own, inner = network.cable(machine, middle)
    back, at_client = network.cable(machine, client)
    address = f"10.1.{number}.2"
    machine.address(own, f"{address}/24")
    machine.run("ip", "addr", "add", f"{SERVICE}/32", "dev", "lo")
    machine.run("ip", "neigh", "replace", f"10.1.{number}.1", "lladdr", BALANCER, "dev", own.name)
    machine.route(f"{CLIENT}/32", back, "10.9.9.9", at_client.mac)
    rules = folder / "rules"
    rules.write_text(READDRESSED)
    machine.run("nft", "-f", str(rules))
    served = folder / f"backend{number}"
    served.mkdir()
    (served / "index.html").write_text(f"backend {number}")
    machine.serve(served)
    machine.start(sys.executable, HEARTBEAT, address, f"10.1.{number}.1")
    return machine, inner


def test_clients_reach_backends_and_survive_the_death_of_one(network: Network, run: Run, tmp_path: Path) -> None:
    client, middle = network.machine("client"), network.machine("middle")
    client_plug, outside = network.cable(client, middle)
    client.address(client_plug, f"{CLIENT}/24")
    client.route(f"{SERVICE}/32", client_plug, "10.0.0.1", BALANCER)
    backends = [backend(network, middle, client, number, tmp_path) for number in (1, 2, 3)]
    settings = config(
        flow_expiration_ns=60_000_000_000,
        backend_expiration_ns=1_000_000_000,
        flow_capacity=1024,
        backend_capacity=8,
        slots=997,
        wan_device=0,
        addresses=[BALANCER] * 4,
    )
    maglev = run("maglev", settings, middle, [outside, *(plug for _, plug in backends)])
    client.run("sleep", "0.5")

    assert {fetch(client, SERVICE) for _ in range(60)} == {f"backend {number}" for number in (1, 2, 3)}
    network.machines.remove(backends[1][0])
    backends[1][0].remove()
    client.run("sleep", "1.5")
    assert {fetch(client, SERVICE) for _ in range(60)} == {"backend 1", "backend 3"}
    assert maglev.stop()["table backend_ips"] == 2
