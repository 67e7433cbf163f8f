#include "flow_table/flow_table.h"

#include "block.h"
#include "index_pool/ages.h"
#include "map/probe.h"

_Static_assert(FLOW_TABLE_CAPACITY_MAX == PROBE_CAPACITY_MAX && FLOW_TABLE_CAPACITY_MAX == AGES_CAPACITY_MAX,
               "the limit is that of the parts");

/*
 * A look-up goes to a slot, eight to the cache line, and from there to one record: the node of the index, then its
 * key. The record knows nothing of its slot: the key, in the same cache line, leads back to it when the entry goes.
 */
struct flow_table {
    struct probe probe; /* keys are by value; values are indices */
    struct ages ages;
};

struct flow_table *flow_table_alloc(uint32_t key_bytes, uint32_t capacity)
{
    if (key_bytes == 0 || capacity == 0 || capacity > FLOW_TABLE_CAPACITY_MAX) {
        return NULL;
    }
    const uint32_t slots = probe_slots_for(capacity);
    const size_t record_bytes = block_stride(sizeof(struct ages_node) + (size_t) key_bytes);
    size_t total_bytes = sizeof(struct flow_table);
    size_t slots_offset;
    size_t records_offset;
    if (!block_add(&total_bytes, slots, sizeof(struct probe_slot), &slots_offset) ||
        !block_add(&total_bytes, capacity + AGES_EXTRA_NODES, record_bytes, &records_offset)) {
        return NULL;
    }
    struct flow_table *table = block_alloc(total_bytes);
    if (table == NULL) {
        return NULL;
    }
    unsigned char *records = (unsigned char *) table + records_offset;
    table->probe.slots = (struct probe_slot *) (void *) ((unsigned char *) table + slots_offset);
    table->probe.keys = records + sizeof(struct ages_node);
    table->probe.key_stride_bytes = record_bytes;
    table->probe.mask = slots - 1;
    table->probe.key_bytes = key_bytes;
    table->ages.nodes = records;
    table->ages.stride_bytes = record_bytes;
    table->ages.capacity = capacity;
    ages_start(&table->ages);
    return table;
}

static unsigned char *key_of(const struct flow_table *table, uint32_t index)
{
    return table->probe.keys + index * table->probe.key_stride_bytes;
}

static bool find(const struct flow_table *table, const void *key, uint32_t *out_index)
{
    return probe_get(&table->probe, PROBE_KEYS_BY_VALUE, key, out_index);
}

static void add(struct flow_table *table, const void *key, uint32_t index, vigor_time_t age)
{
    const uint32_t tag = probe_tag(key, table->probe.key_bytes);
    struct probe_slot *slot = probe_slot(&table->probe, probe_free_slot(&table->probe, tag));
    slot->tag = tag;
    slot->value = index;
    memcpy(key_of(table, index), key, table->probe.key_bytes);
    ages_renew(&table->ages, index, age);
}

static void erase(struct flow_table *table, uint32_t index)
{
    const uint32_t tag = probe_tag(key_of(table, index), table->probe.key_bytes);
    uint32_t slot = tag & table->probe.mask;
    while (probe_slot(&table->probe, slot)->value != index || probe_slot(&table->probe, slot)->tag != tag) {
        slot = (slot + 1) & table->probe.mask;
    }
    probe_remove(&table->probe, PROBE_KEYS_BY_VALUE, slot);
    ages_release(&table->ages, index);
}

bool flow_table_find(const struct flow_table *table, const void *key, uint32_t *out_index)
{
    return find(table, key, out_index);
}

/* What flow_table_find_and_refresh does. Inlined, for the reason that probe_get_any is. */
static inline __attribute__((always_inline)) bool find_and_refresh(struct flow_table *table, const void *key,
                                                                   vigor_time_t now, uint32_t *out_index)
{
    if (!probe_get_any(&table->probe, PROBE_KEYS_BY_VALUE, key, out_index)) {
        return false;
    }
    ages_renew(&table->ages, *out_index, now);
    return true;
}

static __attribute__((noinline)) bool find_other_and_refresh(struct flow_table *table, const void *key,
                                                             vigor_time_t now, uint32_t *out_index)
{
    return find_and_refresh(table, key, now, out_index);
}

