/*
 * What a runtime counts. Lies in memory shared with whoever started it, who reads this header for the layout.
 *
 * Over all devices, received + copies = sent + all dropped_*: no frame is lost without a reason.
 */

#ifndef VIGOR_COUNTERS_H
#define VIGOR_COUNTERS_H

#include <stdint.h>

#define COUNTERS_DEVICES_MAX 32
#define COUNTERS_TABLES_MAX 16

#define COUNTERS_STARTING 0
#define COUNTERS_RUNNING 1
#define COUNTERS_DRAINING 2
#define COUNTERS_ENDED 3

/* Frames, except for the last two. The first group counts at the device that a frame came from. */
struct counters_device {
    uint64_t received;
    uint64_t copies; /* further ones made of frames that went to several devices */
    uint64_t dropped_by_nf;
    uint64_t dropped_too_long;   /* longer than what is proved: assumption FRAME_FITS */
    uint64_t dropped_unfinished; /* the sending machine has left the checksum to a network card that is not there */
    uint64_t dropped_no_device;  /* the NF named a device that does not exist, which a proved one does not */
    /* At the device that they were for. */
    uint64_t sent;
    uint64_t dropped_queue_full;
    uint64_t dropped_link_down;
    /* Of the device itself. */
    uint64_t missed;      /* frames that came while the receive queue was full, and so are not among the received */
    uint64_t link_losses; /* how often the link went down */
    uint64_t link_is_up;
};

/* A table of the NF. */
struct counters_table {
    uint64_t used;
    uint64_t capacity;
};

struct counters {
    uint64_t phase;
    uint64_t device_count;
    uint64_t table_count;
    struct counters_device devices[COUNTERS_DEVICES_MAX];
    struct counters_table tables[COUNTERS_TABLES_MAX];
};

#endif
