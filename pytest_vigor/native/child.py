"""The program of the process in which NFs run: `python -m pytest_vigor.native.child`, jobs on standard input.

A job is a situation and the variants in which it is to be run, one line of JSON. One that is `attended` has commands
follow, which the running variant takes from the same place: see `variant`.
"""

from __future__ import annotations

import ctypes
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
from pytest_vigor.native.process import ENDED_HUNG, Channel, Commands, limit, noted, silence, tail
from pytest_vigor.native.variant import Options, Variant
from pytest_vigor.trace import Situation

SERVER = -1  #: in place of a variant's number


def main() -> int:
    """Runs jobs until there are no more."""
    commands = Commands(os.dup(0))
    out = silence()
    # Shared with the variants, which note in it where they were stopped.
    notes = mmap.mmap(-1, 32)
    for job in commands:
        try:
            _run(job, commands, out, notes)
        except Exception:
            Channel(out, SERVER).send("broken", detail=traceback.format_exc())
        Channel(out, SERVER).send("finished")
    return 0


def _run(job: dict[str, Any], commands: Commands, out: int, notes: mmap.mmap) -> None:
    """Runs a job's variants one after the other; later ones only where an earlier one leaves something to learn."""
    situation = Situation.from_json(job["situation"])
    contracts = collect(module_at(Path(path)) for path in situation.contracts)
    first_status = 0
    for number, variant in enumerate(job["variants"]):
        if not _is_worthwhile(variant, first_status):
            continue
        notes[:] = bytes(32)
        printed = os.memfd_create("printed")
        channel = Channel(out, number)
        status = _fork(job, situation, contracts, variant, notes, printed, channel, commands)
        channel.send("ended", status=status, noted=noted(notes), printed=tail(printed))
        os.close(printed)
        if number == 0:
            first_status = status


def _is_worthwhile(variant: dict[str, Any], first_status: int) -> bool:
    """Whether a variant can tell more than the first one, which ended so."""
    if first_status in (ENDED_HUNG, -signal.SIGPROF, -signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL):
        # It would wait as long again.
        return False
    return first_status == 0 or bool(variant["guard_after"])


def _fork(
    job: dict[str, Any], situation: Situation, contracts: Contracts, variant: dict[str, Any], notes: mmap.mmap,
    printed: int, channel: Channel, commands: Commands,
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
            running = Variant(situation, contracts, [(a, b) for a, b in job["relocations"]], options, channel)
            running.run()
            if job["attended"]:
                running.attend(commands, lambda: noted(notes), lambda: tail(printed))
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
