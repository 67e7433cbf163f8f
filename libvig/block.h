/* Internal: one block of memory for a whole structure, laid out part by part. */

#ifndef VIGOR_BLOCK_H
#define VIGOR_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define CACHE_LINE_BYTES 64u

/* Adds count items of item_bytes each to the layout, from a cache line on; false if sizes overflow. */
static inline bool block_add(size_t *total_bytes, size_t count, size_t item_bytes, size_t *out_offset)
{
    size_t part_bytes;
    size_t end;
    if (__builtin_mul_overflow(count, item_bytes, &part_bytes) ||
        __builtin_add_overflow(*total_bytes, CACHE_LINE_BYTES - 1, &end)) {
        return false;
    }
    const size_t offset = end / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
    if (__builtin_add_overflow(offset, part_bytes, &end)) {
        return false;
    }
    *out_offset = offset;
    *total_bytes = end;
    return true;
}

/*
 * A zeroed block that starts on a cache line; NULL if there is not enough memory.
 * Nothing is ever freed, so the address that calloc gave need not be remembered.
 */
static inline void *block_alloc(size_t total_bytes)
{
    size_t padded_bytes;
    if (__builtin_add_overflow(total_bytes, CACHE_LINE_BYTES - 1, &padded_bytes)) {
        return NULL;
    }
    unsigned char *start = calloc(1, padded_bytes);
    return start == NULL ? NULL : start + (-(uintptr_t) start & (CACHE_LINE_BYTES - 1));
}

/* Bytes from one item to the next such that one of at most a cache line never straddles two, and all are aligned. */
static inline size_t block_stride(size_t item_bytes)
{
    if (item_bytes > CACHE_LINE_BYTES) {
        return (item_bytes + 15) / 16 * 16;
    }
    size_t stride = 1;
    while (stride < item_bytes) {
        stride *= 2;
    }
    return stride;
}

#endif
