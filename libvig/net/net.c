#include "net/net.h"

#include <string.h>

_Static_assert(sizeof(struct net_mac) == 6 && sizeof(struct net_ether) == 14 && sizeof(struct net_ipv4) == 20 &&
                   sizeof(struct net_tcpudp) == 4 && sizeof(struct net_tcp) == 20 && sizeof(struct net_udp) == 8,
               "headers are as long as on the wire");
_Static_assert(sizeof(struct net_flow) == 16 && sizeof(struct net_link) == 12, "there is no padding");

/* The definitions that net.h promises to callers that do not inline, such as those in other languages. */
extern inline uint16_t net_to_host16(net_be16 value);
extern inline uint32_t net_to_host32(net_be32 value);
extern inline net_be16 net_from_host16(uint16_t value);
extern inline net_be32 net_from_host32(uint32_t value);
extern inline bool net_mac_is_group(const struct net_mac *address);
extern inline bool net_mac_is_reserved(const struct net_mac *address);
extern inline struct net_ether *net_ether(uint8_t *packet, uint16_t length_bytes);
extern inline struct net_ipv4 *net_ipv4(uint8_t *packet, uint16_t length_bytes);
extern inline struct net_tcpudp *net_tcpudp(uint8_t *packet, uint16_t length_bytes);
extern inline struct net_tcp *net_tcp(uint8_t *packet, uint16_t length_bytes);
extern inline struct net_udp *net_udp(uint8_t *packet, uint16_t length_bytes);
extern inline net_be16 net_checksum_update16(net_be16 checksum, net_be16 old_value, net_be16 new_value);
extern inline net_be16 net_checksum_update32(net_be16 checksum, net_be32 old_value, net_be32 new_value);
extern inline bool net_ipv4_has_options(const struct net_ipv4 *ipv4);
extern inline bool net_ipv4_checksum_is_right(const struct net_ipv4 *ipv4);
extern inline void net_ipv4_count_hop(struct net_ipv4 *ipv4);
extern inline void net_ether_readdress(struct net_ether *ether, const struct net_link *link);
extern inline struct net_flow net_flow(const struct net_ipv4 *ipv4, const struct net_tcpudp *ports);
extern inline struct net_flow net_flow_reversed(struct net_flow flow);
extern inline net_be16 net_tcpudp_checksum(const struct net_ipv4 *ipv4, const struct net_tcpudp *ports);
extern inline void net_tcpudp_set_checksum(const struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be16 checksum);
extern inline void net_set_src(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 src, net_be16 src_port);
extern inline void net_set_dst(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 dst, net_be16 dst_port);
extern inline void net_set_dst_address(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 dst);

net_be16 net_checksum(const void *data, size_t size_bytes)
{
    const unsigned char *bytes = data;
    uint64_t sum = 0;
    for (; size_bytes >= 2; bytes += 2, size_bytes -= 2) {
        uint16_t word;
        memcpy(&word, bytes, sizeof(word));
        sum += word;
    }
    if (size_bytes == 1) {
        sum += bytes[0];
    }
    while (sum > UINT16_MAX) {
        sum = (sum & UINT16_MAX) + (sum >> 16);
    }
    return (net_be16) ~sum;
}
