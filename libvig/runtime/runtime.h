/* What the runtimes share: everything around the exchange of frames with devices. */

#ifndef VIGOR_RUNTIME_H
#define VIGOR_RUNTIME_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nf.h"
#include "runtime/counters.h"

#define RUNTIME_BURST_MAX 32

#define RUNTIME_IO_ARGUMENTS_MAX 64

/* The longest frame that proofs are about: assumption FRAME_FITS. */
#define RUNTIME_FRAME_BYTES_MAX 1518u

/* Why an NF does not get to see a frame. */
#define DISPATCH_TOO_LONG 1
#define DISPATCH_UNFINISHED 2

/* How often devices and tables are looked after. */
#define RUNTIME_TICK_NS INT64_C(1000000)

/* Frames on their way to one device. A frame is whatever the I/O makes of it. */
struct runtime_batch {
    uint32_t count;
    void *frames[RUNTIME_BURST_MAX];
};

/* A table of the NF, and how to find out how full it is. */
struct runtime_table {
    const void *table;
    uint32_t capacity;
    uint32_t next;  /* the index to look at next */
    uint32_t found; /* of those before it */
    bool (*is_used)(const void *table, uint32_t index);
    uint32_t (*size)(const void *table); /* instead of looking at each index */
};

struct runtime {
    int (*process)(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now);
    struct counters *counters;
    vigor_time_t now;
    vigor_time_t ticked_at;
    uint32_t frames_since; /* the clock was read */
    uint16_t device_count;
    uint16_t burst;
    bool time_per_packet;
    uint32_t pending; /* one bit for each device whose batch is not empty */
    struct runtime_batch batches[COUNTERS_DEVICES_MAX];
    struct runtime_table tables[COUNTERS_TABLES_MAX];
    uint16_t table_count;
};

/* What was asked for on the command line. */
struct runtime_options {
    const char *nf_path;
    const char *libvig_path;
    const char *setup_path;
    const char *counters_path;
    const char *user; /* to become; NULL: stay who we are */
    int core;         /* to stay on; -1: any */
    bool with_parent; /* to stop when the process that started this one ends */
    int table_count;
    const char *tables[COUNTERS_TABLES_MAX];
    int io_argument_count; /* what only the I/O understands */
    const char *io_arguments[RUNTIME_IO_ARGUMENTS_MAX];
    int device_count;
    char **devices;
};

/* Ends the process with a message: what is wrong, and what to do about it. */
_Noreturn void runtime_fail(const char *what, const char *detail, const char *remedy);

/* Not 0 from the first SIGTERM, SIGINT or SIGHUP on. */
extern volatile sig_atomic_t runtime_stopping;

/* Looks at some entries of the NF's tables, more if more time has passed since the last call. */
void runtime_look_at_tables(struct runtime *runtime, vigor_time_t elapsed_ns);

/* ---- what an I/O defines */

/* Takes the devices; returns how many there are. Ends the process if it cannot. */
uint16_t io_open(const struct runtime_options *options, struct runtime *runtime);

/*
 * System calls once everything is open: all that are left to make, or some that nobody makes any more, where others are a
 * driver's business.
 */
const int *io_system_calls(size_t *out_count, bool *out_are_allowed);

/* Receives, processes and sends until told to stop, then what has been received until then. */
void io_run(struct runtime *runtime);

void io_close(void);

/* ---- nf.c */

/* Loads libVig and the NF. */
void runtime_load(struct runtime *runtime, const struct runtime_options *options);

/* Makes the calls in a file: nf_init, and what else the configuration has. */
void runtime_set_up(const struct runtime *runtime, const char *path);

/* Finds the tables that nf_init has made, each given as KIND:OFFSET:KEY_BYTES, where it lies in nf_state. */
void runtime_find_tables(struct runtime *runtime, const struct runtime_options *options);

/* ---- confine.c */

/* Becomes another user, without capabilities, for good. */
void confine_become(const char *user);

/* From here on, any other system call ends the process; or any of these, unless they are the allowed ones. */
void confine_system_calls(const int *calls, size_t count, bool are_allowed);

#endif
