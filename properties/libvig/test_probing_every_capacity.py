"""Looking up a key in a map or a flow table of any capacity, whatever its slots hold."""

import pytest

KEY_BYTES = (1, 2, 4, 6, 8, 13, 16, 20)
BOUND = f"every capacity, keys of {', '.join(map(str, KEY_BYTES))} bytes"


@pytest.mark.parametrize("function", ["map_get", "flow_table_find"])
def test_function_does_what_its_contract_says(library, shown, function):
    from properties.libvig.probing import Probing

    verdicts = (
        (f"keys of {key_bytes} bytes", Probing(library, function, key_bytes).verdict()) for key_bytes in KEY_BYTES
    )
    shown(function, BOUND, verdicts)