bool flow_table_find_and_refresh(struct flow_table *table, const void *key, vigor_time_t now, uint32_t *out_index)
{
    VIGOR_REQUIRE(now >= 0 && now >= ages_newest(&table->ages));
    if (!probe_is_usual(&table->probe)) {
        return find_other_and_refresh(table, key, now, out_index);
    }
    return find_and_refresh(table, key, now, out_index);
}

bool flow_table_put(struct flow_table *table, const void *key, vigor_time_t now, uint32_t *out_index)
{
    VIGOR_REQUIRE(now >= 0 && now >= ages_newest(&table->ages) && !find(table, key, &(uint32_t){0}));
    const uint32_t index = ages_unused(&table->ages);
    if (index == ages_unused_end(&table->ages)) {
        return false;
    }
    add(table, key, index, now);
    *out_index = index;
    return true;
}

void flow_table_refresh(struct flow_table *table, uint32_t index, vigor_time_t now)
{
    VIGOR_REQUIRE(ages_is_used(&table->ages, index) && now >= ages_newest(&table->ages));
    ages_renew(&table->ages, index, now);
}

void flow_table_erase(struct flow_table *table, uint32_t index)
{
    VIGOR_REQUIRE(ages_is_used(&table->ages, index));
    erase(table, index);
}

uint32_t flow_table_expire_before(struct flow_table *table, vigor_time_t time)
{
    uint32_t expired = 0;
    for (;;) {
        const uint32_t index = ages_oldest_before(&table->ages, time);
        if (index == ages_used_end(&table->ages)) {
            return expired;
        }
        erase(table, index);
        expired++;
    }
}

bool flow_table_key_at(const struct flow_table *table, uint32_t index, void *out_key)
{
    if (!ages_is_used(&table->ages, index)) {
        return false;
    }
    memcpy(out_key, key_of(table, index), table->probe.key_bytes);
    return true;
}

uint32_t flow_table_capacity(const struct flow_table *table)
{
    return table->ages.capacity;
}

bool flow_table_entry(const struct flow_table *table, uint32_t index, void *out_key, vigor_time_t *out_age)
{
    if (!flow_table_key_at(table, index, out_key)) {
        return false;
    }
    *out_age = ages_node(&table->ages, index)->age;
    return true;
}

bool flow_table_restore(struct flow_table *table, const void *key, uint32_t index, vigor_time_t age)
{
    uint32_t present;
    if (index >= table->ages.capacity || ages_is_used(&table->ages, index) || age < 0 ||
        age < ages_newest(&table->ages) || find(table, key, &present)) {
        return false;
    }
    add(table, key, index, age);
    return true;
}

static __attribute__((noinline)) uint32_t slot_of(const struct probe *probe, const unsigned char *key, uint32_t tag)
{
    return probe_find(probe, PROBE_KEYS_BY_VALUE, key, tag);
}

bool flow_table_is_valid(const struct flow_table *table)
{
    const struct probe *probe = &table->probe;
    uint32_t used;
    if ((probe->mask & (probe->mask + 1)) != 0 || probe->mask < 2 * table->ages.capacity - 1 ||
        !ages_are_valid(&table->ages, &used)) {
        return false;
    }
    uint32_t used_slots = 0;
    for (uint32_t slot = 0; slot <= probe->mask; slot++) {
        const uint32_t tag = probe_slot(probe, slot)->tag;
        if (tag != PROBE_TAG_UNUSED) {
            if (!ages_is_used(&table->ages, probe_slot(probe, slot)->value) ||
                tag != probe_tag(probe_key(probe, PROBE_KEYS_BY_VALUE, slot), probe->key_bytes)) {
                return false;
            }
            used_slots++;
        }
    }
    if (used_slots != used) {
        return false;
    }
    /* A search leads to one slot of each key, so each used index has a slot and a key of its own. */
    for (uint32_t slot = 0; slot <= probe->mask; slot++) {
        const uint32_t tag = probe_slot(probe, slot)->tag;
        if (tag != PROBE_TAG_UNUSED && slot_of(probe, probe_key(probe, PROBE_KEYS_BY_VALUE, slot), tag) != slot) {
            return false;
        }
    }
    return true;
}
