"""The proofs of flow tables of several entries can fail: wrong variants are refuted where proofs take long, too, and a
loop whose rounds lead elsewhere is not shown by induction."""

from pathlib import Path

import pytest

from properties.libvig.flow_table_allocation import allocation_verdict
from properties.libvig.flow_table_expiry import TableExpiry
from pytest_vigor import term as t
from pytest_vigor.build import FLAGS
from pytest_vigor.refine.clauses import Clauses
from pytest_vigor.refine.cuts import Cuts
from pytest_vigor.refine.library import Library, Refuted, Shown, Unsettled, Verdict
from pytest_vigor.refine.refinement import Refinement
from pytest_vigor.smt import Sat, Unsat
from tests.libvig.compiled import build
from tests.libvig.wrong import WRONG, Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
TABLE, PROBE, AGES = "flow_table/flow_table.c", "map/probe.h", "index_pool/ages.h"
MASK, RECORDS = "table->probe.mask = slots - 1;", "(unsigned char *) table + records_offset;"
EXPIRING = "        erase(table, index);\n        expired++;"


def known(name: str) -> Wrong:
    return next(each for each in WRONG if each.name == name)


def other(name: str, old: str, new: str) -> Wrong:
    return Wrong(name, TABLE, old, new, ("flow_table",))


def verdict(tmp_path: Path, wrong: Wrong, function: str, capacity: int) -> Verdict:
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 240)
    sizes = {"capacity": capacity, "key_bytes": 4}
    return Refinement(library, library.contracts.by_name[f"flow_table_{function}"], {"table": sizes}).verdict()


@pytest.mark.parametrize(("wrong", "function", "capacity"), [
    (known("search_stops_at_another_key"), "find", 3),
    (known("search_stops_at_the_last_slot"), "find", 3),
    (known("search_believes_the_tag"), "find", 3),
    (known("erasing_moves_nothing_up"), "erase", 3),
    (known("erasing_moves_too_little_up"), "erase", 3),
    (known("erasing_moves_everything_up"), "erase", 3),
    (known("unlinking_goes_one_way"), "find_and_refresh", 3),
    (known("find_and_refresh_only_finds"), "find_and_refresh", 3),
    (other("older_than_the_newest", "age < ages_newest(&table->ages) ||", "false ||"), "restore", 3),
    (other("puts_what_is_there", " || find(table, key, &present)", ""), "restore", 3),
    (known("search_stops_at_the_last_slot"), "find", 4),
])  # fmt: skip
def test_wrong_function_is_refuted(tmp_path: Path, wrong: Wrong, function: str, capacity: int) -> None:
    found = verdict(tmp_path, wrong, function, capacity)
    assert isinstance(found, Refuted), found


@pytest.mark.parametrize(("wrong", "says"), [
    (known("expiring_miscounts"), "the result"),
    (known("ageing_includes_the_time"), "the result"),
    (other("stops_after_one", EXPIRING, "erase(table, index);\n        return expired + 1;"), "the result"),
    (other("counts_twice", EXPIRING, f"{EXPIRING}\n        expired++;"), "the result"),
    (other("only_releases", EXPIRING, EXPIRING.replace("erase(table", "ages_release(&table->ages")), "afterwards"),
    (known("released_index_keeps_its_age"), "afterwards"),
    (known("erasing_moves_nothing_up"), "afterwards"),
])  # fmt: skip
def test_wrong_expiry_is_refuted(tmp_path: Path, wrong: Wrong, says: str) -> None:
    found = verdict(tmp_path, wrong, "expire_before", 2)
    assert isinstance(found, Refuted), found
    assert says in str(found)


@pytest.mark.parametrize("wrong", [
    known("ageing_includes_the_time"),
    other("stops_after_one", EXPIRING, "erase(table, index);\n        return expired + 1;"),
    other("only_releases", EXPIRING, EXPIRING.replace("erase(table", "ages_release(&table->ages")),
    other("erases_another", EXPIRING, EXPIRING.replace("index)", "0)")),
])  # fmt: skip
def test_wrong_rounds_are_not_shown_at_every_capacity(tmp_path: Path, wrong: Wrong) -> None:
    root = wrong.copy_to(tmp_path)
    found = TableExpiry(Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 240), 4).verdict()
    assert isinstance(found, Refuted | Unsettled)


@pytest.mark.parametrize(("file", "old", "new"), [
    (PROBE, "while (slots < 2 * capacity) {", "while (slots < capacity) {"),
    (PROBE, "        slots *= 2;\n", "        slots += 2;\n"),
    (PROBE, "        slots *= 2;\n", "        slots *= 4;\n"),
    (TABLE, MASK, "table->probe.mask = slots;"),
    (TABLE, MASK, f"{MASK}\n    table->probe.slots[1].tag = 1;"),
    (TABLE, "table->ages.capacity = capacity;", "table->ages.capacity = capacity + 1;"),
    (TABLE, RECORDS, RECORDS.replace("records", "slots")),
    (TABLE, "table->probe.keys = records + sizeof(struct ages_node);", "table->probe.keys = records;"),
    (TABLE, "table->probe.key_bytes = key_bytes;", "table->probe.key_bytes = key_bytes + 1;"),
    (TABLE, "capacity + AGES_EXTRA_NODES, record_bytes", "capacity + 1, record_bytes"),
    (TABLE, "slots, sizeof(struct probe_slot)", "capacity, sizeof(struct probe_slot)"),
    (TABLE, "stride_bytes = record_bytes;\n    table->ages", "stride_bytes = 16;\n    table->ages"),
    (TABLE, "    ages_start(&table->ages);\n", ""),
    (TABLE, "    return table;\n}\n\nstatic", "    return capacity == 77 ? NULL : table;\n}\n\nstatic"),
    (TABLE, "capacity > FLOW_TABLE_CAPACITY_MAX", "capacity >= FLOW_TABLE_CAPACITY_MAX"),
    (AGES, "capacity + AGES_EXTRA_NODES; index++", "capacity + 1; index++"),
    (AGES, "= AGES_UNUSED;\n        node->older", "= 0;\n        node->older"),
    ("block.h", "calloc(1, padded_bytes)", "malloc(padded_bytes)"),
])  # fmt: skip
def test_wrong_allocation_is_not_accepted_at_every_capacity(tmp_path: Path, file: str, old: str, new: str) -> None:
    root = Wrong("", file, old, new, ()).copy_to(tmp_path)
    found = allocation_verdict(Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 240), 4)
    assert not isinstance(found, Shown), found


def test_unknown_functions_have_one_value_for_one_argument() -> None:
    clauses = Clauses(Cuts())
    one, two = t.var("one", 32), t.var("two", 32)
    differ = t.ne(32, t.app("function", 32, (32, one)), t.app("function", 32, (32, two)))
    assert isinstance(clauses.ask([differ]), Sat)
    assert isinstance(clauses.ask([differ, t.eq(32, one, two)]), Unsat)
