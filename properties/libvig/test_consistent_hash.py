"""A consistent-hash table is filled as it should be, and what it chooses is what its contract says, for small numbers
of backends and slots: whatever the slots hold, whichever backends are available, in a flow table of any capacity."""

import pytest

ALLOCATED = [(backends, slots) for slots in range(1, 17) for backends in range(1, slots + 1)] + [(5, 101)]
KEY_BYTES = (1, 4, 6, 8, 13, 20)
#: Backends, a prime number of slots, and the sizes of keys and of the backends' keys in bytes.
CHOSEN = {
    "1 backend, 2 to 11 slots": [(1, slots, 4, 4) for slots in (2, 3, 5, 7, 11)],
    "2 backends, 2 to 11 slots": [(2, slots, 4, 4) for slots in (2, 3, 5, 7, 11)],
    "3 backends, 3 to 11 slots": [(3, slots, 4, 4) for slots in (3, 5, 7, 11)],
    "4 backends, 5 slots": [(4, 5, 4, 4)],
    "2 backends, 5 slots, keys of 1, 4, 6, 8, 13, 20 bytes": [(2, 5, size, 6) for size in KEY_BYTES],
}


def test_allocation_fills_a_table_or_makes_none(library, shown):
    from pytest_vigor.refine.allocation import allocation, refusal

    contract = library.contracts.by_name["consistent_hash_alloc"]
    sizes = [{"key_bytes": 4, "backends": backends, "slots": slots} for backends, slots in ALLOCATED]
    sizes += [{"key_bytes": key_bytes, "backends": 2, "slots": 5} for key_bytes in KEY_BYTES]
    bound = "≤ 16 slots, any number of backends; 101 slots, 5 backends"
    shown(contract.name, bound, ((each, allocation(library, contract, each)) for each in sizes))
    shown(f"{contract.name}, refused", "every number and size", [("any", refusal(library, contract))])


@pytest.mark.parametrize("bound", CHOSEN)
def test_the_first_available_backend_in_a_keys_order_is_chosen(library, shown, bound):
    from properties.libvig.choosing import choosing_verdict

    names = ("backends", "slots", "key_bytes", "backend_key_bytes")
    sizes = [dict(zip(names, each, strict=True)) for each in CHOSEN[bound]]
    shown("consistent_hash_choose", bound, ((each, choosing_verdict(library, each)) for each in sizes))
