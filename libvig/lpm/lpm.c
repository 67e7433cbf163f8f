#include "lpm/lpm.h"

#include "block.h"
#include "index_pool/index_pool.h"
#include "lpm/steps.h"
#include "map/map.h"

struct lpm *lpm_alloc(uint32_t capacity)
{
    if (capacity == 0 || capacity > LPM_CAPACITY_MAX) {
        return NULL;
    }
    size_t total_bytes = sizeof(struct lpm);
    size_t offset;
    if (!block_add(&total_bytes, LPM_SLOTS + (size_t) capacity * LPM_GROUP, sizeof(uint32_t), &offset)) {
        return NULL;
    }
    struct lpm *lpm = block_alloc(total_bytes);
    if (lpm == NULL) {
        return NULL;
    }
    lpm->entries = (uint32_t *) (void *) ((unsigned char *) lpm + offset);
    lpm->prefixes = map_alloc(sizeof(struct lpm_prefix), capacity);
    lpm->groups = index_pool_alloc(capacity);
    return lpm->prefixes == NULL || lpm->groups == NULL ? NULL : lpm;
}

static uint32_t entry_of(uint32_t length, uint32_t value)
{
    return (length + 1) << LPM_LENGTH_SHIFT | value;
}

void lpm_cover(uint32_t *entries, uint32_t first, uint32_t count, uint32_t length, uint32_t entry)
{
    for (uint32_t i = 0; i < count; i++) {
        if (lpm_entry_is_at_most(entries[first + i], length)) {
            entries[first + i] = entry;
        }
    }
}

void lpm_cover_slots(uint32_t *entries, uint32_t first, uint32_t count, uint32_t length, uint32_t entry)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t found = entries[first + i];
        if (found & LPM_SPLIT) {
            lpm_cover(entries, lpm_group_of(found), LPM_GROUP, length, entry);
        } else if (lpm_entry_is_at_most(found, length)) {
            entries[first + i] = entry;
        }
    }
}

bool lpm_any_is_longer(const uint32_t *entries, uint32_t first)
{
    for (uint32_t i = 0; i < LPM_GROUP; i++) {
        if (!lpm_entry_is_at_most(entries[first + i], LPM_FIRST_BITS)) {
            return true;
        }
    }
    return false;
}

uint32_t lpm_next_shorter(const struct lpm *lpm, uint32_t prefix, uint32_t length)
{
    while (length > 0) {
        length--;
        const struct lpm_prefix shorter = {prefix & lpm_mask(length), length};
        uint32_t value;
        if (map_get(lpm->prefixes, &shorter, &value)) {
            return entry_of(length, value);
        }
    }
    return 0;
}

/* Gives the addresses of a prefix, as far as no longer one has them, the entry. */
static void cover(struct lpm *lpm, uint32_t prefix, uint32_t length, uint32_t entry)
{
    const uint32_t slot = prefix >> (32 - LPM_FIRST_BITS);
    if (length <= LPM_FIRST_BITS) {
        lpm_cover_slots(lpm->entries, slot, UINT32_C(1) << (LPM_FIRST_BITS - length), length, entry);
        return;
    }
    const uint32_t first = lpm_group_of(lpm->entries[slot]) + prefix % LPM_GROUP;
    lpm_cover(lpm->entries, first, UINT32_C(1) << (32 - length), length, entry);
}

bool lpm_add(struct lpm *lpm, uint32_t prefix, uint32_t length, uint32_t value)
{
    if (length > LPM_LENGTH_MAX || (prefix & ~lpm_mask(length)) != 0 || value > LPM_VALUE_MAX) {
        return false;
    }
    const struct lpm_prefix key = {prefix, length};
    if (!map_put(lpm->prefixes, &key, value)) {
        return false;
    }
    const uint32_t slot = prefix >> (32 - LPM_FIRST_BITS);
    const uint32_t found = lpm->entries[slot];
    if (length > LPM_FIRST_BITS && !(found & LPM_SPLIT)) {
        /* There is a group: each one in use is so for another prefix, and there is room for the new one. */
        uint32_t group = 0;
        index_pool_take(lpm->groups, 0, &group);
        lpm_cover(lpm->entries, lpm_group_of(group), LPM_GROUP, LPM_ANY_LENGTH, found);
        lpm->entries[slot] = LPM_SPLIT | group;
    }
    cover(lpm, prefix, length, entry_of(length, value));
    return true;
}

bool lpm_remove(struct lpm *lpm, uint32_t prefix, uint32_t length)
{
    const struct lpm_prefix key = {prefix, length};
    if (!map_erase(lpm->prefixes, &key)) {
        return false;
    }
    cover(lpm, prefix, length, lpm_next_shorter(lpm, prefix, length));
    if (length > LPM_FIRST_BITS) {
        uint32_t *const entry = &lpm->entries[prefix >> (32 - LPM_FIRST_BITS)];
        const uint32_t first = lpm_group_of(*entry);
        if (!lpm_any_is_longer(lpm->entries, first)) {
            index_pool_release(lpm->groups, *entry & LPM_VALUE_MAX);
            *entry = lpm->entries[first];
        }
    }
    return true;
}

static uint32_t search(const struct lpm *lpm, uint32_t address)
{
    const uint32_t entry = lpm->entries[address >> (32 - LPM_FIRST_BITS)];
    return entry & LPM_SPLIT ? lpm->entries[lpm_group_of(entry) + address % LPM_GROUP] : entry;
}

bool lpm_search(const struct lpm *lpm, uint32_t address, uint32_t *out_value)
{
    const uint32_t entry = search(lpm, address);
    if (entry == 0) {
        return false;
    }
    *out_value = entry & LPM_VALUE_MAX;
    return true;
}

uint32_t lpm_size(const struct lpm *lpm)
{
    return map_size(lpm->prefixes);
}

uint32_t lpm_slots(const struct lpm *lpm)
{
    return map_slots(lpm->prefixes);
}

bool lpm_slot(const struct lpm *lpm, uint32_t slot, struct lpm_prefix *out_prefix, uint32_t *out_value)
{
    return map_slot(lpm->prefixes, slot, out_prefix, out_value);
}
