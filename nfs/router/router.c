#include "router.h"

#include "lpm/lpm.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count < ROUTER_DEVICE_COUNT_MIN || device_count > ROUTER_DEVICE_COUNT_MAX || config->capacity < 1 ||
        config->capacity > ROUTER_CAPACITY_MAX) {
        return false;
    }
    nf_state.routes = lpm_alloc(config->capacity);
    nf_state.config = *config;
    nf_state.device_count = device_count;
    return nf_state.routes != NULL;
}

bool router_add_route(const struct router_route *route)
{
    return route->device < nf_state.device_count &&
           lpm_add(nf_state.routes, net_to_host32(route->prefix), route->length, route->device);
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    (void) device;
    (void) now;
    struct net_ether *ether = net_ether(packet, length_bytes);
    struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
    if (ipv4 == NULL || net_ipv4_has_options(ipv4) || !net_ipv4_checksum_is_right(ipv4) ||
        net_mac_is_group(&ether->destination)) {
        return NF_DROP;
    }
    uint32_t output;
    if (ipv4->time_to_live <= 1 || !lpm_search(nf_state.routes, net_to_host32(ipv4->dst), &output)) {
        return NF_DROP;
    }
    net_ipv4_count_hop(ipv4);
    net_ether_readdress(ether, &nf_state.config.links[output]);
    return (int) output;
}
