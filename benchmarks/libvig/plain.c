/* What one would write first: keys and values in slots at half load, linear probing, FNV-1a, memcmp. */

#include <stdlib.h>
#include <string.h>

#include "tables.h"

struct plain {
    unsigned char *slots; /* used, value, key */
    size_t stride_bytes;
    uint32_t mask;
    uint32_t key_bytes;
};

static void *make(uint32_t key_bytes, uint32_t capacity)
{
    struct plain *plain = malloc(sizeof(struct plain));
    uint32_t slots = 2;
    while (slots < 2 * capacity) {
        slots *= 2;
    }
    plain->stride_bytes = (8 + (size_t) key_bytes + 7) / 8 * 8;
    plain->mask = slots - 1;
    plain->key_bytes = key_bytes;
    plain->slots = calloc(slots, plain->stride_bytes);
    return plain;
}

static uint32_t home(const struct plain *plain, const unsigned char *key)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (uint32_t k = 0; k < plain->key_bytes; k++) {
        hash = (hash ^ key[k]) * UINT64_C(0x100000001B3);
    }
    return (uint32_t) (hash >> 32) & plain->mask;
}

static unsigned char *at(const struct plain *plain, uint32_t slot)
{
    return plain->slots + slot * plain->stride_bytes;
}

/* The key's slot, or the unused one where it would go. */
static uint32_t search(const struct plain *plain, const void *key)
{
    uint32_t slot = home(plain, key);
    while (*at(plain, slot) != 0 && memcmp(at(plain, slot) + 8, key, plain->key_bytes) != 0) {
        slot = (slot + 1) & plain->mask;
    }
    return slot;
}

static uint32_t add(void *table, const void *key, uint32_t value, int64_t now)
{
    (void) now;
    struct plain *plain = table;
    unsigned char *slot = at(plain, search(plain, key));
    *slot = 1;
    memcpy(slot + 4, &value, sizeof(value));
    memcpy(slot + 8, key, plain->key_bytes);
    return value;
}

static bool find(void *table, const void *key, uint32_t *out_value)
{
    struct plain *plain = table;
    const unsigned char *slot = at(plain, search(plain, key));
    memcpy(out_value, slot + 4, sizeof(*out_value));
    return *slot != 0;
}

static void erase(void *table, const void *key, uint32_t value)
{
    (void) value;
    struct plain *plain = table;
    uint32_t gap = search(plain, key);
    for (uint32_t slot = (gap + 1) & plain->mask; *at(plain, slot) != 0; slot = (slot + 1) & plain->mask) {
        const uint32_t start = home(plain, at(plain, slot) + 8);
        if (((slot - start) & plain->mask) >= ((slot - gap) & plain->mask)) {
            memcpy(at(plain, gap), at(plain, slot), plain->stride_bytes);
            gap = slot;
        }
    }
    *at(plain, gap) = 0;
}

const struct table plain_table = {"plain", make, add, find, NULL, erase, NULL};
