"""The random tests can fail: every wrong variant of the library, and every changed contract, makes them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pytest_vigor import contract as c
from pytest_vigor.build import FLAGS, contract_files
from tests.libvig.compiled import Library, build, contracts, perturb_memory
from tests.libvig.isolated import isolated
from tests.libvig.keys import pools
from tests.libvig.machine import run
from tests.libvig.oracle import Disagreement
from tests.libvig.play import Seeded, by_name, volume
from tests.libvig.readings import allocations, numbers, refusals
from tests.libvig.structures import STRUCTURES
from tests.libvig.wrong import WRONG, WRONG_BY_USE, Wrong, changed_contracts

# Whether a capacity of 2^30 itself is served shows only on a machine that has 16 GiB to spare.
NEEDS_MUCH_MEMORY = "bound moved: capacity > CAPACITY_MAX"

TESTED = {"net", *(structure.name for structure in STRUCTURES)}
CONTRACTS = [path for path in contract_files() if path.parent.name in TESTED]

# A wrong variant may be unused in places, of which a compiler warns.
TOLERANT = [flag for flag in FLAGS if flag != "-Werror"]


@pytest.fixture(scope="module", autouse=True)
def _known_keys() -> None:
    """Looks for hard keys before there are forked processes, which could not share what they find."""
    for key_bytes in range(1, 21):
        pools(key_bytes)


def use(library: Library, name: str, operations: int, is_checked: bool = True) -> None:
    perturb_memory()
    if name == "net":
        numbers(library, Seeded(1), 2_000)
        return
    structure = replace(by_name(name), is_checked=is_checked)
    allocations(library, structure)
    fewer = 1 if structure.empty is None else 20 if is_checked else 4
    volume(library, structure, 1, operations // fewer)


@pytest.mark.parametrize("wrong", (*WRONG, *WRONG_BY_USE), ids=lambda wrong: wrong.name)
def test_wrong_library_is_noticed(tmp_path: Path, wrong: Wrong) -> None:
    path = build(tmp_path / "libvig.so", TOLERANT, wrong.copy_to(tmp_path))
    for name in wrong.shown_by:
        ending = isolated(partial(use, Library(path, contracts()), name, 60_000), cpu_seconds=60)
        assert ending.how == "disagreed", f"{name}: {ending}"


@pytest.mark.parametrize("source", CONTRACTS, ids=lambda path: path.parent.name)
def test_changed_contract_is_noticed(tmp_path: Path, source: Path, shipped_path: Path, checked_path: Path) -> None:
    name = source.parent.name

    def check(path: Path) -> None:
        contracts = c.collect([c.module_at(path)])
        use(Library(shipped_path, contracts), name, 4_000, is_checked=name != "lpm")  # which would take minutes
        if name not in ("lpm", "net"):
            refusals(Library(checked_path, contracts), by_name(name), 1, 60)

    unnoticed = []
    for number, (what, text) in enumerate(changed_contracts(source.read_text())):
        path = tmp_path / str(number) / "contract.py"
        path.parent.mkdir()
        path.write_text(text)
        # A contract that forbids too little makes calls that may crash, or never end.
        ending = isolated(partial(check, path), cpu_seconds=10 if name == "lpm" else 2, quiet=True).how
        if ending == "agreed" or (ending == "SIGXCPU" and name == "lpm"):
            unnoticed.append(what)
    assert [what for what in unnoticed if NEEDS_MUCH_MEMORY not in what] == []


def test_state_machine_makes_what_it_finds_small(tmp_path: Path) -> None:
    wrong = next(wrong for wrong in WRONG if wrong.name == "ageing_includes_the_time")
    path = build(tmp_path / "libvig.so", TOLERANT, wrong.copy_to(tmp_path))
    with pytest.raises(Disagreement) as found:
        run(Library(path, contracts()), by_name("index_pool"), 100, steps=8, is_repeatable=True)
    assert str(found.value) == SMALLEST


SMALLEST = """\
it returned 1, the contract says 0
index_pool(capacity=1), its last calls:
  index_pool_take(now=0x0)
  index_pool_expire_before(time=0x0)"""
