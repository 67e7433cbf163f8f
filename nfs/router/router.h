/*
 * An IPv4 router: the forwarding of RFC 1812 section 5.2, between links with one neighbour each, by a table of routes
 * that does not change while packets come.
 */

#ifndef ROUTER_H
#define ROUTER_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define ROUTER_DEVICE_COUNT_MIN 2
#define ROUTER_DEVICE_COUNT_MAX 32

/* More routes than the Internet has, in 1 GB and 64 MB, of which only what is used is ever touched. */
#define ROUTER_CAPACITY_MAX (UINT32_C(1) << 20)

struct nf_config {
    uint32_t capacity;                              /* how many routes there can be: 1 to ROUTER_CAPACITY_MAX */
    struct net_link links[ROUTER_DEVICE_COUNT_MAX]; /* by device; those from the device count on are not used */
};

/* Packets to addresses that begin with the first length bits of prefix leave through device, to its neighbour. */
struct router_route {
    net_be32 prefix;
    uint16_t length;
    uint16_t device;
};

struct nf_state {
    LPM(routes); /* prefix to device */
    struct nf_config config;
    uint16_t device_count;
};

extern VIGOR_API struct nf_state nf_state;

/*
 * Adds a route, or replaces the one for the same prefix. Can be called any number of times after nf_init.
 * False, without effect, if the length is above 32, the prefix has bits beyond it, the device does not exist, or there
 * is no room.
 */
VIGOR_API bool router_add_route(const struct router_route *route);

#endif
