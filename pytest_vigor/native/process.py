"""What a variant of a run is allowed to use, and how what happens to it gets out."""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

#: Signals that a faulty NF gets, and the one that its time budget sends.
FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP, signal.SIGPROF)

ENDED_EARLY, ENDED_HUNG = 3, 4
_WALL_FACTOR = 10


class Channel:
    """Sends events as lines of JSON, each written before anything else is done."""

    def __init__(self, descriptor: int, variant: int) -> None:
        self._descriptor, self._variant = descriptor, variant

    def send(self, event: str, **fields: Any) -> None:
        """Sends an event."""
        # A line that was cut off by a kill must not swallow this one.
        line = b"\n" + json.dumps({"variant": self._variant, "event": event, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]

    def stop(self, event: str, **fields: Any) -> NoReturn:
        """Sends an event and ends the process at once."""
        self.send(event, **fields)
        os._exit(ENDED_HUNG if event == "hung" else ENDED_EARLY)


class Commands:
    """Lines of JSON on a descriptor that forked processes take turns in reading: whoever writes them waits for the
    answer to one before it sends the next, so that nobody takes what is meant for another."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __iter__(self) -> Iterator[dict[str, Any]]:
        line = b""
        while part := os.read(self._descriptor, 1 << 16):
            line += part
            if line.endswith(b"\n"):
                yield json.loads(line)
                line = b""


class Timer:
    """The time that one call of the NF may take: processor time, and generously more of real time if it waits.

    The first signal notes where the NF is, the second one ends the process.
    """

    def __init__(self, cpu_seconds: float) -> None:
        self._cpu_seconds = cpu_seconds
        self._left = (0.0, 0.0)

    def start(self) -> None:
        """Starts a call's budget."""
        self._left = (self._cpu_seconds, self._cpu_seconds * _WALL_FACTOR)
        self.resume()

    def resume(self) -> None:
        """Goes on counting."""
        processor, real = self._left
        # Never 0, which would mean no limit.
        signal.setitimer(signal.ITIMER_PROF, max(processor, 0.001), 0.02)
        signal.setitimer(signal.ITIMER_REAL, max(real, 0.001))

    def pause(self) -> None:
        """Stops counting."""
        self._left = signal.setitimer(signal.ITIMER_PROF, 0)[0], signal.setitimer(signal.ITIMER_REAL, 0)[0]


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Limits what this process may use in all, as a backstop, and keeps it from dumping core."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, hard))


def noted(notes: mmap.mmap) -> list[int]:
    """The four numbers that the last fault left."""
    return [int.from_bytes(notes[i : i + 8], "little") for i in range(0, 32, 8)]


def tail(descriptor: int, size_bytes: int = 2000) -> str:
    """The end of what was printed to a file."""
    os.lseek(descriptor, max(0, os.lseek(descriptor, 0, os.SEEK_END) - size_bytes), os.SEEK_SET)
    return os.read(descriptor, size_bytes).decode(errors="replace").strip()


def silence() -> int:
    """Sends what the NF prints nowhere; returns a descriptor for what was standard output."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    return kept
