/*
 * A load balancer after Maglev (NSDI'16, sections 3.3 and 3.4) for TCP and UDP: connections from outside are spread
 * evenly over backends inside, and stay with theirs while it lives.
 */

#ifndef MAGLEV_H
#define MAGLEV_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define MAGLEV_DEVICE_COUNT_MIN 2
#define MAGLEV_DEVICE_COUNT_MAX 32

/* 1,000,000 s. */
#define MAGLEV_EXPIRATION_NS_MAX INT64_C(1000000000000000)

/* In less than 100 MB: a larger number is a slip of the keyboard. */
#define MAGLEV_CAPACITY_MAX (UINT32_C(1) << 20)

/* As many backends as the paper measures with, and some more. */
#define MAGLEV_BACKEND_CAPACITY_MAX UINT32_C(1024)

/* As the paper recommends: backends differ by at most one slot, so their shares of all slots by at most 1 %. */
#define MAGLEV_SLOTS_PER_BACKEND_MIN UINT32_C(100)

/* Beyond the paper's largest table, of 655,373. */
#define MAGLEV_SLOTS_MAX (UINT32_C(1) << 20)

struct nf_config {
    vigor_time_t flow_expiration_ns;    /* how long a flow lives without packets: 1 to MAGLEV_EXPIRATION_NS_MAX */
    vigor_time_t backend_expiration_ns; /* how long a backend lives without heartbeats: likewise */
    uint32_t flow_capacity;             /* how many flows can be remembered: 1 to MAGLEV_CAPACITY_MAX */
    uint32_t backend_capacity;          /* how many backends there can be: 1 to MAGLEV_BACKEND_CAPACITY_MAX */
    uint32_t slots;                     /* of the consistent-hash table, which makes a prime of it:
                                           MAGLEV_SLOTS_PER_BACKEND_MIN * backend_capacity to MAGLEV_SLOTS_MAX */
    uint16_t wan_device;                /* the outside device; all others are inside */
    struct net_mac addresses[MAGLEV_DEVICE_COUNT_MAX]; /* ours, by device; those from the device count on are unused */
};

/* What is known of a flow besides its addresses and ports: the backend that it went to last. */
struct maglev_assignment {
    net_be32 backend_ip;
};

/* What is known of a backend besides its IP address: how its last heartbeat came. */
struct maglev_backend {
    struct net_mac address;
    uint16_t device;
};

struct nf_state {
    FLOW_TABLE(flows, struct net_flow); /* as they come from outside */
    VECTOR(assignments, struct maglev_assignment);
    FLOW_TABLE(backend_ips, net_be32);
    VECTOR(backends, struct maglev_backend);
    CONSISTENT_HASH(preferences, struct net_flow);
    struct nf_config config;
};

extern VIGOR_API struct nf_state nf_state;

#endif
