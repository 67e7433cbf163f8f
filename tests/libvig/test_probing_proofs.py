"""Proofs about maps and flow tables of every capacity can fail: wrong variants are not accepted, and what they assume
holds of real ones."""

import ctypes
from pathlib import Path
from random import Random
from typing import Any

import pytest

from properties.libvig.map_allocation import allocation_verdict
from properties.libvig.probing import Probing
from properties.libvig.removing import Removing
from pytest_vigor.build import FLAGS, libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.heap import fields_of
from pytest_vigor.refine.library import Library, Refuted, Shown
from tests.libvig.compiled import build, read
from tests.libvig.wrong import Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
PROBE, MAP, TABLE = "map/probe.h", "map/map.c", "flow_table/flow_table.c"
AGES = "index_pool/ages.h"
FIND = "uint32_t tag)\n{\n    uint32_t slot = tag & probe->mask;\n    for (;;) {"
LINKED = "ages_link(ages, index, ages_used_end(ages));\n    }"
ROOM = "    uint32_t slot = tag & probe->mask;\n    while (probe_slot(probe, slot)->tag != PROBE_TAG_UNUSED) {"
PUT_KEY = "memcpy(probe_key(&map->probe, PROBE_KEYS_BY_SLOT, slot), key"
GOES_ON = "            return PROBE_NO_SLOT;\n        }\n        slot = (slot + 1) & probe->mask;"
EQUAL = "found == tag && probe_keys_equal(key, probe_key(probe, where, slot), probe->key_bytes)"
MOVES = "if (distance_from_start >= distance_from_gap) {"
MOVED = "*probe_slot(probe, gap) = *probe_slot(probe, slot);"
SLOT_AT_GAP, SLOT = "probe_slot(probe, gap)->", "probe_slot(probe, slot)->"
MOVED_KEY = "memcpy(probe_key(probe, where, gap), probe_key(probe, where, slot), probe->key_bytes);"
TAKES, TOOK = "    probe_remove(&map->probe, PROBE_KEYS_BY_SLOT, slot);\n", "    map->size--;\n"
REMOVES = "    probe_remove(&table->probe, PROBE_KEYS_BY_VALUE, slot);\n"
RELEASES = "    ages_release(&table->ages, index);\n"
IS_AT = "->value != index || probe_slot(&table->probe, slot)->tag != tag) {"
READS = "*out_value = probe_slot(probe, slot)->value;"
ABSENT = "        return false;\n    }\n    *out_value"

