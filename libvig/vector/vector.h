/* A fixed number of records of one size, each lent out by index. */

#ifndef VIGOR_VECTOR_H
#define VIGOR_VECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

struct vector;

/*
 * A vector of capacity records of record_bytes bytes each, all zero. Records are aligned for any type of that size,
 * and those of at most a cache line do not straddle two.
 * NULL if record_bytes or capacity is 0, or there is not enough memory.
 * O(capacity * record_bytes).
 */
VIGOR_API struct vector *vector_alloc(uint32_t record_bytes, uint32_t capacity);

/*
 * Lends the record at the index, to be read and written until it is given back.
 * Requires index < capacity, and that the record is not on loan.
 * O(1).
 */
VIGOR_API void *vector_borrow(struct vector *vector, uint32_t index);

/*
 * Ends the loan of a record; it must not be used any more.
 * Requires that record was borrowed from this vector and not yet given back.
 * O(1); does nothing in a build without VIGOR_CHECKS.
 */
VIGOR_API void vector_give_back(struct vector *vector, void *record);

/* How many records there are. O(1). */
VIGOR_API uint32_t vector_capacity(const struct vector *vector);

/* For tests: whether the vector's own bookkeeping is consistent. O(1). */
VIGOR_API bool vector_is_valid(const struct vector *vector);

#endif
