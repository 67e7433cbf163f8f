/* Packet headers, parsing that cannot leave the frame, and Internet checksums. */

#ifndef VIGOR_NET_H
#define VIGOR_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"

/* Numbers in network byte order. The names carry meaning: whoever reads the types knows to turn the bytes around. */
typedef uint16_t net_be16;
typedef uint32_t net_be32;

/* Frames put headers at any address and are written as plain bytes: headers need no alignment and may alias those. */
#define NET_HEADER __attribute__((packed, may_alias))

/* IEEE 802 48-bit address. */
struct net_mac {
    uint8_t bytes[6];
};

/* IEEE 802.3 clause 3. */
struct net_ether {
    struct net_mac destination;
    struct net_mac source;
    net_be16 type;
} NET_HEADER;

/* RFC 791 section 3.1, without options. */
struct net_ipv4 {
    uint8_t version_ihl;
    uint8_t type_of_service;
    net_be16 total_length;
    net_be16 identification;
    net_be16 flags_fragment_offset;
    uint8_t time_to_live;
    uint8_t protocol;
    net_be16 checksum;
    net_be32 src;
    net_be32 dst;
} NET_HEADER;

/* What TCP and UDP headers have in common. */
struct net_tcpudp {
    net_be16 src_port;
    net_be16 dst_port;
} NET_HEADER;

/* RFC 9293 section 3.1, without options. */
struct net_tcp {
    net_be16 src_port;
    net_be16 dst_port;
    net_be32 sequence_number;
    net_be32 acknowledgement_number;
    uint8_t data_offset;
    uint8_t flags;
    net_be16 window;
    net_be16 checksum;
    net_be16 urgent_pointer;
} NET_HEADER;

/* RFC 768. */
struct net_udp {
    net_be16 src_port;
    net_be16 dst_port;
    net_be16 length;
    net_be16 checksum;
} NET_HEADER;

/* The Ethernet addresses of frames sent to one neighbour, in their order on the wire. */
struct net_link {
    struct net_mac next_hop; /* the neighbour */
    struct net_mac own;      /* ours */
};

/* What tells one flow of TCP or UDP packets from another. Without padding, so it can be a key. */
struct net_flow {
    net_be32 src;
    net_be32 dst;
    net_be16 src_port;
    net_be16 dst_port;
    uint32_t protocol;
};

#define NET_TYPE_IPV4 UINT16_C(0x0800)
#define NET_PROTOCOL_TCP UINT8_C(6)
#define NET_PROTOCOL_UDP UINT8_C(17)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "net.h is written for little-endian machines"
#endif

VIGOR_INLINE uint16_t net_to_host16(net_be16 value)
{
    return __builtin_bswap16(value);
}

VIGOR_INLINE uint32_t net_to_host32(net_be32 value)
{
    return __builtin_bswap32(value);
}

VIGOR_INLINE net_be16 net_from_host16(uint16_t value)
{
    return __builtin_bswap16(value);
}

VIGOR_INLINE net_be32 net_from_host32(uint32_t value)
{
    return __builtin_bswap32(value);
}

/* Whether the address names a group of stations, broadcast included: the I/G bit (IEEE 802 section 8.2). */
VIGOR_INLINE bool net_mac_is_group(const struct net_mac *address)
{
    return (address->bytes[0] & 1) != 0;
}

/*
 * Whether the address is one of those that no bridge forwards: 01-80-C2-00-00-00 to -0F (IEEE 802.1Q section 8.6.3).
 */
VIGOR_INLINE bool net_mac_is_reserved(const struct net_mac *address)
{
    return address->bytes[0] == 0x01 && address->bytes[1] == 0x80 && address->bytes[2] == 0xC2 &&
           address->bytes[3] == 0x00 && address->bytes[4] == 0x00 && (address->bytes[5] & 0xF0) == 0x00;
}

/* The Ethernet header at the start of the frame; NULL unless the frame holds all of it. */
VIGOR_INLINE struct net_ether *net_ether(uint8_t *packet, uint16_t length_bytes)
{
    return length_bytes < sizeof(struct net_ether) ? NULL : (struct net_ether *) packet;
}

/*
 * The IPv4 header of the frame; NULL unless the Ethernet type and the version say that there is one, it lies in the
 * frame with its options, and its total length covers at least itself and at most what the frame holds.
 * The checksum is not looked at.
 */
