"""Functions of a map or a flow table do what their contracts say at every capacity, whatever the slots hold."""

from functools import partial

import pytest

KEY_BYTES = (1, 2, 4, 6, 8, 13, 16, 20)
SOME_KEY_BYTES = (4, 6, 13, 16)  # where it takes longer


def _prove(library, shown, function, sizes):
    from properties.libvig.flow_table_expiry import TableExpiry
    from properties.libvig.probing import Probing
    from properties.libvig.removing import Removing

    others = {
        "flow_table_expire_before": TableExpiry, "flow_table_erase": partial(Removing, function="flow_table_erase"),
        "map_erase": partial(Removing, function="map_erase"),
    }
    proof = others[function] if function in others else partial(Probing, function=function)
    bound = f"every capacity, keys of {', '.join(map(str, sizes))} bytes"
    shown(function, bound, ((f"keys of {each} bytes", proof(library, key_bytes=each).verdict()) for each in sizes))


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

    bound = f"every capacity, keys of {', '.join(map(str, KEY_BYTES))} bytes"
    shown("map_alloc", bound, ((f"keys of {each} bytes", allocation_verdict(library, each)) for each in KEY_BYTES))


@pytest.mark.parametrize("function", ["map_slots", "map_slot"])
def test_slots_of_a_map_are_told(library, shown, function):
    from properties.libvig.map_slots import VERDICTS

    bound = f"every capacity, keys of {', '.join(map(str, KEY_BYTES))} bytes"
    shown(function, bound, ((f"keys of {each} bytes", VERDICTS[function](library, each)) for each in KEY_BYTES))
