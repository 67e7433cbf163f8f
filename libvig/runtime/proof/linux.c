/*
 * dispatch_burst with the frames of AF_PACKET, to be explored (properties/libvig/test_runtime.py). The kernel's side is in
 * pytest_vigor/refine/linux.py.
 */

#define _GNU_SOURCE

#include "runtime/proof/proof.h"
#include "runtime/linux_frames.h"

/* Each device's socket has its port's number; its ring lies where the kernel has put it. */
VIGOR_API void proof_begin(uint16_t device_count, uint16_t burst_max, bool time_per_packet, uint8_t *ring, uint32_t next)
{
    proof_runtime(device_count, burst_max, time_per_packet);
    for (uint16_t i = 0; i < device_count; i++) {
        devices[i] = (struct device){.socket = proof_port(i), .ring = ring, .next = next};
    }
}

VIGOR_API uint32_t proof_burst(uint16_t device)
{
    return dispatch_burst(&runtime, device);
}

/* The slot that the next burst begins with. */
VIGOR_API uint32_t proof_next(uint16_t device)
{
    return devices[device].next;
}
