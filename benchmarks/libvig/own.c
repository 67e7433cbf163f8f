/* libVig's map and flow table. */

#include "flow_table/flow_table.h"
#include "map/map.h"
#include "tables.h"

static void *make_map(uint32_t key_bytes, uint32_t capacity)
{
    return map_alloc(key_bytes, capacity);
}

static uint32_t map_add(void *table, const void *key, uint32_t value, int64_t now)
{
    (void) now;
    (void) map_put(table, key, value);
    return value;
}

static bool map_find(void *table, const void *key, uint32_t *out_value)
{
    return map_get(table, key, out_value);
}

static void map_remove(void *table, const void *key, uint32_t value)
{
    (void) value;
    (void) map_erase(table, key);
}

const struct table map_table = {"map", make_map, map_add, map_find, NULL, map_remove, NULL};

static void *make_flow_table(uint32_t key_bytes, uint32_t capacity)
{
    return flow_table_alloc(key_bytes, capacity);
}

static uint32_t flow_table_add(void *table, const void *key, uint32_t value, int64_t now)
{
    (void) flow_table_put(table, key, now, &value);
    return value;
}

static bool find(void *table, const void *key, uint32_t *out_value)
{
    return flow_table_find(table, key, out_value);
}

static bool find_and_refresh(void *table, const void *key, int64_t now, uint32_t *out_value)
{
    return flow_table_find_and_refresh(table, key, now, out_value);
}

static void flow_table_remove(void *table, const void *key, uint32_t value)
{
    (void) key;
    flow_table_erase(table, value);
}

static uint32_t expire(void *table, int64_t before)
{
    return flow_table_expire_before(table, before);
}

const struct table flow_table_table = {"flow_table",      make_flow_table,   flow_table_add, find,
                                       find_and_refresh, flow_table_remove, expire};
