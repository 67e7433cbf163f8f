/* What the generator sends. */

#ifndef GENERATOR_FLOWS_H
#define GENERATOR_FLOWS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PORTS 2
#define FRAME_BYTES 60 /* without the check sequence */
#define FRAME_ROOM_BYTES 64
#define FRAME_CHECKSUM_AT 24
#define FRAME_ADDRESSES_AT 26
#define FRAME_UDP_AT 34
#define FRAME_UDP_CHECKSUM_AT 40

/* What differs from one frame to the next. */
struct flow {
    union {
        struct {
            uint32_t src;
            uint32_t dst;
            uint16_t src_port;
            uint16_t dst_port;
            uint16_t ip_checksum;
            uint16_t udp_checksum;
        };
        uint8_t macs[12]; /* destination, source */
    };
};

/* The frames of one device: some that are sent once, so that tables fill up, and some that are sent for ever. */
struct flows {
    bool sends;
    uint32_t fill_count;
    struct flow *to_fill;
    uint32_t count;
    struct flow *flows;
};

struct traffic {
    struct flows ports[PORTS];
    bool stations; /* flows are pairs of Ethernet addresses, not UDP */
    uint8_t frame[FRAME_ROOM_BYTES];
};

/* The traffic of that name, as generator.c has them. */
struct traffic flows_make(const char *name, uint32_t count);

static inline void flows_stamp(const struct traffic *traffic, uint8_t *bytes, const struct flow *flow)
{
    memcpy(bytes, traffic->frame, sizeof(traffic->frame));
    if (traffic->stations) {
        memcpy(bytes, flow->macs, sizeof(flow->macs));
    } else {
        memcpy(bytes + FRAME_ADDRESSES_AT, &flow->src, 12);
        memcpy(bytes + FRAME_CHECKSUM_AT, &flow->ip_checksum, 2);
        memcpy(bytes + FRAME_UDP_CHECKSUM_AT, &flow->udp_checksum, 2);
    }
}

#endif
