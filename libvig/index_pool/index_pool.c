#include "index_pool/index_pool.h"

#include "block.h"
#include "index_pool/ages.h"

_Static_assert(INDEX_POOL_CAPACITY_MAX == AGES_CAPACITY_MAX, "the limit is that of the ages");

struct index_pool {
    struct ages ages;
};

struct index_pool *index_pool_alloc(uint32_t capacity)
{
    if (capacity == 0 || capacity > INDEX_POOL_CAPACITY_MAX) {
        return NULL;
    }
    size_t total_bytes = sizeof(struct index_pool);
    size_t nodes_offset;
    if (!block_add(&total_bytes, capacity + AGES_EXTRA_NODES, sizeof(struct ages_node), &nodes_offset)) {
        return NULL;
    }
    struct index_pool *pool = block_alloc(total_bytes);
    if (pool == NULL) {
        return NULL;
    }
    pool->ages.nodes = (unsigned char *) pool + nodes_offset;
    pool->ages.stride_bytes = sizeof(struct ages_node);
    pool->ages.capacity = capacity;
    ages_start(&pool->ages);
    return pool;
}

bool index_pool_take(struct index_pool *pool, vigor_time_t now, uint32_t *out_index)
{
    VIGOR_REQUIRE(now >= 0 && now >= ages_newest(&pool->ages));
    const uint32_t index = ages_unused(&pool->ages);
    if (index == ages_unused_end(&pool->ages)) {
        return false;
    }
    ages_renew(&pool->ages, index, now);
    *out_index = index;
    return true;
}

bool index_pool_is_used(const struct index_pool *pool, uint32_t index)
{
    return ages_is_used(&pool->ages, index);
}

void index_pool_refresh(struct index_pool *pool, uint32_t index, vigor_time_t now)
{
    VIGOR_REQUIRE(ages_is_used(&pool->ages, index) && now >= ages_newest(&pool->ages));
    ages_renew(&pool->ages, index, now);
}

void index_pool_release(struct index_pool *pool, uint32_t index)
{
    VIGOR_REQUIRE(ages_is_used(&pool->ages, index));
    ages_release(&pool->ages, index);
}

uint32_t index_pool_expire_before(struct index_pool *pool, vigor_time_t time)
{
    uint32_t expired = 0;
    for (;;) {
        const uint32_t index = ages_oldest_before(&pool->ages, time);
        if (index == ages_used_end(&pool->ages)) {
            return expired;
        }
        ages_release(&pool->ages, index);
        expired++;
    }
}

uint32_t index_pool_capacity(const struct index_pool *pool)
{
    return pool->ages.capacity;
}

bool index_pool_entry(const struct index_pool *pool, uint32_t index, vigor_time_t *out_age)
{
    if (!ages_is_used(&pool->ages, index)) {
        return false;
    }
    *out_age = ages_node(&pool->ages, index)->age;
    return true;
}

bool index_pool_restore(struct index_pool *pool, uint32_t index, vigor_time_t age)
{
    if (index >= pool->ages.capacity || ages_is_used(&pool->ages, index) || age < 0 ||
        age < ages_newest(&pool->ages)) {
        return false;
    }
    ages_renew(&pool->ages, index, age);
    return true;
}

bool index_pool_is_valid(const struct index_pool *pool)
{
    uint32_t used;
    return ages_are_valid(&pool->ages, &used);
}
