/*
 * Members for an NF's state struct that say what a libVig structure holds.
 *
 * The structures themselves know only sizes. Each macro declares the handle together with a pointer that is never
 * used but whose type names the key or record; a reader of the header learns the types from it, and the state struct
 * grows by nothing. Write them like any other member: `FLOW_TABLE(stations, struct net_mac);`.
 */

#ifndef VIGOR_TYPED_H
#define VIGOR_TYPED_H

struct consistent_hash;
struct flow_table;
struct index_pool;
struct lpm;
struct map;
struct vector;

/* A flow_table from keys of key_type to indices. */
#define FLOW_TABLE(name, key_type) \
    union { \
        struct flow_table *name; \
        const key_type *name##_key; \
    }

/* A map from keys of key_type to uint32_t. */
#define MAP(name, key_type) \
    union { \
        struct map *name; \
        const key_type *name##_key; \
    }

/* A vector of record_type. */
#define VECTOR(name, record_type) \
    union { \
        struct vector *name; \
        record_type *name##_record; \
    }

/* A consistent_hash that chooses for keys of key_type. */
#define CONSISTENT_HASH(name, key_type) \
    union { \
        struct consistent_hash *name; \
        const key_type *name##_key; \
    }

/* An index_pool, which holds nothing but ages. */
#define INDEX_POOL(name) struct index_pool *name

/* An lpm, whose keys are IPv4 prefixes. */
#define LPM(name) struct lpm *name

#endif
