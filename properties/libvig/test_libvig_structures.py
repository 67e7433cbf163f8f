"""Every function of libVig's structures does what its contract says, from every valid state of a known capacity.

Memory safety, the invariant afterwards, the result, what is written through pointers and the abstract state, all on
the compiled library. The verdict holds for the capacities and sizes of keys and records that it names.
"""

import pytest

from pytest_vigor import contract as c
from pytest_vigor.build import libvig_root

CONTRACTS = c.collect(c.load(libvig_root()))

# Capacities, and the sizes of keys or records in bytes, one for each way in which the code treats them.
SIZES = {
    "vector": (("record_bytes", (1, 2, 12, 20, 64, 65), 4),),
    "index_pool": (("", (0,), 4),),
    "map": (("key_bytes", (4,), 4), ("key_bytes", (1, 6), 1)),
    "flow_table": (("key_bytes", (4,), 2), ("key_bytes", (1, 6, 13, 20), 1)),
}
#: Larger capacities for functions where that is quick, with the first of these sizes.
CAPACITIES = {
    "flow_table_refresh": 4, "flow_table_key_at": 4, "flow_table_entry": 4, "flow_table_capacity": 4,
    "flow_table_alloc": 4,
}  # fmt: skip
VALID = {"vector": 4, "index_pool": 4, "map": 4, "flow_table": 4}


def _structure(function):
    return CONTRACTS.by_name[function].source.rsplit("/", 2)[1]


def _takes(function):
    return [name for name, kind in CONTRACTS.by_name[function].parameters.items() if isinstance(kind, c.State)]


def _looked_at(structure, function):
    first, *others = SIZES[structure]
    return [(*first[:2], CAPACITIES.get(function, first[2])), *others]


def _sizes(structure, function=""):
    """The parameters of each allocation that is looked at."""
    for name, sizes, capacity_max in _looked_at(structure, function):
        for size in sizes:
            for capacity in range(1, capacity_max + 1):
                yield {"capacity": capacity} | ({name: size} if name else {})


def _bound(structure, function=""):
    """The sizes for people."""
    what = {"record_bytes": "records", "key_bytes": "keys"}
    return "; ".join(
        f"capacity ≤ {capacity}" + (f", {what[name]} of {', '.join(map(str, sizes))} bytes" if name else "")
        for name, sizes, capacity in _looked_at(structure, function)
    )


PROVED = [name for name in CONTRACTS.by_name if _structure(name) in SIZES]
ALLOCATING = [name for name in PROVED if isinstance(CONTRACTS.by_name[name].returns, c.New)]


@pytest.mark.parametrize("function", [name for name in PROVED if name not in ALLOCATING])
def test_function_does_what_its_contract_says(library, shown, function):
    from pytest_vigor.refine.refinement import Refinement

    (state,), structure = _takes(function), _structure(function)
    contract = library.contracts.by_name[function]
    sizes = _sizes(structure, function)
    verdicts = ((each, Refinement(library, contract, {state: each}).verdict()) for each in sizes)
    shown(function, _bound(structure, function), verdicts)


@pytest.mark.parametrize("function", ALLOCATING)
def test_allocation_makes_an_empty_structure_or_none(library, shown, function):
    from pytest_vigor.refine.allocation import allocation, refusal

    contract, structure = library.contracts.by_name[function], _structure(function)
    verdicts = ((sizes, allocation(library, contract, sizes)) for sizes in _sizes(structure, function))
    shown(function, _bound(structure, function), verdicts)
    shown(f"{function}, refused", "every capacity and size", [("any", refusal(library, contract))])


@pytest.mark.parametrize("structure", SIZES)
def test_is_valid_says_what_the_invariant_says(library, shown, structure):
    from properties.libvig.validity_cuts import CUTS
    from pytest_vigor.refine.validity import validity

    cls = next(CONTRACTS.by_name[name].returns.cls for name in ALLOCATING if _structure(name) == structure)
    first = next(_sizes(structure))
    sizes = [first | {"capacity": capacity} for capacity in range(1, VALID[structure] + 1)]
    verdicts = ((each, validity(library, cls, each, CUTS.get(structure))) for each in sizes)
    shown(f"{structure}_is_valid", f"capacity ≤ {VALID[structure]}", verdicts)
