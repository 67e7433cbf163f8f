"""libVig's structures as they are in memory: reading and setting up what they hold, through their own functions."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_vigor.ghost import map as maps, vector as vectors
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.flows import PlainBase
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import KEY_BITS, Lpm, prefix_of, written
from pytest_vigor.native.machine import Code
from pytest_vigor.trace import Entries, ObjectState


class Unfit(Exception):
    """A structure does not take the entries that it should have."""


_AGE_BYTES, _VALUE_BYTES = 8, 4


def _bits(memory: bytes) -> int:
    return int.from_bytes(memory, "little")


def _age(memory: bytes) -> int:
    return int.from_bytes(memory, "little", signed=True)


class Structure(Protocol):
    """One structure, at an address. `label` is what calls of it are logged under."""

    kind: str
    address: int
    label: str
    capacity: int
    element_bytes: int
    #: The records on loan, by index, with their content when they were lent.
    loans: dict[int, int]
    #: Whether it holds from the start what it will always hold.
    constant: bool

    def entries(self) -> Entries: ...
    def replace(self, entries: Mapping[int, Any]) -> None: ...
    def ghost(self, run: Any, entries: Mapping[int, Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Library:
    """libVig, and code to read its structures with."""

    functions: ctypes.CDLL
    code: Code


class _Structure:
    kind, constant = "", False

    def __init__(self, library: Library, address: int, parameters: Mapping[str, int], label: str) -> None:
        self.address, self.label, self.capacity = address, label, parameters["capacity"]
        self.element_bytes = parameters.get("key_bytes", parameters.get("record_bytes", 0))
        self.loans: dict[int, int] = {}
        self._library = library

    def _function(self, name: str, result: Any, *parameters: Any) -> Callable[..., Any]:
        function = getattr(self._library.functions, f"{self.kind}_{name}")
        function.restype, function.argtypes = result, (ctypes.c_void_p, *parameters)
        return lambda *arguments: function(self.address, *arguments)

    def _sweep(self, name: str, count: int, first_bytes: int, second_bytes: int) -> Iterator[tuple[int, bytes, bytes]]:
        function = getattr(self._library.functions, f"{self.kind}_{name}")
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
        return self._library.code.sweep(address, self.address, count, first_bytes, second_bytes)

    def _bytes(self, bits: int) -> bytes:
        try:
            return bits.to_bytes(self.element_bytes, "little")
        except OverflowError:
            raise Unfit(f"{bits:#x} is more than {self.label} has bytes for, {self.element_bytes}") from None


class _Pool(_Structure):
    erase_name = ""

    def entries(self) -> dict[int, tuple[int, int]]:
        raise NotImplementedError

    def replace(self, entries: Mapping[int, tuple[int, int]]) -> None:
        erase = self._function(self.erase_name, None, ctypes.c_uint32)
        for index in self.entries():
            erase(index)
        for index, (key, age) in sorted(entries.items(), key=lambda entry: (entry[1][1], entry[0])):
            if not self._restore(index, key, age):
                raise Unfit(f"{self.kind}_restore refuses index {index} with age {age} in {self.label}")

    def _restore(self, index: int, key: int, age: int) -> bool:
        raise NotImplementedError


class _NativeFlowTable(_Pool):
    kind, erase_name = "flow_table", "erase"

    def entries(self) -> dict[int, tuple[int, int]]:
        found = self._sweep("entry", self.capacity, self.element_bytes, _AGE_BYTES)
        return {index: (_bits(key), _age(age)) for index, key, age in found}

    def _restore(self, index: int, key: int, age: int) -> bool:
        restore = self._function("restore", ctypes.c_bool, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_int64)
        return bool(restore(self._bytes(key), index, age))

    def ghost(self, run: Any, entries: Mapping[int, tuple[int, int]]) -> FlowTable:
        return FlowTable(run, PlainBase(Plain(), self.label, 8 * self.element_bytes, self.capacity, entries))


class _NativeIndexPool(_Pool):
    kind, erase_name = "index_pool", "release"

    def entries(self) -> dict[int, tuple[int, int]]:
        return {index: (0, _age(age)) for index, age, _ in self._sweep("entry", self.capacity, _AGE_BYTES, 0)}

    def _restore(self, index: int, key: int, age: int) -> bool:
        return bool(self._function("restore", ctypes.c_bool, ctypes.c_uint32, ctypes.c_int64)(index, age))

    def ghost(self, run: Any, entries: Mapping[int, tuple[int, int]]) -> IndexPool:
        return IndexPool(run, PlainBase(Plain(), self.label, 0, self.capacity, entries))


class _NativeMap(_Structure):
    kind = "map"

    def entries(self) -> dict[int, int]:
        slots = self._function("slots", ctypes.c_uint32)()
        found = self._sweep("slot", slots, self.element_bytes, _VALUE_BYTES)
        return {_bits(key): _bits(value) for _, key, value in found}

    def replace(self, entries: Mapping[int, int]) -> None:
        erase = self._function("erase", ctypes.c_bool, ctypes.c_char_p)
        put = self._function("put", ctypes.c_bool, ctypes.c_char_p, ctypes.c_uint32)
        for key in self.entries():
            erase(self._bytes(key))
        for key, value in entries.items():
            if not put(self._bytes(key), value):
                raise Unfit(f"map_put refuses the key {key:#x} in {self.label}")

    def ghost(self, run: Any, entries: Mapping[int, int]) -> maps.Map:
        return maps.Map(run, maps.PlainBase(self.label, 8 * self.element_bytes, self.capacity, entries))


class _NativeLpm(_NativeMap):
    """A table of prefixes, which says what it holds as a map does."""

    kind = "lpm"

    def __init__(self, library: Library, address: int, parameters: Mapping[str, int], label: str) -> None:
        super().__init__(library, address, {**parameters, "key_bytes": KEY_BITS // 8}, label)

    def replace(self, entries: Mapping[int, int]) -> None:
        remove = self._function("remove", ctypes.c_bool, ctypes.c_uint32, ctypes.c_uint32)
        add = self._function("add", ctypes.c_bool, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
        for key in self.entries():
            remove(*prefix_of(key))
        for key, value in entries.items():
            if not add(*prefix_of(key), value):
                raise Unfit(f"lpm_add refuses {written(key)} in {self.label}")

    def ghost(self, run: Any, entries: Mapping[int, int]) -> Lpm:
        return Lpm(run, maps.PlainBase(self.label, KEY_BITS, self.capacity, entries))


class NativeVector(_Structure):
    """A vector. Its records are read where they lie, because one that is on loan cannot be borrowed again."""

    kind = "vector"
    _PROBED = 4096
    _CHUNK = 1024

    def __init__(self, library: Library, address: int, parameters: Mapping[str, int], label: str) -> None:
        super().__init__(library, address, parameters, label)
        borrow = self._function("borrow", ctypes.c_void_p, ctypes.c_uint32)
        give_back = self._function("give_back", None, ctypes.c_void_p)

        def probe(index: int) -> int:
            record: int | None = borrow(index)
            give_back(record)
            return record or 0

        self._first = probe(0)
        self._stride = max(self.element_bytes, probe(1) - self._first) if self.capacity > 1 else self.element_bytes
        # All of them where that is quick: a faulty library may lend anything.
        probed = range(self.capacity) if self.capacity <= self._PROBED else (self.capacity - 1,)
        for index in probed:
            if probe(index) != self.record_address(index):
                raise Unfit(f"vector_borrow lends overlapping or scattered records of {label}")

    def record_address(self, index: int) -> int:
        """Where a record lies."""
        return self._first + index * self._stride

    def index_at(self, address: int) -> int | None:
        """The index of the record that begins at an address."""
        index, rest = divmod(address - self._first, self._stride)
        return index if rest == 0 and 0 <= index < self.capacity else None

    def record(self, index: int) -> int:
        """The content of a record as it is now."""
        return _bits(ctypes.string_at(self.record_address(index), self.element_bytes))

    def entries(self) -> dict[int, int]:
        content = ctypes.string_at(self._first, (self.capacity - 1) * self._stride + self.element_bytes)
        found: dict[int, int] = {}
        for first in range(0, self.capacity, self._CHUNK):
            behind = min(first + self._CHUNK, self.capacity)
            if not content[first * self._stride : behind * self._stride].strip(b"\0"):
                continue
            for index in range(first, behind):
                start = index * self._stride
                if bits := _bits(content[start : start + self.element_bytes]):
                    found[index] = bits
        for index, bits in self.loans.items():
            found[index] = bits
            if not bits:
                del found[index]
        return found

    def replace(self, entries: Mapping[int, int]) -> None:
        for index in entries:
            if not 0 <= index < self.capacity:
                raise Unfit(f"{self.label} has no record {index}")
        content = bytearray((self.capacity - 1) * self._stride + self.element_bytes)
        for index, bits in entries.items():
            content[index * self._stride : index * self._stride + self.element_bytes] = self._bytes(bits)
        ctypes.memmove(self._first, bytes(content), len(content))

    def ghost(self, run: Any, entries: Mapping[int, int]) -> vectors.Vector:
        base = vectors.PlainBase(self.label, 8 * self.element_bytes, self.capacity, entries)
        return vectors.Vector(run, vectors.Lent(base, tuple(self.loans)))

    def ghost_in_place(self, run: Any) -> vectors.Vector:
        """The state as it is now, read only where asked for: what a large vector's preconditions need."""
        records = _InPlace(self)
        return vectors.Vector(run, vectors.Lent(records, tuple(self.loans)))


