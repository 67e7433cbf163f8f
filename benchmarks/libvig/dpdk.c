/* DPDK's rte_hash, with a linked list of entries in the order of their last use beside it. */

#include <stdlib.h>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include "tables.h"

struct node {
    int64_t age;
    uint32_t older;
    uint32_t newer;
};

struct list {
    struct rte_hash *hash;
    struct node *nodes; /* by rte_hash's position; that of the capacity closes the ring */
    unsigned char *keys;
    uint32_t key_bytes;
    uint32_t end;
};

static void *make(uint32_t key_bytes, uint32_t capacity)
{
    static bool initialised;
    static unsigned number;
    if (!initialised) {
        char *arguments[] = {(char[]){"benchmark"}, (char[]){"--no-huge"},      (char[]){"--no-pci"},
                             (char[]){"-m"},        (char[]){"256"},            (char[]){"-l"},
                             (char[]){"0"},         (char[]){"--no-telemetry"}, (char[]){"--log-level=error"}};
        if (rte_eal_init(9, arguments) < 0) {
            return NULL;
        }
        initialised = true;
    }
    char name[16];
    snprintf(name, sizeof(name), "table%u", number++);
    const struct rte_hash_parameters parameters = {
        .name = name, .entries = capacity, .key_len = key_bytes, .hash_func = rte_hash_crc, .socket_id = 0};
    struct list *list = malloc(sizeof(struct list));
    list->hash = rte_hash_create(&parameters);
    if (list->hash == NULL) {
        return NULL;
    }
    list->end = (uint32_t) rte_hash_max_key_id(list->hash) + 1;
    list->nodes = calloc(list->end + 1, sizeof(struct node));
    list->keys = calloc(list->end, key_bytes);
    list->key_bytes = key_bytes;
    list->nodes[list->end] = (struct node){-1, list->end, list->end};
    return list;
}

static void unlink_node(struct list *list, uint32_t index)
{
    const struct node *node = &list->nodes[index];
    list->nodes[node->older].newer = node->newer;
    list->nodes[node->newer].older = node->older;
}

static void link_newest(struct list *list, uint32_t index, int64_t age)
{
    struct node *end = &list->nodes[list->end];
    list->nodes[index] = (struct node){age, end->older, list->end};
    list->nodes[end->older].newer = index;
    end->older = index;
}

static uint32_t add(void *table, const void *key, uint32_t value, int64_t now)
{
    struct list *list = table;
    (void) value;
    const uint32_t index = (uint32_t) rte_hash_add_key(list->hash, key);
    memcpy(list->keys + (size_t) index * list->key_bytes, key, list->key_bytes);
    link_newest(list, index, now);
    return index;
}

static bool find(void *table, const void *key, uint32_t *out_value)
{
    const struct list *list = table;
    const int32_t index = rte_hash_lookup(list->hash, key);
    *out_value = (uint32_t) index;
    return index >= 0;
}

static bool refresh(void *table, const void *key, int64_t now, uint32_t *out_value)
{
    struct list *list = table;
    if (!find(table, key, out_value)) {
        return false;
    }
    unlink_node(list, *out_value);
    link_newest(list, *out_value, now);
    return true;
}

static void erase(void *table, const void *key, uint32_t value)
{
    struct list *list = table;
    (void) rte_hash_del_key(list->hash, key);
    unlink_node(list, value);
}

static uint32_t expire(void *table, int64_t before)
{
    struct list *list = table;
    uint32_t count = 0;
    for (;;) {
        const uint32_t oldest = list->nodes[list->end].newer;
        if (oldest == list->end || list->nodes[oldest].age >= before) {
            return count;
        }
        erase(table, list->keys + (size_t) oldest * list->key_bytes, oldest);
        count++;
    }
}

const struct table rte_hash_table = {"rte_hash", make, add, find, refresh, erase, expire};
