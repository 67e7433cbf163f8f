"""Bytes for the NF to work on, between pages that nobody may touch."""

from __future__ import annotations

import ctypes

from pytest_vigor.native.machine import NO_ACCESS, PAGE_BYTES, READ, WRITE, map_memory, protect

# More than a 16-bit offset, scaled by the size of a header, reaches.
GUARD_BYTES = 1 << 20


class Block:
    """A copy of some bytes. With `at_end` their last one lies right before a guard page, otherwise their first one
    right behind one; the rest of the pages holds the filler."""

    def __init__(self, content: bytes, at_end: bool, filler: int) -> None:
        usable_bytes = max(1, -(-len(content) // PAGE_BYTES)) * PAGE_BYTES
        self.start = map_memory(usable_bytes + 2 * GUARD_BYTES, NO_ACCESS) + GUARD_BYTES
        self.end = self.start + usable_bytes
        protect(self.start, usable_bytes, READ | WRITE)
        ctypes.memset(self.start, filler, usable_bytes)
        self.size_bytes = len(content)
        self.address = self.end - len(content) if at_end else self.start
        ctypes.memmove(self.address, content, len(content))

    def content(self) -> bytes:
        """The bytes as they are now."""
        return ctypes.string_at(self.address, self.size_bytes)

    def extent(self) -> tuple[int, int, int, int]:
        """The addresses of the first usable byte, the first byte behind those, and the content; the content's size."""
        return self.start, self.end, self.address, self.size_bytes
