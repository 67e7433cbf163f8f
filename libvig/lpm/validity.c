#include "lpm/lpm.h"

#include "index_pool/index_pool.h"
#include "lpm/steps.h"
#include "map/map.h"

bool lpm_are_at_least(const uint32_t *entries, uint32_t first, uint32_t count, uint32_t length)
{
    for (uint32_t i = 0; i < count; i++) {
        if (entries[first + i] >> LPM_LENGTH_SHIFT <= length) {
            return false;
        }
    }
    return true;
}

bool lpm_slots_are_at_least(const uint32_t *entries, uint32_t first, uint32_t count, uint32_t length)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t entry = entries[first + i];
        const bool are = entry & LPM_SPLIT ? lpm_are_at_least(entries, lpm_group_of(entry), LPM_GROUP, length)
                                           : entry >> LPM_LENGTH_SHIFT > length;
        if (!are) {
            return false;
        }
    }
    return true;
}

/* Whether an entry for an address is 0 or of a prefix that is present, with its value. */
static bool is_present(const struct lpm *lpm, uint32_t entry, uint32_t address)
{
    if (entry == 0) {
        return true;
    }
    const uint32_t length = (entry >> LPM_LENGTH_SHIFT) - 1;
    if (length > LPM_LENGTH_MAX) {
        return false;
    }
    const struct lpm_prefix key = {address & lpm_mask(length), length};
    uint32_t value;
    return map_get(lpm->prefixes, &key, &value) && value == (entry & LPM_VALUE_MAX);
}

bool lpm_are_present(const struct lpm *lpm, uint32_t first, uint32_t count, uint32_t address)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!is_present(lpm, lpm->entries[first + i], address + i)) {
            return false;
        }
    }
    return true;
}

/* Whether the slot before has the same entry and is in the same prefix of that length: then it tells the same. */
static bool is_as_before(const uint32_t *entries, uint32_t slot)
{
    const uint32_t length = (entries[slot] >> LPM_LENGTH_SHIFT) - 1;
    return length < LPM_FIRST_BITS && (slot & (LPM_SLOTS - 1) >> length) != 0 && entries[slot] == entries[slot - 1];
}

static bool is_slot_valid(const struct lpm *lpm, uint32_t slot)
{
    const uint32_t entry = lpm->entries[slot];
    if (entry & LPM_SPLIT) {
        const uint32_t group = entry & LPM_VALUE_MAX;
        return entry == (LPM_SPLIT | group) && index_pool_is_used(lpm->groups, group) &&
               lpm_any_is_longer(lpm->entries, lpm_group_of(entry)) &&
               lpm_are_present(lpm, lpm_group_of(entry), LPM_GROUP, slot * LPM_GROUP);
    }
    return entry == 0 || (lpm_entry_is_at_most(entry, LPM_FIRST_BITS) &&
                          (is_as_before(lpm->entries, slot) || lpm_are_present(lpm, slot, 1, slot * LPM_GROUP)));
}

bool lpm_are_slots_valid(const struct lpm *lpm, uint32_t *out_groups)
{
    uint32_t groups = 0;
    for (uint32_t slot = 0; slot < LPM_SLOTS; slot++) {
        if (!is_slot_valid(lpm, slot)) {
            return false;
        }
        groups += lpm->entries[slot] >> 31;
    }
    *out_groups = groups;
    return true;
}

uint32_t lpm_used_groups(const struct lpm *lpm)
{
    const uint32_t capacity = index_pool_capacity(lpm->groups);
    uint32_t used = 0;
    for (uint32_t group = 0; group < capacity; group++) {
        used += index_pool_is_used(lpm->groups, group);
    }
    return used;
}

/* Whether the addresses of a prefix have entries of prefixes at least as long. */
static bool is_covered(const struct lpm *lpm, const struct lpm_prefix *key)
{
    const uint32_t slot = key->prefix / LPM_GROUP;
    if (key->length <= LPM_FIRST_BITS) {
        const uint32_t count = UINT32_C(1) << (LPM_FIRST_BITS - key->length);
        return lpm_slots_are_at_least(lpm->entries, slot, count, key->length);
    }
    const uint32_t entry = lpm->entries[slot];
    const uint32_t count = UINT32_C(1) << (32 - key->length);
    const uint32_t first = lpm_group_of(entry) + key->prefix % LPM_GROUP;
    return entry & LPM_SPLIT && lpm_are_at_least(lpm->entries, first, count, key->length);
}

bool lpm_are_prefixes_valid(const struct lpm *lpm)
{
    const uint32_t slots = map_slots(lpm->prefixes);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct lpm_prefix key;
        uint32_t value;
        if (map_slot(lpm->prefixes, slot, &key, &value) &&
            (key.length > LPM_LENGTH_MAX || (key.prefix & ~lpm_mask(key.length)) != 0 || value > LPM_VALUE_MAX ||
             !is_covered(lpm, &key))) {
            return false;
        }
    }
    return true;
}

bool lpm_is_valid(const struct lpm *lpm)
{
    uint32_t groups;
    return map_is_valid(lpm->prefixes) && index_pool_is_valid(lpm->groups) && lpm_are_slots_valid(lpm, &groups) &&
           groups == lpm_used_groups(lpm) && lpm_are_prefixes_valid(lpm);
}
