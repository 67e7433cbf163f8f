"""The proofs about a longest-prefix-match table can fail: wrong variants are refuted at every capacity, and what is
assumed of tables holds of real ones."""

import ctypes
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from properties.libvig.lpm_allocation import allocation_verdict
from properties.libvig.lpm_loops import STEPS
from properties.libvig.lpm_proof import LpmProof
from properties.libvig.lpm_steps import lpm, steps
from pytest_vigor.build import FLAGS
from pytest_vigor.ghost import flows, map as maps
from pytest_vigor.ghost.facts import Plain
from pytest_vigor.ghost.lpm import KEY_BITS, LENGTH_MAX, key, parts
from pytest_vigor.refine.array import Array
from pytest_vigor.refine.library import Library, Refuted
from tests.libvig.compiled import build
from tests.libvig.wrong import Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
IF_LONGER = "if (!lpm_any_is_longer(lpm->entries, first)) {"
IF_NEW = "if (length > LPM_FIRST_BITS && !(found & LPM_SPLIT)) {"

# Which function errs, and the change.
CASES = [
    ("lpm_alloc", "(size_t) capacity * LPM_GROUP, sizeof", "(size_t) capacity * (LPM_GROUP - 1), sizeof"),
    ("lpm_alloc", "lpm->groups = index_pool_alloc(capacity);", "lpm->groups = index_pool_alloc(capacity + 1);"),
    ("lpm_alloc", "map_alloc(sizeof(struct lpm_prefix), capacity);", "map_alloc(4, capacity);"),
    ("lpm_alloc", "lpm->prefixes == NULL || lpm->groups == NULL ?", "lpm->prefixes == NULL ?"),
    ("lpm_alloc", "((unsigned char *) lpm + offset);", "lpm;"),
    ("lpm_alloc", "    lpm->prefixes = map_alloc", "    lpm->entries[5] = 1;\n    lpm->prefixes = map_alloc"),
    ("lpm_add", "length, entry_of(length, value));", "length, entry_of(length, 1));"),
    ("lpm_add", "LPM_GROUP, LPM_ANY_LENGTH, found);", "LPM_GROUP - 1, LPM_ANY_LENGTH, found);"),
    ("lpm_add", "lpm->entries[slot] = LPM_SPLIT | group;", "lpm->entries[slot] = LPM_SPLIT;"),
    ("lpm_add", IF_NEW, "if (length > LPM_FIRST_BITS) {"),
    ("lpm_add", IF_NEW, "if (length >= LPM_FIRST_BITS && !(found & LPM_SPLIT)) {"),
    ("lpm_add", " || value > LPM_VALUE_MAX) {", ") {"),
    ("lpm_add", "(prefix & ~lpm_mask(length)) != 0 || value", "value"),
    ("lpm_add", "index_pool_take(lpm->groups, 0, &group);", "index_pool_take(lpm->groups, 1, &group);"),
    ("lpm_add", "(LPM_FIRST_BITS - length), length, entry);", "(LPM_FIRST_BITS - length), length - 1, entry);"),
    ("lpm_remove", IF_LONGER, "if (false) {"),
    ("lpm_remove", IF_LONGER, "if (true) {"),
    ("lpm_remove", "*entry = lpm->entries[first];", "*entry = 0;"),
    ("lpm_remove", "index_pool_release(lpm->groups, *entry & LPM_VALUE_MAX);", ""),
    ("lpm_remove", "lpm_next_shorter(lpm, prefix, length));", "0);"),
    ("lpm_remove", "    if (length > LPM_FIRST_BITS) {\n", "    if (length > LPM_FIRST_BITS + 1) {\n"),
    ("lpm_search", "? lpm->entries[lpm_group_of(entry) + address % LPM_GROUP] : entry;", "? entry : entry;"),
    ("lpm_search", "lpm->entries[lpm_group_of(entry) + address % LPM_GROUP] :", "lpm->entries[lpm_group_of(entry)] :"),
    ("lpm_search", "    *out_value = entry & LPM_VALUE_MAX;", "    *out_value = entry & (LPM_VALUE_MAX >> 1);"),
    ("lpm_search", "lpm->entries[address >> (32 - LPM_FIRST_BITS)];", "lpm->entries[address >> 6];"),
    ("lpm_size", "return map_size(lpm->prefixes);", "return map_size(lpm->prefixes) + 1;"),
    ("lpm_cover", "i < count; i++) {\n        if (lpm_entry", "i + 1 < count; i++) {\n        if (lpm_entry"),
    ("lpm_cover_slots", "lpm_group_of(found), LPM_GROUP, length", "lpm_group_of(found), 1, length"),
    ("lpm_any_is_longer", "(entries[first + i], LPM_FIRST_BITS)", "(entries[first + i], LPM_FIRST_BITS + 1)"),
    ("lpm_next_shorter", "        length--;\n", "        length -= length > 1 ? 2 : 1;\n"),
]  # fmt: skip


def verdicts(library, function):
    if function in STEPS:
        return [verdict for _, verdict in STEPS[function](library)]
    if function == "lpm_alloc":
        return [allocation_verdict(library)]
    return [LpmProof(library, library.contracts.by_name[function]).verdict()]