VIGOR_INLINE struct net_ipv4 *net_ipv4(uint8_t *packet, uint16_t length_bytes)
{
    const struct net_ether *ether = net_ether(packet, length_bytes);
    if (ether == NULL || ether->type != net_from_host16(NET_TYPE_IPV4)) {
        return NULL;
    }
    const uint32_t room_bytes = length_bytes - (uint32_t) sizeof(struct net_ether);
    if (room_bytes < sizeof(struct net_ipv4)) {
        return NULL;
    }
    struct net_ipv4 *ipv4 = (struct net_ipv4 *) (packet + sizeof(struct net_ether));
    const uint32_t header_bytes = (ipv4->version_ihl & 0x0Fu) * 4u;
    const uint32_t total_bytes = net_to_host16(ipv4->total_length);
    if (ipv4->version_ihl >> 4 != 4 || header_bytes < sizeof(struct net_ipv4) || total_bytes < header_bytes ||
        total_bytes > room_bytes) {
        return NULL;
    }
    return ipv4;
}

/* The ports of the frame; NULL unless net_tcp or net_udp finds a header in it. */
VIGOR_INLINE struct net_tcpudp *net_tcpudp(uint8_t *packet, uint16_t length_bytes)
{
    struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
    if (ipv4 == NULL || (ipv4->flags_fragment_offset & net_from_host16(0x3FFF)) != 0) {
        return NULL;
    }
    const uint32_t header_bytes = (ipv4->version_ihl & 0x0Fu) * 4u;
    const uint32_t payload_bytes = net_to_host16(ipv4->total_length) - header_bytes;
    const uint32_t needed_bytes = ipv4->protocol == NET_PROTOCOL_TCP   ? (uint32_t) sizeof(struct net_tcp)
                                  : ipv4->protocol == NET_PROTOCOL_UDP ? (uint32_t) sizeof(struct net_udp)
                                                                       : UINT32_MAX;
    if (payload_bytes < needed_bytes) {
        return NULL;
    }
    return (struct net_tcpudp *) ((uint8_t *) ipv4 + header_bytes);
}

/*
 * The TCP header of the frame; NULL unless net_ipv4 finds a header, the datagram is no fragment and carries TCP, and
 * its total length covers the TCP header without options.
 */
VIGOR_INLINE struct net_tcp *net_tcp(uint8_t *packet, uint16_t length_bytes)
{
    struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
    if (ports == NULL || net_ipv4(packet, length_bytes)->protocol != NET_PROTOCOL_TCP) {
        return NULL;
    }
    return (struct net_tcp *) ports;
}

/*
 * The UDP header of the frame; NULL unless net_ipv4 finds a header, the datagram is no fragment and carries UDP, and
 * its total length covers the UDP header. The UDP length is not looked at.
 */
VIGOR_INLINE struct net_udp *net_udp(uint8_t *packet, uint16_t length_bytes)
{
    struct net_tcpudp *ports = net_tcpudp(packet, length_bytes);
    if (ports == NULL || net_ipv4(packet, length_bytes)->protocol != NET_PROTOCOL_UDP) {
        return NULL;
    }
    return (struct net_udp *) ports;
}

/*
 * The checksum of data in which one 16-bit word, at an even offset, changes from old_value to new_value, given the
 * checksum before: RFC 1624 equation 3.
 * In UDP, checksum 0 means that there is none (RFC 768): then do not call this, and send a result of 0 as 0xFFFF.
 */
VIGOR_INLINE net_be16 net_checksum_update16(net_be16 checksum, net_be16 old_value, net_be16 new_value)
{
    uint32_t sum = (uint32_t) (uint16_t) ~checksum + (uint16_t) ~old_value + new_value;
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (net_be16) ~sum;
}

/* The same for 32 bits at an even offset. */
VIGOR_INLINE net_be16 net_checksum_update32(net_be16 checksum, net_be32 old_value, net_be32 new_value)
{
    checksum = net_checksum_update16(checksum, (net_be16) old_value, (net_be16) new_value);
    return net_checksum_update16(checksum, (net_be16) (old_value >> 16), (net_be16) (new_value >> 16));
}

/* Whether the header that net_ipv4 found is longer than its fixed part. */
VIGOR_INLINE bool net_ipv4_has_options(const struct net_ipv4 *ipv4)
{
    return (ipv4->version_ihl & 0x0F) != 5;
}

