"""What refutations look like: addresses that mean nobody where any will do, and otherwise the least."""

from __future__ import annotations

import re

import pytest
from project import Project, Ran

pytest_plugins = ["pytester"]

HEADER = """
    #ifndef GATE_H
    #define GATE_H
    #include "net/net.h"
    #include "nf.h"
    #include "typed.h"
    struct flow { net_be32 inside; net_be32 remote; uint16_t device; uint16_t zone; };
    struct nf_config { net_be32 ours; struct net_mac links[4]; };
    struct nf_state { FLOW_TABLE(flows, struct flow); struct nf_config config; };
    extern VIGOR_API struct nf_state nf_state;
    #endif
"""
# Sends what is for our address to the device of the flow that the sender is the remote end of, if there is one at 0.
GATE = """
    #include "gate.h"
    #include "flow_table/flow_table.h"
    struct nf_state nf_state;
    bool nf_init(const struct nf_config *config, uint16_t device_count)
    {
        nf_state.config = *config;
        nf_state.flows = flow_table_alloc(sizeof(struct flow), 1);
        return device_count == 2 && nf_state.flows != NULL;
    }
    int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
    {
        (void) now;
        struct flow flow;
        struct net_ether *ether = net_ether(packet, length_bytes);
        struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
        if (ether == NULL || ipv4 == NULL || device > 1 || ipv4->dst != nf_state.config.ours ||
            !flow_table_key_at(nf_state.flows, 0, &flow) || flow.remote != ipv4->src || flow.device > 1) {
            return NF_DROP;
        }
        ether->source = nf_state.config.links[flow.device];
        return flow.device;
    }
"""
PROPERTIES = """
    def test_any_will_do(step):
        assert step.dropped

    def test_equal(step):
        if step.sent:
            assert step.packet.ipv4.src != step.packet.ipv4.dst

    def test_named(step):
        if step.sent:
            assert step.packet.ipv4.src != 0x7F000001

    def test_above(step):
        if step.sent:
            assert step.packet.ipv4.src < 0xE0000001

    def test_zero(step):
        if step.sent:
            assert step.packet.ipv4.src != 0

    def test_link(step):
        for device, packet in step.sent:
            assert packet.ether.src != step.packet.ether.dst

    def test_group(step):
        assert step.dropped or not step.packet.ether.src >> 40 & 1
"""


@pytest.fixture
def ran(pytester: pytest.Pytester) -> Ran:
    project = Project(pytester)
    project.nf(source=GATE, header=HEADER)
    project.properties(PROPERTIES)
    return project.prove("--vigor-reach", "0")


def value(ran: Ran, test: str, field: str) -> str:
    """What a report says of a field."""
    found = re.search(rf"^  {re.escape(field)}  +(\S+)", ran.texts[test], re.MULTILINE)
    assert found, ran.texts[test]
    return found[1]


def test_addresses_mean_nobody_and_are_equal_only_where_they_have_to_be(ran: Ran) -> None:
    found = [value(ran, "test_any_will_do", field) for field in ("ipv4.src", "ipv4.dst", "config.ours")]
    assert found == ["192.0.2.1", "198.51.100.1", "198.51.100.1"]
    assert "flows[(inside=203.0.113.1, remote=192.0.2.1, device=0, zone=0)]" in ran.texts["test_any_will_do"]
    assert value(ran, "test_equal", "ipv4.src") == value(ran, "test_equal", "ipv4.dst") == "192.0.2.1"
    assert value(ran, "test_group", "ether.src") == "01:00:5e:90:10:01"


def test_an_address_that_matters_by_its_value_stays(ran: Ran) -> None:
    found = {test: value(ran, test, "ipv4.src") for test in ("test_named", "test_above", "test_zero")}
    assert found == {"test_named": "127.0.0.1", "test_above": "224.0.0.1", "test_zero": "0.0.0.0"}


def test_of_an_array_only_the_address_that_matters_is_one(ran: Ran) -> None:
    assert value(ran, "test_link", "config.links[0]") == value(ran, "test_link", "ether.dst") == "00:00:5e:00:53:01"
    assert "config.links[1] to [3]  all 0" in ran.texts["test_link"]
    assert "config.links[0] to [3]  all 0" in ran.texts["test_equal"]


def test_each_is_seen_natively(ran: Ran) -> None:
    assert set(ran.outcomes) == set(re.findall(r"def (test_\w+)", PROPERTIES))
    for name in ran.outcomes:
        assert ran.records[name]["verdict"] == "Refuted" and ran.records[name]["confirmed"], ran.texts[name]
