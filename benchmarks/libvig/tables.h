/* The tables that are compared, each behind the same functions. What a table cannot do is NULL. */

#ifndef BENCHMARK_TABLES_H
#define BENCHMARK_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
    const char *name;
    void *(*make)(uint32_t key_bytes, uint32_t capacity);
    /* Values are below the capacity. Where a table chooses them itself, as a flow table does, add returns its choice. */
    uint32_t (*add)(void *table, const void *key, uint32_t value, int64_t now);
    bool (*find)(void *table, const void *key, uint32_t *out_value);
    bool (*refresh)(void *table, const void *key, int64_t now, uint32_t *out_value);
    void (*erase)(void *table, const void *key, uint32_t value);
    uint32_t (*expire)(void *table, int64_t before);
};

extern const struct table map_table;
extern const struct table flow_table_table;
extern const struct table plain_table;
extern const struct table rte_hash_table;

#endif
