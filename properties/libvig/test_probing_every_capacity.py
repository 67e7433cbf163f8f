"""Functions of a map or a flow table do what their contracts say at every capacity, whatever the slots hold."""

from functools import partial

import pytest

KEY_BYTES = (1, 2, 4, 6, 8, 13, 16, 20)
SOME_KEY_BYTES = (4, 6, 13, 16)  # where it takes longer


def _prove(library, shown, function, sizes):
    from properties.libvig.flow_table_expiry import TableExpiry
    from properties.libvig.probing import Probing
    from properties.libvig.removing import Removing

    def verdict(key_bytes):
        if function == "flow_table_expire_before":
            return TableExpiry(library, key_bytes).verdict()
        proof = Removing if function.endswith("erase") else Probing
        return proof(library, library.contracts.by_name[function], key_bytes).verdict()

    _show(shown, function, verdict, sizes)


def _show(shown, function, verdict, sizes=KEY_BYTES, says=""):
    """Shows what a proof says with keys of each of these sizes."""
    bound = f"every capacity, keys of {', '.join(map(str, sizes))} bytes{says}"
    shown(function, bound, ((f"keys of {each} bytes", verdict(each)) for each in sizes))


READING = ("map_get", "map_size", "flow_table_find", "flow_table_key_at", "flow_table_capacity", "flow_table_entry")


CHANGING_ENTRIES = ("map_put", "map_erase", "flow_table_find_and_refresh", "flow_table_refresh")


@pytest.mark.parametrize("function", [*READING, *CHANGING_ENTRIES])
def test_function_does_what_its_contract_says(library, shown, function):
    _prove(library, shown, function, KEY_BYTES)


CHANGING = ("flow_table_put", "flow_table_restore", "flow_table_erase", "flow_table_expire_before")


@pytest.mark.parametrize("function", CHANGING)
def test_function_that_changes_a_flow_table_does_what_its_contract_says(library, shown, function):
    _prove(library, shown, function, SOME_KEY_BYTES)


def test_allocation_makes_an_empty_map_or_none(library, shown):
    from properties.libvig.map_allocation import allocation_verdict

    _show(shown, "map_alloc", partial(allocation_verdict, library))


def test_allocation_makes_an_empty_flow_table_or_none(library, shown):
    from properties.libvig.flow_table_allocation import allocation_verdict

    _show(shown, "flow_table_alloc", partial(allocation_verdict, library), SOME_KEY_BYTES)


@pytest.mark.parametrize("function", ["map_slots", "map_slot"])
def test_slots_of_a_map_are_told(library, shown, function):
    from properties.libvig.map_slots import VERDICTS

    _show(shown, function, partial(VERDICTS[function], library))


def test_is_valid_says_yes_of_every_valid_map(library, shown):
    from properties.libvig.map_validity import Validity

    _show(shown, "map_is_valid", lambda each: Validity(library, each).verdict(), says=": yes of what is valid")
