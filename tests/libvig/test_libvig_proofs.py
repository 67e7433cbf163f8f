"""The proofs of libVig can fail: every wrong variant is refuted, with a state from which the compiled function errs."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from properties.libvig.test_net_checksums import longer_checksum
from pytest_vigor import contract as c
from pytest_vigor.build import FLAGS
from pytest_vigor.refine.allocation import allocation
from pytest_vigor.refine.library import Library, Refuted, Shown, Verdict
from pytest_vigor.refine.refinement import Refinement
from pytest_vigor.refine.validity import validity
from tests.libvig.compiled import build
from tests.libvig.wrong import WRONG, Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]

# Which function errs, and the smallest sizes at which it does: capacity, and bytes of a key or record.
ERRS = {
    "search_stops_at_another_key": ("map_get", 2, 4),
    "search_stops_at_the_last_slot": ("map_get", 2, 4),
    "search_believes_the_tag": ("map_get", 1, 4),
    "long_keys_differ_in_their_end_only": ("map_get", 1, 20),
    "long_keys_differ_in_their_start_only": ("map_get", 1, 13),
    "erasing_moves_nothing_up": ("map_erase", 2, 4),
    "erasing_moves_too_little_up": ("map_erase", 2, 4),
    "erasing_moves_everything_up": ("map_erase", 2, 4),
    "erasing_forgets_the_wrap": ("map_erase", 3, 4),
    "too_few_slots": ("map_alloc", 2, 4),
    "map_forgets_the_last_key_byte": ("map_alloc", 1, 4),
    "map_is_full_too_early": ("map_put", 1, 4),
    "map_is_full_too_late": ("map_put", 1, 4),
    "map_put_keeps_the_old_value": ("map_put", 1, 4),
    "map_erase_does_not_count": ("map_erase", 1, 4),
    "ageing_includes_the_time": ("index_pool_expire_before", 1, 0),
    "released_index_keeps_its_age": ("index_pool_release", 1, 0),
    "unlinking_goes_one_way": ("index_pool_release", 1, 0),
    "unused_ring_has_a_cycle": ("index_pool_alloc", 2, 0),
    "used_index_is_handed_out": ("index_pool_take", 4, 0),
    "refused_restore_beyond_the_end": ("index_pool_restore", 1, 0),
    "something_is_written_on_false": ("index_pool_entry", 1, 0),
    "expiring_stops_after_one": ("index_pool_expire_before", 2, 0),
    "expiring_miscounts": ("flow_table_expire_before", 1, 4),
    "refresh_does_not_move": ("flow_table_refresh", 2, 4),
    "find_and_refresh_only_finds": ("flow_table_find_and_refresh", 1, 4),
    "erase_leaves_the_key": ("flow_table_erase", 1, 4),
    "erase_takes_the_first_with_that_tag": ("flow_table_erase", 2, 4),
    "records_overlap": ("vector_alloc", 2, 12),
    "records_are_not_zero": ("vector_alloc", 1, 12),
    "checksum_drops_the_second_carry": ("net_checksum_update16", 0, 0),
    "checksum_adds_the_old_value": ("net_checksum_update16", 0, 0),
    "checksum_of_half_the_value": ("net_checksum_update32", 0, 0),
}


def verdict(library: Library, function: str, sizes: Mapping[str, int]) -> Verdict:
    contract = library.contracts.by_name[function]
    if isinstance(contract.returns, c.New):
        return allocation(library, contract, sizes)
    states = {name: sizes for name, kind in contract.parameters.items() if isinstance(kind, c.State)}
    return Refinement(library, contract, states).verdict()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_wrong_library_is_refuted(tmp_path: Path, wrong: Wrong) -> None:
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    function, capacity, size = ERRS[wrong.name]
    structure = function.rpartition("_")[0] if function.endswith("alloc") else wrong.shown_by[0]
    named = {"vector": "record_bytes", "map": "key_bytes", "flow_table": "key_bytes"}
    if function.startswith("flow_table"):
        structure = "flow_table"
    sizes = {"capacity": capacity} | ({named[structure]: size} if structure in named else {})
    found = verdict(library, function, sizes)
    assert isinstance(found, Refuted), found


def test_wrong_invariant_is_noticed(tmp_path: Path) -> None:
    """A `*_is_valid` that overlooks something does not say what the invariant says."""
    wrong = Wrong("", "index_pool/ages.h", "ages_node(ages, next)->older != index ||", "", ())
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    cls = library.contracts.by_name["index_pool_alloc"].returns.cls  # type: ignore[union-attr]
    assert isinstance(validity(library, cls, {"capacity": 1}), Refuted)


def test_refutation_shows_call_and_contents(tmp_path: Path) -> None:
    wrong = next(wrong for wrong in WRONG if wrong.name == "ageing_includes_the_time")
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    found = verdict(library, "index_pool_expire_before", {"capacity": 1})
    assert isinstance(found, Refuted)
    assert found.text.splitlines()[0] == "the result; the new state of pool"
    assert "  time = " in found.text and "  pool (capacity=1)" in found.text and " age = " in found.text


def test_proof_holds_for_what_is_right(tmp_path: Path) -> None:
    from pytest_vigor.build import libvig_root

    library = Library.at(build(tmp_path / "libvig.so"), libvig_root(), 120)
    assert isinstance(verdict(library, "index_pool_expire_before", {"capacity": 1}), Shown)


@pytest.mark.parametrize(("old", "new", "shows_in"), [
    ("sum += word;", "sum |= word;", (0, 1)),
    ("bytes += 2, size_bytes -= 2", "bytes += 1, size_bytes -= 2", (0, 1)),
    ("    while (sum > UINT16_MAX) {", "    if (sum > UINT16_MAX) {", (0, 1)),
    ("        sum += bytes[0];", "        sum += 2 * bytes[0];", (1,)),
])  # fmt: skip
def test_wrong_loop_is_not_proved_by_induction(tmp_path: Path, old: str, new: str, shows_in: tuple[int, ...]) -> None:
    root = Wrong("", "net/net.c", old, new, ()).copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    for odd in (0, 1):
        assert isinstance(longer_checksum(library, odd), Shown) == (odd not in shows_in)
