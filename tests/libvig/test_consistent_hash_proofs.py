"""The proofs about a consistent-hash table can fail: wrong variants are refuted."""

from pathlib import Path

import pytest

from properties.libvig.choosing import choosing_verdict
from pytest_vigor.build import FLAGS
from pytest_vigor.refine.allocation import allocation
from pytest_vigor.refine.library import Library, Refuted
from tests.libvig.compiled import build
from tests.libvig.wrong import Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
CHOOSING = """        if (flow_table_key_at(available, backend, out_backend_key)) {
            *out_backend = backend;
            return true;
        }
        walk_on"""

FILLED_WRONGLY = [
    ("return number > 1;", "return true;"),
    ("divisor <= number / divisor", "divisor < number / divisor"),
    ("while (table->backends[walk->slot] != NO_BACKEND) {", "if (table->backends[walk->slot] != NO_BACKEND) {"),
    ("backend = backend + 1 < table->backend_count ? backend + 1 : 0;", "backend = 0;"),
    ("    table->slot_count = slot_count;", "    table->slot_count = slots;"),
]
CHOSEN_WRONGLY = [
    (CHOOSING, CHOOSING.replace("= backend;", "= 0;")),
    (CHOOSING, CHOOSING.replace("return true;", "return backend == 0;")),
    ("walk->slot >= slot_count) {", "walk->slot > slot_count) {"),
    ("    for (uint32_t backend = 0; backend < table->backend_count; backend++) {\n        if",
     "    for (uint32_t backend = 1; backend < table->backend_count; backend++) {\n        if"),
]  # fmt: skip


def changed(folder: Path, old: str, new: str) -> Library:
    root = Wrong("", "consistent_hash/consistent_hash.c", old, new, ()).copy_to(folder)
    return Library.at(build(folder / "libvig.so", TOLERANT, root), root, 120)


@pytest.mark.parametrize(("old", "new"), FILLED_WRONGLY, ids=range(len(FILLED_WRONGLY)))
def test_wrong_filling_is_refuted(tmp_path: Path, old: str, new: str) -> None:
    library = changed(tmp_path, old, new)
    contract = library.contracts.by_name["consistent_hash_alloc"]
    sizes = [{"key_bytes": 4, "backends": min(slots, 2), "slots": slots} for slots in (1, 4, 5, 9)]
    found = [allocation(library, contract, each) for each in sizes]
    assert any(isinstance(each, Refuted) for each in found), found


@pytest.mark.parametrize(("old", "new"), CHOSEN_WRONGLY, ids=range(len(CHOSEN_WRONGLY)))
def test_wrong_choice_is_refuted(tmp_path: Path, old: str, new: str) -> None:
    library = changed(tmp_path, old, new)
    found = choosing_verdict(library, {"backends": 2, "slots": 3, "key_bytes": 4, "backend_key_bytes": 4})
    assert isinstance(found, Refuted), found
