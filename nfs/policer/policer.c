#include "policer.h"

#include "flow_table/flow_table.h"
#include "vector/vector.h"

/*
 * Why nothing overflows: a bucket in the table was used at most refill_ns ago, and refill_ns * rate <= burst, in
 * nanobytes, by what a quotient is. So tokens before the limit are at most twice the burst, below 2 * 2^32 * 10^9,
 * which is below 2^63.
 */
struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (device_count != POLICER_DEVICE_COUNT || config->wan_device >= device_count ||
        config->rate_bytes_per_s < 1 || config->rate_bytes_per_s > POLICER_RATE_MAX || config->burst_bytes < 1 ||
        config->capacity < 1 || config->capacity > POLICER_CAPACITY_MAX) {
        return false;
    }
    nf_state.destinations = flow_table_alloc(sizeof(net_be32), config->capacity);
    nf_state.buckets = vector_alloc(sizeof(struct policer_bucket), config->capacity);
    nf_state.rate_bytes_per_s = config->rate_bytes_per_s;
    nf_state.burst_nanobytes = config->burst_bytes * POLICER_NANOBYTES_PER_BYTE;
    nf_state.refill_ns = (vigor_time_t) (nf_state.burst_nanobytes / nf_state.rate_bytes_per_s);
    nf_state.wan_device = config->wan_device;
    return nf_state.destinations != NULL && nf_state.buckets != NULL;
}

/* The tokens in a bucket some time after its last packet. */
static uint64_t refilled(uint32_t index, vigor_time_t elapsed_ns)
{
    struct policer_bucket *bucket = vector_borrow(nf_state.buckets, index);
    const uint64_t nanobytes = bucket->nanobytes + (uint64_t) elapsed_ns * nf_state.rate_bytes_per_s;
    vector_give_back(nf_state.buckets, bucket);
    return nanobytes < nf_state.burst_nanobytes ? nanobytes : nf_state.burst_nanobytes;
}

/* A destination without a bucket has a full one: those that would be full again are forgotten. */
static bool conforms(net_be32 destination, uint64_t nanobytes, vigor_time_t now)
{
    uint32_t index;
    vigor_time_t last;
    const bool known = flow_table_find(nf_state.destinations, &destination, &index) &&
                       flow_table_entry(nf_state.destinations, index, &destination, &last);
    const uint64_t available = known ? refilled(index, now - last) : nf_state.burst_nanobytes;
    if (nanobytes > available) {
        return false;
    }
    if (known) {
        flow_table_refresh(nf_state.destinations, index, now);
    } else if (!flow_table_put(nf_state.destinations, &destination, now, &index)) {
        return false;
    }
    struct policer_bucket *bucket = vector_borrow(nf_state.buckets, index);
    bucket->nanobytes = available - nanobytes;
    vector_give_back(nf_state.buckets, bucket);
    return true;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    if (device == nf_state.wan_device) {
        const struct net_ipv4 *ipv4 = net_ipv4(packet, length_bytes);
        if (ipv4 == NULL) {
            return NF_DROP;
        }
        flow_table_expire_before(nf_state.destinations, now - nf_state.refill_ns);
        if (!conforms(ipv4->dst, net_to_host16(ipv4->total_length) * POLICER_NANOBYTES_PER_BYTE, now)) {
            return NF_DROP;
        }
    }
    return device ^ 1;
}
