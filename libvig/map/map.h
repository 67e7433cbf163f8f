/*
 * A map from keys of one fixed size to 32-bit values.
 *
 * Keys are copied into the map and compared byte by byte, so a key type must have no padding. Open addressing with
 * linear probing over at least twice as many slots as entries; erasing moves later entries up, so nothing degrades
 * with use.
 * Times are expected ones, for keys that nobody picked to collide.
 */

#ifndef VIGOR_MAP_H
#define VIGOR_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

struct map;

/* The largest capacity there can be. */
#define MAP_CAPACITY_MAX (UINT32_C(1) << 30)

/*
 * An empty map for at most capacity keys of key_bytes bytes each.
 * NULL if key_bytes is 0, capacity is 0 or above MAP_CAPACITY_MAX, or there is not enough memory.
 * O(capacity * key_bytes).
 */
VIGOR_API struct map *map_alloc(uint32_t key_bytes, uint32_t capacity);

/* Gets the value of the key; false if it is absent, and then *out_value is left alone. O(1). */
VIGOR_API bool map_get(const struct map *map, const void *key, uint32_t *out_value);

/* Sets the value of the key, present or not; false, without effect, if it is absent and the map is full. O(1). */
VIGOR_API bool map_put(struct map *map, const void *key, uint32_t value);

/* Removes the key; false if it is absent. O(1). */
VIGOR_API bool map_erase(struct map *map, const void *key);

/* How many keys there are. O(1). */
VIGOR_API uint32_t map_size(const struct map *map);

/* For inspection: how many slots there are, used or not. O(1). */
VIGOR_API uint32_t map_slots(const struct map *map);

/*
 * For inspection: the key and value in a slot; false if the slot is unused or there is no such slot, and then nothing
 * is written. Each key is in exactly one slot. O(1).
 */
VIGOR_API bool map_slot(const struct map *map, uint32_t slot, void *out_key, uint32_t *out_value);

/* For tests: whether the map's own bookkeeping is consistent. O(slots). */
VIGOR_API bool map_is_valid(const struct map *map);

#endif
