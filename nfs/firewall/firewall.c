#include "firewall.h"

#include "flow_table/flow_table.h"
#include "vector/vector.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count < FIREWALL_DEVICE_COUNT_MIN || device_count > FIREWALL_DEVICE_COUNT_MAX ||
        config->wan_device >= device_count ||
        config->expiration_ns < 1 || config->expiration_ns > FIREWALL_EXPIRATION_NS_MAX ||
        config->capacity < 1 || config->capacity > FIREWALL_CAPACITY_MAX) {
        return false;
    }
    nf_state.sessions = flow_table_alloc(sizeof(struct net_flow), config->capacity);
    nf_state.openers = vector_alloc(sizeof(struct firewall_opener), config->capacity);
    nf_state.config = *config;
    return nf_state.sessions != NULL && nf_state.openers != NULL;
}

static uint16_t opener_of(uint32_t session)
{
    struct firewall_opener *opener = vector_borrow(nf_state.openers, session);
    const uint16_t device = opener->device;
    vector_give_back(nf_state.openers, opener);
    return device;
}

/*
 * A full table is no reason to stop what is going out. A session that another device opened is not refreshed: should
 * its host have moved, it ages, and can then be opened anew.
 */
static int from_inside(struct net_flow flow, uint16_t device, vigor_time_t now)
{
    uint32_t session;
    if (flow_table_find(nf_state.sessions, &flow, &session)) {
        if (opener_of(session) == device) {
            flow_table_refresh(nf_state.sessions, session, now);
        }
    } else if (flow_table_put(nf_state.sessions, &flow, now, &session)) {
        struct firewall_opener *opener = vector_borrow(nf_state.openers, session);
        opener->device = device;
        vector_give_back(nf_state.openers, opener);
    }
    return nf_state.config.wan_device;
}

static int from_outside(struct net_flow flow, vigor_time_t now)
{
    const struct net_flow answered = net_flow_reversed(flow);
    uint32_t session;
    if (!flow_table_find_and_refresh(nf_state.sessions, &answered, now, &session)) {
        return NF_DROP;
    }
    return opener_of(session);
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    const struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
    if (ports == NULL) {
        return NF_DROP;
    }
    const struct net_flow flow = net_flow(net_ipv4(packet, length_bytes), ports);
    flow_table_expire_before(nf_state.sessions, now - nf_state.config.expiration_ns);
    const int output = device == nf_state.config.wan_device ? from_outside(flow, now) : from_inside(flow, device, now);
    if (output != NF_DROP) {
        net_ether_readdress(net_ether(packet, length_bytes), &nf_state.config.links[output]);
    }
    return output;
}
