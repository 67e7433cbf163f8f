/*
 * dispatch_burst with DPDK's frames, to be explored (properties/libvig/test_runtime.py). DPDK's functions are inline and
 * reach deep into it; here they are calls, and pytest_vigor/refine/dpdk.py says what each does. Of its buffers, only what
 * the burst looks at is declared.
 */

#include "runtime/proof/proof.h"

#define unlikely(condition) __builtin_expect((condition), 0)

#define RTE_ETH_LINK_UP 1
#define RTE_MBUF_F_RX_VLAN_STRIPPED (UINT64_C(1) << 6)

struct rte_mbuf {
    uint8_t *buf_addr;
    uint64_t ol_flags;
    uint16_t data_off;
    uint16_t data_len;
    uint16_t nb_segs;
};

struct rte_eth_link {
    uint32_t link_speed;
    uint16_t link_duplex : 1;
    uint16_t link_autoneg : 1;
    uint16_t link_status : 1;
};

uint16_t rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
int rte_eth_link_get_nowait(uint16_t port, struct rte_eth_link *link);
int rte_vlan_insert(struct rte_mbuf **mbuf);
uint16_t rte_mbuf_refcnt_update(struct rte_mbuf *mbuf, int16_t more);
void rte_pktmbuf_free(struct rte_mbuf *mbuf);
void rte_pktmbuf_free_bulk(struct rte_mbuf **mbufs, unsigned count);

#define rte_pktmbuf_mtod(mbuf, type) ((type) ((mbuf)->buf_addr + (mbuf)->data_off))

#include "runtime/dpdk_frames.h"

VIGOR_API void proof_begin(uint16_t device_count, uint16_t burst_max, bool time_per_packet)
{
    proof_runtime(device_count, burst_max, time_per_packet);
    for (uint16_t i = 0; i < device_count; i++) {
        ports[i] = proof_port(i);
    }
}

VIGOR_API uint32_t proof_burst(uint16_t device)
{
    return dispatch_burst(&runtime, device);
}
