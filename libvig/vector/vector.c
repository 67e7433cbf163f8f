#include "vector/vector.h"

#include "block.h"

struct vector {
    unsigned char *records;
    size_t stride_bytes;
    uint32_t capacity;
#ifdef VIGOR_CHECKS
    bool *on_loan;
#endif
};

struct vector *vector_alloc(uint32_t record_bytes, uint32_t capacity)
{
    if (record_bytes == 0 || capacity == 0) {
        return NULL;
    }
    const size_t stride_bytes = block_stride(record_bytes);
    size_t total_bytes = sizeof(struct vector);
    size_t records_offset;
    if (!block_add(&total_bytes, capacity, stride_bytes, &records_offset)) {
        return NULL;
    }
#ifdef VIGOR_CHECKS
    size_t on_loan_offset;
    if (!block_add(&total_bytes, capacity, sizeof(bool), &on_loan_offset)) {
        return NULL;
    }
#endif
    struct vector *vector = block_alloc(total_bytes);
    if (vector == NULL) {
        return NULL;
    }
    vector->records = (unsigned char *) vector + records_offset;
    vector->stride_bytes = stride_bytes;
    vector->capacity = capacity;
#ifdef VIGOR_CHECKS
    vector->on_loan = (bool *) ((unsigned char *) vector + on_loan_offset);
#endif
    return vector;
}

void *vector_borrow(struct vector *vector, uint32_t index)
{
    VIGOR_REQUIRE(index < vector->capacity);
#ifdef VIGOR_CHECKS
    VIGOR_REQUIRE(!vector->on_loan[index]);
    vector->on_loan[index] = true;
#endif
    return vector->records + index * vector->stride_bytes;
}

void vector_give_back(struct vector *vector, void *record)
{
#ifdef VIGOR_CHECKS
    const size_t offset = (size_t) ((unsigned char *) record - vector->records);
    const size_t index = offset / vector->stride_bytes;
    VIGOR_REQUIRE(offset % vector->stride_bytes == 0 && index < vector->capacity && vector->on_loan[index]);
    vector->on_loan[index] = false;
#else
    (void) vector;
    (void) record;
#endif
}

uint32_t vector_capacity(const struct vector *vector)
{
    return vector->capacity;
}

bool vector_is_valid(const struct vector *vector)
{
    return vector->records != NULL && vector->capacity > 0 && vector->stride_bytes > 0;
}
