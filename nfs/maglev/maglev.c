#include "maglev.h"

#include "consistent_hash/consistent_hash.h"
#include "flow_table/flow_table.h"
#include "vector/vector.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count < MAGLEV_DEVICE_COUNT_MIN || device_count > MAGLEV_DEVICE_COUNT_MAX ||
        config->wan_device >= device_count ||
        config->flow_expiration_ns < 1 || config->flow_expiration_ns > MAGLEV_EXPIRATION_NS_MAX ||
        config->backend_expiration_ns < 1 || config->backend_expiration_ns > MAGLEV_EXPIRATION_NS_MAX ||
        config->flow_capacity < 1 || config->flow_capacity > MAGLEV_CAPACITY_MAX ||
        config->backend_capacity < 1 || config->backend_capacity > MAGLEV_BACKEND_CAPACITY_MAX ||
        config->slots < MAGLEV_SLOTS_PER_BACKEND_MIN * config->backend_capacity || config->slots > MAGLEV_SLOTS_MAX) {
        return false;
    }
    nf_state.flows = flow_table_alloc(sizeof(struct net_flow), config->flow_capacity);
    nf_state.assignments = vector_alloc(sizeof(struct maglev_assignment), config->flow_capacity);
    nf_state.backend_ips = flow_table_alloc(sizeof(net_be32), config->backend_capacity);
    nf_state.backends = vector_alloc(sizeof(struct maglev_backend), config->backend_capacity);
    nf_state.preferences =
        consistent_hash_alloc(sizeof(struct net_flow), config->backend_capacity, config->slots);
    nf_state.config = *config;
    return nf_state.flows != NULL && nf_state.assignments != NULL && nf_state.backend_ips != NULL &&
           nf_state.backends != NULL && nf_state.preferences != NULL;
}

/* A backend may come back on another device, or as another machine. */
static void heartbeat(net_be32 backend_ip, struct net_mac address, uint16_t device, vigor_time_t now)
{
    uint32_t index;
    if (!flow_table_find_and_refresh(nf_state.backend_ips, &backend_ip, now, &index) &&
        !flow_table_put(nf_state.backend_ips, &backend_ip, now, &index)) {
        return;
    }
    struct maglev_backend *backend = vector_borrow(nf_state.backends, index);
    backend->address = address;
    backend->device = device;
    vector_give_back(nf_state.backends, backend);
}

/*
 * Maglev section 3.3: a flow whose backend lives stays with it, others go where consistent hashing sends them, and a
 * full table is no reason to turn a flow away. Backends are remembered by address: an index may pass to another one.
 * False, without effect, if no backend lives.
 */
static bool assign(struct net_flow flow, vigor_time_t now, net_be32 *out_backend_ip, uint32_t *out_backend)
{
    uint32_t index;
    const bool known = flow_table_find(nf_state.flows, &flow, &index);
    if (known) {
        struct maglev_assignment *assignment = vector_borrow(nf_state.assignments, index);
        *out_backend_ip = assignment->backend_ip;
        vector_give_back(nf_state.assignments, assignment);
    }
    if ((!known || !flow_table_find(nf_state.backend_ips, out_backend_ip, out_backend)) &&
        !consistent_hash_choose(nf_state.preferences, &flow, nf_state.backend_ips, out_backend_ip, out_backend)) {
        return false;
    }
    if (known) {
        flow_table_refresh(nf_state.flows, index, now);
    } else if (!flow_table_put(nf_state.flows, &flow, now, &index)) {
        return true;
    }
    struct maglev_assignment *assignment = vector_borrow(nf_state.assignments, index);
    assignment->backend_ip = *out_backend_ip;
    vector_give_back(nf_state.assignments, assignment);
    return true;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
    if (ports == NULL) {
        return NF_DROP;
    }
    struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
    struct net_ether *ether = net_ether(packet, length_bytes);
    flow_table_expire_before(nf_state.flows, now - nf_state.config.flow_expiration_ns);
    flow_table_expire_before(nf_state.backend_ips, now - nf_state.config.backend_expiration_ns);
    if (device != nf_state.config.wan_device) {
        heartbeat(ipv4->src, ether->source, device, now);
        return NF_DROP;
    }
    net_be32 backend_ip;
    uint32_t index;
    if (!assign(net_flow(ipv4, ports), now, &backend_ip, &index)) {
        return NF_DROP;
    }
    struct maglev_backend *backend = vector_borrow(nf_state.backends, index);
    const uint16_t output = backend->device;
    ether->destination = backend->address;
    vector_give_back(nf_state.backends, backend);
    ether->source = nf_state.config.addresses[output];
    net_set_dst_address(ipv4, ports, backend_ip);
    return output;
}
