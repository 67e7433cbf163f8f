/*
 * A traffic generator that poses as the devices of the very process that it measures: LD_PRELOAD it into anything that
 * uses DPDK with `--vdev net_null0,no-rx=1 --vdev net_null1,no-rx=1`, and every receive gives a burst of frames made on
 * the spot, every transmission is counted and freed by net_null. One core, no other process, the same stimulus for
 * whatever is measured. Only public functions of DPDK are used.
 *
 * First every flow is sent once, so that tables fill up; then all flows over and over, in a shuffled order, while the
 * thread's processor time is read every so many frames. When enough has been measured, the results are written and the
 * process ends.
 *
 *     GENERATOR_TRAFFIC   out      UDP from device 0, as clients inside send it
 *                         both     the same, and its answers on device 1
 *                         in       UDP from device 1
 *                         backends heartbeats from device 1 first, then UDP from device 0
 *                         stations frames between two halves of as many Ethernet addresses, on both devices
 *     GENERATOR_FLOWS     how many flows or addresses there are
 *     GENERATOR_FRAMES    how many frames a measurement takes
 *     GENERATOR_WINDOWS   how many measurements there are
 *     GENERATOR_RESULTS   the file to write: for each measurement, ns per frame and how many frames got lost
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define PORTS 2
#define FRAME_BYTES 60 /* without the check sequence */
#define BACKENDS 64
#define WINDOWS_MAX 64
#define BURST_MAX 512
#define IPV4_AT 14
#define UDP_AT 34
#define CHECKSUM_AT 24
#define ADDRESSES_AT 26
#define UDP_CHECKSUM_AT 40

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

static struct {
    bool sends[PORTS];
    bool stations;
    uint32_t flow_count;
    uint64_t frames_per_window;
    uint32_t windows;
    const char *results;
    struct flow *to_fill[PORTS]; /* sent once, in this order */
    uint32_t fill_count[PORTS];
    struct flow *flows[PORTS]; /* sent for ever */
} setup;

static struct {
    struct rte_mempool *pools[PORTS];
    uint8_t frame[64];
    uint32_t filled[PORTS];
    uint32_t next[PORTS];
    uint64_t made;
    uint64_t sent;
    uint64_t window_ends;
    uint64_t window_made;
    uint64_t window_sent;
    uint64_t started_ns;
    uint32_t window; /* 0: settling */
    double ns_per_frame[WINDOWS_MAX];
    int64_t lost[WINDOWS_MAX];
} now;

static uint64_t random_state = UINT64_C(0x9E3779B97F4A7C15);

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t) (random_state >> 32);
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

/* Checksums are computed here once, so that frames are right for whoever checks. Words in network order add up too. */
static void seal(struct flow *flow)
{
    const uint32_t addresses = summed(flow->src) + summed(flow->dst);
    uint32_t fixed = 0;
    for (unsigned i = IPV4_AT; i < IPV4_AT + 12; i += 2) {
        uint16_t word;
        memcpy(&word, now.frame + i, 2);
        fixed += i == CHECKSUM_AT ? 0u : word;
    }
    flow->ip_checksum = folded(summed(fixed + addresses));
    const uint16_t udp_bytes = __builtin_bswap16(FRAME_BYTES - UDP_AT);
    const uint32_t pseudo = addresses + __builtin_bswap16(17) + udp_bytes;
    const uint16_t sum = folded(summed(pseudo + flow->src_port + flow->dst_port + udp_bytes));
    flow->udp_checksum = sum == 0 ? 0xFFFF : sum;
}

static void prepare_frame(void)
{
    static const uint8_t start[] = {
        0x02, 0, 0, 0, 0xAA, 1, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, FRAME_BYTES - IPV4_AT, 0, 1, 0, 0, 64, 17,
    };
    memcpy(now.frame, start, sizeof(start));
    now.frame[UDP_AT + 5] = FRAME_BYTES - UDP_AT;
}

static struct flow random_flow(void)
{
    /* Not 0, and not 127 or 224 and above: addresses that may be those of hosts. */
    struct flow flow = {.src = (random_number() & 0xFFFFFF3F) | 1, .dst = (random_number() & 0xFFFFFF3F) | 1};
    flow.src_port = (uint16_t) (random_number() | 1);
    flow.dst_port = (uint16_t) (random_number() | 1);
    seal(&flow);
    return flow;
}

