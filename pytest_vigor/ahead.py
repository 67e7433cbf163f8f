"""Other processes that do what this one has not come to yet: each job is done once, by whoever comes to it first."""

from __future__ import annotations

import fcntl
import gc
import mmap
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import process_time, sleep
from typing import Any

MOST = 7  #: processes besides this one
ALONE_SECONDS = 0.1  #: of CPU time, before others are asked to help with what is left
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
        self._claims = os.memfd_create("claims")  # to open a file might look like a property that reads one
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
        if self._claims >= 0:
            os.close(self._claims)
            self._claims = -1


class Shared:
    """Jobs that this process does one after another, of which others are given those that are left after a while.

    A job comes to some bytes, to ``size_bytes`` at most, or to None where it is not for another process to say.
    ``idle`` tells how many processes could be of use.
    """

    def __init__(
        self, jobs: Sequence[Callable[[], bytes | None]], size_bytes: int, idle: Callable[[], int]
    ) -> None:
        self._jobs, self._size, self._idle = jobs, size_bytes, idle
        self._first = 0
        self._ahead: Ahead | None = None
        self._started = process_time()

    def found(self, place: int, meanwhile: Callable[[], object]) -> bytes | None:
        """What another process has found, zeros behind it; None if this one is to do the job, as no other does then."""
        left = len(self._jobs) - place
        if self._ahead is None and left > 1 and self._is_long() and (idle := self._idle()):
            self._first = place
            self._room = mmap.mmap(-1, left * (1 + self._size))
            self._ahead = Ahead([partial(self._do, k, job) for k, job in enumerate(self._jobs[place:])], idle)
        if self._ahead is None:
            return None
        self._ahead.reach(place - self._first, meanwhile)
        start = (place - self._first) * (1 + self._size)
        return self._room[start + 1 : start + 1 + self._size] if self._room[start] else None

    def _is_long(self) -> bool:
        return process_time() - self._started > ALONE_SECONDS

    def _do(self, place: int, job: Callable[[], bytes | None]) -> None:
        found = job()
        if found is not None:
            start = place * (1 + self._size)
            self._room[start + 1 : start + 1 + self._size] = found.ljust(self._size, b"\0")
            self._room[start] = 1  # at last: who dies before that has done nothing

    def close(self) -> None:
        """Ends the others, and forgets the jobs, which mostly know of this."""
        self._jobs = ()
        if self._ahead is not None:
            self._ahead.close()
            self._room.close()


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