class _InPlace(vectors.PlainBase):
    """Records that are read from memory when asked for."""

    def __init__(self, vector: NativeVector) -> None:
        super().__init__(vector.label, 8 * vector.element_bytes, vector.capacity, {})
        self._vector = vector

    def at(self, index: Any) -> int:
        return self._vector.loans.get(index, self._vector.record(index) if index < self._vector.capacity else 0)


class _NativeConsistentHash(_Structure):
    """A consistent-hash table. Its entries are how many slots each backend has, which are counted once."""

    kind, constant = "consistent_hash", True

    def __init__(self, library: Library, address: int, parameters: Mapping[str, int], label: str) -> None:
        super().__init__(library, address, {**parameters, "capacity": parameters["backends"]}, label)
        slots = self._function("slots", ctypes.c_uint32)()
        counted = Counter(_bits(backend) for _, backend, _ in self._sweep("slot", slots, _VALUE_BYTES, 0))
        self._shares = dict(sorted(counted.items()))

    def entries(self) -> dict[int, int]:
        return self._shares

    def replace(self, entries: Mapping[int, int]) -> None:
        if entries != self._shares:
            raise Unfit(f"nothing can be put into {self.label}, whose parameters decide what it holds")

    def ghost(self, run: Any, entries: Mapping[int, int]) -> ConsistentHash:
        return ConsistentHash.plain(run, self.label, 8 * self.element_bytes, entries)


_KINDS: dict[str, Callable[[Library, int, Mapping[str, int], str], Structure]] = {
    "consistent_hash": _NativeConsistentHash,
    "flow_table": _NativeFlowTable,
    "index_pool": _NativeIndexPool,
    "lpm": _NativeLpm,
    "map": _NativeMap,
    "vector": NativeVector,
}


def structure(kind: str, library: Library, address: int, parameters: Mapping[str, int], label: str) -> Structure | None:
    """The structure of that kind at an address; None for a kind that only its contracts know."""
    make = _KINDS.get(kind)
    return None if make is None else make(library, address, parameters, label)


def state_of(held: Structure) -> ObjectState:
    """What a structure holds now."""
    return ObjectState(held.kind, held.capacity, 8 * held.element_bytes, held.entries())
