"""Counters for people: a table that a terminal shows while an NF runs, and the totals at its end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table

from pytest_vigor.launch.counters import DROPPED, Snapshot


def rates(title: str, devices: Sequence[str], tables: Sequence[str], old: Snapshot, new: Snapshot, s: float) -> Group:
    """Frames per second and in total, reasons of drops that occurred, and how full the NF's tables are."""
    reasons = [name for name in _names(new) if name.startswith(DROPPED) and new.total(name)]
    shown = ["received", "sent", *reasons, *(name for name in ("copies", "missed", "link_losses") if new.total(name))]
    table = Table(title=title, title_justify="left")
    table.add_column("device")
    table.add_column("link")
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
        table.add_column("/s", justify="right")
    for number, (device, before, after) in enumerate(zip(devices, old.devices, new.devices, strict=True)):
        cells = [f"{number} {device}", "up" if after["link_is_up"] else "down"]
        for name in shown:
            cells += [f"{after[name]:,}", f"{(after[name] - before[name]) / s:,.0f}"]
        table.add_row(*cells)
    return Group(table, *_occupancy(tables, new))


def totals(devices: Sequence[str], tables: Sequence[str], snapshot: Snapshot) -> str:
    """Everything that was counted, one line for each device and table."""
    lines = []
    for number, (device, counted) in enumerate(zip(devices, snapshot.devices, strict=True)):
        numbers = {name: value for name, value in counted.items() if name != "link_is_up"}
        said = [f"{name.replace('_', ' ')} {value}" for name, value in numbers.items() if value or name in _ALWAYS]
        lines.append(f"device {number} {device}: {', '.join(said)}")
    return "\n".join([*lines, *_occupancy(tables, snapshot)])


_ALWAYS = ("received", "sent")


def _names(snapshot: Snapshot) -> Sequence[str]:
    return list(snapshot.devices[0]) if snapshot.devices else []


def _occupancy(tables: Sequence[str], snapshot: Snapshot) -> list[str]:
    return [
        f"table {name}: {used} of {capacity}" if capacity else f"table {name}: {used}"
        for name, (used, capacity) in zip(tables, snapshot.tables, strict=True)
    ]