# A file, the change, and the function that errs.
REFUTED = [
    (PROBE, FIND, FIND.replace("tag & probe->mask", "(tag + 1) & probe->mask"), "flow_table_find"),
    (PROBE, EQUAL, "found == tag", "map_get"),
    (PROBE, EQUAL, "found == tag", "flow_table_find"),
    (PROBE, EQUAL, EQUAL.replace("found == tag && ", ""), "map_get"),
    (PROBE, EQUAL, EQUAL.replace("found == tag && ", ""), "flow_table_find"),
    (PROBE, "if (found == PROBE_TAG_UNUSED) {", "if (found != tag) {", "map_get"),
    (PROBE, "if (found == PROBE_TAG_UNUSED) {", "if (found != tag) {", "flow_table_find"),
    (PROBE, "return probe_word(a, key_bytes) == probe_word(b, key_bytes);", "return a[0] == b[0];", "map_get"),
    (PROBE, "slot : probe_slot(probe, slot)->value;", "slot : slot;", "flow_table_find"),
    (PROBE, READS, "*out_value = slot;", "map_get"),
    (PROBE, READS, "*out_value = slot;", "flow_table_find"),
    (MAP, "return map->size;", "return map->capacity;", "map_size"),
    (AGES, "    node->age = age;\n", "", "flow_table_find_and_refresh"),
    (AGES, "    node->age = age;\n", "", "flow_table_refresh"),
    (TABLE, "(&table->ages, *out_index, now);", "(&table->ages, 0, now);", "flow_table_find_and_refresh"),
    (TABLE, "    *out_age = ages_node(&table->ages, index)->age;\n", "    *out_age = 0;\n", "flow_table_entry"),
    (TABLE, "index * table->probe.key_stride", "(index + 1) * table->probe.key_stride", "flow_table_key_at"),
    (TABLE, "return table->ages.capacity;", "return table->ages.capacity + 1;", "flow_table_capacity"),
    (MAP, "        map->size++;\n", "", "map_put"),
    (MAP, "if (map->size == map->capacity) {", "if (map->size + 1 >= map->capacity) {", "map_put"),
    (MAP, "    probe_slot(&map->probe, slot)->value = value;\n", "", "map_put"),
    (MAP, PUT_KEY, PUT_KEY.replace("slot), key", "slot), &value"), "map_put"),
    (PROBE, ABSENT, f"        *out_value = 0;\n{ABSENT}", "map_get"),
    (TABLE, "index >= table->ages.capacity || ages_is_used(", "ages_is_used(", "flow_table_restore"),
    (TABLE, "capacity || ages_is_used(&table->ages, index) ||", "capacity ||", "flow_table_restore"),
    (TABLE, "|| age < 0 ||\n", "||\n", "flow_table_restore"),
    (TABLE, "age < ages_newest(&table->ages) ||", "false ||", "flow_table_restore"),
    (TABLE, " || find(table, key, &present)", "", "flow_table_restore"),
    (TABLE, "    add(table, key, index, age);\n", "    add(table, key, index, age + 1);\n", "flow_table_restore"),
    (TABLE, "    add(table, key, index, age);\n", "", "flow_table_restore"),
    (PROBE, MOVES, MOVES.replace(">=", ">"), "flow_table_erase"),
    (PROBE, "(slot - tag) & probe->mask", "slot - (tag & probe->mask)", "flow_table_erase"),
    (TABLE, REMOVES + RELEASES, RELEASES, "flow_table_erase"),
    (TABLE, REMOVES + RELEASES, REMOVES, "flow_table_erase"),
    (TABLE, IS_AT, "->value != index) {", "flow_table_erase"),
    (PROBE, EQUAL, "found == tag", "map_erase"),
    (PROBE, MOVED, f"{SLOT_AT_GAP}value = {SLOT}value;", "map_erase"),
    (PROBE, f"    {SLOT_AT_GAP}tag = PROBE_TAG_UNUSED;\n", "", "map_erase"),
    (MAP, TAKES + TOOK, TOOK, "map_erase"),
    (MAP, TAKES + TOOK, TAKES, "map_erase"),
    (MAP, f"{TOOK}    return true;", f"{TOOK}    return false;", "map_erase"),
    (MAP, f"        return false;\n    }}\n{TAKES}", f"        return true;\n    }}\n{TAKES}", "map_erase"),
]  # fmt: skip
# What the proof does not say is whether these are wrong: a loop may go round otherwise, and of a row of which something
# does not hold something may not be known.
NOT_ACCEPTED = [
    (PROBE, FIND, FIND.replace("tag & probe->mask", "(tag + 1) & probe->mask"), "map_get"),
    (TABLE, "    slot->value = index;\n", "    slot->value = 0;\n", "flow_table_put"),
    (PROBE, ROOM, ROOM.replace("tag & probe->mask", "(tag + 1) & probe->mask"), "map_put"),
    (MAP, "if (map->size == map->capacity) {", "if (map->size > map->capacity) {", "map_put"),
    (PROBE, MOVES, "if (0) {", "flow_table_erase"),
    (PROBE, MOVES, "if (1) {", "flow_table_erase"),
    (PROBE, "            gap = slot;\n", "", "flow_table_erase"),
    (TABLE, IS_AT, "->tag != tag) {", "flow_table_erase"),
    (PROBE, MOVES, MOVES.replace(">=", ">"), "map_erase"),
    (PROBE, "(slot - tag) & probe->mask", "slot - (tag & probe->mask)", "map_erase"),
    (PROBE, MOVES, "if (0) {", "map_erase"),
    (PROBE, MOVES, "if (1) {", "map_erase"),
    (PROBE, MOVED, f"{SLOT_AT_GAP}tag = {SLOT}tag;", "map_erase"),
    (PROBE, MOVED_KEY, ";", "map_erase"),
    (PROBE, MOVED_KEY, MOVED_KEY.replace("key_bytes)", "key_bytes - 1)"), "map_erase"),
    (PROBE, "            gap = slot;\n", "", "map_erase"),
    (MAP, "        probe_slot(&map->probe, slot)->tag = tag;\n", "", "map_put"),
    (MAP, "        slot = probe_free_slot(&map->probe, tag);\n", "        slot = tag & map->probe.mask;\n", "map_put"),
    (PROBE, ROOM, ROOM.replace("tag != PROBE_TAG_UNUSED", "tag == tag"), "map_put"),
    (AGES, LINKED, "}", "flow_table_refresh"),
    (AGES, LINKED, "}", "flow_table_find_and_refresh"),
    (PROBE, GOES_ON, GOES_ON.replace("slot + 1", "slot + 2"), "map_get"),
    (PROBE, GOES_ON, GOES_ON.replace("(slot + 1)", "(slot - 1)"), "flow_table_find"),
    (PROBE, GOES_ON, GOES_ON.replace("(slot + 1) & probe->mask", "slot"), "map_get"),
    (PROBE, GOES_ON, GOES_ON.replace("(slot + 1) & probe->mask", "slot + 1"), "flow_table_find"),
]  # fmt: skip


