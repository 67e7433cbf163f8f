"""An NF may give its structures and fields any names: none is taken for a symbol of the tool's own."""

from __future__ import annotations

import pytest
from project import Project

pytest_plugins = ["pytester"]

HEADER = """
    #ifndef NAMES_H
    #define NAMES_H
    #include "nf.h"
    #include "typed.h"
    struct nf_config { uint32_t size; uint32_t memory; };
    struct nf_state { MAP(config, uint32_t); MAP(state, uint32_t); uint32_t size; };
    extern VIGOR_API struct nf_state nf_state;
    #endif
"""

SOURCE = """
    #include "names.h"
    #include <stddef.h>
    #include "map/map.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        (void) device_count;
        if (config->memory > 8) {
            return false;
        }
        nf_state.config = map_alloc(sizeof(uint32_t), 8);
        nf_state.state = map_alloc(sizeof(uint32_t), 8);
        return nf_state.config != NULL && nf_state.state != NULL;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) device;
        (void) packet;
        (void) now;
        const uint32_t key = length_bytes;
        map_put(nf_state.config, &key, 1);
        nf_state.size = length_bytes;
        return NF_DROP;
    }
"""


def test_structures_are_no_fields(pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    project.nf("names", SOURCE, HEADER)
    project.properties("""
        def test_size_of_a_map_is_no_configuration(step):
            assert step.old.config.size == step.config.size

        def test_size_of_a_map_is_no_number_of_the_state(step):
            assert step.old.state.size == step.old.size

        def test_memory_of_a_configuration_is_none_to_allocate(step):
            assert step.config.memory <= 8
    """, nf="names")  # fmt: skip
    ran = project.prove()
    assert ran.verdict("test_memory_of_a_configuration_is_none_to_allocate") == "Proved"
    for name in ("test_size_of_a_map_is_no_configuration", "test_size_of_a_map_is_no_number_of_the_state"):
        assert ran.verdict(name) == "Refuted"


def test_a_state_that_is_not_exported_is_named(pytester: pytest.Pytester) -> None:
    project = Project(pytester)
    project.nf("names", SOURCE, HEADER.replace("VIGOR_API ", ""))
    project.properties("def test_it(step):\n    assert step.new.config.size <= 8\n", nf="names")
    ran = project.prove()
    assert ran.outcomes == {"test_it": "failed"}
    assert "the state has no 'config'; it has object0, object1; " in ran.said("test_it")
    assert "is nf_state declared VIGOR_API?" in ran.said("test_it")
