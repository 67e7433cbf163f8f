"""Keys that are hard on a hash table: many in one bucket, around the end of the slots, with one tag, nearly equal."""

from __future__ import annotations

import ctypes
import functools
import random
import subprocess
import tempfile
from pathlib import Path

from pytest_vigor.build import libvig_root
from pytest_vigor.compiler import find_compiler

# The library's own hash, from its internal header: nothing here knows how it works.
_SHIM = """
#include "map/probe.h"
void tags(const unsigned char *keys, uint32_t key_bytes, uint32_t count, uint32_t *out_tags)
{
    for (uint32_t i = 0; i < count; i++) {
        out_tags[i] = probe_tag(keys + (size_t) i * key_bytes, key_bytes);
    }
}
uint32_t slots(uint32_t capacity)
{
    return probe_slots_for(capacity);
}
"""
CAPACITY_MAX = 64  # of the tests
POOL = 2 * CAPACITY_MAX
TWIN_SIZES = (4, 5, 8, 9, 13, 16, 17, 20)  # some of each way in which keys are compared, because looking takes time
SAMPLE = 100_000  # random keys, among which a few pairs are likely to have one tag


@functools.cache
def _shim() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "shim.c", Path(folder) / "shim.so"
        source.write_text(_SHIM)
        ran = find_compiler().run(
            ["-std=c11", "-O2", "-fPIC", "-shared", f"-I{libvig_root()}", str(source), "-o", str(out)], Path(folder)
        )
        if ran.returncode != 0:
            raise subprocess.CalledProcessError(ran.returncode, ran.args, ran.stdout, ran.stderr)
        return ctypes.CDLL(str(out))


def tags(keys: bytes, key_bytes: int) -> list[int]:
    """The tag of each of the keys, which lie one behind the other."""
    count = len(keys) // key_bytes
    out = (ctypes.c_uint32 * count)()
    _shim().tags(keys, key_bytes, count, out)
    return list(out)


def _split(keys: bytes, key_bytes: int) -> list[int]:
    return [int.from_bytes(keys[i : i + key_bytes], "little") for i in range(0, len(keys), key_bytes)]


@functools.cache
def pools(key_bytes: int) -> dict[str, tuple[int, ...]]:
    """Pools of keys of one size, by what is wrong with them; the same in every process."""
    rng = random.Random(key_bytes)
    if key_bytes == 1:
        some = bytes(range(256))
    elif key_bytes == 2:
        some = b"".join(i.to_bytes(2, "little") for i in range(1 << 16))
    else:
        some = rng.randbytes(400 * POOL * key_bytes)
    keys, found = _split(some, key_bytes), tags(some, key_bytes)
    last = _shim().slots(CAPACITY_MAX) - 1
    by_start: dict[int, list[int]] = {}
    for key, tag in zip(keys, found, strict=True):
        by_start.setdefault(tag & last, []).append(key)
    edge = [key for start in (last - 1, last, 0, 1) for key in by_start.get(start, [])[: POOL // 4]]
    rng.shuffle(edge)
    model = rng.getrandbits(8 * key_bytes)
    near = {model ^ (change << 8 * place) for place in range(key_bytes) for change in (1, 2, 3, 0x80, 0xFF)}
    made = {
        "random": keys[:POOL],
        "bucket": max(by_start.values(), key=len)[:POOL],
        "edge": edge,
        "twins": _twins(rng, key_bytes),
        "near": [model, *sorted(near)],
        "ends": [0, (1 << 8 * key_bytes) - 1, *range(1, min(POOL, 200))],
    }
    return {name: tuple(dict.fromkeys(pool)) for name, pool in made.items() if len(pool) > 1}


def _twins(rng: random.Random, key_bytes: int) -> list[int]:
    """Pairs of keys with one tag. Some differ only in their first four bytes, some only in their last four."""
    if key_bytes not in TWIN_SIZES:
        return []
    twins = []
    for free in (slice(0, 4), slice(key_bytes - 4, key_bytes), slice(0, key_bytes)):
        width = free.stop - free.start
        model, some = rng.randbytes(key_bytes), rng.randbytes(SAMPLE * width)
        before, after = model[: free.start], model[free.stop :]
        keys = b"".join(before + some[i : i + width] + after for i in range(0, len(some), width))
        first: dict[int, int] = {}
        for place, tag in enumerate(tags(keys, key_bytes)):
            other = first.setdefault(tag, place)
            if other != place:
                twins += [int.from_bytes(keys[i * key_bytes : (i + 1) * key_bytes], "little") for i in (other, place)]
    return twins
