/*
 * What dispatch.h wants to be told of DPDK's frames. The file that includes this includes DPDK's headers before, and
 * defines time_read.
 */

#ifndef VIGOR_DPDK_FRAMES_H
#define VIGOR_DPDK_FRAMES_H

#include "runtime/runtime.h"

static uint16_t ports[COUNTERS_DEVICES_MAX]; /* DPDK's number of each device */

static bool link_is_up(uint16_t port)
{
    struct rte_eth_link link;
    return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

static inline uint16_t frames_receive(const struct runtime *runtime, uint16_t device, void **out_frames)
{
    return rte_eth_rx_burst(ports[device], 0, (struct rte_mbuf **) out_frames, runtime->burst);
}

static inline int frame_open(void **frame, uint8_t **out_bytes, uint32_t *out_length_bytes)
{
    struct rte_mbuf *mbuf = *frame;
    /* Some drivers take the tag of IEEE 802.1Q out without having been asked to. */
    if (unlikely((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)) {
        const int failed = rte_vlan_insert(&mbuf);
        *frame = mbuf;
        if (failed != 0) {
            return DISPATCH_TOO_LONG;
        }
    }
    /* A frame in several buffers is one that did not fit in one. */
    if (unlikely(mbuf->nb_segs > 1)) {
        return DISPATCH_TOO_LONG;
    }
    *out_bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
    *out_length_bytes = mbuf->data_len;
    return 0;
}

static inline void frame_release(void *frame)
{
    rte_pktmbuf_free(frame);
}

static inline void frame_share(void *frame, uint32_t more)
{
    rte_mbuf_refcnt_update(frame, (int16_t) more);
}

static void drop_unsent(struct runtime *runtime, uint16_t device, void **frames, uint16_t count)
{
    struct counters_device *counters = &runtime->counters->devices[device];
    if (link_is_up(ports[device])) {
        counters->dropped_queue_full += count;
    } else {
        counters->dropped_link_down += count;
    }
    rte_pktmbuf_free_bulk((struct rte_mbuf **) frames, count);
}

static inline void frames_send(struct runtime *runtime, uint16_t device, void **frames, uint16_t count)
{
    const uint16_t sent = rte_eth_tx_burst(ports[device], 0, (struct rte_mbuf **) frames, count);
    runtime->counters->devices[device].sent += sent;
    if (unlikely(sent < count)) {
        drop_unsent(runtime, device, frames + sent, (uint16_t) (count - sent));
    }
}

/* Each one has been sent or released by itself. */
static inline void frames_forget(uint16_t device, uint16_t count)
{
    (void) device;
    (void) count;
}

/*
 * Each burst is late by no more than the time that as many frames take as the largest burst has: what smaller bursts
 * cost most is the clock.
 */
static inline void time_notice(struct runtime *runtime, uint16_t count)
{
    if (runtime->frames_since >= RUNTIME_BURST_MAX) {
        time_read(runtime);
        runtime->frames_since = 0;
    }
    runtime->frames_since += count;
}

#include "runtime/dispatch.h"

#endif
