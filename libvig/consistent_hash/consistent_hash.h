/*
 * Consistent hashing after Maglev (NSDI'16 section 3.4): chooses for every key one of the backends 0 to backends - 1
 * that are available.
 *
 * A table of a prime number of slots is filled as in the paper: each backend has its own order of all slots, made of
 * an offset and a skip, and in turns the backends take the first slot in their order that is free. So each backend has
 * the same number of slots, or one more: shares differ from an even one by at most backends / slots of it.
 *
 * The paper fills the table anew whenever a backend comes or goes. This one never changes. Instead, a key too has its
 * own order of the slots, and so of the backends, and gets the first one that is available. Hence
 * - a backend that goes away gives up its own keys and moves no other, and gets the same ones when it comes back;
 * - the keys that it gives up are spread over the others as evenly as all keys are;
 * - nothing is ever recomputed, and to choose takes a look at one slot if its backend is available.
 *
 * Hashing is fixed: the same numbers of backends and slots give the same choices, in every process.
 */

#ifndef VIGOR_CONSISTENT_HASH_H
#define VIGOR_CONSISTENT_HASH_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "flow_table/flow_table.h"

struct consistent_hash;

/* The most backends there can be. */
#define CONSISTENT_HASH_BACKENDS_MAX UINT32_C(65535)

/* The most slots that can be asked for. */
#define CONSISTENT_HASH_SLOTS_MAX (UINT32_C(1) << 24)

/*
 * A table for keys of key_bytes bytes each, of as many slots as the least prime that is not below the slots asked
 * for. The paper recommends at least 100 slots for each backend; it uses 65,537 and 655,373.
 * NULL if key_bytes is 0, backends is 0 or above CONSISTENT_HASH_BACKENDS_MAX, slots is below backends or above
 * CONSISTENT_HASH_SLOTS_MAX, or there is not enough memory.
 * O(slots * log slots), expected.
 */
VIGOR_API struct consistent_hash *consistent_hash_alloc(uint32_t key_bytes, uint32_t backends, uint32_t slots);

/*
 * Chooses the backend that the key prefers among those that are available, which are the used indices of a flow table
 * that are below the number of backends. Gives its index, and its key in that flow table.
 * False if none is available, and then nothing is written.
 * Depends only on the key and on which backends are available; if the one chosen for more of them is among fewer, it
 * is chosen for those too.
 * O(1 + backends / available), expected; O(backends).
 */
VIGOR_API bool consistent_hash_choose(const struct consistent_hash *table, const void *key,
                                      const struct flow_table *available, void *out_backend_key,
                                      uint32_t *out_backend);

/* For inspection: how many slots there are. O(1). */
VIGOR_API uint32_t consistent_hash_slots(const struct consistent_hash *table);

/*
 * For inspection: the backend that a slot belongs to, whose keys are those that come to this slot first; false if
 * there is no such slot, and then nothing is written. O(1).
 */
VIGOR_API bool consistent_hash_slot(const struct consistent_hash *table, uint32_t slot, uint32_t *out_backend);

/* For tests: whether the table's own bookkeeping is consistent. O(slots). */
VIGOR_API bool consistent_hash_is_valid(const struct consistent_hash *table);

#endif
