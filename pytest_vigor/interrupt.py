"""Ctrl-C while C code runs: Python notices a signal only when that code returns."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable


def on_interrupt(act: Callable[[], object]) -> None:
    """Has a thread act as soon as SIGINT arrives; the signal itself is dealt with as ever. Does nothing outside of the
    main thread, and where somebody else is told of signals already."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before: int | None
    try:
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    except ValueError:  # not the main thread
        before = None
    if before != -1:
        if before is not None:
            signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
        return

    def watch() -> None:
        while arrived := os.read(reader, 1):
            if arrived[0] == signal.SIGINT:
                act()

    threading.Thread(target=watch, name="vigor-interrupt", daemon=True).start()
