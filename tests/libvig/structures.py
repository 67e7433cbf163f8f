"""What a compiled structure holds, read through its own functions for inspection, and the abstract state of that."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_vigor.contract import PlainCall
from pytest_vigor.ghost import flows, map as maps, vector
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.ghost.index_pool import IndexPool
from pytest_vigor.ghost.map import Map
from pytest_vigor.ghost.vector import Vector
from tests.libvig.compiled import Library, Memory, read

Parameters = Mapping[str, int]
Loans = Mapping[int, Any]  # index to something with an address
Contents = Mapping[int, Any]

U8, U32, POINTER = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_void_p
_RUN = PlainCall({})


@dataclass(frozen=True, slots=True)
class Structure:
    """One of libVig's structures: how to see all of it, in the form that its abstract state lists as ``entries()``."""

    cls: type
    size_parameter: str | None  #: of the allocation: how many bytes a key or record has
    reader: Callable[[Library, int, Parameters], Callable[[Loans], Contents]]
    plain: Callable[[Parameters, Contents, Loans], Any]
    lends: bool = False

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
        Map,
        "key_bytes",
        _map_reader,
        lambda parameters, contents, _: Map(
            _RUN, maps.PlainBase("state", 8 * parameters["key_bytes"], parameters["capacity"], contents)
        ),
    ),
    Structure(Vector, "record_bytes", _vector_reader, _plain_vector, lends=True),
)
