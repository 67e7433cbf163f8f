"""Other processes that do what this one has not come to yet: each job is done once, by whoever comes to it first."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import sleep
from typing import IO, Any

MOST = 7  #: processes besides this one
LOOK_SECONDS = 0.01  #: between two looks whether another process is done
_DEBUGGERS = ("pydevd", "debugpy")


def idle_processors() -> int:
    """How many processes can be of use besides this one; 0 while a debugger looks on."""
    if sys.gettrace() is not None or any(name in sys.modules for name in _DEBUGGERS):
        return 0
    return min(len(os.sched_getaffinity(0)) - 1, MOST)


class Ahead:
    """Children of this process that do jobs from the last one back, while this one begins with the first.

    Whoever does a job holds a lock on its byte of a file; when a process dies, the system releases its locks. What a
    job comes to is not told here: it must leave it somewhere.
    """

    def __init__(self, jobs: Sequence[Callable[[], object]], processes: int) -> None:
        """Job ``k`` is what this process would do at place ``k``."""
        self._claims: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 # closed by close
        self._children: list[int] = []
        processes = min(processes, len(jobs))
        for which in range(processes):
            child = _fork()
            if child == 0:
                self._run(jobs, len(jobs) * which // processes)
            self._children.append(child)

    def _run(self, jobs: Sequence[Callable[[], object]], first: int) -> None:
        """The child: it never returns. Neighbours have much in common, so each begins elsewhere."""
        status = 1
        try:
            with _alone():
                for back in range(1, len(jobs) + 1):
                    place = (-back - first) % len(jobs)
                    if self._claimed(place):
                        with suppress(Exception):  # whoever comes to it next will see
                            jobs[place]()
                        fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, place)
            status = 0
        finally:
            os._exit(status)

    def _claimed(self, place: int) -> bool:
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def reach(self, place: int, meanwhile: Callable[[], object]) -> None:
        """This process has come to a place: waits while a child is at work on it, and keeps all of them off it."""
        while not self._claimed(place):
            meanwhile()
            sleep(LOOK_SECONDS)

    def done(self) -> bool:
        """Whether all children have come to their end."""
        self._children = [child for child in self._children if os.waitpid(child, os.WNOHANG) == (0, 0)]
        return not self._children

    def close(self) -> None:
        """Ends the children."""
        for child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        self._children.clear()
        self._claims.close()


def _fork() -> int:
    with warnings.catch_warnings():
        # From Python 3.12 on it warns of threads. Here there is one that waits for Ctrl-C, and holds nothing.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


@contextmanager
def _alone() -> Iterator[None]:
    """A child's surroundings: it says nothing, ends with its parent, and collects no garbage that is not its own."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.freeze()
    nowhere: Any = open(os.devnull, "w")  # noqa: SIM115 # for as long as the process lives
    sys.stdout = sys.stderr = nowhere
    for descriptor in (1, 2):
        os.dup2(nowhere.fileno(), descriptor)
    yield
