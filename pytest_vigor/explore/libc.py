"""The C library functions that compilers call on their own, done on memory directly."""

from __future__ import annotations

from collections.abc import Callable

from pytest_vigor import term as t
from pytest_vigor.explore.memory import Failed, Stop
from pytest_vigor.explore.path import PathState
from pytest_vigor.term import Value

SIZE_LIMIT = 65_536


def _size(path: PathState, name: str) -> int:
    size = path.registers.read("rdx")
    if isinstance(size, int):
        if size > SIZE_LIMIT:
            raise Stop(f"{name} of {size} bytes")
        return size
    raise Stop(f"{name} of a size that depends on the input")


def _copy(path: PathState) -> Value:
    to, source, size = path.registers.read("rdi"), path.registers.read("rsi"), _size(path, "memcpy")
    chunks = _chunks(size)
    values = [path.memory.load(t.add(64, source, at), count, path.where) for at, count in chunks]
    for (at, count), value in zip(chunks, values, strict=True):
        path.memory.store(t.add(64, to, at), count, value, path.where)
    return to


def _chunks(size: int) -> list[tuple[int, int]]:
    out, at = [], 0
    while at < size:
        count = next(c for c in (8, 4, 2, 1) if at + c <= size)
        out.append((at, count))
        at += count
    return out


def _set(path: PathState) -> Value:
    to, value, size = path.registers.read("rdi"), path.registers.read("rsi"), _size(path, "memset")
    byte = t.extract(value, 64, 7, 0)
    for at in range(size):
        path.memory.store(t.add(64, to, at), 1, byte, path.where)
    return to


def _compare(path: PathState) -> Value:
    left, right, size = path.registers.read("rdi"), path.registers.read("rsi"), _size(path, "memcmp")
    result: Value = 0
    for at in reversed(range(size)):
        a = path.memory.load(t.add(64, left, at), 1, path.where)
        b = path.memory.load(t.add(64, right, at), 1, path.where)
        path.initialised(a, path.where, "memcmp")
        path.initialised(b, path.where, "memcmp")
        order = t.ite(64, t.ult(8, a, b), t.mask(64), 1)
        result = t.ite(64, t.eq(8, a, b), result, order)
    return result


def _stops(kind: str, detail: str) -> Callable[[PathState], Value]:
    def stop(path: PathState) -> Value:
        path.oblige(False, kind, path.where, detail)
        raise Failed

    return stop


LIBC: dict[str, Callable[[PathState], Value]] = {
    "memcpy": _copy,
    "memmove": _copy,
    "memset": _set,
    "memcmp": _compare,
    "bcmp": _compare,
    "__stack_chk_fail": _stops("memory", "the stack is intact"),
    "abort": _stops("crash", "abort is not called"),
    "__assert_fail": _stops("crash", "an assert in the NF holds"),
}
