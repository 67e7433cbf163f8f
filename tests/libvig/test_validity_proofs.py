"""What is shown of `*_is_valid` for all contents can be refuted: where it overlooks something, and where it refuses
what is valid."""

from pathlib import Path

import pytest

from properties.libvig.map_validity import Validity
from properties.libvig.validity_cuts import CUTS
from pytest_vigor.build import FLAGS
from pytest_vigor.refine.library import Library, Refuted, Shown, Unsettled, Verdict
from pytest_vigor.refine.validity import Cut, Cuts, validity
from tests.libvig.compiled import build
from tests.libvig.wrong import Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
MAP, TABLE = "map/map.c", "flow_table/flow_table.c"
EACH = "        const uint32_t tag = probe_slot(probe, slot)->tag;\n        const unsigned char *key"
LEADS_TO_USED = "!ages_is_used(&table->ages, probe_slot(probe, slot)->value)"
HAS_ITS_TAG = " ||\n                tag != probe_tag(probe_key(probe, PROBE_KEYS_BY_VALUE, slot), probe->key_bytes)) {"
IS_SEARCHED = "->tag;\n        if (tag != PROBE_TAG_UNUSED && slot_of"

# A file, the change, and a capacity at which it shows.
WRONG = [
    (MAP, "tag != probe_tag(key, probe->key_bytes) || ", "", 1),
    (MAP, " || find(map, key, tag) != slot)", ")", 2),
    (MAP, " ||\n        used != map->size) {", ") {", 1),
    (MAP, "map->size > map->capacity ||", "", 2),
    (MAP, "map->size > map->capacity ||", "map->size == map->capacity ||", 4),
    (MAP, EACH, f"        if (slot == 1) {{\n            continue;\n        }}\n{EACH}", 2),
    (MAP, EACH, f"        if (slot == 5) {{\n            continue;\n        }}\n{EACH}", 4),
    (MAP, "find(map, key, tag) != slot)", "find(map, key, tag) != slot || slot == 3)", 3),
    (TABLE, ", tag) != slot) {", ", tag) == PROBE_NO_SLOT) {", 2),
    (TABLE, "    if (used_slots != used) {\n        return false;\n    }\n", "", 2),
    (TABLE, LEADS_TO_USED, "probe_slot(probe, slot)->value >= 2", 2),
    (TABLE, HAS_ITS_TAG, ") {", 1),
    (TABLE, IS_SEARCHED, IS_SEARCHED.replace("if (", "if (slot != 1 && "), 2),
    (TABLE, "if (used_slots != used) {", "if (used_slots != used || used == 3) {", 3),
    ("index_pool/ages.h", "ages_node(ages, next)->older != index ||", "", 2),
]  # fmt: skip


def verdict(tmp_path: Path, wrong: Wrong, capacity: int, cuts: Cuts | None = None) -> Verdict:
    structure = "map" if wrong.file == MAP else "flow_table"
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 240)
    cls = library.contracts.by_name[f"{structure}_alloc"].returns.cls  # type: ignore[union-attr]
    return validity(library, cls, {"capacity": capacity, "key_bytes": 4}, cuts or CUTS[structure])


@pytest.mark.parametrize(("file", "old", "new", "capacity"), WRONG, ids=map(str, range(len(WRONG))))
def test_wrong_is_valid_is_refuted(tmp_path: Path, file: str, old: str, new: str, capacity: int) -> None:
    found = verdict(tmp_path, Wrong("", file, old, new, ()), capacity)
    assert isinstance(found, Refuted), found


USED = "uint32_t used = 0;\n    for (uint32_t slot = 0; slot <= probe->mask; slot++) {"
IS_USED = "if (tag != PROBE_TAG_UNUSED) {\n            used++;"
LOOKED_AT = f"for (uint32_t slot = 0; slot <= probe->mask; slot++) {{\n{EACH}"

# A change after which no of a valid map is what it says, or it looks at what is not there, or never ends.
REFUSES = [
    ("            used++;\n", "            used += 2;\n"),
    ("            used++;\n", "            used += slot != 5;\n"),
    (IS_USED, IS_USED.replace("!=", "==")),
    (USED, USED.replace("used = 0", "used = 1")),
    (USED, USED.replace("<=", "<")),
    (USED, USED.replace("slot++", "slot += 2")),
    ("probe->mask < 2 * map->capacity - 1", "probe->mask < 2 * map->capacity"),
    ("map->size > map->capacity ||", "map->size >= map->capacity ||"),
    ("(tag != probe_tag(key, probe->key_bytes) ||", "(tag == probe_tag(key, probe->key_bytes) ||"),
    ("find(map, key, tag) != slot)", "find(map, key, tag) == slot)"),
    ("find(map, key, tag) != slot)", "find(map, key, tag) != slot || slot == 77)"),
    ("PROBE_KEYS_BY_SLOT, slot);\n        if", "PROBE_KEYS_BY_SLOT, slot + 1);\n        if"),
]  # fmt: skip
# The same, where the proof does not say whether that is wrong: a loop goes round otherwise.
NOT_ACCEPTED = [
    ("(probe->mask & (probe->mask + 1)) != 0", "(probe->mask & (probe->mask - 1)) != 0"),
    ("if (tag != PROBE_TAG_UNUSED && (tag !=", "if ((tag !="),
    (LOOKED_AT, LOOKED_AT.replace("<= probe->mask", "<= probe->mask + 1")),
    (LOOKED_AT, LOOKED_AT.replace("slot++", "slot ^= 1")),
    ("            used++;\n", "            used++;\n            probe->slots[slot].value = 0;\n"),
    ("used != map->size", "used == map->size"),
]


def of_every_valid_map(tmp_path: Path, old: str, new: str) -> Verdict:
    root = Wrong("", MAP, old, new, ()).copy_to(tmp_path)
    return Validity(Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120), 4).verdict()


@pytest.mark.parametrize(("old", "new"), REFUSES, ids=map(str, range(len(REFUSES))))
def test_no_of_what_is_valid_is_refuted_at_every_capacity(tmp_path: Path, old: str, new: str) -> None:
    found = of_every_valid_map(tmp_path, old, new)
    assert isinstance(found, Refuted), found


@pytest.mark.parametrize(("old", "new"), NOT_ACCEPTED, ids=map(str, range(len(NOT_ACCEPTED))))
def test_no_of_what_is_valid_is_not_accepted_at_every_capacity(tmp_path: Path, old: str, new: str) -> None:
    found = of_every_valid_map(tmp_path, old, new)
    assert not isinstance(found, Shown), found


UNCHANGED = Wrong("", MAP, "used != map->size", "map->size != used", ())


def test_what_is_said_of_a_loop_is_shown(tmp_path: Path) -> None:
    """What a cut says too much is not so where the function comes to it, and too little is not enough in the end."""

    def nothing(*_: object) -> Cut:
        return Cut(())

    def too_much(*_: object) -> Cut:
        return Cut([("nothing is valid", False)])

    for at in (nothing, too_much):
        (tmp_path / at.__name__).mkdir()
        assert not isinstance(verdict(tmp_path / at.__name__, UNCHANGED, 1, Cuts((1,), at)), Shown)
    assert isinstance(verdict(tmp_path, UNCHANGED, 1, Cuts((7,), nothing)), Unsettled)
    assert isinstance(verdict(tmp_path / "nothing" / "x", UNCHANGED, 1), Shown)
