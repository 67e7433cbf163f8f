#include "bridge.h"

#include "flow_table/flow_table.h"
#include "map/map.h"
#include "vector/vector.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count < BRIDGE_DEVICE_COUNT_MIN || device_count > BRIDGE_DEVICE_COUNT_MAX ||
        config->expiration_ns < 1 || config->expiration_ns > BRIDGE_EXPIRATION_NS_MAX ||
        config->capacity < 1 || config->capacity > BRIDGE_CAPACITY_MAX ||
        config->static_capacity < 1 || config->static_capacity > BRIDGE_CAPACITY_MAX) {
        return false;
    }
    nf_state.stations = flow_table_alloc(sizeof(struct net_mac), config->capacity);
    nf_state.ports = vector_alloc(sizeof(struct bridge_port), config->capacity);
    nf_state.static_entries = map_alloc(sizeof(struct bridge_static_key), config->static_capacity);
    nf_state.expiration_ns = config->expiration_ns;
    nf_state.device_count = device_count;
    return nf_state.stations != NULL && nf_state.ports != NULL && nf_state.static_entries != NULL;
}

bool bridge_add_static(const struct bridge_static *entry)
{
    if (entry->device >= nf_state.device_count ||
        (entry->output >= nf_state.device_count && entry->output != BRIDGE_FILTER)) {
        return false;
    }
    const struct bridge_static_key key = {entry->address, entry->device};
    return map_put(nf_state.static_entries, &key, entry->output);
}

/* 802.1Q section 8.7. A full table is no reason to stop forwarding: the station just stays unknown. */
static void learn(const struct net_mac *source, uint16_t device, vigor_time_t now)
{
    uint32_t index;
    if (net_mac_is_group(source) ||
        (!flow_table_find_and_refresh(nf_state.stations, source, now, &index) &&
         !flow_table_put(nf_state.stations, source, now, &index))) {
        return;
    }
    struct bridge_port *port = vector_borrow(nf_state.ports, index);
    port->device = device;
    vector_give_back(nf_state.ports, port);
}

/* 802.1Q section 8.6. */
static int forward(const struct net_mac *destination, uint16_t device)
{
    if (net_mac_is_reserved(destination)) {
        return NF_DROP;
    }
    const struct bridge_static_key key = {*destination, device};
    uint32_t output;
    if (map_get(nf_state.static_entries, &key, &output)) {
        return output == BRIDGE_FILTER || output == device ? NF_DROP : (int) output;
    }
    uint32_t index;
    if (net_mac_is_group(destination) || !flow_table_find(nf_state.stations, destination, &index)) {
        return NF_FLOOD;
    }
    struct bridge_port *port = vector_borrow(nf_state.ports, index);
    output = port->device;
    vector_give_back(nf_state.ports, port);
    return output == device ? NF_DROP : (int) output;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    const struct net_ether *ether = net_ether(packet, length_bytes);
    if (ether == NULL) {
        return NF_DROP;
    }
    flow_table_expire_before(nf_state.stations, now - nf_state.expiration_ns);
    learn(&ether->source, device, now);
    return forward(&ether->destination, device);
}
