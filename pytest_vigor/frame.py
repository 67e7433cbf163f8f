"""The content of a frame: unknown bytes, and what was written over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from pytest_vigor import term as t
from pytest_vigor.term import Bool, Value

OFFSET_BITS = 16


@dataclass(frozen=True, slots=True)
class Write:
    """``size_bytes`` bytes at an offset, where the guard holds; ``value`` is their little-endian number."""

    offset: Value
    size_bytes: int
    value: Value
    guard: Bool = True


class Limits(Protocol):
    """What is known of how large values can be, where a frame is read."""

    def reach(self, width: int, value: Value) -> tuple[int, int]:
        """The least and the largest that a value can be."""

    def decided(self, condition: Bool) -> bool | None:
        """Whether a condition holds, None if that is not known."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's bytes. ``symbol`` names the unknown content, an uninterpreted function of the offset; ``content`` is
    the known content instead, where the frame is a plain one. ``limits`` tell which writes can touch a byte at all."""

    symbol: str
    writes: tuple[Write, ...] = ()
    content: bytes | None = None
    limits: Limits | None = field(default=None, compare=False)

    def write(self, offset: Value, size_bytes: int, value: Value, guard: Bool = True) -> Frame:
        """The frame after a write, which must lie within its length where the guard holds."""
        return replace(self, writes=(*self.writes, Write(offset, size_bytes, value, guard)))

    def happens(self, write: Write) -> bool | None:
        """Whether a write's guard holds, None if that is not known."""
        if isinstance(write.guard, bool):
            return write.guard
        return self.limits.decided(write.guard) if self.limits else None

    def byte(self, offset: Value) -> Value:
        """The byte at an offset, which must lie within its length."""
        return self._byte(offset, len(self.writes))

    def _byte(self, offset: Value, count: int) -> Value:
        for position in range(count - 1, -1, -1):
            write = self.writes[position]
            distance = t.sub(OFFSET_BITS, offset, write.offset)
            low, high = self.limits.reach(OFFSET_BITS, distance) if self.limits else t.bounds(distance)
            if low >= write.size_bytes:
                continue
            happens = self.happens(write)
            if happens is False:
                continue
            guard = True if happens else write.guard
            if isinstance(distance, int):
                part = t.extract(write.value, 8 * write.size_bytes, 8 * distance + 7, 8 * distance)
                return part if guard is True else t.ite(8, guard, part, self._byte(offset, position))
            out = self._byte(offset, position)
            for k in range(write.size_bytes):
                if low <= k <= high:
                    part = t.extract(write.value, 8 * write.size_bytes, 8 * k + 7, 8 * k)
                    out = t.ite(8, t.land(guard, t.eq(OFFSET_BITS, distance, k)), part, out)
            return out
        if self.content is not None:
            if isinstance(offset, int):
                return self.content[offset] if offset < len(self.content) else 0
            out = 0
            for k, value in enumerate(self.content):
                out = t.ite(8, t.eq(OFFSET_BITS, offset, k), value, out)
            return out
        return t.app(self.symbol, 8, (OFFSET_BITS, offset))

    def read(self, offset: Value, size_bytes: int) -> Value:
        """Some bytes as a little-endian number."""
        return t.concat([(8, self.byte(t.add(OFFSET_BITS, offset, i))) for i in reversed(range(size_bytes))])

    def read_big_endian(self, offset: Value, size_bytes: int) -> Value:
        """Some bytes in network order."""
        return t.concat([(8, self.byte(t.add(OFFSET_BITS, offset, i))) for i in range(size_bytes)])
