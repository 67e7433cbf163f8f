"""The compiled libVig does what its contracts say, in random use."""

from pathlib import Path

import pytest

from tests.libvig.compiled import CHECKED, Library
from tests.libvig.isolated import isolated
from tests.libvig.machine import run
from tests.libvig.play import Seeded, volume
from tests.libvig.readings import allocations, memory_is_short, numbers, refusals
from tests.libvig.sanitised import build_sanitised, child
from tests.libvig.structures import STRUCTURES, Structure
from tests.libvig.wrong import Wrong

OPERATIONS = {"flow_table": 160_000, "index_pool": 130_000, "lpm": 600, "map": 130_000, "vector": 80_000}
FEW = {"lpm": 8}  # whose bookkeeping takes long to check: 2^24 entries after every call

each_structure = pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: structure.name)


@each_structure
def test_half_a_million_operations_agree(shipped: Library, structure: Structure) -> None:
    assert sum(OPERATIONS.values()) >= 500_000
    volume(shipped, structure, 1, OPERATIONS[structure.name])


@each_structure
def test_state_machine_agrees(shipped: Library, structure: Structure) -> None:
    run(shipped, structure, FEW.get(structure.name, 100))


@each_structure
def test_allocation_agrees_at_its_limits(shipped: Library, structure: Structure) -> None:
    assert allocations(shipped, structure) > 10
    ending = isolated(lambda: memory_is_short(shipped, structure))
    assert ending.how == "agreed", ending.text


@each_structure
def test_allowed_calls_pass_the_checks(checked: Library, structure: Structure) -> None:
    volume(checked, structure, 3, 60 if structure.name in FEW else 3_000)


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if s.name not in ("lpm", "map")], ids=lambda s: s.name)
def test_checks_refuse_what_the_contract_forbids(checked: Library, structure: Structure) -> None:
    assert refusals(checked, structure, 1, 100) == 100


def test_map_forbids_nothing(shipped: Library) -> None:
    structure = next(structure for structure in STRUCTURES if structure.name == "map")
    assert volume(shipped, structure, 4, 3_000) == 0


def test_functions_of_numbers_agree(shipped: Library) -> None:
    assert numbers(shipped, Seeded(1), 5_000) >= 30_000


@pytest.mark.parametrize("flags", [[], [CHECKED]], ids=["as_shipped", "checked"])
def test_sanitisers_find_nothing(tmp_path: Path, flags: list[str]) -> None:
    ran = child(build_sanitised(tmp_path / "libvig.so", *flags), 3_000, 4)
    assert (ran.returncode, ran.stdout) == (0, "agreed\n"), ran.stderr


def test_sanitisers_find_a_step_beyond_a_key(tmp_path: Path) -> None:
    wrong = Wrong("", "map/probe.h", "    if (key_bytes >= 4) {", "    if (key_bytes >= 3) {", ("map",))
    ran = child(build_sanitised(tmp_path / "libvig.so", root=wrong.copy_to(tmp_path)), 1_500, 1)
    assert "AddressSanitizer: heap-buffer-overflow" in ran.stderr
    assert "probe_load32" in ran.stderr
