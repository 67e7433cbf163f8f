"""The other end of the process in which NFs run: starts it, gives it jobs, and starts it anew when it was lost."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_vigor.native.events import Transcript
from pytest_vigor.trace import CRASHED, HUNG, INIT, RETURNED, Situation, Step, StepResult, step_to_json

_PACKAGE = Path(__file__).resolve().parent.parent
_FINISHED = "finished"
ATTENDED_SECONDS = 24 * 3600  # somebody may sit before a debugger
ANSWER_SECONDS = 120.0


class Lost(Exception):
    """The process ended, or does not answer; what to say of it: how a run ended, and why."""

    def __init__(self, ending: str, detail: str) -> None:
        super().__init__(ending, detail)
        self.ending, self.detail = ending, detail


@dataclass(frozen=True, slots=True)
class Image:
    """What a run needs to know of a binary besides its path: the slots that its imports go to, and its size."""

    relocations: tuple[tuple[int, str], ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Choices:
    """How a run differs from others of the same situation."""

    filler: int
    guard_after: bool = True
    watch_up_to: int = 0

    def to_json(self) -> dict[str, Any]:
        """The choices as a plain dict."""
        return {"filler": self.filler, "guard_after": self.guard_after, "watch_up_to": self.watch_up_to}


@dataclass(slots=True)
class Native:
    """The process, started when first needed."""

    memory_bytes: int
    _process: subprocess.Popen[bytes] | None = None
    _unread: bytes = b""

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the process if it does not run."""
        if self._process is None:
            paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
            self._unread = b""
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pytest_vigor.native.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
        return self._process

    def job(
        self, situation: Situation, image: Image, variants: Sequence[Choices], cpu_seconds: float,
        attended: bool = False,
    ) -> float:  # fmt: skip
        """Gives it a job; returns the seconds after which one had better not wait any longer for an answer."""
        # Ours to take as well: reading the state, and the monitors.
        backstop_seconds = 60 + 20 * cpu_seconds * (1 + len(situation.steps))
        self.send({
            "situation": situation.to_json(),
            "relocations": image.relocations,
            "variants": [each.to_json() for each in variants],
            "cpu_seconds": cpu_seconds,
            "backstop_seconds": ATTENDED_SECONDS if attended else backstop_seconds,
            "memory_bytes": self.memory_bytes,
            "attended": attended,
        })  # fmt: skip
        return backstop_seconds * len(variants)

    def send(self, command: dict[str, Any]) -> None:
        """Sends a line. That the process is gone shows when its answer is read."""
        stdin = self.start().stdin
        assert stdin is not None
        line = memoryview(json.dumps(command).encode() + b"\n")
        try:
            while line:
                line = line[stdin.write(line) :]
        except BrokenPipeError:
            pass

    def events(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What it has to say, until it has finished a job; Lost if it does not."""
        deadline = time.monotonic() + seconds
        while True:
            *lines, self._unread = self._unread.split(b"\n")
            for number, line in enumerate(lines):
                try:
                    event = json.loads(line)
                except ValueError:
                    # Empty, or cut off by a process's end.
                    continue
                if event["event"] == _FINISHED or event["event"] == "ready":
                    self._unread = b"\n".join([*lines[number + 1 :], self._unread])
                    yield event
                    return
                yield event
            self._unread += self._read(deadline)

    def _read(self, deadline: float) -> bytes:
        process = self.start()
        assert process.stdout is not None
        left = deadline - time.monotonic()
        if left > 0 and select.select([process.stdout], [], [], left)[0]:
            part = process.stdout.read(1 << 16)
            if part:
                return part
            printed = self.stop()
            raise Lost(CRASHED, f"the process in which it runs ended with {process.returncode}\n{printed[-2000:]}")
        self.stop()
        raise Lost(HUNG, "the process in which it runs did not answer in time")

    def stop(self) -> str:
        """Ends the process; returns what it printed."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()
        _, printed = process.communicate()
        return printed.decode(errors="replace")


@dataclass(slots=True)
class Session:
    """A run of an NF that goes on as long as one likes: each step is taken when it is asked for."""

    native: Native
    image: Image
    transcript: Transcript
    open: bool = True
    lost: Lost | None = None
    taken: list[StepResult] = field(default_factory=list)

    @classmethod
    def begin(
        cls, native: Native, situation: Situation, image: Image, choices: Choices, cpu_seconds: float
    ) -> Session:
        """Loads the NF, calls nf_init, and takes the situation's steps; how that went is in `taken`."""
        session = cls(native, image, Transcript(image.size_bytes))
        native.job(situation, image, [choices], cpu_seconds, attended=True)
        session._hear(session.transcript)
        session.taken = [*session.transcript.results()] or [session._gone(INIT)]
        return session

    @property
    def init(self) -> StepResult:
        """What nf_init did."""
        return self.taken[0]

    def step(self, step: Step) -> StepResult:
        """Takes a step."""
        self.native.send({"step": step_to_json(step)})
        self._hear(self.transcript)
        result = self.transcript.last() if self.lost is None else self._gone(step.entry)
        self.taken.append(result)
        return result

    def aside(self, steps: Sequence[Step]) -> tuple[StepResult, ...]:
        """What further steps would do, the state staying as it is."""
        beside = Transcript(self.image.size_bytes, self.transcript.image_start)
        self.native.send({"aside": [step_to_json(each) for each in steps]})
        self._hear(beside)
        return beside.results()

    def close(self) -> None:
        """Ends the run."""
        if self.open:
            self.native.send({})
            self._hear(self.transcript)

    def _hear(self, transcript: Transcript) -> None:
        try:
            for event in self.native.events(ANSWER_SECONDS):
                if event["event"] == _FINISHED:
                    self.open = False
                elif event["event"] != "ready":
                    transcript.add(event)
        except Lost as lost:
            self.open, self.lost = False, lost

    def _gone(self, entry: str) -> StepResult:
        if self.lost is None:
            return StepResult(entry, CRASHED, "it ended without a word")
        return StepResult(entry, self.lost.ending, self.lost.detail)


def went_on(result: StepResult) -> bool:
    """Whether a call of the NF ended as it should."""
    return result.ending == RETURNED
