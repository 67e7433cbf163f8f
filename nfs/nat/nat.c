#include "nat.h"

#include "flow_table/flow_table.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count < NAT_DEVICE_COUNT_MIN || device_count > NAT_DEVICE_COUNT_MAX ||
        config->wan_device >= device_count ||
        config->expiration_ns < 1 || config->expiration_ns > NAT_EXPIRATION_NS_MAX ||
        config->start_port < 1 || config->capacity < 1 || config->capacity > NAT_PORT_LIMIT - config->start_port) {
        return false;
    }
    nf_state.flows = flow_table_alloc(sizeof(struct nat_flow), config->capacity);
    nf_state.config = *config;
    return nf_state.flows != NULL;
}

static int from_inside(uint16_t device, struct net_ether *ether, struct net_ipv4 *ipv4, struct net_tcpudp *ports,
                       vigor_time_t now)
{
    const struct nat_flow flow = {.inside_ip = ipv4->src,
                                  .remote_ip = ipv4->dst,
                                  .inside_port = ports->src_port,
                                  .remote_port = ports->dst_port,
                                  .protocol = ipv4->protocol,
                                  .inside_device = device};
    uint32_t index;
    if (!flow_table_find_and_refresh(nf_state.flows, &flow, now, &index) &&
        !flow_table_put(nf_state.flows, &flow, now, &index)) {
        return NF_DROP;
    }
    const uint16_t port = (uint16_t) (nf_state.config.start_port + index);
    net_ether_readdress(ether, &nf_state.config.links[nf_state.config.wan_device]);
    net_set_src(ipv4, ports, nf_state.config.external_ip, net_from_host16(port));
    return nf_state.config.wan_device;
}

static int from_outside(struct net_ether *ether, struct net_ipv4 *ipv4, struct net_tcpudp *ports, vigor_time_t now)
{
    /* A port before the first one wraps to an index beyond the last. */
    const uint32_t index = (uint32_t) net_to_host16(ports->dst_port) - nf_state.config.start_port;
    struct nat_flow flow;
    if (ipv4->dst != nf_state.config.external_ip || !flow_table_key_at(nf_state.flows, index, &flow) ||
        ipv4->src != flow.remote_ip || ports->src_port != flow.remote_port || ipv4->protocol != flow.protocol) {
        return NF_DROP;
    }
    flow_table_refresh(nf_state.flows, index, now);
    net_ether_readdress(ether, &nf_state.config.links[flow.inside_device]);
    net_set_dst(ipv4, ports, flow.inside_ip, flow.inside_port);
    return flow.inside_device;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
    if (ports == NULL) {
        return NF_DROP;
    }
    struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
    struct net_ether *ether = net_ether(packet, length_bytes);
    flow_table_expire_before(nf_state.flows, now - nf_state.config.expiration_ns);
    return device == nf_state.config.wan_device ? from_outside(ether, ipv4, ports, now)
                                                : from_inside(device, ether, ipv4, ports, now);
}
