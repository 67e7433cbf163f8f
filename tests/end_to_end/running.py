"""A network function run with `pytest-vigor run` in a machine of its own, between others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from network import Machine, Plug, wait_until

from pytest_vigor.build import build_libvig

ROOT = Path(__file__).parent.parent.parent

#: Sends and records frames, in whichever machine it is run.
FRAMES = (sys.executable, str(Path(__file__).with_name("frames.py")))


class Running:
    """The NF's process."""

    def __init__(
        self, nf: str, config: str, machine: Machine, plugs: Sequence[Plug], io: str, folder: Path, *more: str
    ) -> None:
        build_libvig()
        self.plugs, self._folder = plugs, folder
        toml = folder / f"{nf}.toml"
        toml.write_text(config)
        self._said = folder / f"{nf}.said"
        devices = [_device(number, plug, io) for number, plug in enumerate(plugs)]
        command = [sys.executable, "-m", "pytest_vigor", "run", nf, "--config", str(toml), "--io", io, *more]
        self.process = machine.start(
            *command,
            *(f"--device={device}" for device in devices),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=self._said.open("w"),
        )
        wait_until(lambda: self.process.poll() is not None or " runs on " in self.said, f"{nf} to run", 60)
        assert self.process.poll() is None, self.said

    @property
    def said(self) -> str:
        """What it has written to standard error."""
        return self._said.read_text()

    def stop(self) -> dict[str, int]:
        """Ends it; the totals of its counters over all devices, which must add up."""
        self.process.send_signal(signal.SIGTERM)
        printed, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.said
        return added_up(printed)


def added_up(printed: str) -> dict[str, int]:
    """The totals that were printed. Every frame that came was sent or dropped for a reason."""
    totals: dict[str, int] = {}
    for line in re.findall(r"^device \d+ .*?: (.*)$", printed, re.MULTILINE):
        for part in line.split(", "):
            name, value = part.rsplit(" ", 1)
            totals[name] = totals.get(name, 0) + int(value)
    for name, used in re.findall(r"^table (\w+): (\d+)", printed, re.MULTILINE):
        totals[f"table {name}"] = int(used)
    dropped = sum(value for name, value in totals.items() if name.startswith("dropped"))
    assert totals["received"] + totals.get("copies", 0) == totals["sent"] + dropped, printed
    assert "dropped no device" not in totals, printed
    return totals


def _device(number: int, plug: Plug, io: str) -> str:
    return plug.name if io == "linux" else f"net_af_packet{number},iface={plug.name}"


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def config(**fields: Any) -> str:
    """A configuration file."""
    return "".join(f"{name} = {toml(value)}\n" for name, value in fields.items())
