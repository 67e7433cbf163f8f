/*
 * A network address and port translator (RFC 3022 NAPT) for TCP and UDP: any number of inside devices share one
 * address on the outside device.
 */

#ifndef NAT_H
#define NAT_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define NAT_DEVICE_COUNT_MIN 2
#define NAT_DEVICE_COUNT_MAX 32

/* 1,000,000 s, well beyond the longest time that a standard asks for (2 h 4 min, RFC 5382 REQ-5). */
#define NAT_EXPIRATION_NS_MAX INT64_C(1000000000000000)

/* Outside ports end below this. */
#define NAT_PORT_LIMIT UINT32_C(65536)

struct nf_config {
    vigor_time_t expiration_ns; /* how long a flow lives without packets: 1 to NAT_EXPIRATION_NS_MAX */
    net_be32 external_ip;       /* the address that the outside sees */
    uint32_t capacity;          /* how many flows there can be: 1 to NAT_PORT_LIMIT - start_port */
    uint16_t start_port;        /* the flow at index i has the outside port start_port + i: from 1, as port 0 is none */
    uint16_t wan_device;        /* the outside device; all others are inside */
    struct net_link links[NAT_DEVICE_COUNT_MAX]; /* by device; those from the device count on are not used */
};

/*
 * A flow, as seen from inside. The device is part of what tells flows apart, so networks behind different devices may
 * use the same addresses.
 */
struct nat_flow {
    net_be32 inside_ip;
    net_be32 remote_ip;
    net_be16 inside_port;
    net_be16 remote_port;
    uint16_t protocol;
    uint16_t inside_device;
};

struct nf_state {
    FLOW_TABLE(flows, struct nat_flow);
    struct nf_config config;
};

extern VIGOR_API struct nf_state nf_state;

#endif
