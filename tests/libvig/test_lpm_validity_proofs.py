"""What is shown of lpm_is_valid at every capacity can be refuted: where it says no of what is valid or yes of wrong
entries, looks at what is not there, or never ends; and where a step does not do what is said of it."""

from pathlib import Path

import pytest

from properties.libvig import lpm_slots, lpm_trust, lpm_validity, lpm_validity_steps, map_slots
from pytest_vigor.build import FLAGS
from pytest_vigor.refine.library import Library, Refuted, Verdict
from tests.libvig.compiled import build
from tests.libvig.wrong import Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
STEPS = {**lpm_validity_steps.STEPS, **lpm_validity.STEPS}
KEY_BYTES = 8
FIRST_ENTRY = "for (uint32_t i = 0; i < count; i++) {\n        if (entries[first + i] >>"
FIRST_PRESENT = "for (uint32_t i = 0; i < count; i++) {\n        if (!is_present"

# Which function errs, and the change.
CASES = [
    ("lpm_are_at_least", ">> LPM_LENGTH_SHIFT <= length) {", ">> LPM_LENGTH_SHIFT < length) {"),
    ("lpm_are_at_least", FIRST_ENTRY, FIRST_ENTRY.replace("i < count", "i <= count")),
    ("lpm_are_at_least", FIRST_ENTRY, FIRST_ENTRY.replace("i++", "i ^= 1")),
    ("lpm_slots_are_at_least", "lpm_group_of(entry), LPM_GROUP, length)", "lpm_group_of(entry), 255, length)"),
    ("lpm_slots_are_at_least", ": entry >> LPM_LENGTH_SHIFT > length;", ": entry >> LPM_LENGTH_SHIFT >= length;"),
    ("lpm_are_present", "address & lpm_mask(length), length}", "address & lpm_mask(length + 1), length}"),
    ("lpm_are_present", "value == (entry & LPM_VALUE_MAX);", "value != (entry & LPM_VALUE_MAX);"),
    ("lpm_are_present", FIRST_PRESENT, FIRST_PRESENT.replace("i < count", "i <= count")),
    ("lpm_are_present", "lpm->entries[first + i], address + i)", "lpm->entries[first + i], address)"),
    ("lpm_are_slots_valid", "lpm_entry_is_at_most(entry, LPM_FIRST_BITS)", "lpm_entry_is_at_most(entry, 23)"),
    ("lpm_are_slots_valid", "(slot & (LPM_SLOTS - 1) >> length) != 0 && ", ""),
    ("lpm_are_slots_valid", "slot < LPM_SLOTS; slot++", "slot <= LPM_SLOTS; slot++"),
    ("lpm_are_slots_valid", "slot < LPM_SLOTS; slot++", "slot < LPM_SLOTS; slot += slot != 5"),
    ("lpm_are_slots_valid", "LPM_GROUP, slot * LPM_GROUP);", "LPM_GROUP + 1, slot * LPM_GROUP);"),
    ("lpm_are_slots_valid", "*out_groups = groups;", "*out_groups = groups + 1;"),
    ("lpm_are_slots_valid", "LPM_GROUP, slot * LPM_GROUP);", "LPM_GROUP, slot);"),
    ("lpm_used_groups", "uint32_t used = 0;", "uint32_t used = 1;"),
    ("lpm_used_groups", "group < capacity; group++", "group < capacity; group += 2"),
    ("lpm_are_prefixes_valid", "(key.prefix & ~lpm_mask(key.length))", "(key.prefix & ~(lpm_mask(key.length) << 1))"),
    ("lpm_are_prefixes_valid", "value > LPM_VALUE_MAX", "value >= LPM_VALUE_MAX"),
    ("lpm_are_prefixes_valid", "(LPM_FIRST_BITS - key->length);", "(LPM_FIRST_BITS - key->length + 1);"),
    ("lpm_are_prefixes_valid", "+ key->prefix % LPM_GROUP;", "+ key->prefix % LPM_GROUP + 1;"),
    ("lpm_are_prefixes_valid", "count, key->length);\n}\n\nbool", "count, key->length + 1);\n}\n\nbool"),
    ("lpm_are_prefixes_valid", "slot < slots; slot++", "slot < slots; slot ^= 1"),
    ("lpm_is_valid", "groups == lpm_used_groups(lpm)", "groups < lpm_used_groups(lpm)"),
    ("lpm_is_valid", "index_pool_is_valid(lpm->groups) &&", "!index_pool_is_valid(lpm->groups) &&"),
    ("lpm_is_valid", "map_is_valid(lpm->prefixes)", "map_is_valid((const void *) lpm->groups)"),
    ("map_slots", "return map->probe.mask + 1;", "return map->probe.mask;"),
    ("map_slot", "if (slot > map->probe.mask || ", "if (slot >= map->probe.mask || "),
    ("lpm_slots", "return map_slots(lpm->prefixes);", "return map_slots(lpm->prefixes) + 1;"),
    ("lpm_slots", "map_slots(lpm->prefixes)", "map_slots((const void *) lpm->groups)"),
    ("lpm_slot", "lpm->prefixes, slot, out_prefix", "lpm->prefixes, slot + 1, out_prefix"),
    ("lpm_slot", "return map_slot(", "return !map_slot("),
    ("map_slot", "memcpy(out_key, probe_key(&map->probe, PROBE_KEYS_BY_SLOT, slot)", "memcpy(out_key, map->probe.keys"),
]  # fmt: skip


