/*
 * A table from keys of one fixed size to indices 0 to capacity - 1, each with an age: the time at which the entry was
 * put or last refreshed. Key, index and age live in one structure, so they cannot get out of step.
 *
 * Keys are copied into the table and compared byte by byte, so a key type must have no padding. While an entry lives,
 * its key and its index do not change; the index is where the NF keeps the rest of what it knows, in vectors.
 * Times are expected ones, for keys that nobody picked to collide.
 */

#ifndef VIGOR_FLOW_TABLE_H
#define VIGOR_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "vigor_time.h"

struct flow_table;

/* The largest capacity there can be. */
#define FLOW_TABLE_CAPACITY_MAX (UINT32_C(1) << 30)

/*
 * An empty table for at most capacity keys of key_bytes bytes each.
 * NULL if key_bytes is 0, capacity is 0 or above FLOW_TABLE_CAPACITY_MAX, or there is not enough memory.
 * O(capacity * key_bytes).
 */
VIGOR_API struct flow_table *flow_table_alloc(uint32_t key_bytes, uint32_t capacity);

/* Finds the index of the key; false if it is absent, and then *out_index is left alone. O(1). */
VIGOR_API bool flow_table_find(const struct flow_table *table, const void *key, uint32_t *out_index);

/*
 * Finds the index of the key and makes now the age of its entry; false, without effect, if the key is absent.
 * Requires 0 <= now, and age <= now for every age in the table.
 * O(1).
 */
VIGOR_API bool flow_table_find_and_refresh(struct flow_table *table, const void *key, vigor_time_t now,
                                           uint32_t *out_index);

/*
 * Adds the key with the age now, at an unused index, any one; false, without effect, if the table is full.
 * Requires that the key is absent, 0 <= now, and age <= now for every age in the table.
 * O(1).
 */
VIGOR_API bool flow_table_put(struct flow_table *table, const void *key, vigor_time_t now, uint32_t *out_index);

/*
 * Makes now the age of the entry at the index.
 * Requires that the index is used, 0 <= now, and age <= now for every age in the table.
 * O(1), and cheapest for the entry that was put or refreshed last.
 */
VIGOR_API void flow_table_refresh(struct flow_table *table, uint32_t index, vigor_time_t now);

/* Removes the entry at the index. Requires that the index is used. O(1). */
VIGOR_API void flow_table_erase(struct flow_table *table, uint32_t index);

/* Removes every entry with age < time; returns how many those were. O(1 + the number returned). */
VIGOR_API uint32_t flow_table_expire_before(struct flow_table *table, vigor_time_t time);

/*
 * Copies the key of the entry at the index; false if it is unused or there is none, and then nothing is written.
 * O(1).
 */
VIGOR_API bool flow_table_key_at(const struct flow_table *table, uint32_t index, void *out_key);

/* How many indices there are, used or not. O(1). */
VIGOR_API uint32_t flow_table_capacity(const struct flow_table *table);

/*
 * For inspection: the key and age of the entry at the index; false if it is unused or there is none, and then nothing
 * is written. O(1).
 */
VIGOR_API bool flow_table_entry(const struct flow_table *table, uint32_t index, void *out_key, vigor_time_t *out_age);

/*
 * For restoring a saved state, oldest entry first: adds the key at this very index, with this age.
 * False, without effect, if the key is present, the index is used, there is no such index, or age is negative or
 * below an age in the table.
 * O(1).
 */
VIGOR_API bool flow_table_restore(struct flow_table *table, const void *key, uint32_t index, vigor_time_t age);

/* For tests: whether the table's own bookkeeping is consistent. O(capacity). */
VIGOR_API bool flow_table_is_valid(const struct flow_table *table);

#endif
