#include "map/map.h"

#include "block.h"
#include "map/probe.h"

_Static_assert(MAP_CAPACITY_MAX == PROBE_CAPACITY_MAX, "the limit is that of the probing");

/*
 * Tags and values are apart from keys, eight to the cache line: a look-up of an absent key hardly ever sees more than one
 * line. That of a present one loads its key at the same time, because the slot says where it is.
 */
struct map {
    struct probe probe; /* keys are by slot */
    uint32_t capacity;
    uint32_t size;
};

struct map *map_alloc(uint32_t key_bytes, uint32_t capacity)
{
    if (key_bytes == 0 || capacity == 0 || capacity > MAP_CAPACITY_MAX) {
        return NULL;
    }
    const uint32_t slots = probe_slots_for(capacity);
    const size_t key_stride_bytes = block_stride(key_bytes);
    size_t total_bytes = sizeof(struct map);
    size_t slots_offset;
    size_t keys_offset;
    if (!block_add(&total_bytes, slots, sizeof(struct probe_slot), &slots_offset) ||
        !block_add(&total_bytes, slots, key_stride_bytes, &keys_offset)) {
        return NULL;
    }
    struct map *map = block_alloc(total_bytes);
    if (map == NULL) {
        return NULL;
    }
    map->probe.slots = (struct probe_slot *) (void *) ((unsigned char *) map + slots_offset);
    map->probe.keys = (unsigned char *) map + keys_offset;
    map->probe.key_stride_bytes = key_stride_bytes;
    map->probe.mask = slots - 1;
    map->probe.key_bytes = key_bytes;
    map->capacity = capacity;
    return map;
}

static inline __attribute__((always_inline)) uint32_t find(const struct map *map, const void *key, uint32_t tag)
{
    return probe_find(&map->probe, PROBE_KEYS_BY_SLOT, key, tag);
}

bool map_get(const struct map *map, const void *key, uint32_t *out_value)
{
    return probe_get(&map->probe, PROBE_KEYS_BY_SLOT, key, out_value);
}

bool map_put(struct map *map, const void *key, uint32_t value)
{
    const uint32_t tag = probe_tag(key, map->probe.key_bytes);
    uint32_t slot = find(map, key, tag);
    if (slot == PROBE_NO_SLOT) {
        if (map->size == map->capacity) {
            return false;
        }
        slot = probe_free_slot(&map->probe, tag);
        probe_slot(&map->probe, slot)->tag = tag;
        memcpy(probe_key(&map->probe, PROBE_KEYS_BY_SLOT, slot), key, map->probe.key_bytes);
        map->size++;
    }
    probe_slot(&map->probe, slot)->value = value;
    return true;
}

bool map_erase(struct map *map, const void *key)
{
    const uint32_t slot = find(map, key, probe_tag(key, map->probe.key_bytes));
    if (slot == PROBE_NO_SLOT) {
        return false;
    }
    probe_remove(&map->probe, PROBE_KEYS_BY_SLOT, slot);
    map->size--;
    return true;
}

uint32_t map_size(const struct map *map)
{
    return map->size;
}

uint32_t map_slots(const struct map *map)
{
    return map->probe.mask + 1;
}

bool map_slot(const struct map *map, uint32_t slot, void *out_key, uint32_t *out_value)
{
    if (slot > map->probe.mask || probe_slot(&map->probe, slot)->tag == PROBE_TAG_UNUSED) {
        return false;
    }
    memcpy(out_key, probe_key(&map->probe, PROBE_KEYS_BY_SLOT, slot), map->probe.key_bytes);
    *out_value = probe_slot(&map->probe, slot)->value;
    return true;
}

bool map_is_valid(const struct map *map)
{
    const struct probe *probe = &map->probe;
    uint32_t used = 0;
    for (uint32_t slot = 0; slot <= probe->mask; slot++) {
        const uint32_t tag = probe_slot(probe, slot)->tag;
        if (tag != PROBE_TAG_UNUSED) {
            used++;
        }
    }
    if ((probe->mask & (probe->mask + 1)) != 0 || probe->mask < 2 * map->capacity - 1 || map->size > map->capacity ||
        used != map->size) {
        return false;
    }
    for (uint32_t slot = 0; slot <= probe->mask; slot++) {
        const uint32_t tag = probe_slot(probe, slot)->tag;
        const unsigned char *key = probe_key(probe, PROBE_KEYS_BY_SLOT, slot);
        if (tag != PROBE_TAG_UNUSED && (tag != probe_tag(key, probe->key_bytes) || find(map, key, tag) != slot)) {
            return false;
        }
    }
    return true;
}
