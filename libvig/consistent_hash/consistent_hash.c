#include "consistent_hash/consistent_hash.h"

#include "block.h"
#include "map/probe.h"

/* The backend of a slot while the table is being filled. */
#define NO_BACKEND UINT16_MAX

/*
 * How many slots a key looks at, for each backend, before it takes the first available one. Of many backends n of
 * which m are left, that happens to one key in e^(4m): it ends the search, and is too rare to be seen in the shares.
 */
#define VISITS_PER_BACKEND 4u

_Static_assert(CONSISTENT_HASH_BACKENDS_MAX <= NO_BACKEND, "every backend fits in a slot");

struct consistent_hash {
    uint16_t *backends; /* by slot */
    uint32_t slot_count;
    uint32_t backend_count;
    uint32_t key_bytes;
};

/* A place in an order of all slots: as their number is prime, adding any skip visits each of them once. */
struct walk {
    uint32_t slot;
    uint32_t skip;
};

static inline uint32_t scaled(uint32_t hash, uint32_t limit)
{
    return (uint32_t) ((uint64_t) hash * limit >> 32);
}

static inline struct walk walk_start(uint64_t hash, uint32_t slot_count)
{
    return (struct walk){scaled((uint32_t) hash, slot_count), 1 + scaled((uint32_t) (hash >> 32), slot_count - 1)};
}

static inline void walk_on(struct walk *walk, uint32_t slot_count)
{
    walk->slot += walk->skip;
    if (walk->slot >= slot_count) {
        walk->slot -= slot_count;
    }
}

/* All bits of the result depend on all of the word. */
static inline uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    word = (word ^ word >> 29) * UINT64_C(0xD1B54A32D192ED03);
    return word ^ word >> 32;
}

static uint64_t hash_of(const unsigned char *key, uint32_t key_bytes)
{
    uint64_t hash = key_bytes;
    for (; key_bytes > 8; key += 8, key_bytes -= 8) {
        hash = probe_mix(hash, probe_load64(key));
    }
    return mix(probe_mix(hash, probe_word(key, key_bytes)));
}

static bool is_prime(uint32_t number)
{
    for (uint32_t divisor = 2; divisor <= number / divisor; divisor++) {
        if (number % divisor == 0) {
            return false;
        }
    }
    return number > 1;
}

static uint32_t prime_from(uint32_t number)
{
    while (!is_prime(number)) {
        number++;
    }
    return number;
}

/* The paper's pseudocode 1; a backend's place in its order, rather than how far it has come in it, is what is kept. */
static void fill(const struct consistent_hash *table, struct walk *walks)
{
    for (uint32_t slot = 0; slot < table->slot_count; slot++) {
        table->backends[slot] = NO_BACKEND;
    }
    for (uint32_t backend = 0; backend < table->backend_count; backend++) {
        walks[backend] = walk_start(mix(backend + 1), table->slot_count);
    }
    uint32_t backend = 0;
    for (uint32_t filled = 0; filled < table->slot_count; filled++) {
        struct walk *walk = &walks[backend];
        while (table->backends[walk->slot] != NO_BACKEND) {
            walk_on(walk, table->slot_count);
        }
        table->backends[walk->slot] = (uint16_t) backend;
        backend = backend + 1 < table->backend_count ? backend + 1 : 0;
    }
}

struct consistent_hash *consistent_hash_alloc(uint32_t key_bytes, uint32_t backends, uint32_t slots)
{
    if (key_bytes == 0 || backends == 0 || backends > CONSISTENT_HASH_BACKENDS_MAX || slots < backends ||
        slots > CONSISTENT_HASH_SLOTS_MAX) {
        return NULL;
    }
    const uint32_t slot_count = prime_from(slots);
    size_t total_bytes = sizeof(struct consistent_hash);
    size_t backends_offset;
    size_t walks_offset;
    if (!block_add(&total_bytes, slot_count, sizeof(uint16_t), &backends_offset) ||
        !block_add(&total_bytes, backends, sizeof(struct walk), &walks_offset)) {
        return NULL;
    }
    unsigned char *block = block_alloc(total_bytes);
    if (block == NULL) {
        return NULL;
    }
    struct consistent_hash *table = (struct consistent_hash *) (void *) block;
    table->backends = (uint16_t *) (void *) (block + backends_offset);
    table->slot_count = slot_count;
    table->backend_count = backends;
    table->key_bytes = key_bytes;
    fill(table, (struct walk *) (void *) (block + walks_offset));
    return table;
}

bool consistent_hash_choose(const struct consistent_hash *table, const void *key, const struct flow_table *available,
                            void *out_backend_key, uint32_t *out_backend)
{
    struct walk walk = walk_start(hash_of(key, table->key_bytes), table->slot_count);
    for (uint32_t visit = 0; visit < VISITS_PER_BACKEND * table->backend_count; visit++) {
        const uint32_t backend = table->backends[walk.slot];
        if (flow_table_key_at(available, backend, out_backend_key)) {
            *out_backend = backend;
            return true;
        }
        walk_on(&walk, table->slot_count);
    }
    for (uint32_t backend = 0; backend < table->backend_count; backend++) {
        if (flow_table_key_at(available, backend, out_backend_key)) {
            *out_backend = backend;
            return true;
        }
    }
    return false;
}

uint32_t consistent_hash_slots(const struct consistent_hash *table)
{
    return table->slot_count;
}

bool consistent_hash_slot(const struct consistent_hash *table, uint32_t slot, uint32_t *out_backend)
{
    if (slot >= table->slot_count) {
        return false;
    }
    *out_backend = table->backends[slot];
    return true;
}

bool consistent_hash_is_valid(const struct consistent_hash *table)
{
    for (uint32_t slot = 0; slot < table->slot_count; slot++) {
        if (table->backends[slot] >= table->backend_count) {
            return false;
        }
    }
    return table->key_bytes > 0 && is_prime(table->slot_count);
}
