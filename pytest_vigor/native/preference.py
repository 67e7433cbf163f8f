"""What a compiled consistent-hash table chooses: asked of libVig itself, since nobody else knows."""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from pytest_vigor.ghost.consistent_hash import Preference

_INDEX_BYTES = 4


@cache
def preference(libvig: Path, key_bytes: int, backends: int, slots: int) -> Preference:
    """The choices of the table with these parameters. It is made when first asked, and stays until the process ends:
    libVig gives no memory back."""
    made: list[tuple[Any, int]] = []

    def prefer(key: int, available: Collection[int]) -> int:
        if not made:
            functions = ctypes.CDLL(str(libvig))
            made.append((functions, _alloc(functions.consistent_hash_alloc, key_bytes, backends, slots)))
        functions, table = made[0]
        flows = _alloc(functions.flow_table_alloc, _INDEX_BYTES, backends)
        restore = functions.flow_table_restore
        restore.restype = ctypes.c_bool
        restore.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_int64)
        for index in available:
            restore(flows, index.to_bytes(_INDEX_BYTES, "little"), index, 0)
        choose = functions.consistent_hash_choose
        choose.restype, choose.argtypes = ctypes.c_bool, (*(ctypes.c_void_p, ctypes.c_char_p) * 2, ctypes.c_void_p)
        backend_key, backend = ctypes.create_string_buffer(_INDEX_BYTES), ctypes.c_uint32()
        if not choose(table, key.to_bytes(key_bytes, "little"), flows, backend_key, ctypes.byref(backend)):
            raise LookupError("no backend is available")
        return backend.value

    return prefer


def _alloc(function: Any, *numbers: int) -> int:
    function.restype, function.argtypes = ctypes.c_void_p, (ctypes.c_uint32,) * len(numbers)
    made: int | None = function(*numbers)
    if made is None:
        raise LookupError(f"{function.__name__} refuses {numbers}")
    return made
