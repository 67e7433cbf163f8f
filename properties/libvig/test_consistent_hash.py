"""Small consistent-hash tables are filled as they should be, and what a table of any size chooses is what its contract
says: whatever the slots hold, whichever backends are available, in a flow table of any capacity."""

ALLOCATED = [(backends, slots) for slots in range(1, 17) for backends in range(1, slots + 1)] + [(5, 101)]
KEY_BYTES = (1, 2, 4, 6, 8, 13, 16, 20)


def test_allocation_fills_a_table_or_makes_none(library, shown):
    from pytest_vigor.refine.allocation import allocation, refusal

    contract = library.contracts.by_name["consistent_hash_alloc"]
    sizes = [{"key_bytes": 4, "backends": backends, "slots": slots} for backends, slots in ALLOCATED]
    sizes += [{"key_bytes": key_bytes, "backends": 2, "slots": 5} for key_bytes in KEY_BYTES]
    bound = "≤ 16 slots, any number of backends; 101 slots, 5 backends"
    shown(contract.name, bound, ((each, allocation(library, contract, each)) for each in sizes))
    shown(f"{contract.name}, refused", "every number and size", [("any", refusal(library, contract))])


def test_the_first_available_backend_in_a_keys_order_is_chosen(library, shown):
    from properties.libvig.choosing import Choosing

    bound = f"any numbers of backends and slots, keys of {', '.join(map(str, KEY_BYTES))} bytes"
    sizes = [(each, 4) for each in KEY_BYTES] + [(4, 6)]  # of keys, and of the backends' keys
    verdicts = ((f"keys of {each} bytes", Choosing(library, *each).verdict()) for each in sizes)
    shown("consistent_hash_choose", bound, verdicts)
