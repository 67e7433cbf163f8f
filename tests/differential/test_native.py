"""The native runner leaves the code that it runs alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

_GATE = 0x0FFF_0000


def test_what_is_below_4_gb_is_the_gate_and_what_was_asked_for(runner: Path) -> None:
    low: list[int] = []
    with subprocess.Popen([runner], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as waiting:
        while not low and waiting.poll() is None:
            mapped = Path(f"/proc/{waiting.pid}/maps").read_text().splitlines()
            low = [start for line in mapped if (start := int(line.split("-")[0], 16)) < 1 << 32]
        waiting.kill()
    assert low == [_GATE], "random numbers would be pointers into the runner's own memory"
