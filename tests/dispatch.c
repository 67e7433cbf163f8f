/* An I/O that only notes what becomes of frames, which are numbers. See test_dispatch.py. */

#include "runtime/runtime.h"

#define EVENTS_MAX 4096

struct event {
    int32_t kind; /* 0: released, 1: shared, 2: sent */
    int32_t frame;
    int32_t number; /* of further devices, or of the device */
};

VIGOR_API struct event events[EVENTS_MAX];
VIGOR_API uint32_t event_count;

static void note(int kind, const void *frame, int number)
{
    events[event_count++] = (struct event){kind, (int32_t) (intptr_t) frame, number};
}

/* What to say instead of letting the NF answer. */
#define TOO_LONG 1001
#define UNFINISHED 1002

static const int *answers_given;
static uint32_t length_given; /* 0: each frame's is its number */
static uint16_t frame_count;
static uint8_t packet[1];

static inline uint16_t frames_receive(const struct runtime *runtime, uint16_t device, void **out_frames)
{
    (void) runtime;
    (void) device;
    for (uint16_t i = 0; i < frame_count; i++) {
        out_frames[i] = (void *) (intptr_t) (i + 1);
    }
    return frame_count;
}

static inline int frame_open(void **frame, uint8_t **out_bytes, uint32_t *out_length_bytes)
{
    const int answer = answers_given[(intptr_t) *frame - 1];
    *out_bytes = packet;
    *out_length_bytes = length_given != 0 ? length_given : (uint32_t) (intptr_t) *frame;
    return answer == TOO_LONG ? DISPATCH_TOO_LONG : answer == UNFINISHED ? DISPATCH_UNFINISHED : 0;
}

static inline void frame_release(void *frame)
{
    note(0, frame, 0);
}

static inline void frame_share(void *frame, uint32_t more)
{
    note(1, frame, (int) more);
}

static inline void frames_send(struct runtime *runtime, uint16_t device, void **frames, uint16_t count)
{
    runtime->counters->devices[device].sent += count;
    for (uint16_t i = 0; i < count; i++) {
        note(2, frames[i], device);
    }
}

static inline void frames_forget(uint16_t device, uint16_t count)
{
    (void) device;
    (void) count;
}

static inline void time_notice(struct runtime *runtime, uint16_t count)
{
    (void) runtime;
    (void) count;
}

static inline void time_read(struct runtime *runtime)
{
    (void) runtime;
}

#include "runtime/dispatch.h"

VIGOR_API struct counters counters;
static struct runtime runtime = {.counters = &counters};

static int answer_given(uint16_t device, uint8_t *bytes, uint16_t length_bytes, vigor_time_t now)
{
    (void) device;
    (void) bytes;
    (void) now;
    return answers_given[length_bytes - 1];
}

/* Frames 1 to count, for which the NF or the I/O answers; the counters start at 0. */
VIGOR_API void burst(uint16_t device, uint16_t device_count, const int *answers, uint16_t count)
{
    counters = (struct counters){.device_count = device_count};
    runtime.device_count = device_count;
    runtime.process = answer_given;
    answers_given = answers;
    frame_count = count;
    event_count = 0;
    dispatch_burst(&runtime, device);
}

static uint32_t asked[3];

static int process(uint16_t device, uint8_t *bytes, uint16_t length_bytes, vigor_time_t now)
{
    (void) bytes;
    asked[0] = device;
    asked[1] = length_bytes;
    asked[2] = (uint32_t) now;
    return NF_DROP;
}

/* What the NF is told about a frame of that length, if it is asked. */
VIGOR_API void question(uint16_t device, uint32_t length_bytes, uint32_t *out_asked)
{
    const int unused = 0;
    answers_given = &unused;
    length_given = length_bytes;
    frame_count = 1;
    event_count = 0;
    runtime.process = process;
    runtime.now = 42;
    asked[0] = asked[1] = asked[2] = UINT32_MAX;
    dispatch_burst(&runtime, device);
    length_given = 0;
    for (int i = 0; i < 3; i++) {
        out_asked[i] = asked[i];
    }
}
