/*
 * A traffic generator that poses as the devices of the very process that it measures: LD_PRELOAD it into anything that
 * uses DPDK with `--vdev net_null0,no-rx=1 --vdev net_null1,no-rx=1`, and every receive gives a burst of frames made on
 * the spot, every transmission is counted and freed by net_null. One core, no other process, the same stimulus for
 * whatever is measured. Only public functions of DPDK are used.
 *
 * First every flow is sent once, so that tables fill up; then all flows over and over, in a shuffled order. What is
 * measured then is for pace.c. When that is done, it writes the results and ends the process.
 *
 *     GENERATOR_TRAFFIC   out      UDP from device 0, as clients inside send it
 *                         both     the same, and its answers on device 1
 *                         in       UDP from device 1
 *                         backends heartbeats from device 1 first, then UDP from device 0
 *                         stations frames between two halves of as many Ethernet addresses, on both devices
 *     GENERATOR_FLOWS     how many flows or addresses there are
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "flows.h"
#include "pace.h"

static struct traffic traffic;
static struct rte_mempool *pools[PORTS];
static uint32_t filled[PORTS];
static uint32_t next[PORTS];
static bool is_prepared;

/* The device that answers, or has the backends, speaks first if it has to, so that nobody asks in vain. */
static bool may_fill(uint16_t port)
{
    const uint16_t other = !port;
    return traffic.stations || traffic.ports[port].fill_count <= traffic.ports[other].fill_count ||
           filled[other] == traffic.ports[other].fill_count;
}

static uint16_t give(uint16_t port, struct rte_mbuf **frames, const struct flow *flows, uint16_t count)
{
    if (rte_pktmbuf_alloc_bulk(pools[port], frames, count) != 0) {
        return 0;
    }
    for (uint16_t i = 0; i < count; i++) {
        frames[i]->data_len = FRAME_BYTES;
        frames[i]->pkt_len = FRAME_BYTES;
        flows_stamp(&traffic, rte_pktmbuf_mtod(frames[i], uint8_t *), &flows[i]);
    }
    return count;
}

static uint16_t fill(uint16_t port, struct rte_mbuf **frames, uint16_t room)
{
    const struct flows *mine = &traffic.ports[port];
    const uint16_t count = (uint16_t) RTE_MIN((uint32_t) room, mine->fill_count - filled[port]);
    const uint16_t given = may_fill(port) ? give(port, frames, mine->to_fill + filled[port], count) : 0;
    filled[port] += given;
    return given;
}

static uint16_t receive(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t received, uint16_t room,
                        void *context)
{
    (void) queue;
    (void) received;
    (void) context;
    const struct flows *mine = &traffic.ports[port];
    if (unlikely(filled[port] < mine->fill_count)) {
        return fill(port, frames, room);
    }
    if (!mine->sends || filled[!port] < traffic.ports[!port].fill_count) {
        return 0;
    }
    const uint16_t due = (uint16_t) RTE_MIN((uint32_t) pace_due(port, room), mine->count - next[port]);
    const uint16_t given = due == 0 ? 0 : give(port, frames, mine->flows + next[port], due);
    next[port] = next[port] + given == mine->count ? 0 : next[port] + given;
    pace_given(port, given);
    return given;
}

static uint16_t transmit(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count, void *context)
{
    (void) queue;
    (void) frames;
    (void) context;
    pace_sent(port, count);
    return count;
}

static void prepare(uint16_t port)
{
    const char *name = getenv("GENERATOR_TRAFFIC");
    const char *count = getenv("GENERATOR_FLOWS");
    if (name == NULL || count == NULL) {
        fputs("The generator wants GENERATOR_TRAFFIC and GENERATOR_FLOWS\n", stderr);
        _exit(1);
    }
    const uint32_t flow_count = (uint32_t) strtoul(count, NULL, 10);
    traffic = flows_make(name, flow_count);
    pace_prepare(flow_count, pools[port]);
    is_prepared = true;
}

/* C has no conversion from a pointer to data to one to a function; POSIX says that they have the same form. */
#define NEXT(function, name) memcpy(&(function), &(void *){dlsym(RTLD_NEXT, name)}, sizeof(void *))

int rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t frames, unsigned socket,
                           const struct rte_eth_rxconf *configuration, struct rte_mempool *pool)
{
    int (*original)(uint16_t, uint16_t, uint16_t, unsigned, const struct rte_eth_rxconf *, struct rte_mempool *);
    NEXT(original, "rte_eth_rx_queue_setup");
    if (port < PORTS) {
        pools[port] = pool;
    }
    return original(port, queue, frames, socket, configuration, pool);
}

int rte_eth_dev_start(uint16_t port)
{
    int (*original)(uint16_t);
    NEXT(original, "rte_eth_dev_start");
    const int result = original(port);
    if (result == 0 && port < PORTS) {
        if (!is_prepared) {
            prepare(port);
        }
        if (rte_eth_add_rx_callback(port, 0, receive, NULL) == NULL ||
            rte_eth_add_tx_callback(port, 0, transmit, NULL) == NULL) {
            fputs("This DPDK is built without callbacks\n", stderr);
            _exit(1);
        }
    }
    return result;
}
