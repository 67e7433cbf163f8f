"""Proofs for every capacity can fail: wrong variants of an index pool are refuted, and what they assume can be."""

import ctypes
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from properties.libvig.index_pool_allocation import allocation_verdict
from properties.libvig.index_pool_expiry import Expiry
from properties.libvig.index_pool_validity import Validity
from pytest_vigor import term as t
from pytest_vigor.build import FLAGS, libvig_root
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.library import Library, Refuted, Verdict
from pytest_vigor.refine.unbounded import AtEveryCapacity
from pytest_vigor.structs import structs
from tests.libvig.compiled import build, read, write
from tests.libvig.wrong import WRONG, Wrong

TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]
AGES, POOL = "index_pool/ages.h", "index_pool/index_pool.c"
EXISTS = "return index < ages->capacity &&"


def known(name: str, function: str) -> tuple[Wrong, str]:
    return next(each for each in WRONG if each.name == name), function


def other(name: str, file: str, old: str, new: str, function: str) -> tuple[Wrong, str]:
    return Wrong(name, file, old, new, ("index_pool",)), function


CASES = (
    known("released_index_keeps_its_age", "release"),
    known("unlinking_goes_one_way", "release"),
    known("refused_restore_beyond_the_end", "restore"),
    known("something_is_written_on_false", "entry"),
    known("used_index_is_handed_out", "take"),
    other(
        "released_is_in_no_ring", AGES,
        "ages_link(ages, index, ages_unused_end(ages));\n    ages_node", "ages_node", "release",
    ),
    other("refresh_renews_no_age", AGES, "    node->age = age;\n", "", "refresh"),
    other("renewed_goes_first", AGES, "ages_link(ages, index, ages_used_end(ages));\n    }", "}", "refresh"),
    other(
        "taken_from_the_used", AGES, "return ages_node(ages, ages_unused_end(ages))->older;",
        "return ages_node(ages, ages_used_end(ages))->older;", "take",
    ),
    other("taken_one_is_not_used", AGES, "    node->age = age;\n", "", "take"),
    other("older_than_the_newest", POOL, "age < ages_newest(&pool->ages)", "age < 0", "restore"),
    other("beyond_the_end", AGES, EXISTS, "return index < ages->capacity + 3 &&", "entry"),
    other("the_last_is_not_there", AGES, EXISTS, "return index + 1 < ages->capacity &&", "is_used"),
    known("ageing_includes_the_time", "expire_before"),
    known("released_index_keeps_its_age", "expire_before"),
    known("unlinking_goes_one_way", "expire_before"),
    other("expired_are_not_counted", POOL, "        expired++;\n", "        expired = 1;\n", "expire_before"),
    other("counted_twice", POOL, "        expired++;\n", "        expired += 2;\n", "expire_before"),
    other("newest_goes_first", AGES, "used_end(ages))->newer;\n", "used_end(ages))->older;\n", "expire_before"),
    other(
        "released_to_the_other_end", AGES, "ages_link(ages, index, ages_unused_end(ages));\n    ages_node",
        "ages_link(ages, index, ages_node(ages, ages_unused_end(ages))->newer);\n    ages_node", "expire_before",
    ),
    known("unused_ring_has_a_cycle", "alloc"),
    other("last_node_is_not_closed", AGES, "capacity + AGES_EXTRA_NODES; index++", "capacity + 1; index++", "alloc"),
    other("lowest_is_not_linked", AGES, "index > 0; index--) {", "index > 1; index--) {", "alloc"),
    other("new_ones_are_used", AGES, "= AGES_UNUSED;\n        node->older", "= 0;\n        node->older", "alloc"),
    other("too_few_nodes", POOL, "capacity + AGES_EXTRA_NODES, sizeof", "capacity + 1, sizeof", "alloc"),
    other("one_more_than_asked", POOL, "->ages.capacity = capacity;", "->ages.capacity = capacity + 1;", "alloc"),
    other(
        "none_is_made_of_two", POOL, "ages_start(&pool->ages);\n    return pool;",
        "ages_start(&pool->ages);\n    return capacity == 2 ? NULL : pool;", "alloc",
    ),
    other("long_ring_is_refused", AGES, "size > ages->capacity ||", "size > 5 ||", "is_valid"),
    other(
        "equal_ages_are_refused", AGES, "->age < node->age)", "->age < node->age + (end == ages->capacity))",
        "is_valid",
    ),
    other("full_pool_is_refused", AGES, "*out_used + unused ==", "unused != 0 && *out_used + unused ==", "is_valid"),
    other("end_must_be_aged", AGES, "used_end(ages))->age == AGES", "used_end(ages))->age != AGES", "is_valid"),
    other("capacity_and_ends", POOL, "return pool->ages.capacity;", "return pool->ages.capacity + 1;", "capacity"),
)  # fmt: skip