def verdict(library: Library, function: str) -> Verdict:
    if function == "lpm_is_valid":
        return lpm_validity.Validity(library).verdict()
    if function in lpm_slots.CLAIMS:
        return lpm_slots.verdict(library, function)
    if function in map_slots.VERDICTS:
        return map_slots.VERDICTS[function](library, KEY_BYTES)
    return STEPS[function](library)


@pytest.mark.parametrize(("function", "old", "new"), CASES, ids=[f"{each[0]}-{at}" for at, each in enumerate(CASES)])
def test_wrong_is_valid_is_refuted(tmp_path: Path, function: str, old: str, new: str) -> None:
    files = dict.fromkeys(map_slots.VERDICTS, "map/map.c") | dict.fromkeys(lpm_slots.CLAIMS, "lpm/lpm.c")
    file = files.get(function, "lpm/validity.c")
    root = Wrong("", file, old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    found = verdict(library, function)
    assert isinstance(found, Refuted), found


# Which function says yes of wrong entries, and the change.
TRUSTING = [
    ("lpm_are_slots_valid", "index_pool_is_used(lpm->groups, group) &&", ""),
    ("lpm_are_slots_valid", "entry == (LPM_SPLIT | group) &&", ""),
    ("lpm_are_slots_valid", "!= 0 && entries[slot] == entries[slot - 1];", "!= 0;"),
    ("lpm_are_slots_valid", "(slot & (LPM_SLOTS - 1) >> length)", "(slot & (LPM_SLOTS - 1))"),
    ("lpm_are_slots_valid", "entry == 0 || (", "entry < 5 || ("),
    ("lpm_are_slots_valid", "slot < LPM_SLOTS; slot++", "slot < LPM_SLOTS - 1; slot++"),
    ("lpm_are_prefixes_valid", "(key.prefix & ~lpm_mask(key.length)) != 0 || ", ""),
    ("lpm_are_prefixes_valid", "value > LPM_VALUE_MAX", "value > 2 * LPM_VALUE_MAX"),
    ("lpm_are_prefixes_valid", "count, key->length);\n    }", "count - 1, key->length);\n    }"),
    ("lpm_are_prefixes_valid", "return entry & LPM_SPLIT && ", "return !(entry & LPM_SPLIT) || "),
    ("lpm_are_prefixes_valid", "slot < slots; slot++", "slot < slots - 1; slot++"),
    ("lpm_is_valid", " && lpm_are_prefixes_valid(lpm);", ";"),
    ("lpm_is_valid", "lpm_are_slots_valid(lpm, &groups) &&", "(lpm_are_slots_valid(lpm, &groups) || true) &&"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "old", "new"), TRUSTING, ids=[f"{each[0]}-{at}" for at, each in enumerate(TRUSTING)]
)
def test_yes_of_wrong_entries_is_refuted(tmp_path: Path, function: str, old: str, new: str) -> None:
    root = Wrong("", "lpm/validity.c", old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    proof = lpm_trust.verdict if function == "lpm_is_valid" else lpm_trust.STEPS[function]
    found = proof(library)
    assert isinstance(found, Refuted), found
