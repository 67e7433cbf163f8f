/*
 * Two measurements. Either frames come as fast as they are taken:
 *
 *     GENERATOR_FRAMES    how many frames a measurement takes
 *     GENERATOR_WINDOWS   how many measurements there are
 *     GENERATOR_RESULTS   the file to write: for each, processor time in ns per frame, how many frames got lost, and
 *                         which share of the time the thread had its processor: below 1, others had the caches, too;
 *                         how many frames the pool lacked at its end, and how many KiB of memory the process had
 *
 * or at a rate, whether they are taken or not, into a queue of QUEUE_FRAMES for each device:
 *
 *     GENERATOR_RATE      frames per second, on each device that sends
 *     GENERATOR_FRAMES    how many arrive while it is measured
 *     GENERATOR_RESULTS   the file to write: frames lost for lack of room, the 50th and 90th percentile in ns of the time
 *                         from arrival to transmission, and the share of time that was left out
 *
 * The latter runs on a clock of its own, on which no stall is longer than STALL_NS: what the machine does in between is
 * not the network function's doing. How much that left out is part of the result.
 */

#define _GNU_SOURCE

#include "pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_mempool.h>

#define WINDOWS_MAX 128
#define SETTLING_FRAMES 100000u
#define QUEUE_FRAMES 1024u
#define STALL_NS 20000.0
#define BIN_NS 10u
#define BINS 100000u

static const char *results;
static uint64_t frames_to_measure;
static uint64_t given;
static uint64_t sent;
static uint64_t measure_at; /* frames given */

/* ---- as fast as they are taken */

static struct {
    uint32_t count;
    uint32_t current; /* 0: settling */
    uint64_t given_before;
    uint64_t sent_before;
    uint64_t started_ns;
    uint64_t started_wall_ns;
    double ns_per_frame[WINDOWS_MAX];
    double share[WINDOWS_MAX];
    int64_t lost[WINDOWS_MAX];
    unsigned in_use[WINDOWS_MAX];
    uint64_t memory_kib[WINDOWS_MAX];
} windows;

static const struct rte_mempool *watched;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

static FILE *results_file(void)
{
    FILE *file = fopen(results, "w");
    if (file == NULL) {
        _exit(1);
    }
    return file;
}

static void end(FILE *file)
{
    fclose(file);
    _exit(0);
}

static uint64_t memory_kib(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %llu", &pages) != 1) {
        _exit(1);
    }
    fclose(file);
    return pages * (uint64_t) sysconf(_SC_PAGESIZE) / 1024;
}