/* Whether the checksum of the header that net_ipv4 found, which has no options, is right (RFC 791 section 3.1). */
VIGOR_INLINE bool net_ipv4_checksum_is_right(const struct net_ipv4 *ipv4)
{
    const uint32_t first_word = ipv4->version_ihl | (uint32_t) ipv4->type_of_service << 8;
    const uint32_t fifth_word = ipv4->time_to_live | (uint32_t) ipv4->protocol << 8;
    uint32_t sum = first_word + ipv4->total_length + ipv4->identification + ipv4->flags_fragment_offset + fifth_word +
                   ipv4->checksum;
    sum += (ipv4->src & 0xFFFF) + (ipv4->src >> 16) + (ipv4->dst & 0xFFFF) + (ipv4->dst >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return sum == 0xFFFF;
}

/*
 * Takes one from the time to live, which must not be 0, of the header that net_ipv4 found. The checksum follows by RFC
 * 1624, so a right one stays right and a wrong one wrong.
 */
VIGOR_INLINE void net_ipv4_count_hop(struct net_ipv4 *ipv4)
{
    const net_be16 protocol = (net_be16) (ipv4->protocol << 8); /* it shares a word with the time to live */
    const net_be16 before = (net_be16) (ipv4->time_to_live | protocol);
    ipv4->time_to_live--;
    ipv4->checksum = net_checksum_update16(ipv4->checksum, before, (net_be16) (ipv4->time_to_live | protocol));
}

/* Addresses the frame to the neighbour at the other end of the link. */
VIGOR_INLINE void net_ether_readdress(struct net_ether *ether, const struct net_link *link)
{
    ether->destination = link->next_hop;
    ether->source = link->own;
}

/* The flow of the packet that net_ipv4 and net_tcpudp found. */
VIGOR_INLINE struct net_flow net_flow(const struct net_ipv4 *ipv4, const struct net_tcpudp *ports)
{
    return (struct net_flow){ipv4->src, ipv4->dst, ports->src_port, ports->dst_port, ipv4->protocol};
}

/* The flow of the replies to a flow. */
VIGOR_INLINE struct net_flow net_flow_reversed(struct net_flow flow)
{
    return (struct net_flow){flow.dst, flow.src, flow.dst_port, flow.src_port, flow.protocol};
}

/* The TCP or UDP checksum of the packet that net_ipv4 and net_tcpudp found. */
VIGOR_INLINE net_be16 net_tcpudp_checksum(const struct net_ipv4 *ipv4, const struct net_tcpudp *ports)
{
    return ipv4->protocol == NET_PROTOCOL_TCP ? ((const struct net_tcp *) ports)->checksum
                                              : ((const struct net_udp *) ports)->checksum;
}

/*
 * Makes checksum the TCP or UDP checksum of the packet that net_ipv4 and net_tcpudp found. In UDP, 0 is sent as
 * 0xFFFF, and a datagram that came without a checksum stays without (RFC 768).
 */
VIGOR_INLINE void net_tcpudp_set_checksum(const struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be16 checksum)
{
    if (ipv4->protocol == NET_PROTOCOL_TCP) {
        ((struct net_tcp *) ports)->checksum = checksum;
    } else if (((struct net_udp *) ports)->checksum != 0) {
        ((struct net_udp *) ports)->checksum = checksum == 0 ? UINT16_MAX : checksum;
    }
}

/*
 * Changes where the packet that net_ipv4 and net_tcpudp found comes from. Both checksums follow by RFC 1624, so right
 * ones stay right and wrong ones wrong.
 */
VIGOR_INLINE void net_set_src(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 src, net_be16 src_port)
{
    net_be16 checksum = net_checksum_update32(net_tcpudp_checksum(ipv4, ports), ipv4->src, src);
    checksum = net_checksum_update16(checksum, ports->src_port, src_port);
    net_tcpudp_set_checksum(ipv4, ports, checksum);
    ipv4->checksum = net_checksum_update32(ipv4->checksum, ipv4->src, src);
    ipv4->src = src;
    ports->src_port = src_port;
}

/* The same for where it goes. */
VIGOR_INLINE void net_set_dst(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 dst, net_be16 dst_port)
{
    net_be16 checksum = net_checksum_update32(net_tcpudp_checksum(ipv4, ports), ipv4->dst, dst);
    checksum = net_checksum_update16(checksum, ports->dst_port, dst_port);
    net_tcpudp_set_checksum(ipv4, ports, checksum);
    ipv4->checksum = net_checksum_update32(ipv4->checksum, ipv4->dst, dst);
    ipv4->dst = dst;
    ports->dst_port = dst_port;
}

/* The same for the address that it goes to, whose port stays. */
VIGOR_INLINE void net_set_dst_address(struct net_ipv4 *ipv4, struct net_tcpudp *ports, net_be32 dst)
{
    const net_be16 checksum = net_checksum_update32(net_tcpudp_checksum(ipv4, ports), ipv4->dst, dst);
    net_tcpudp_set_checksum(ipv4, ports, checksum);
    ipv4->checksum = net_checksum_update32(ipv4->checksum, ipv4->dst, dst);
    ipv4->dst = dst;
}

/*
 * The Internet checksum of size_bytes bytes: RFC 1071. Over data that contains its own checksum it is 0 if that is
 * right.
 * O(size_bytes).
 */
VIGOR_API net_be16 net_checksum(const void *data, size_t size_bytes);

#endif
