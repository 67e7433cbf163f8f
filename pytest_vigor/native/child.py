"""The program of the process in which NFs run: `python -m pytest_vigor.native.child`, a job on standard input."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from pytest_vigor.contract import Contracts, collect, module_at
from pytest_vigor.native.machine import die_with_parent
from pytest_vigor.native.process import ENDED_HUNG, Channel, limit, silence
from pytest_vigor.native.variant import Options, Variant
from pytest_vigor.trace import Situation


def main() -> int:
    """Runs the job's variants one after the other; later ones only where an earlier one leaves something to learn."""
    job = json.load(sys.stdin)
    situation = Situation.from_json(job["situation"])
    out = silence()
    contracts = collect(module_at(Path(path)) for path in situation.contracts)
    # Shared with the variants, which note in it where they were stopped.
    notes = mmap.mmap(-1, 32)
    first_status = 0
    for number, variant in enumerate(job["variants"]):
        if not _is_worthwhile(variant, first_status):
            continue
        notes[:] = bytes(32)
        printed = os.memfd_create("printed")
        channel = Channel(out, number)
        status = _fork(job, situation, contracts, variant, notes, printed, channel)
        noted = [int.from_bytes(notes[i : i + 8], "little") for i in range(0, 32, 8)]
        channel.send("ended", status=status, noted=noted, printed=_tail(printed))
        os.close(printed)
        if number == 0:
            first_status = status
    return 0


def _is_worthwhile(variant: dict[str, Any], first_status: int) -> bool:
    """Whether a variant can tell more than the first one, which ended so."""
    if first_status in (ENDED_HUNG, -signal.SIGPROF, -signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL):
        # It would wait as long again.
        return False
    return first_status == 0 or bool(variant["guard_after"])


def _tail(descriptor: int, size_bytes: int = 2000) -> str:
    os.lseek(descriptor, max(0, os.lseek(descriptor, 0, os.SEEK_END) - size_bytes), os.SEEK_SET)
    return os.read(descriptor, size_bytes).decode(errors="replace").strip()


def _fork(
    job: dict[str, Any], situation: Situation, contracts: Contracts, variant: dict[str, Any], notes: mmap.mmap,
    printed: int, channel: Channel,
) -> int:  # fmt: skip
    alive, held_by_variant = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(alive)
        try:
            die_with_parent()
            os.dup2(printed, 2)
            limit(job["memory_bytes"], int(job["backstop_seconds"]))
            slot = ctypes.addressof(ctypes.c_uint64.from_buffer(notes))
            options = Options(
                variant["filler"], variant["guard_after"], variant["watch_up_to"], job["cpu_seconds"], slot
            )
            Variant(situation, contracts, [(a, b) for a, b in job["relocations"]], options, channel).run()
        except BaseException:
            channel.stop("broken", detail=traceback.format_exc())
        # Without clean-up, which could meet what the NF has left behind.
        os._exit(0)
    os.close(held_by_variant)
    _wait(alive, process, job["backstop_seconds"])
    os.close(alive)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _wait(alive: int, process: int, seconds: float) -> None:
    """Waits for the other end of a pipe to be closed, by the process that has it coming to its end."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([alive], [], [], left)
        if ready:
            return
    os.kill(process, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
