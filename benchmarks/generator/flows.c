#include "flows.h"

#include <stdlib.h>

#define IPV4_AT 14
#define BACKENDS 64

static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t) (random_state >> 32);
}

static void *allocated(size_t count, size_t item_bytes)
{
    void *items = calloc(count, item_bytes);
    if (items == NULL) {
        abort();
    }
    return items;
}

static uint16_t folded(uint32_t sum)
{
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t) ~sum;
}

static uint32_t summed(uint32_t value)
{
    return (value & 0xFFFF) + (value >> 16);
}

/* Frames are right for whoever checks. Words in network order add up like any others. */
static void seal(const struct traffic *traffic, struct flow *flow)
{
    const uint32_t addresses = summed(flow->src) + summed(flow->dst);
    uint32_t fixed = 0;
    for (unsigned i = IPV4_AT; i < FRAME_ADDRESSES_AT; i += 2) {
        uint16_t word;
        memcpy(&word, traffic->frame + i, 2);
        fixed += i == FRAME_CHECKSUM_AT ? 0u : word;
    }
    flow->ip_checksum = folded(summed(fixed + addresses));
    const uint16_t udp_bytes = __builtin_bswap16(FRAME_BYTES - FRAME_UDP_AT);
    const uint32_t pseudo = addresses + __builtin_bswap16(17) + udp_bytes;
    const uint16_t sum = folded(summed(pseudo + flow->src_port + flow->dst_port + udp_bytes));
    flow->udp_checksum = sum == 0 ? 0xFFFF : sum;
}

static void prepare_frame(uint8_t *frame)
{
    static const uint8_t start[] = {
        0x02, 0, 0, 0, 0xAA, 1, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, FRAME_BYTES - IPV4_AT, 0, 1, 0, 0, 64, 17,
    };
    memcpy(frame, start, sizeof(start));
    frame[FRAME_UDP_AT + 5] = FRAME_BYTES - FRAME_UDP_AT;
}

static struct flow random_flow(const struct traffic *traffic)
{
    /* The first octet is odd and below 64: addresses that may be those of hosts. */
    struct flow flow = {.src = (random_number() & 0xFFFFFF3F) | 1, .dst = (random_number() & 0xFFFFFF3F) | 1};
    flow.src_port = (uint16_t) (random_number() | 1);
    flow.dst_port = (uint16_t) (random_number() | 1);
    seal(traffic, &flow);
    return flow;
}

static struct flow answer(const struct traffic *traffic, const struct flow *flow)
{
    struct flow back = {.src = flow->dst, .dst = flow->src, .src_port = flow->dst_port, .dst_port = flow->src_port};
    seal(traffic, &back);
    return back;
}

static void shuffle(struct flow *flows, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t other = random_number() % i;
        const struct flow held = flows[i - 1];
        flows[i - 1] = flows[other];
        flows[other] = held;
    }
}

static struct flow *random_flows(const struct traffic *traffic, uint32_t count)
{
    struct flow *flows = allocated(count, sizeof(struct flow));
    for (uint32_t i = 0; i < count; i++) {
        flows[i] = random_flow(traffic);
    }
    return flows;
}

static void make_flows(struct traffic *traffic, const char *name, uint32_t count)
{
    const unsigned first = strcmp(name, "in") == 0;
    struct flows *opening = &traffic->ports[first];
    struct flows *answering = &traffic->ports[!first];
    *opening = (struct flows){.sends = true, .fill_count = count, .count = count};
    opening->to_fill = random_flows(traffic, count);
    opening->flows = allocated(count, sizeof(struct flow));
    memcpy(opening->flows, opening->to_fill, count * sizeof(struct flow));
    shuffle(opening->flows, count);
    if (strcmp(name, "both") == 0) {
        *answering = (struct flows){.sends = true, .count = count};
        answering->flows = allocated(count, sizeof(struct flow));
        for (uint32_t i = 0; i < count; i++) {
            answering->flows[i] = answer(traffic, &opening->to_fill[i]);
        }
        shuffle(answering->flows, count);
    } else if (strcmp(name, "backends") == 0) {
        answering->fill_count = BACKENDS;
        answering->to_fill = random_flows(traffic, BACKENDS);
    }
}

static void make_stations(struct traffic *traffic, uint32_t count)
{
    const uint32_t half = count < 2 ? 1 : count / 2;
    uint64_t *macs = allocated(2 * (size_t) half, sizeof(uint64_t));
    for (uint32_t i = 0; i < 2 * half; i++) {
        /* Of one station, and locally administered. */
        macs[i] = ((((uint64_t) random_number() << 32) | random_number()) & ~UINT64_C(3)) | 2;
    }
    for (unsigned port = 0; port < PORTS; port++) {
        struct flows *flows = &traffic->ports[port];
        *flows = (struct flows){.sends = true, .fill_count = half, .count = half};
        flows->to_fill = allocated(half, sizeof(struct flow));
        flows->flows = allocated(half, sizeof(struct flow));
        for (uint32_t i = 0; i < half; i++) {
            memcpy(flows->to_fill[i].macs, &macs[(port == 0 ? half : 0) + random_number() % half], 6);
            memcpy(flows->to_fill[i].macs + 6, &macs[(port == 0 ? 0 : half) + i], 6);
        }
        memcpy(flows->flows, flows->to_fill, half * sizeof(struct flow));
        shuffle(flows->flows, half);
    }
    free(macs);
}

struct traffic flows_make(const char *name, uint32_t count)
{
    struct traffic traffic = {.stations = strcmp(name, "stations") == 0};
    prepare_frame(traffic.frame);
    if (traffic.stations) {
        make_stations(&traffic, count);
    } else {
        make_flows(&traffic, name, count);
    }
    return traffic;
}