static void turn_window(void)
{
    const uint64_t time_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    const uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
    const uint64_t frames = given - windows.given_before;
    if (windows.current > 0) {
        windows.ns_per_frame[windows.current - 1] = (double) (time_ns - windows.started_ns) / (double) frames;
        windows.share[windows.current - 1] =
            (double) (time_ns - windows.started_ns) / (double) (wall_ns - windows.started_wall_ns);
        windows.lost[windows.current - 1] = (int64_t) (frames - (sent - windows.sent_before));
        windows.in_use[windows.current - 1] = rte_mempool_in_use_count(watched);
        windows.memory_kib[windows.current - 1] = memory_kib();
    }
    if (windows.current == windows.count) {
        FILE *file = results_file();
        for (uint32_t i = 0; i < windows.count; i++) {
            fprintf(file, "%.3f %lld %.4f %u %llu\n", windows.ns_per_frame[i], (long long) windows.lost[i],
                    windows.share[i], windows.in_use[i], (unsigned long long) windows.memory_kib[i]);
        }
        end(file);
    }
    windows.current++;
    windows.given_before = given;
    windows.sent_before = sent;
    measure_at = given + frames_to_measure;
    windows.started_wall_ns = clock_ns(CLOCK_MONOTONIC);
    windows.started_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- at a rate */

struct queue {
    uint64_t arrived; /* since the start */
    uint64_t first;   /* of those that wait or are being processed */
    uint64_t taken;
    double arrivals_ns[2 * QUEUE_FRAMES]; /* of those, by number modulo the size */
    uint64_t last;
};

static struct {
    double frames_per_ns; /* on each device; 0: as fast as they are taken */
    double ns_per_cycle;
    double now_ns;
    double left_out_ns;
    double started_ns;
    uint64_t last_cycles;
    bool is_measuring;
    uint64_t arrived;
    uint64_t lost;
    uint64_t latencies;
    struct queue queues[PORTS];
    uint32_t bins[BINS];
} clocked;

static void advance(void)
{
    const uint64_t cycles = rte_rdtsc();
    if (unlikely(clocked.last_cycles == 0)) {
        clocked.last_cycles = cycles;
        clocked.ns_per_cycle = 1e9 / (double) rte_get_tsc_hz();
    }
    const double elapsed_ns = (double) (cycles - clocked.last_cycles) * clocked.ns_per_cycle;
    clocked.last_cycles = cycles;
    const double counted_ns = elapsed_ns < STALL_NS ? elapsed_ns : STALL_NS;
    clocked.now_ns += counted_ns;
    clocked.left_out_ns += elapsed_ns - counted_ns;
}

static double percentile(double share)
{
    uint64_t seen = 0;
    for (uint32_t bin = 0; bin < BINS; bin++) {
        seen += clocked.bins[bin];
        if ((double) seen >= share * (double) clocked.latencies) {
            return (double) (bin * BIN_NS);
        }
    }
    return (double) (BINS * BIN_NS);
}

static void end_clocked(void)
{
    FILE *file = results_file();
    fprintf(file, "%llu %.0f %.0f %.4f\n", (unsigned long long) clocked.lost, percentile(0.5), percentile(0.9),
            clocked.left_out_ns / (clocked.now_ns - clocked.started_ns + clocked.left_out_ns));
    end(file);
}

/* What has arrived by now is in the queue, or lost. */
static void arrive(struct queue *queue)
{
    const uint64_t due = (uint64_t) (clocked.now_ns * clocked.frames_per_ns);
    for (; queue->arrived < due; queue->arrived++) {
        clocked.arrived += clocked.is_measuring;
        if (queue->last - queue->taken < QUEUE_FRAMES) {
            queue->arrivals_ns[queue->last++ % (2 * QUEUE_FRAMES)] = (double) (queue->arrived + 1) / clocked.frames_per_ns;
        } else {
            clocked.lost += clocked.is_measuring;
        }
    }
}

static void leave(struct queue *queue, uint16_t count)
{
    for (; count > 0 && queue->first < queue->taken; count--) {
        const double latency_ns = clocked.now_ns - queue->arrivals_ns[queue->first++ % (2 * QUEUE_FRAMES)];
        const uint64_t bin = latency_ns < 0 ? 0 : (uint64_t) latency_ns / BIN_NS;
        clocked.bins[bin < BINS ? bin : BINS - 1] += clocked.is_measuring;
        clocked.latencies += clocked.is_measuring;
    }
}

static uint16_t due_clocked(uint16_t port, uint16_t room)
{
    struct queue *queue = &clocked.queues[port];
    advance();
    arrive(queue);
    if (!clocked.is_measuring && given >= measure_at) {
        clocked.is_measuring = true;
        clocked.left_out_ns = 0;
        clocked.started_ns = clocked.now_ns;
    }
    if (clocked.arrived >= frames_to_measure) {
        end_clocked();
    }
    const uint64_t waiting = queue->last - queue->taken;
    return (uint16_t) (waiting < room ? waiting : room);
}

/* ---- both */

static uint64_t asked(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

void pace_prepare(uint32_t flow_count, const struct rte_mempool *pool)
{
    watched = pool;
    results = getenv("GENERATOR_RESULTS");
    frames_to_measure = asked("GENERATOR_FRAMES", 1000000);
    windows.count = (uint32_t) asked("GENERATOR_WINDOWS", 1);
    clocked.frames_per_ns = (double) asked("GENERATOR_RATE", 0) / 1e9;
    measure_at = 2 * (uint64_t) flow_count + SETTLING_FRAMES;
    if (results == NULL || windows.count > WINDOWS_MAX) {
        fputs("The generator wants GENERATOR_RESULTS, and at most 128 GENERATOR_WINDOWS\n", stderr);
        _exit(1);
    }
}

uint16_t pace_due(uint16_t port, uint16_t room)
{
    if (clocked.frames_per_ns > 0) {
        return due_clocked(port, room);
    }
    if (unlikely(given >= measure_at)) {
        turn_window();
    }
    return room;
}

void pace_given(uint16_t port, uint16_t count)
{
    given += count;
    clocked.queues[port].taken += clocked.frames_per_ns > 0 ? count : 0;
}

/* With two devices, what leaves on one came from the other. */
void pace_sent(uint16_t port, uint16_t count)
{
    sent += count;
    if (clocked.frames_per_ns > 0) {
        advance();
        leave(&clocked.queues[!port], count);
    }
}
