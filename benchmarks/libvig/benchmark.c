/*
 * Times the operations of several tables, side by side: benchmark KEY_BYTES SKEW ROUNDS. SKEW is 0 for uniform look-ups
 * and 1 for Zipf's law. Each line of output is a round: table, operation, ns and cache misses of one operation (-1 where
 * the machine does not count them).
 */

#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tables.h"

#define CAPACITY 65536u
#define OCCUPIED (CAPACITY / 10u * 9u)
#define LOOKUPS (1u << 18)
#define BATCH 2048u

static const struct table *const tables[] = {
    &map_table,
    &flow_table_table,
    &plain_table,
#ifdef HAVE_DPDK
    &rte_hash_table,
#endif
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static uint32_t key_bytes;
static unsigned char *keys; /* 2 * OCCUPIED of them, all different; the second half is never present */
static uint32_t *order;     /* of look-ups */
static uint32_t *shuffled;
static uint32_t values[TABLES][OCCUPIED];
static int counter = -1;
static uint32_t sink;

static uint64_t random64(void)
{
    static uint64_t state = UINT64_C(0x2545F4914F6CDD1D);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x9E3779B97F4A7C15);
}

static const unsigned char *key(uint32_t index)
{
    return keys + (size_t) index * key_bytes;
}

static void prepare(double skew)
{
    keys = malloc((size_t) 2 * OCCUPIED * key_bytes);
    for (uint32_t i = 0; i < 2 * OCCUPIED; i++) {
        for (uint32_t k = 0; k < key_bytes; k++) {
            keys[(size_t) i * key_bytes + k] = (unsigned char) (random64() >> 32);
        }
        /* An odd multiple of the index in the first bytes makes keys different, and stays random-looking. */
        const uint32_t mark = i * UINT32_C(2654435761);
        memcpy(keys + (size_t) i * key_bytes, &mark, 4);
    }
    shuffled = malloc(OCCUPIED * sizeof(uint32_t));
    for (uint32_t i = 0; i < OCCUPIED; i++) {
        const uint32_t other = (uint32_t) ((random64() >> 32) % (i + 1));
        shuffled[i] = shuffled[other];
        shuffled[other] = i;
    }
    double *reached = malloc(OCCUPIED * sizeof(double));
    double total = 0;
    for (uint32_t i = 0; i < OCCUPIED; i++) {
        total += pow(i + 1, -skew);
        reached[i] = total;
    }
    order = malloc(LOOKUPS * sizeof(uint32_t));
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        const double at = (double) (random64() >> 11) * 0x1p-53 * total;
        uint32_t low = 0;
        uint32_t high = OCCUPIED - 1;
        while (low < high) {
            const uint32_t middle = (low + high) / 2;
            if (reached[middle] < at) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        order[i] = shuffled[low];
    }
    free(reached);
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof(struct perf_event_attr),
                                         .config = PERF_COUNT_HW_CACHE_MISSES,
                                         .exclude_kernel = 1};
    counter = (int) syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

struct reading {
    double ns;
    long long misses;
};

static struct reading now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    struct reading reading = {(double) time.tv_sec * 1e9 + (double) time.tv_nsec, -1};
    if (counter >= 0 && read(counter, &reading.misses, sizeof(reading.misses)) != sizeof(reading.misses)) {
        reading.misses = -1;
    }
    return reading;
}

static void tell(const struct table *table, const char *operation, struct reading start, uint32_t count)
{
    const struct reading end = now();
    const double misses = start.misses < 0 ? -1 : (double) (end.misses - start.misses) / count;
    printf("%s %s %.2f %.3f\n", table->name, operation, (end.ns - start.ns) / count, misses);
}

static void round_of(const struct table *table, void *made, uint32_t *value, int64_t *clock)
{
    uint32_t found;
    uint32_t hits = 0;
    struct reading start = now();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        hits += table->find(made, key(order[i]), &found);
    }
    tell(table, "get_hit", start, LOOKUPS);
    start = now();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        hits += table->find(made, key(OCCUPIED + order[i]), &found);
    }
    tell(table, "get_miss", start, LOOKUPS);
    if (hits != LOOKUPS) {
        fprintf(stderr, "%s found %u of %u keys\n", table->name, hits, LOOKUPS);
        exit(1);
    }
    if (table->refresh != NULL) {
        start = now();
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            sink += table->refresh(made, key(order[i]), ++*clock, &found);
        }
        tell(table, "refresh", start, LOOKUPS);
    }
    static uint32_t cursor;
    const uint32_t first = cursor++ % (OCCUPIED / BATCH) * BATCH;
    start = now();
    for (uint32_t i = first; i < first + BATCH; i++) {
        table->erase(made, key(shuffled[i]), value[shuffled[i]]);
    }
    tell(table, "erase", start, BATCH);
    start = now();
    for (uint32_t i = first; i < first + BATCH; i++) {
        value[shuffled[i]] = table->add(made, key(shuffled[i]), shuffled[i], ++*clock);
    }
    tell(table, "put", start, BATCH);
    if (table->expire != NULL) {
        const int64_t before = ++*clock;
        for (uint32_t i = 0; i < OCCUPIED; i++) {
            if (i < first || i >= first + BATCH) {
                sink += table->refresh(made, key(shuffled[i]), before, &found);
            }
        }
        start = now();
        const uint32_t expired = table->expire(made, before);
        tell(table, "expire", start, BATCH);
        if (expired != BATCH) {
            fprintf(stderr, "%s expired %u of %u\n", table->name, expired, BATCH);
            exit(1);
        }
        for (uint32_t i = first; i < first + BATCH; i++) {
            value[shuffled[i]] = table->add(made, key(shuffled[i]), shuffled[i], ++*clock);
        }
    }
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: %s KEY_BYTES SKEW ROUNDS\n", arguments[0]);
        return 2;
    }
    key_bytes = (uint32_t) atoi(arguments[1]);
    prepare(atof(arguments[2]));
    void *made[TABLES];
    int64_t clock = 0;
    for (size_t t = 0; t < TABLES; t++) {
        made[t] = tables[t]->make(key_bytes, CAPACITY);
        if (made[t] == NULL) {
            fprintf(stderr, "%s cannot be made\n", tables[t]->name);
            return 1;
        }
        for (uint32_t i = 0; i < OCCUPIED; i++) {
            values[t][i] = tables[t]->add(made[t], key(i), i, ++clock);
        }
    }
    for (int round = 0; round < atoi(arguments[3]); round++) {
        for (size_t t = 0; t < TABLES; t++) {
            round_of(tables[t], made[t], values[t], &clock);
        }
    }
    return sink == UINT32_MAX;
}
