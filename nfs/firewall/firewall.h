/*
 * A stateful firewall for TCP and UDP: inside hosts open sessions, the outside can only answer.
 */

#ifndef FIREWALL_H
#define FIREWALL_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define FIREWALL_DEVICE_COUNT_MIN 2
#define FIREWALL_DEVICE_COUNT_MAX 32

/* 1,000,000 s, well beyond the longest time that a standard asks for (2 h 4 min, RFC 5382 REQ-5). */
#define FIREWALL_EXPIRATION_NS_MAX INT64_C(1000000000000000)

/* In less than 100 MB: a larger number is a slip of the keyboard. */
#define FIREWALL_CAPACITY_MAX (UINT32_C(1) << 20)

struct nf_config {
    vigor_time_t expiration_ns; /* how long a session lives without packets: 1 to FIREWALL_EXPIRATION_NS_MAX */
    uint32_t capacity;          /* how many sessions there can be: 1 to FIREWALL_CAPACITY_MAX */
    uint16_t wan_device;        /* the outside device; all others are inside */
    struct net_link links[FIREWALL_DEVICE_COUNT_MAX]; /* by device; those from the device count on are not used */
};

/* What is known of a session besides its addresses and ports: the inside device that opened it. */
struct firewall_opener {
    uint16_t device;
};

struct nf_state {
    FLOW_TABLE(sessions, struct net_flow); /* as seen from inside */
    VECTOR(openers, struct firewall_opener);
    struct nf_config config;
};

extern VIGOR_API struct nf_state nf_state;

#endif