static struct flow answer(const struct flow *flow)
{
    struct flow back = {.src = flow->dst, .dst = flow->src, .src_port = flow->dst_port, .dst_port = flow->src_port};
    seal(&back);
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

static struct flow *allocated(uint32_t count)
{
    struct flow *flows = calloc(count, sizeof(struct flow));
    if (flows == NULL) {
        abort();
    }
    return flows;
}

static void make_flows(const char *traffic)
{
    const uint32_t count = setup.flow_count;
    const uint16_t first = strcmp(traffic, "in") == 0;
    const bool both = strcmp(traffic, "both") == 0;
    setup.sends[first] = true;
    setup.sends[!first] = both;
    setup.to_fill[first] = allocated(count);
    setup.fill_count[first] = count;
    for (uint32_t i = 0; i < count; i++) {
        setup.to_fill[first][i] = random_flow();
    }
    for (uint16_t port = 0; port < PORTS; port++) {
        setup.flows[port] = allocated(count);
        for (uint32_t i = 0; i < count; i++) {
            const struct flow *flow = &setup.to_fill[first][i];
            setup.flows[port][i] = port == first ? *flow : answer(flow);
        }
        shuffle(setup.flows[port], count);
    }
    if (strcmp(traffic, "backends") == 0) {
        setup.to_fill[1] = allocated(BACKENDS);
        setup.fill_count[1] = BACKENDS;
        for (uint32_t i = 0; i < BACKENDS; i++) {
            setup.to_fill[1][i] = random_flow();
        }
    }
}

static void make_stations(void)
{
    const uint32_t half = setup.flow_count / 2 < 1 ? 1 : setup.flow_count / 2;
    uint64_t *macs = calloc(2 * (size_t) half, sizeof(uint64_t));
    if (macs == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < 2 * half; i++) {
        macs[i] = ((((uint64_t) random_number() << 32) | random_number()) & ~UINT64_C(3)) | 2;
    }
    setup.flow_count = half;
    for (uint16_t port = 0; port < PORTS; port++) {
        setup.sends[port] = true;
        setup.fill_count[port] = half;
        setup.to_fill[port] = allocated(half);
        setup.flows[port] = allocated(half);
        for (uint32_t i = 0; i < half; i++) {
            struct flow *flow = &setup.to_fill[port][i];
            memcpy(flow->macs, &macs[(port == 0 ? half : 0) + random_number() % half], 6);
            memcpy(flow->macs + 6, &macs[(port == 0 ? 0 : half) + i], 6);
        }
        memcpy(setup.flows[port], setup.to_fill[port], half * sizeof(struct flow));
        shuffle(setup.flows[port], half);
    }
    free(macs);
}

static uint64_t asked(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void prepare(void)
{
    const char *traffic = getenv("GENERATOR_TRAFFIC");
    setup.flow_count = (uint32_t) asked("GENERATOR_FLOWS", 1);
    setup.frames_per_window = asked("GENERATOR_FRAMES", 1000000);
    setup.windows = (uint32_t) asked("GENERATOR_WINDOWS", 1);
    setup.results = getenv("GENERATOR_RESULTS");
    if (traffic == NULL || setup.results == NULL || setup.windows > WINDOWS_MAX) {
        fputs("The generator wants GENERATOR_TRAFFIC and GENERATOR_RESULTS\n", stderr);
        _exit(1);
    }
    prepare_frame();
    setup.stations = strcmp(traffic, "stations") == 0;
    if (setup.stations) {
        make_stations();
    } else {
        make_flows(traffic);
    }
    now.window_ends = UINT64_MAX;
}

static uint64_t processor_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

static void finish(void)
{
    FILE *file = fopen(setup.results, "w");
    if (file == NULL) {
        _exit(1);
    }
    for (uint32_t i = 0; i < setup.windows; i++) {
        fprintf(file, "%.3f %lld\n", now.ns_per_frame[i], (long long) now.lost[i]);
    }
    fclose(file);
    _exit(0);
}

/* Ends a measurement and starts the next. */
static void turn(void)
{
    const uint64_t time_ns = processor_ns();
    const uint64_t made = now.made - now.window_made;
    if (now.window > 0) {
        now.ns_per_frame[now.window - 1] = (double) (time_ns - now.started_ns) / (double) made;
        now.lost[now.window - 1] = (int64_t) (made - (now.sent - now.window_sent));
    }
    if (now.window == setup.windows) {
        finish();
    }
    now.window++;
    now.window_made = now.made;
    now.window_sent = now.sent;
    now.window_ends = now.made + setup.frames_per_window;
    now.started_ns = processor_ns();
}

static inline void stamp(struct rte_mbuf *mbuf, const struct flow *flow)
{
    uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
    mbuf->data_len = FRAME_BYTES;
    mbuf->pkt_len = FRAME_BYTES;
    memcpy(bytes, now.frame, sizeof(now.frame));
    if (setup.stations) {
        memcpy(bytes, flow->macs, sizeof(flow->macs));
    } else {
        memcpy(bytes + ADDRESSES_AT, &flow->src, 12);
        memcpy(bytes + CHECKSUM_AT, &flow->ip_checksum, 2);
        memcpy(bytes + UDP_CHECKSUM_AT, &flow->udp_checksum, 2);
    }
}

/* Backends say that they live before anybody asks for them. */
static bool may_fill(uint16_t port)
{
    const uint16_t other = !port;
    return port == 1 || setup.stations || now.filled[other] == setup.fill_count[other];
}

static uint16_t receive(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t received, uint16_t room,
                        void *context)
{
    (void) queue;
    (void) received;
    (void) context;
    const struct flow *flows;
    uint32_t *next;
    uint32_t count;
    const bool filling = now.filled[port] < setup.fill_count[port];
    if (filling) {
        flows = setup.to_fill[port];
        next = &now.filled[port];
        count = setup.fill_count[port];
        if (!may_fill(port)) {
            return 0;
        }
    } else {
        /* A device is told of every flow before anybody answers. */
        if (!setup.sends[port] || now.filled[!port] < setup.fill_count[!port]) {
            return 0;
        }
        flows = setup.flows[port];
        next = &now.next[port];
        count = setup.flow_count;
    }
    if (unlikely(now.window_ends == UINT64_MAX) && !filling) {
        now.window_ends = now.made + 2 * (uint64_t) setup.flow_count + 100000;
    }
    if (unlikely(now.made >= now.window_ends)) {
        turn();
    }
    const uint16_t left = (uint16_t) RTE_MIN((uint32_t) room, count - *next);
    if (rte_pktmbuf_alloc_bulk(now.pools[port], frames, left) != 0) {
        return 0;
    }
    for (uint16_t i = 0; i < left; i++) {
        stamp(frames[i], &flows[*next + i]);
    }
    *next += left;
    if (!filling && *next == count) {
        *next = 0;
    }
    now.made += left;
    return left;
}

static uint16_t transmit(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count, void *context)
{
    (void) port;
    (void) queue;
    (void) frames;
    (void) context;
    now.sent += count;
    return count;
}

/* C has no conversion from a pointer to data to one to a function; POSIX says that they have the same form. */
#define NEXT(function, name) memcpy(&(function), &(void *){dlsym(RTLD_NEXT, name)}, sizeof(void *))

int rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t frames, unsigned socket,
                           const struct rte_eth_rxconf *configuration, struct rte_mempool *pool)
{
    int (*next)(uint16_t, uint16_t, uint16_t, unsigned, const struct rte_eth_rxconf *, struct rte_mempool *);
    NEXT(next, "rte_eth_rx_queue_setup");
    if (port < PORTS) {
        now.pools[port] = pool;
    }
    return next(port, queue, frames, socket, configuration, pool);
}

int rte_eth_dev_start(uint16_t port)
{
    int (*next)(uint16_t);
    NEXT(next, "rte_eth_dev_start");
    const int result = next(port);
    if (result == 0 && port < PORTS) {
        if (setup.flow_count == 0) {
            prepare();
        }
        if (rte_eth_add_rx_callback(port, 0, receive, NULL) == NULL ||
            rte_eth_add_tx_callback(port, 0, transmit, NULL) == NULL) {
            fputs("This DPDK is built without callbacks\n", stderr);
            _exit(1);
        }
    }
    return result;
}
