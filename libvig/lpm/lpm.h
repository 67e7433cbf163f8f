/*
 * Longest prefix match (RFC 4632 section 5.1): IPv4 prefixes, each with a value, and for an address the value of the
 * longest prefix that it begins with. Addresses are numbers in host order.
 *
 * Two levels of tables, 24 bits and 8 (DIR-24-8: Gupta, Lin, McKeown, INFOCOM 1998): a search reads one entry, or two
 * where there are prefixes of more than 24 bits. What was added is kept as well, so that what is removed leaves its
 * addresses to the next shorter prefix.
 */

#ifndef VIGOR_LPM_H
#define VIGOR_LPM_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

struct lpm;

/* The largest capacity there can be. */
#define LPM_CAPACITY_MAX (UINT32_C(1) << 22)

/* The largest value there can be: it shares 32 bits with what else an entry says. */
#define LPM_VALUE_MAX UINT32_C(0xFFFFFF)

/* The most bits that a prefix has. */
#define LPM_LENGTH_MAX UINT32_C(32)

/*
 * An empty table for at most capacity prefixes, in 64 MB and 1 KB for each of them; memory is not touched before it is
 * needed.
 * NULL if capacity is 0 or above LPM_CAPACITY_MAX, or there is not enough memory. O(capacity).
 */
VIGOR_API struct lpm *lpm_alloc(uint32_t capacity);

/*
 * Sets the value of the prefix of that length, present or not.
 * False, without effect, if length is above LPM_LENGTH_MAX, prefix has bits beyond its length, value is above
 * LPM_VALUE_MAX, or the prefix is absent and the table is full.
 * O(addresses of the prefix).
 */
VIGOR_API bool lpm_add(struct lpm *lpm, uint32_t prefix, uint32_t length, uint32_t value);

/* Removes the prefix of that length; false if it is absent. O(addresses of the prefix). */
VIGOR_API bool lpm_remove(struct lpm *lpm, uint32_t prefix, uint32_t length);

/* Gets the value of the longest prefix of the address; false if it has none, and then *out_value is left alone. O(1). */
VIGOR_API bool lpm_search(const struct lpm *lpm, uint32_t address, uint32_t *out_value);

/* How many prefixes there are. O(1). */
VIGOR_API uint32_t lpm_size(const struct lpm *lpm);

/* For inspection: how many slots there are for prefixes, used or not. O(1). */
VIGOR_API uint32_t lpm_slots(const struct lpm *lpm);

/* A prefix as slots hold it. */
struct lpm_prefix {
    uint32_t prefix;
    uint32_t length;
};

/*
 * For inspection: the prefix and value in a slot; false if the slot is unused or there is no such slot, and then
 * nothing is written. Each prefix is in exactly one slot. O(1).
 */
VIGOR_API bool lpm_slot(const struct lpm *lpm, uint32_t slot, struct lpm_prefix *out_prefix, uint32_t *out_value);

/* For tests: whether the table's own bookkeeping is consistent. O(2^24 * prefixes). */
VIGOR_API bool lpm_is_valid(const struct lpm *lpm);

#endif
