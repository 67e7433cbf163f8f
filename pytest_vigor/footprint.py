"""The memory of this process: how much it has, how it is kept for what comes next, and how it is given back."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress

GARBAGE = (50_000, 20, 100)  #: Python's thresholds for collecting it: terms are many, and in no cycles
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  #: as <malloc.h> has them
GLIBC_BYTES = 128 << 10  #: what glibc has for both (mallopt(3))
KEPT_BYTES = 1 << 28
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def memory_bytes() -> int:
    """What is in use."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def give_back() -> None:
    """Gives back what nothing needs: objects in cycles, which may hold much of z3's, and what was freed and kept."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Lavish:
    """Until it is closed, this process keeps memory that it is soon to need again: a short question makes and frees
    megabytes. What Python has in use at the first time is never looked at for garbage again."""

    def __init__(self) -> None:
        self._garbage = gc.get_threshold()
        if not gc.get_freeze_count():
            gc.freeze()
        gc.set_threshold(*GARBAGE)
        _keep(KEPT_BYTES)

    def close(self) -> None:
        """From now on, memory is kept as it was before."""
        gc.set_threshold(*self._garbage)
        _keep(GLIBC_BYTES)


def _keep(size: int) -> None:
    with suppress(AttributeError, OSError):  # it is glibc's
        for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(option, size)
