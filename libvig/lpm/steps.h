/*
 * Internal: what a table is made of, and the loops of lpm.c and validity.c, one to a function. They are visible in the
 * shared object, and so never become part of their callers, in order that each can be proved by itself, by induction:
 * docs/libvig_proofs.md.
 */

#ifndef VIGOR_LPM_STEPS_H
#define VIGOR_LPM_STEPS_H

#include "lpm/lpm.h"

struct index_pool;
struct map;

struct lpm {
    uint32_t *entries;         /* the first level, then the groups of the second */
    struct map *prefixes;      /* struct lpm_prefix to value */
    struct index_pool *groups; /* which ones are in use: those of slots with prefixes that are longer than 24 bits */
};

#define LPM_FIRST_BITS 24u
#define LPM_SLOTS (UINT32_C(1) << LPM_FIRST_BITS)
#define LPM_GROUP UINT32_C(256) /* entries of the second level for one of the first */

/*
 * An entry is 0 if no prefix is there, or has the value of the longest one in its lower 24 bits, and one more than
 * that one's length above. One of the first level that is LPM_SPLIT has the number of a group instead.
 */
#define LPM_LENGTH_SHIFT 24u
#define LPM_SPLIT (UINT32_C(1) << 31)
#define LPM_ANY_LENGTH UINT32_C(255) /* whatever an entry says */

static inline bool lpm_entry_is_at_most(uint32_t entry, uint32_t length)
{
    return entry >> LPM_LENGTH_SHIFT <= length + 1;
}

/* Where the group begins that an entry names. */
static inline uint32_t lpm_group_of(uint32_t entry)
{
    return LPM_SLOTS + (entry & LPM_VALUE_MAX) * LPM_GROUP;
}

static inline uint32_t lpm_mask(uint32_t length)
{
    return length == 0 ? 0 : UINT32_MAX << (32 - length);
}

/* Makes those of count entries from first on that are of a prefix of at most that length the given one. */
VIGOR_API void lpm_cover(uint32_t *entries, uint32_t first, uint32_t count, uint32_t length, uint32_t entry);

/* The same for the addresses of count entries of the first level. */
VIGOR_API void lpm_cover_slots(uint32_t *entries, uint32_t first, uint32_t count, uint32_t length, uint32_t entry);

/* Whether any entry of a group, the first of which is given, is of a prefix longer than the first level tells apart. */
VIGOR_API bool lpm_any_is_longer(const uint32_t *entries, uint32_t first);

/* The entry of the longest prefix present that is shorter than length and covers the prefix; 0 if there is none. */
VIGOR_API uint32_t lpm_next_shorter(const struct lpm *lpm, uint32_t prefix, uint32_t length);

/* Whether count entries from first on are all of prefixes of at least that length. */
VIGOR_API bool lpm_are_at_least(const uint32_t *entries, uint32_t first, uint32_t count, uint32_t length);

/* The same for the addresses of count entries of the first level. */
VIGOR_API bool lpm_slots_are_at_least(const uint32_t *entries, uint32_t first, uint32_t count, uint32_t length);

/* Whether count entries from first on, which are for as many addresses, are each 0 or of a prefix that is present. */
VIGOR_API bool lpm_are_present(const struct lpm *lpm, uint32_t first, uint32_t count, uint32_t address);

/* Whether each entry of the first level is of a prefix that is present, or names a group in use that is; and how many do. */
VIGOR_API bool lpm_are_slots_valid(const struct lpm *lpm, uint32_t *out_groups);

/* How many groups are in use. */
VIGOR_API uint32_t lpm_used_groups(const struct lpm *lpm);

/* Whether all prefixes are such, and their addresses have entries of prefixes at least as long. */
VIGOR_API bool lpm_are_prefixes_valid(const struct lpm *lpm);

#endif
