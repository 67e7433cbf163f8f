/*
 * An allocator of the indices 0 to capacity - 1, each of which has an age while it is used: the time at which it was
 * taken or last refreshed.
 */

#ifndef VIGOR_INDEX_POOL_H
#define VIGOR_INDEX_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "vigor_time.h"

struct index_pool;

/* The largest capacity there can be. */
#define INDEX_POOL_CAPACITY_MAX (UINT32_C(1) << 30)

/*
 * A pool of capacity indices, none of them used.
 * NULL if capacity is 0 or above INDEX_POOL_CAPACITY_MAX, or there is not enough memory.
 * O(capacity).
 */
VIGOR_API struct index_pool *index_pool_alloc(uint32_t capacity);

/*
 * Takes an unused index, any one, with the age now; false if all are used, and then *out_index is left alone.
 * Requires 0 <= now, and age <= now for every age in the pool.
 * O(1).
 */
VIGOR_API bool index_pool_take(struct index_pool *pool, vigor_time_t now, uint32_t *out_index);

/* Whether the index is used; false if there is no such index. O(1). */
VIGOR_API bool index_pool_is_used(const struct index_pool *pool, uint32_t index);

/*
 * Makes now the age of the index.
 * Requires that the index is used, 0 <= now, and age <= now for every age in the pool.
 * O(1), and cheapest for the index that was taken or refreshed last.
 */
VIGOR_API void index_pool_refresh(struct index_pool *pool, uint32_t index, vigor_time_t now);

/* Makes the index unused. Requires that it is used. O(1). */
VIGOR_API void index_pool_release(struct index_pool *pool, uint32_t index);

/* Makes every index with age < time unused; returns how many those were. O(1 + the number returned). */
VIGOR_API uint32_t index_pool_expire_before(struct index_pool *pool, vigor_time_t time);

/* How many indices there are, used or not. O(1). */
VIGOR_API uint32_t index_pool_capacity(const struct index_pool *pool);

/*
 * For inspection: the age of the index; false if it is unused or there is none, and then *out_age is left alone.
 * O(1).
 */
VIGOR_API bool index_pool_entry(const struct index_pool *pool, uint32_t index, vigor_time_t *out_age);

/*
 * For restoring a saved state, oldest entry first: takes this very index, with this age.
 * False, without effect, if the index is used, there is no such index, or age is negative or below an age in the
 * pool.
 * O(1).
 */
VIGOR_API bool index_pool_restore(struct index_pool *pool, uint32_t index, vigor_time_t age);

/* For tests: whether the pool's own bookkeeping is consistent. O(capacity). */
VIGOR_API bool index_pool_is_valid(const struct index_pool *pool);

#endif