def verdict(library: Library, function: str) -> Verdict:
    if function == "alloc":
        return allocation_verdict(library)
    if function == "is_valid":
        return Validity(library).verdict()
    if function == "expire_before":
        return Expiry(library).verdict()
    return AtEveryCapacity(library, library.contracts.by_name[f"index_pool_{function}"]).verdict()


@pytest.mark.parametrize(("wrong", "function"), CASES, ids=[f"{function}-{wrong.name}" for wrong, function in CASES])
def test_wrong_index_pool_is_refuted(tmp_path: Path, wrong: Wrong, function: str) -> None:
    root = wrong.copy_to(tmp_path)
    library = Library.at(build(tmp_path / "libvig.so", TOLERANT, root), root, 120)
    found = verdict(library, function)
    assert isinstance(found, Refuted), found


CAPACITY, AGE = 2, 7


def rows() -> Iterator[Any]:
    """Every row of a pool of two indices, all as old."""
    rings = beside(str(libvig_root() / "index_pool" / "abstraction.py"), "rings.py")
    end, last = CAPACITY, CAPACITY + 1
    for used in range(CAPACITY + 1):
        for indices in permutations(range(CAPACITY)):
            nodes = [*indices[:used], end, *indices[used:], last]
            ages = {node: AGE if at < used else t.mask(64) for at, node in enumerate(nodes)}
            yield rings.Rings(CAPACITY, used, nodes.__getitem__, nodes.index, ages.__getitem__)


def test_what_is_assumed_of_rings_is_what_is_valid(shipped_path: Path) -> None:
    """A contradiction would prove everything: there are pools of which it holds, and they are all that are valid."""
    everything = range(CAPACITY + 2)
    node, assumed = structs(shipped_path)["ages_node"], set()
    for row in rows():
        claims = [*row.ends()]
        for one in everything:
            claims += [*row.of_node(one), *row.of_age(one), *row.of_position(one)]
            claims += [claim for other in everything for claim in row.of_nodes(one, other)]
        assert [name for name, holds in claims if holds is not True] == []
        assumed.add(tuple(row.element(node, one) for one in everything))
    library = ctypes.CDLL(str(shipped_path))
    library.index_pool_alloc.restype = ctypes.c_void_p
    pool = library.index_pool_alloc(CAPACITY)
    nodes = read(pool, 8)
    is_valid = library.index_pool_is_valid
    is_valid.restype, is_valid.argtypes = ctypes.c_bool, [ctypes.c_void_p]
    valid = set()
    for links in product(everything, repeat=2 * len(everything)):
        for ages in product((AGE, t.mask(64)), repeat=CAPACITY):
            content = [
                age | older << 64 | newer << 96
                for age, older, newer in zip((*ages, *[t.mask(64)] * 2), links[::2], links[1::2], strict=True)
            ]
            write(nodes, 16 * len(content), sum(each << 128 * at for at, each in enumerate(content)))
            if is_valid(pool):
                valid.add(tuple(content))
    assert assumed == valid
