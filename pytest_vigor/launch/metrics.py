"""Counters for Prometheus, over HTTP on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pytest_vigor.errors import RunError
from pytest_vigor.launch.counters import DROPPED, Snapshot

LOOPBACK = "127.0.0.1"


class _Counted(Collector):
    def __init__(self, nf: str, devices: Sequence[str], tables: Sequence[str], read: Callable[[], Snapshot]) -> None:
        self._nf, self._devices, self._tables, self._read = nf, devices, tables, read

    def collect(self) -> Iterator[Metric]:
        snapshot = self._read()
        labels = ["nf", "device"]
        received = CounterMetricFamily("vigor_received_frames", "frames received", labels=labels)
        sent = CounterMetricFamily("vigor_sent_frames", "frames sent", labels=labels)
        copies = CounterMetricFamily("vigor_copied_frames", "further copies of flooded frames", labels=labels)
        dropped = CounterMetricFamily("vigor_dropped_frames", "frames dropped", labels=[*labels, "reason"])
        missed = CounterMetricFamily("vigor_missed_frames", "frames that no queue had room for", labels=labels)
        losses = CounterMetricFamily("vigor_link_losses", "how often the link went down", labels=labels)
        link = GaugeMetricFamily("vigor_link_up", "1 if the link is up", labels=labels)
        plain = {"received": received, "sent": sent, "copies": copies, "missed": missed, "link_losses": losses}
        for device, counted in zip(self._devices, snapshot.devices, strict=False):
            for name, value in counted.items():
                if name.startswith(DROPPED):
                    dropped.add_metric([self._nf, device, name.removeprefix(DROPPED)], value)
                elif name in plain:
                    plain[name].add_metric([self._nf, device], value)
            link.add_metric([self._nf, device], counted["link_is_up"])
        used = GaugeMetricFamily("vigor_table_entries", "entries in a table", labels=["nf", "table"])
        room = GaugeMetricFamily("vigor_table_capacity", "entries that a table has room for", labels=["nf", "table"])
        for name, (count, capacity) in zip(self._tables, snapshot.tables, strict=False):
            used.add_metric([self._nf, name], count)
            if capacity:
                room.add_metric([self._nf, name], capacity)
        yield from (received, sent, copies, dropped, missed, losses, link, used, room)


def serve(port: int, nf: str, devices: Sequence[str], tables: Sequence[str], read: Callable[[], Snapshot]) -> None:
    """Serves the counters for as long as this process lives."""
    registry = CollectorRegistry()
    registry.register(_Counted(nf, devices, tables, read))
    try:
        start_http_server(port, addr=LOOPBACK, registry=registry)
    except OSError as error:
        raise RunError(f"port {port} on {LOOPBACK} is not to be had ({error.strerror})", "give another one") from error
