"""Running something in a forked process, which may crash or never end without taking the tests along."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tests.libvig.oracle import Disagreement


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended: ``agreed``, ``disagreed``, or the name of the signal that killed it; and what it had to say."""

    how: str
    text: str


def isolated(work: Callable[[], object], cpu_seconds: int = 10, quiet: bool = False) -> Ending:
    """Runs ``work`` in a forked process. An error that is no Disagreement is one of the tests, and raised here."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            faulthandler.disable()  # crashes are expected
            if quiet:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            status, text = 0, str(work())
        except Disagreement as disagreement:
            status, text = 2, str(disagreement)
        except BaseException:
            text = traceback.format_exc()
        finally:
            os.write(sending, text.encode()[:60_000])  # a pipe holds this much without a reader
            os._exit(status)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        text = pipe.read().decode()
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return Ending(signal.Signals(os.WTERMSIG(ended)).name, text)
    if os.WEXITSTATUS(ended) == 1:
        print(text, file=sys.stderr)
        raise RuntimeError(f"the isolated process failed: {text}")
    return Ending("disagreed" if os.WEXITSTATUS(ended) == 2 else "agreed", text)
