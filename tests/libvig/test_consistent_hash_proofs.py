"""The proofs about a consistent-hash table can fail: wrong variants are refuted."""

import random
from pathlib import Path

import pytest

from properties.libvig.choosing import Choosing, orders
from pytest_vigor import term as t
from pytest_vigor.build import FLAGS
from pytest_vigor.ghost.consistent_hash import ConsistentHash
from pytest_vigor.refine.allocation import allocation
from pytest_vigor.refine.everywhere import Everywhere
from pytest_vigor.refine.library import Library, Refuted, Unsettled
from tests.libvig.compiled import build
from tests.libvig.wrong import Wrong

VISITS_PER_BACKEND = orders.VISITS_PER_BACKEND
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
VISIT = "        walk_on(&walk, table->slot_count);\n"
START = "struct walk walk = walk_start(hash_of(key, table->key_bytes), table->slot_count);"
NUMBERS = "    for (uint32_t backend = 0; backend < table->backend_count; backend++) {\n        if"
CHOSEN_WRONGLY = [
    (CHOOSING, CHOOSING.replace("= backend;", "= 0;")),
    (CHOOSING, CHOOSING.replace("return true;", "return backend == 0;")),
    (CHOOSING, CHOOSING.replace("return true;", "return visit < 9;")),
    (CHOOSING, CHOOSING.replace("available, backend,", "available, visit,")),
    ("table->backends[walk.slot];", "table->backends[walk.slot] + 1u;"),
    ("table->backends[walk.slot];", "table->backends[walk.skip];"),
    ("walk->slot >= slot_count) {", "walk->slot > slot_count) {"),
    ("walk->slot += walk->skip;", "walk->slot += 1;"),
    ("walk->slot -= slot_count;", "walk->slot = 0;"),
    (VISIT, VISIT + "        walk.skip = 1;\n"),
    (VISIT, "        if (visit != 1000) {\n    " + VISIT + "        }\n"),
    (VISIT, "        visit += backend == 7;\n" + VISIT),
    (START, START + "\n    walk.slot = 0;"),
    (START, START + "\n    walk.slot += table->slot_count == 65537;"),
    (START, START + "\n    uint32_t any;\n    walk.skip += flow_table_key_at(available, 0, &any);"),
    ("VISITS_PER_BACKEND * table->backend_count", "VISITS_PER_BACKEND * table->slot_count"),
    (NUMBERS, NUMBERS.replace("= 0;", "= 1;")),
    (NUMBERS, NUMBERS.replace("backend++", "backend += 2")),
    (NUMBERS, NUMBERS.replace("table->backend_count;", "table->backend_count - 1;")),
    (NUMBERS, NUMBERS.replace("table->backend_count;", "table->backend_count + 1;")),
    (NUMBERS, NUMBERS.replace("backend = 0; backend < table->backend_count; backend++",
                              "backend = table->backend_count; backend-- > 0;")),
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
def test_wrong_choice_is_not_shown(tmp_path: Path, old: str, new: str) -> None:
    found = Choosing(changed(tmp_path, old, new), 4, 4).verdict()
    assert isinstance(found, Refuted | Unsettled), found


@pytest.mark.parametrize(("backends", "slots"), [(1, 2), (2, 5), (5, 5), (3, 101)])
def test_each_table_has_the_order_that_is_assumed(backends: int, slots: int) -> None:
    chance, count = random.Random(backends), VISITS_PER_BACKEND * backends
    held = [chance.randrange(backends) for _ in range(slots)]
    first, skip = chance.randrange(slots), 1 + chance.randrange(slots - 1)
    places = [(first + visit * skip) % slots for visit in range(count + 2)]
    met = [held[place] for place in places[:count]]
    ranks = [met.index(each) if each in met else count + each for each in range(backends)]

    def value(leaf: t.Term, arguments: tuple[int, ...]) -> int:
        return {"place": places, "table.rank": ranks, "slots": held, "table.order": [0]}[leaf.data[0]][arguments[-1]]

    def slot(place: t.Value) -> t.Value:
        return t.app("slots", 32, (32, place))

    table = ConsistentHash(None, Everywhere(), "table", 32, backends, slots)  # type: ignore[arg-type]
    order = orders.Order(table, 0, None, slot, first, skip)
    said = [each for visit in range(count + 1) for each in order.of_places(visit)]
    for backend in range(backends):
        said += order.of_rank(backend)
        said += [each for visit in range(count) for each in order.of_visit(visit, backend)]
    assert all(t.evaluate(claim, value, {}) for _, claim in said)
