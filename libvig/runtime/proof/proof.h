/* What the proofs of both I/Os share: a runtime whose state can be seen, around an NF and a clock that can be anything. */

#ifndef VIGOR_PROOF_H
#define VIGOR_PROOF_H

#include "nf.h"
#include "runtime/runtime.h"

/* The time: not before what it was when last asked. */
vigor_time_t proof_clock(void);

/* DPDK's number of a device: another than ours, so that taking one for the other shows. */
static inline uint16_t proof_port(uint16_t device)
{
    return (uint16_t) (7 - device);
}

VIGOR_API struct counters counters;
VIGOR_API struct runtime runtime;

static inline void time_read(struct runtime *of)
{
    of->now = proof_clock();
}

static inline void proof_runtime(uint16_t device_count, uint16_t burst, bool time_per_packet)
{
    runtime.process = nf_process;
    runtime.counters = &counters;
    runtime.device_count = device_count;
    runtime.burst = burst;
    runtime.time_per_packet = time_per_packet;
}

#endif
