"""What a compiled structure holds, read through its own functions for inspection, and the abstract state of that."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pytest_vigor.contract import PlainCall
from pytest_vigor.ghost import flows, map as maps, vector
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.lpm import KEY_BITS, LENGTH_MAX, VALUE_MAX, Lpm, prefix_of
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from tests.libvig.compiled import Library, Memory, read

Parameters = Mapping[str, int]
Loans = Mapping[int, Any]  # index to something with an address
Contents = Mapping[int, Any]

T = TypeVar("T")
U8, U32, POINTER = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_void_p
_RUN = PlainCall({})


class Choices(Protocol):
    """Who decides."""

    def pick(self, options: Sequence[T]) -> T: ...
    def number(self, low: int, high: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Structure:
    """One of libVig's structures: how to see all of it, in the form that its abstract state lists as ``entries()``."""

    cls: type
    size_parameter: str | None  #: of the allocation: how many bytes a key or record has
    reader: Callable[[Library, int, Parameters], Callable[[Loans], Contents]]
    plain: Callable[[Parameters, Contents, Loans], Any]
    lends: bool = False
    is_checked: bool = True  #: whether its own bookkeeping is, after each call
    too_large: tuple[int, ...] = (1 << 27, 1 << 28, 1 << 29, 1 << 30)  #: capacities for 2 GiB of memory
    numbers: Callable[[Choices, Contents], dict[str, int]] | None = None  #: by parameter, where they are not indices
    #: Empties one, where there is not memory for a new one each time.
    empty: Callable[[Library, int, Contents], None] | None = None

    @property
    def name(self) -> str:
        return str(self.cls.kind)  # type: ignore[attr-defined]

    def size_bytes(self, parameters: Parameters) -> int:
        """How many bytes a key or record has."""
        return parameters[self.size_parameter] if self.size_parameter else 0


def _aged(keyed: bool, name: str) -> Callable[[Library, int, Parameters], Callable[[Loans], Contents]]:
    def reader(library: Library, pointer: int, parameters: Parameters) -> Callable[[Loans], Contents]:
        capacity, key, age = parameters["capacity"], Memory(parameters.get("key_bytes", 1)), ctypes.c_int64()
        entry = library.inspect(name, U8, POINTER, U32, *([POINTER] if keyed else []), POINTER)
        places = [key.address] if keyed else []
        places.append(ctypes.addressof(age))

        def contents(_: Loans) -> Contents:
            return {
                index: (key.read() if keyed else 0, age.value)
                for index in range(capacity)
                if entry(pointer, index, *places)
            }

        return contents

    return reader


def _map_reader(library: Library, pointer: int, parameters: Parameters) -> Callable[[Loans], Contents]:
    key, value = Memory(parameters["key_bytes"]), ctypes.c_uint32()
    place = ctypes.addressof(value)
    slot_count = library.inspect("map_slots", U32, POINTER)(pointer)
    slot = library.inspect("map_slot", U8, POINTER, U32, POINTER, POINTER)

    def contents(_: Loans) -> Contents:
        found = [(key.read(), value.value) for i in range(slot_count) if slot(pointer, i, key.address, place)]
        entries = dict(found)
        # A key in two slots must not look like a key in one.
        return entries if len(entries) == len(found) else dict(enumerate(found))

    return contents


def _vector_reader(library: Library, pointer: int, parameters: Parameters) -> Callable[[Loans], Contents]:
    size_bytes = parameters["record_bytes"]
    borrow = library.inspect("vector_borrow", POINTER, POINTER, U32)
    give_back = library.inspect("vector_give_back", None, POINTER, POINTER)

    def contents(loans: Loans) -> Contents:
        entries = {}
        for index in range(parameters["capacity"]):
            address = loans[index].address if index in loans else borrow(pointer, index)
            bits = read(address, size_bytes)
            if bits:
                entries[index] = bits
            if index not in loans:
                give_back(pointer, address)
        return entries

    return contents


