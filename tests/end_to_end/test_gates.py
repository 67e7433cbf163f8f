"""Programs talk through NAT and firewall, and strangers do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from network import Network
from outside import CLIENT, EXTERNAL, PAGE, SERVER, Outside, fetch, iperf_bits_per_s
from running import Running

Run = Callable[..., Running]


def test_curl_and_iperf_pass_a_nat(network: Network, run: Run, io: str, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, EXTERNAL)
    nat = run("nat", place.nat(), place.middle, place.plugs, io)
    for _ in range(5):
        assert fetch(place.client, SERVER) == PAGE
    assert iperf_bits_per_s(place.client, place.server, SERVER) > 50e6
    assert iperf_bits_per_s(place.client, place.server, SERVER, "-R") > 50e6
    totals = nat.stop()
    assert totals["table flows"] >= 5


def test_a_nat_refuses_a_connection_from_outside(network: Network, run: Run, io: str, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, EXTERNAL)
    nat = run("nat", place.nat(), place.middle, place.plugs, io)
    assert fetch(place.server, EXTERNAL, check=False, timeout_s=2) == ""
    assert nat.stop()["dropped by nf"] >= 1


def test_a_server_sees_the_external_address_of_a_nat(network: Network, run: Run, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, EXTERNAL)
    run("nat", place.nat(), place.middle, place.plugs)
    place.server.start("iperf3", "-s")
    place.server.listens(5201)
    place.client.start("iperf3", "-t", "3", "-c", SERVER)
    seen = place.server.run("sh", "-c", "sleep 1; ss -Htn state established '( sport = 5201 )'").stdout
    peers = {line.split()[-1].rsplit(":", 1)[0] for line in seen.splitlines()}
    assert {peer.removeprefix("[::ffff:").removesuffix("]") for peer in peers} == {EXTERNAL}


def test_curl_and_iperf_pass_a_firewall(network: Network, run: Run, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, CLIENT)
    firewall = run("firewall", place.firewall(), place.middle, place.plugs)
    for _ in range(5):
        assert fetch(place.client, SERVER) == PAGE
    assert iperf_bits_per_s(place.client, place.server, SERVER) > 50e6
    assert firewall.stop()["table sessions"] >= 5


def test_a_firewall_refuses_a_connection_from_outside(network: Network, run: Run, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, CLIENT)
    firewall = run("firewall", place.firewall(), place.middle, place.plugs)
    assert fetch(place.server, CLIENT, check=False, timeout_s=2) == ""
    assert fetch(place.client, SERVER) == PAGE
    assert firewall.stop()["dropped by nf"] >= 1


def test_counters_are_served_to_prometheus(network: Network, run: Run, tmp_path: Path) -> None:
    place = Outside(network, tmp_path, EXTERNAL)
    run("nat", place.nat(), place.middle, place.plugs, "linux", "--metrics", "9100")
    assert fetch(place.client, SERVER) == PAGE
    place.middle.run("sleep", "1")
    text = place.middle.run("curl", "-sS", "--noproxy", "*", "http://127.0.0.1:9100/metrics").stdout
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(samples['vigor_received_frames_total{device="right1",nf="nat"}']) >= 5
    assert float(samples['vigor_dropped_frames_total{device="right1",nf="nat",reason="by_nf"}']) == 0
    assert float(samples['vigor_table_entries{nf="nat",table="flows"}']) == 1
    assert float(samples['vigor_table_capacity{nf="nat",table="flows"}']) == 60_000


def test_a_runtime_gives_up_what_it_does_not_need(network: Network, run: Run, io: str, tmp_path: Path) -> None:
    """On DPDK it stays who it is unless told otherwise, as drivers may need that."""
    place = Outside(network, tmp_path, EXTERNAL)
    nat = run("nat", place.nat(), place.middle, place.plugs, io, *(["--user", "nobody"] if io == "dpdk" else []))
    (child,) = Path(f"/proc/{nat.process.pid}/task/{nat.process.pid}/children").read_text().split()
    for thread in Path(f"/proc/{child}/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines())
        assert "0" not in status["Uid"].split()
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
    assert fetch(place.client, SERVER) == PAGE
    nat.stop()