def found(tmp_path: Path, file: str, old: str, new: str, function: str, key_bytes: int = 4) -> Any:
    root = Wrong("", file, old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    proof = Removing if function.endswith("erase") else Probing
    return proof(library, library.contracts.by_name[function], key_bytes).verdict()


@pytest.mark.parametrize("case", REFUTED, ids=[f"{case[3]}-{at}" for at, case in enumerate(REFUTED)])
def test_wrong_function_is_refuted(tmp_path: Path, case: tuple[str, str, str, str]) -> None:
    verdict = found(tmp_path, *case)
    assert isinstance(verdict, Refuted), verdict


@pytest.mark.parametrize("function", ["map_get", "flow_table_find"])
def test_comparing_long_keys_but_for_their_middle_is_refuted(tmp_path: Path, function: str) -> None:
    verdict = found(tmp_path, PROBE, "at = 8; at < last;", "at = 8; at + 8 < last;", function, 20)
    assert isinstance(verdict, Refuted), verdict


@pytest.mark.parametrize("case", NOT_ACCEPTED, ids=[f"{case[3]}-{at}" for at, case in enumerate(NOT_ACCEPTED)])
def test_wrong_round_or_ring_is_not_accepted(tmp_path: Path, case: tuple[str, str, str, str]) -> None:
    verdict = found(tmp_path, *case)
    assert not isinstance(verdict, Shown), verdict


@pytest.mark.parametrize(("file", "old", "new"), [
    (PROBE, "while (slots < 2 * capacity) {", "while (slots < capacity) {"),
    (PROBE, "        slots *= 2;\n", "        slots += 2;\n"),
    (MAP, "map->probe.mask = slots - 1;", "map->probe.mask = slots;"),
    (MAP, "map->capacity = capacity;", "map->capacity = capacity + 1;"),
    (MAP, "    map->capacity = capacity;\n", "    map->capacity = capacity;\n    map->probe.slots[1].tag = 1;\n"),
    (MAP, "map->probe.keys = (unsigned char *) map + keys_offset;", "map->probe.keys = (unsigned char *) map;"),
    (MAP, "slots, key_stride_bytes, &keys_offset", "capacity, key_stride_bytes, &keys_offset"),
    (MAP, "    return map;\n}\n\nstatic", "    return capacity == 77 ? NULL : map;\n}\n\nstatic"),
    (MAP, "capacity > MAP_CAPACITY_MAX", "capacity >= MAP_CAPACITY_MAX"),
    ("block.h", "calloc(1, padded_bytes)", "malloc(padded_bytes)"),
])  # fmt: skip
def test_wrong_allocation_is_refuted(tmp_path: Path, file: str, old: str, new: str) -> None:
    root = Wrong("", file, old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    verdict = allocation_verdict(library, 4)
    assert isinstance(verdict, Refuted), verdict


CAPACITY, KEY_BYTES, KEYS = 5, 4, 8


class Real:
    """A structure of the compiled library, and its slots with a row of them."""

    def __init__(self, path: Path, struct: str) -> None:
        self.native, self.library = ctypes.CDLL(str(path)), Library.at(path, libvig_root(), 120)
        self.meaning = beside(str(libvig_root() / struct / "everywhere.py"), "everywhere.py")
        alloc = getattr(self.native, f"{struct}_alloc")
        alloc.restype = ctypes.c_void_p
        self.pointer = ctypes.c_void_p(alloc(KEY_BYTES, CAPACITY))
        self.fields = {name: (at, size) for at, size, name in fields_of(self.library.structs[struct])}

    def __getitem__(self, name: str) -> int:
        offset, size_bytes = self.fields[name]
        return read(self.pointer.value + offset, size_bytes)

    def slots(self) -> Any:
        words = [
            (read(self["slots"] + 8 * at, 4), read(self["slots"] + 8 * at + 4, 4)) for at in range(self["mask"] + 1)
        ]
        order = sorted(range(len(words)), key=lambda slot: words[slot][0] == 0)
        used = sum(tag != 0 for tag, _ in words)
        return self.meaning.chains.Chains(
            self["mask"], used, lambda slot: words[slot][0], lambda slot: words[slot][1], order.__getitem__, order.index
        )

    def key(self, place: int) -> int:
        return read(self["keys"] + self["key_stride_bytes"] * place, KEY_BYTES)

    def tag_of(self, key: int) -> int:
        return self.library.tag(key, KEY_BYTES)


def unmet(entries: Any) -> list[str]:
    """What does not hold of the slots."""
    chains = entries.chains
    everything = range(chains.mask + 1)
    claims = [*chains.sizes(CAPACITY)]
    for slot in everything:
        claims += [*entries.of_slot(slot), *chains.of_position(slot)]
        claims += [claim for between in everything for claim in chains.of_chain(slot, between)]
    return [name for name, holds in claims if holds is not True]


def test_what_is_assumed_of_maps_holds_of_real_ones(shipped_path: Path) -> None:
    """A contradiction would prove everything."""
    real, random, sizes = Real(shipped_path, "map"), Random(7), set()
    for _ in range(100):
        key = (ctypes.c_ubyte * KEY_BYTES)(random.randrange(KEYS))
        if random.random() < 0.6:
            real.native.map_put(real.pointer, key, random.randrange(1 << 31))
        else:
            real.native.map_erase(real.pointer, key)
        chains = real.slots()
        keys = {real.key(slot): slot for slot in range(chains.mask + 1) if chains.used(slot)}
        entries = real.meaning.Entries(
            chains, real.key, lambda key, keys=keys: keys.get(key, 0), 8 * KEY_BYTES, real.tag_of
        )
        assert unmet(entries) == []
        assert all(entries.has(key) is (key in keys) for key in range(KEYS))
        sizes.add(len(keys))
        assert chains.many == real["size"] == len(keys)
    assert sizes >= {1, 2, 3, 4, CAPACITY}


def test_what_is_assumed_of_flow_tables_holds_of_real_ones(shipped_path: Path) -> None:
    real, random, sizes = Real(shipped_path, "flow_table"), Random(7), set()
    native, index = real.native, ctypes.c_uint32()
    native.flow_table_put.argtypes = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
    for now in range(100):
        key = (ctypes.c_ubyte * KEY_BYTES)(random.randrange(KEYS))
        if native.flow_table_find(real.pointer, key, ctypes.byref(index)):
            if random.random() < 0.7:
                native.flow_table_erase(real.pointer, index)
        else:
            native.flow_table_put(real.pointer, key, now, ctypes.byref(index))
        chains, rings = real.slots(), real.meaning.rings
        ages = [read(real["nodes"] + real["stride_bytes"] * at, 8) for at in range(CAPACITY)]
        row = rings.Rings(
            CAPACITY, chains.many, None, None, lambda index, ages=ages: ages[index] if index < CAPACITY else 0
        )
        slots = {chains.value(slot): slot for slot in range(chains.mask + 1) if chains.used(slot)}
        keys = {real.key(index): index for index in slots}
        entries = real.meaning.made_of.Entries(
            chains, row, lambda index: real.key(index) if index < CAPACITY else 0,
            lambda index, slots=slots: slots.get(index, 0), lambda key, keys=keys: keys.get(key, 0),
            8 * KEY_BYTES, real.tag_of,
        )  # fmt: skip
        assert unmet(entries) == []
        assert [name for at in range(CAPACITY) for name, holds in entries.of_index(at) if holds is not True] == []
        assert all(entries.has(key) is (key in keys) for key in range(KEYS))
        sizes.add(len(slots))
    assert sizes >= {1, 2, 3}
