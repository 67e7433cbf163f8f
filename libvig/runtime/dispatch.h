/*
 * What happens to frames between their device and the next, the same for every I/O. The file that includes this defines
 * before, as static inline functions:
 *
 *     uint16_t frames_receive(const struct runtime *runtime, uint16_t device, void **out_frames);
 *         takes at most runtime->burst frames from a device
 *     int frame_open(void **frame, uint8_t **out_bytes, uint32_t *out_length_bytes);
 *         0, or DISPATCH_TOO_LONG or DISPATCH_UNFINISHED; may put another frame in the place of this one
 *     void frame_release(void *frame);
 *         the frame goes nowhere
 *     void frame_share(void *frame, uint32_t more);
 *         it goes to so many more devices
 *     void frames_send(struct runtime *runtime, uint16_t device, void **frames, uint16_t count);
 *         sends or releases all of the frames, and counts them
 *     void frames_forget(uint16_t device, uint16_t count);
 *         all that was received is sent or released
 *     void time_notice(struct runtime *runtime, uint16_t count);
 *         before the NF is asked about so many frames
 *     void time_read(struct runtime *runtime);
 *
 * proof/ explores dispatch_burst with each I/O: properties/libvig/test_runtime.py.
 */

#ifndef VIGOR_DISPATCH_H
#define VIGOR_DISPATCH_H

#include "runtime/runtime.h"

/* Where the frame is to go; NF_DROP if the NF does not get to see it, and the reason why, or else 0. */
static inline int dispatch_ask(const struct runtime *runtime, uint16_t device, void **frame, int *out_reason)
{
    uint8_t *bytes;
    uint32_t length_bytes;
    *out_reason = frame_open(frame, &bytes, &length_bytes);
    if (__builtin_expect(*out_reason != 0, 0)) {
        return NF_DROP;
    }
    if (__builtin_expect(length_bytes > RUNTIME_FRAME_BYTES_MAX, 0)) {
        *out_reason = DISPATCH_TOO_LONG;
        return NF_DROP;
    }
    return runtime->process(device, bytes, (uint16_t) length_bytes, runtime->now);
}

static inline void dispatch_to(struct runtime *runtime, uint16_t device, void *frame)
{
    struct runtime_batch *batch = &runtime->batches[device];
    batch->frames[batch->count++] = frame;
    runtime->pending |= UINT32_C(1) << device;
}

static inline void dispatch_flood(struct runtime *runtime, uint16_t device, void *frame)
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

/* The NF has answered so, unless it did not get to see the frame for a reason. */
static inline void dispatch_drop(struct runtime *runtime, uint16_t device, void *frame, int answer, int reason)
{
    struct counters_device *counters = &runtime->counters->devices[device];
    uint64_t *const counter = reason == DISPATCH_TOO_LONG     ? &counters->dropped_too_long
                              : reason == DISPATCH_UNFINISHED ? &counters->dropped_unfinished
                              : answer == NF_DROP             ? &counters->dropped_by_nf
                                                              : &counters->dropped_no_device;
    (*counter)++;
    frame_release(frame);
}

/* By device, each device's frames in their order. */
static inline void dispatch_apart(struct runtime *runtime, uint16_t device, void **frames, const int *answers,
                                  const int *reasons, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        if ((unsigned) answers[i] < runtime->device_count) {
            dispatch_to(runtime, (uint16_t) answers[i], frames[i]);
        } else if (answers[i] == NF_FLOOD && runtime->device_count > 1) {
            dispatch_flood(runtime, device, frames[i]);
        } else {
            dispatch_drop(runtime, device, frames[i], answers[i], reasons[i]);
        }
    }
    while (runtime->pending != 0) {
        const uint16_t output = (uint16_t) __builtin_ctz(runtime->pending);
        runtime->pending &= runtime->pending - 1;
        frames_send(runtime, output, runtime->batches[output].frames, (uint16_t) runtime->batches[output].count);
        runtime->batches[output].count = 0;
    }
}

/* Takes a burst of frames, at least one, out of the caller's hands; all_same says whether all answers are. */
static inline void dispatch(struct runtime *runtime, uint16_t device, void **frames, const int *answers,
                            const int *reasons, uint16_t count, bool all_same)
{
    if (__builtin_expect(all_same && (unsigned) answers[0] < runtime->device_count, 1)) {
        frames_send(runtime, (uint16_t) answers[0], frames, count);
    } else {
        dispatch_apart(runtime, device, frames, answers, reasons, count);
    }
}

/* One burst of one device; how many frames it had. */
static inline uint16_t dispatch_burst(struct runtime *runtime, uint16_t device)
{
    void *frames[RUNTIME_BURST_MAX];
    int answers[RUNTIME_BURST_MAX];
    int reasons[RUNTIME_BURST_MAX];
    const uint16_t count = frames_receive(runtime, device, frames);
    if (count == 0) {
        return 0;
    }
    runtime->counters->devices[device].received += count;
    time_notice(runtime, count);
    const bool time_per_packet = runtime->time_per_packet; /* kept in a register, as nf_process may change all memory */
    bool all_same = true;
    for (uint16_t i = 0; i < count; i++) {
        if (time_per_packet) {
            time_read(runtime);
        }
        answers[i] = dispatch_ask(runtime, device, &frames[i], &reasons[i]);
        all_same = all_same && answers[i] == answers[0];
    }
    dispatch(runtime, device, frames, answers, reasons, count, all_same);
    frames_forget(device, count);
    return count;
}

#endif