@pytest.mark.parametrize(("function", "old", "new"), CASES, ids=[f"{each[0]}-{at}" for at, each in enumerate(CASES)])
def test_wrong_table_is_refuted(tmp_path: Path, function: str, old: str, new: str) -> None:
    root = Wrong("", "lpm/lpm.c", old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    found = verdicts(library, function)
    assert any(isinstance(each, Refuted) for each in found), found


def test_wrong_step_is_refuted(tmp_path: Path) -> None:
    old, new = "LPM_LENGTH_SHIFT <= length + 1", "LPM_LENGTH_SHIFT <= length + 2"
    root = Wrong("", "lpm/steps.h", old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    (found,) = verdicts(library, "lpm_cover")
    assert isinstance(found, Refuted), found


CAPACITY = 3
#: Prefixes in two slots, and some that cover them.
PREFIXES = [
    (0x0A000000, 8), (0x0A000100, 24), (0x0A000100, 25), (0x0A000180, 26), (0x0A0001C1, 32), (0x0A000200, 28), (0, 0),
    (0x0A000000, 22),
]  # fmt: skip
ADDRESSES = [prefix + offset for prefix in (0, 0x0A000100, 0x0A000200) for offset in (0, 0x90, 0xC1)]


def written_out(function, domain):
    known = {at: function(at) for at in domain}
    return lambda at: known.get(at, 0)


class Tables:
    """Real tables, each with the ghost state of the one before and what has happened."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.library.lpm_alloc.restype = ctypes.c_void_p
        self.real = ctypes.c_void_p(self.library.lpm_alloc(CAPACITY))
        memory = ctypes.cast(self.real, ctypes.POINTER(ctypes.POINTER(ctypes.c_uint32)))[0]
        count = lpm.entries_of(CAPACITY)
        entries = Array(steps.ENTRY_BYTES, lambda index: memory[index] if index < count else 0)
        items = maps.PlainBase("prefixes", KEY_BITS, CAPACITY, {})
        groups = flows.PlainBase(Plain(), "groups", 0, CAPACITY, {})
        row = lpm.Row(lambda at: 0, lambda prefix: 0, lambda at: at, lambda group: group)
        self.table = lpm.Table(CAPACITY, entries, items, groups, row)

    def _group(self, prefix):
        entry = self.table.entries.read(steps.slot_of(prefix))
        return steps.value_of(entry) if steps.is_split(entry) else None

    def add(self, prefix, length, value):
        before = self._group(prefix)
        if self.library.lpm_add(self.real, prefix, length, value):
            group, groups = self._group(prefix), self.table.groups
            taken = groups if group == before else flows.Put(groups, 0, group, 0)
            self._become(maps.Put(self.table.items, key(prefix, length), value), taken)

    def remove(self, prefix, length):
        group = self._group(prefix)
        if self.library.lpm_remove(self.real, prefix, length):
            left, groups = self._group(prefix), self.table.groups
            released = groups if left == group else flows.Erased(groups, group)
            inside = [prefix & 0xFFFFFF00 | low for low in range(steps.GROUP)]
            found = [steps.longest_in(self.table.entries, each) for each in inside]
            other = next((each for each in found if steps.FIRST_BITS < parts(each)[1] <= LENGTH_MAX), 0)
            self._become(maps.Erased(self.table.items, key(prefix, length)), released, other)

    def _become(self, items, groups, other=0):
        """What there is afterwards, written out."""
        after, each = self.table.after(self.table.entries, items, groups, other), range(CAPACITY)
        ages = {group: (0, groups.age(group)) for group in each if groups.used(group)}
        present = {of: items.value(of) for of in (key(*prefix) for prefix in PREFIXES) if items.has(of)}
        row = [written_out(function, domain) for function, domain in (
            (after.row.prefix, each), (after.row.number, present), (after.row.group, each), (after.row.position, each),
        )]  # fmt: skip
        self.table = replace(
            self.table, items=maps.PlainBase("prefixes", KEY_BITS, CAPACITY, present), row=lpm.Row(*row),
            groups=flows.PlainBase(Plain(), "groups", 0, CAPACITY, ages),
        )  # fmt: skip

    def claims(self):
        table = self.table
        for address in ADDRESSES:
            yield from table.of_address(address)
            for _, length in PREFIXES:
                yield from table.of_prefix(address, length)
        for slot in {steps.slot_of(address) for address in ADDRESSES}:
            yield from table.of_slot(slot)
        for at in range(CAPACITY):
            yield from table.of_group(at)
            yield from table.of_position(at)
        for prefix in PREFIXES:
            yield from table.of_present(key(*prefix))


def test_what_is_assumed_of_tables_holds_of_real_ones(shipped_path: Path) -> None:
    """A contradiction would prove everything. That groups run out for no prefix is among what is assumed."""
    tables, random, full = Tables(shipped_path), Random(7), 0
    for _ in range(60):
        prefix = random.choice(PREFIXES)
        if random.random() < 0.6:
            tables.add(*prefix, random.randrange(1, 1 << 24))
        else:
            tables.remove(*prefix)
        full += tables.table.items.size() == CAPACITY
        assert [name for name, holds in tables.claims() if holds is not True] == []
    assert 6 < full < 54
