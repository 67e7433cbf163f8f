"""What nf_init leaves: steps are explored on the structures that all configurations have in common, or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_vigor import build, contract
from pytest_vigor.behaviour import Behaviour
from pytest_vigor.binary import load
from pytest_vigor.errors import HeaderError
from pytest_vigor.explore.explorer import explore
from pytest_vigor.headers import read_header

HEADER = """
    #include "flow_table/flow_table.h"
    #include "map/map.h"
    #include "net/net.h"
    #include "nf.h"
    #include "typed.h"
    #include "vector/vector.h"
    struct nf_config { uint32_t capacity; };
    struct nf_state { MAP(hosts, struct net_mac); VECTOR(names, struct net_mac); };
    extern VIGOR_API struct nf_state nf_state;
"""
SOURCE = """
    #include "nf.h"
    #include "init.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        (void) device_count;
        const uint32_t capacity = config->capacity;
    {body}
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) device; (void) packet; (void) length_bytes; (void) now;
        return NF_DROP;
    }
"""
HOSTS = "nf_state.hosts = map_alloc(sizeof(struct net_mac), capacity);\n"
ALL = "return nf_state.hosts != NULL && nf_state.names != NULL;\n"
DIFFERENT = "nf_init leaves different structures for different configurations"

STOPPED = {
    "more of them": (
        f"""{HOSTS}
        if (capacity == 8) {{
            return nf_state.hosts != NULL;
        }}
        nf_state.names = vector_alloc(6, capacity);
        {ALL}""",
        DIFFERENT,
    ),
    "others": (
        f"""if (capacity == 8) {{
            nf_state.names = vector_alloc(6, capacity);
            return nf_state.names != NULL;
        }}
        {HOSTS}
        return nf_state.hosts != NULL;""",
        DIFFERENT,
    ),
    "larger ones": (
        f"""{HOSTS}
        if (capacity == 8) {{
            nf_state.names = vector_alloc(6, 9);
            return nf_state.hosts != NULL && nf_state.names != NULL;
        }}
        nf_state.names = vector_alloc(6, capacity);
        if (nf_state.hosts == NULL || nf_state.names == NULL) {{
            return false;
        }}
        __asm__ volatile("nop"); /* so that the compiler does not make one call of two */
        return true;""",
        DIFFERENT,
    ),
    "one that is not there": (
        f"{HOSTS} nf_state.names = vector_alloc(6, capacity); return nf_state.hosts != NULL;",
        "nf_init may return true where vector_alloc has returned NULL",
    ),
    "elements of any size": (
        f"{HOSTS} nf_state.names = vector_alloc(capacity, 6); {ALL}",
        "it is allocated with an element size that depends on the configuration",
    ),
}


def explored(body: str, folder: Path) -> Behaviour:
    """An NF that initialises itself like this."""
    source, header = folder / "init.c", folder / "init.h"
    source.write_text(dedent(SOURCE).replace("{body}", body))
    header.write_text(dedent(HEADER))
    contracts = contract.collect([contract.module_at(path) for path in build.contract_files()])
    return explore(
        load(build.build_nf([source], folder / "init.so")), read_header(header, [build.libvig_root()]), contracts
    )


def stops(behaviour: Behaviour) -> set[str]:
    """Why exploring nf_init stopped."""
    return {path.reason for path in behaviour.paths["nf_init"] if path.ending == "stuck"}


@pytest.mark.parametrize("what", STOPPED)
def test_structures_that_steps_cannot_count_on_are_unknown(what: str, tmp_path: Path) -> None:
    body, reason = STOPPED[what]
    assert {re.sub(r"object\d", "it", said) for said in stops(explored(body, tmp_path))} == {reason}


def test_what_all_configurations_leave_is_what_steps_find(tmp_path: Path) -> None:
    behaviour = explored(f"{HOSTS} nf_state.names = vector_alloc(6, 2 * (capacity & 15)); {ALL}", tmp_path)
    assert not stops(behaviour)
    assert [each.name for each in behaviour.structures] == ["hosts", "names"]
    assert len(behaviour.accepted) == 1


@pytest.mark.parametrize(
    ("hosts", "names", "said"),
    [
        (8, 6, "nf_state.hosts: its header says that a key has 6 bytes, but nf_init makes it for 8"),
        (6, 4, "nf_state.names: its header says that a record has 6 bytes, but nf_init makes it for 4"),
    ],
)
def test_a_header_that_gives_elements_another_size_is_refused(
    hosts: int, names: int, said: str, tmp_path: Path
) -> None:
    body = f"nf_state.hosts = map_alloc({hosts}, capacity); nf_state.names = vector_alloc({names}, capacity); {ALL}"
    with pytest.raises(HeaderError, match=re.escape(said)):
        explored(body, tmp_path)
