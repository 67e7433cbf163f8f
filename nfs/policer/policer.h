/*
 * A policer between an outside and an inside device: each IPv4 address inside receives at most a committed rate, with
 * bursts up to a committed size (RFC 2697, without excess burst).
 */

#ifndef POLICER_H
#define POLICER_H

#include "net/net.h"
#include "nf.h"
#include "typed.h"

#define POLICER_DEVICE_COUNT 2

/*
 * A billionth of a byte: a rate of r bytes a second is exactly r nanobytes a nanosecond, so no part of a token is
 * lost or gained by rounding.
 */
#define POLICER_NANOBYTES_PER_BYTE UINT64_C(1000000000)

/*
 * 8 Tb/s, and with it any burst of 32 bits: see policer.c for why then nothing overflows.
 */
#define POLICER_RATE_MAX UINT64_C(1000000000000)

/* In less than 100 MB: a larger number is a slip of the keyboard. */
#define POLICER_CAPACITY_MAX (UINT32_C(1) << 20)

struct nf_config {
    uint64_t rate_bytes_per_s; /* the committed information rate: 1 to POLICER_RATE_MAX */
    uint32_t burst_bytes;      /* the committed burst size: from 1 */
    uint32_t capacity;         /* how many addresses can have a bucket at a time: 1 to POLICER_CAPACITY_MAX */
    uint16_t wan_device;       /* the outside device, 0 or 1; the other one is inside */
};

/* The tokens that were left when the bucket's last packet had passed, which is its age in the table. */
struct policer_bucket {
    uint64_t nanobytes;
};

struct nf_state {
    FLOW_TABLE(destinations, net_be32);
    VECTOR(buckets, struct policer_bucket);
    uint64_t rate_bytes_per_s;
    uint64_t burst_nanobytes;
    vigor_time_t refill_ns; /* any longer time fills an empty bucket */
    uint16_t wan_device;
};

extern VIGOR_API struct nf_state nf_state;

#endif