def _lpm_reader(library: Library, pointer: int, parameters: Parameters) -> Callable[[Loans], Contents]:
    held, value = Memory(KEY_BITS // 8), ctypes.c_uint32()
    place = ctypes.addressof(value)
    slot_count = library.inspect("lpm_slots", U32, POINTER)(pointer)
    slot = library.inspect("lpm_slot", U8, POINTER, U32, POINTER, POINTER)

    def contents(_: Loans) -> Contents:
        return {held.read(): value.value for i in range(slot_count) if slot(pointer, i, held.address, place)}

    return contents


def _empty_lpm(library: Library, pointer: int, contents: Contents) -> None:
    remove = library.inspect("lpm_remove", U8, POINTER, U32, U32)
    for each in contents:
        remove(pointer, *prefix_of(each))


def _prefixes(choices: Choices, contents: Contents) -> dict[str, int]:
    """Prefixes that lie in one another, and beside; now and then a very short one, which has many addresses."""
    address = choices.pick((0x0A000000, 0x0A0A0000, 0x0A0A0A00, 0xFFFFFF00, 0)) | choices.pick((0, 1, 127, 128, 255))
    length = choices.pick((8, 15, 16, 16, 17, 22, 23, 23, 24, 24, 24, 25, 25, 25, 26, 28, 31, 31, 32, 32, 32, -1))
    if length < 0:
        length = choices.pick((0, 1, 7, 33, 40, (1 << 32) - 1, 1 << 31))
    kept = ((1 << 32) - 1) >> (32 - length) << (32 - length) if length <= LENGTH_MAX else 0
    prefix = address & kept
    if choices.number(0, 15) == 0:
        prefix ^= choices.pick((1, 1 << 31, kept & -kept, (kept & -kept) >> 1))
    if contents and choices.number(0, 1):
        prefix, length = prefix_of(choices.pick(sorted(contents)))
        address = prefix | choices.pick((0, 1, ((1 << 32) - 1) >> length))
    value = choices.pick((0, 1, 2, 3, VALUE_MAX, VALUE_MAX, choices.number(0, VALUE_MAX), VALUE_MAX + 1))
    return {"prefix": prefix, "length": length, "value": value, "address": address}


def _plain_flows(parameters: Parameters, contents: Contents) -> flows.PlainBase:
    key_bits = 8 * parameters.get("key_bytes", 0)
    return flows.PlainBase(Plain(), "state", key_bits, parameters["capacity"], contents)


def _plain_vector(parameters: Parameters, contents: Contents, loans: Loans) -> Vector:
    base = vector.PlainBase("state", 8 * parameters["record_bytes"], parameters["capacity"], contents)
    return Vector(_RUN, vector.Lent(base, tuple(loans)) if loans else base)


#: Those that are used at random. Structures that are missing here are to be tested elsewhere.
STRUCTURES = (
    Structure(
        FlowTable,
        "key_bytes",
        _aged(True, "flow_table_entry"),
        lambda parameters, contents, _: FlowTable(_RUN, _plain_flows(parameters, contents)),
    ),
    Structure(
        IndexPool,
        None,
        _aged(False, "index_pool_entry"),
        lambda parameters, contents, _: IndexPool(_RUN, _plain_flows(parameters, contents)),
    ),
    Structure(
        Lpm,
        None,
        _lpm_reader,
        lambda parameters, contents, _: Lpm(
            _RUN, maps.PlainBase("state", KEY_BITS, parameters["capacity"], contents)
        ),
        too_large=(1 << 21, 1 << 22),
        numbers=_prefixes,
        empty=_empty_lpm,
    ),
    Structure(
        Map,
        "key_bytes",
        _map_reader,
        lambda parameters, contents, _: Map(
            _RUN, maps.PlainBase("state", 8 * parameters["key_bytes"], parameters["capacity"], contents)
        ),
    ),
    Structure(Vector, "record_bytes", _vector_reader, _plain_vector, lends=True),
)
