/*
 * What happens to a received frame between its device and the next, the same for every I/O. The file that includes this
 * defines before:
 *
 *     static inline void frame_release(void *frame);              the frame goes nowhere
 *     static inline void frame_share(void *frame, uint32_t more); it goes to so many more devices
 *     static void frames_send(struct runtime *runtime, uint16_t device, struct runtime_batch *batch);
 *
 * The last one sends or releases all frames of a batch, and counts them.
 */

#ifndef VIGOR_DISPATCH_H
#define VIGOR_DISPATCH_H

#include "runtime/runtime.h"

static inline void dispatch_to(struct runtime *runtime, uint16_t device, void *frame)
{
    struct runtime_batch *batch = &runtime->batches[device];
    batch->frames[batch->count++] = frame;
    runtime->pending |= UINT32_C(1) << device;
}

static void dispatch_flood(struct runtime *runtime, uint16_t device, void *frame)
{
    const uint32_t more = runtime->device_count - 2u;
    frame_share(frame, more);
    runtime->counters->devices[device].copies += more;
    for (uint16_t output = 0; output < runtime->device_count; output++) {
        if (output != device) {
            dispatch_to(runtime, output, frame);
        }
    }
}

/* Takes the frame out of the caller's hands. The bytes are the NF's to change until this returns. */
static inline void dispatch_frame(struct runtime *runtime, uint16_t device, void *frame, uint8_t *bytes,
                                  uint32_t length_bytes)
{
    if (__builtin_expect(length_bytes > RUNTIME_FRAME_BYTES_MAX, 0)) {
        runtime->counters->devices[device].dropped_too_long++;
        frame_release(frame);
        return;
    }
    const int output = runtime->process(device, bytes, (uint16_t) length_bytes, runtime->now);
    if (__builtin_expect((unsigned) output < runtime->device_count, 1)) {
        dispatch_to(runtime, (uint16_t) output, frame);
    } else if (output == NF_FLOOD && runtime->device_count > 1) {
        dispatch_flood(runtime, device, frame);
    } else if (output == NF_DROP) {
        runtime->counters->devices[device].dropped_by_nf++;
        frame_release(frame);
    } else {
        runtime->counters->devices[device].dropped_no_device++;
        frame_release(frame);
    }
}

/* After each burst, so that frames between two devices keep their order and none waits for others to come. */
static inline void dispatch_end(struct runtime *runtime)
{
    while (runtime->pending != 0) {
        const uint16_t device = (uint16_t) __builtin_ctz(runtime->pending);
        runtime->pending &= runtime->pending - 1;
        frames_send(runtime, device, &runtime->batches[device]);
        runtime->batches[device].count = 0;
    }
}

#endif
