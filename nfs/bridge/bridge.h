/*
 * A MAC bridge without VLANs: IEEE 802.1Q sections 8.6 (forwarding), 8.7 (learning) and 8.8 (the filtering database).
 */

#ifndef BRIDGE_H
#define BRIDGE_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define BRIDGE_DEVICE_COUNT_MIN 2
#define BRIDGE_DEVICE_COUNT_MAX 32

/*
 * The longest ageing time that 802.1Q section 8.8.3 allows, 1,000,000 s. Shorter ones than its 10 s are useful in
 * tests.
 */
#define BRIDGE_EXPIRATION_NS_MAX INT64_C(1000000000000000)

/*
 * More entries than any bridge's table has had use for, in less than 100 MB: a larger number is a slip of the
 * keyboard, better refused than answered by taking the machine's memory.
 */
#define BRIDGE_CAPACITY_MAX (UINT32_C(1) << 20)

/* The output of a static entry that drops. */
#define BRIDGE_FILTER UINT16_MAX

struct nf_config {
    vigor_time_t expiration_ns; /* how long a station stays known unheard: 1 to BRIDGE_EXPIRATION_NS_MAX */
    uint32_t capacity;          /* how many stations can be known at a time: 1 to BRIDGE_CAPACITY_MAX */
    uint32_t static_capacity;   /* how many static entries there can be: 1 to BRIDGE_CAPACITY_MAX */
};

/* What is known of a station besides its address: the device behind which it was last heard. */
struct bridge_port {
    uint16_t device;
};

/* What a static entry applies to: frames for this address that arrive on this device. */
struct bridge_static_key {
    struct net_mac address;
    uint16_t device;
};

/*
 * A static filtering entry (802.1Q section 8.8.1): such frames leave through output, or are dropped if it is
 * BRIDGE_FILTER.
 */
struct bridge_static {
    struct net_mac address;
    uint16_t device;
    uint16_t output;
};

struct nf_state {
    FLOW_TABLE(stations, struct net_mac);
    VECTOR(ports, struct bridge_port);
    MAP(static_entries, struct bridge_static_key);
    vigor_time_t expiration_ns;
    uint16_t device_count;
};

extern VIGOR_API struct nf_state nf_state;

/*
 * Adds a static entry, or replaces the one for the same address and receiving device. Can be called any number of
 * times after nf_init.
 * False, without effect, if the receiving device does not exist, output is neither a device nor BRIDGE_FILTER, or
 * there is no room.
 */
VIGOR_API bool bridge_add_static(const struct bridge_static *entry);

#endif
