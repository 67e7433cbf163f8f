/*
 * Internal: which of the indices 0 to capacity - 1 are used, and the used ones from oldest to newest. What index_pool
 * is, and the half of flow_table that knows no keys.
 *
 * Each index has a node, wherever the owner wants it. The nodes form two rings, one of the used indices and one of
 * the others, each closed by a node of its own; unlinking is then the same everywhere, and no end is special.
 */

#ifndef VIGOR_AGES_H
#define VIGOR_AGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigor_time.h"

#define AGES_CAPACITY_MAX (UINT32_C(1) << 30)

/* Nodes to allocate beyond the capacity: those that close the rings. */
#define AGES_EXTRA_NODES 2u

/* The age of an unused index, which no time is. */
#define AGES_UNUSED INT64_C(-1)

struct ages_node {
    vigor_time_t age;
    uint32_t older;
    uint32_t newer;
};

struct ages {
    unsigned char *nodes; /* a struct ages_node every stride bytes */
    size_t stride_bytes;
    uint32_t capacity;
};

static inline struct ages_node *ages_node(const struct ages *ages, uint32_t index)
{
    return (struct ages_node *) (void *) (ages->nodes + index * ages->stride_bytes);
}

/* Closes the ring of used indices: what is newer than the newest and older than the oldest. */
static inline uint32_t ages_used_end(const struct ages *ages)
{
    return ages->capacity;
}

/* Closes the ring of unused indices. */
static inline uint32_t ages_unused_end(const struct ages *ages)
{
    return ages->capacity + 1;
}

static inline void ages_unlink(const struct ages *ages, uint32_t index)
{
    const struct ages_node *node = ages_node(ages, index);
    ages_node(ages, node->older)->newer = node->newer;
    ages_node(ages, node->newer)->older = node->older;
}

/* Links the index in just before the end of a ring, as its newest. */
static inline void ages_link(const struct ages *ages, uint32_t index, uint32_t end)
{
    struct ages_node *node = ages_node(ages, index);
    struct ages_node *end_node = ages_node(ages, end);
    node->older = end_node->older;
    node->newer = end;
    ages_node(ages, end_node->older)->newer = index;
    end_node->older = index;
}

/* Makes all indices unused. The nodes must be there, the other members set. */
static inline void ages_start(const struct ages *ages)
{
    for (uint32_t index = 0; index < ages->capacity + AGES_EXTRA_NODES; index++) {
        struct ages_node *node = ages_node(ages, index);
        node->age = AGES_UNUSED;
        node->older = index;
        node->newer = index;
    }
    for (uint32_t index = ages->capacity; index > 0; index--) {
        ages_link(ages, index - 1, ages_unused_end(ages));
    }
}

static inline bool ages_is_used(const struct ages *ages, uint32_t index)
{
    return index < ages->capacity && ages_node(ages, index)->age != AGES_UNUSED;
}

/* The newest age; AGES_UNUSED, which is below all others, if no index is used. */
static inline vigor_time_t ages_newest(const struct ages *ages)
{
    return ages_node(ages, ages_node(ages, ages_used_end(ages))->older)->age;
}

/* The oldest index, if its age is below time; otherwise the end of the ring. */
static inline uint32_t ages_oldest_before(const struct ages *ages, vigor_time_t time)
{
    const uint32_t oldest = ages_node(ages, ages_used_end(ages))->newer;
    return ages_node(ages, oldest)->age < time ? oldest : ages_used_end(ages);
}

/*
 * The index that was released last, and so is likeliest to be in the cache, or the lowest that was never used; the
 * end of the ring if all are used.
 */
static inline uint32_t ages_unused(const struct ages *ages)
{
    return ages_node(ages, ages_unused_end(ages))->older;
}

/* Makes an unused index used, or a used one the newest. Age must not be below the newest. */
static inline void ages_renew(const struct ages *of, uint32_t index, vigor_time_t age)
{
    const struct ages own = *of; /* which the compiler knows that no store to a node changes */
    const struct ages *ages = &own;
    struct ages_node *node = ages_node(ages, index);
    node->age = age;
    if (node->newer != ages_used_end(ages)) {
        ages_unlink(ages, index);
        ages_link(ages, index, ages_used_end(ages));
    }
}

static inline void ages_release(const struct ages *ages, uint32_t index)
{
    ages_unlink(ages, index);
    ages_link(ages, index, ages_unused_end(ages));
    ages_node(ages, index)->age = AGES_UNUSED;
}

/* Whether the ring is well linked and its ages do not decrease; how many indices are in it. */
static inline bool ages_ring_is_valid(const struct ages *ages, uint32_t end, uint32_t *out_size)
{
    uint32_t size = 0;
    uint32_t index = end;
    do {
        const struct ages_node *node = ages_node(ages, index);
        const uint32_t next = node->newer;
        if ((next >= ages->capacity && next != end) || size > ages->capacity ||
            ages_node(ages, next)->older != index ||
            (next != end && ages_node(ages, next)->age < node->age) ||
            (index != end && (node->age != AGES_UNUSED) != (end == ages_used_end(ages)))) {
            return false;
        }
        size++;
        index = next;
    } while (index != end);
    *out_size = size - 1;
    return true;
}

static inline bool ages_are_valid(const struct ages *ages, uint32_t *out_used)
{
    uint32_t unused;
    return ages_ring_is_valid(ages, ages_used_end(ages), out_used) &&
           ages_ring_is_valid(ages, ages_unused_end(ages), &unused) && *out_used + unused == ages->capacity &&
           ages_node(ages, ages_used_end(ages))->age == AGES_UNUSED;
}

#endif
