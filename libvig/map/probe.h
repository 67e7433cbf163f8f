/*
 * Internal: what map and flow_table share. Fixed-size keys are hashed and compared without calls; slots are probed
 * linearly.
 *
 * A slot begins with a tag: 32 bits of the key's hash, the top one forced to 1 so that 0 marks an unused slot. The
 * low bits of the tag are the slot at which the search begins, so slots can be moved without looking at keys. Half of
 * the slots at least are unused, so that every search ends.
 */

#ifndef VIGOR_PROBE_H
#define VIGOR_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROBE_TAG_UNUSED UINT32_C(0)
#define PROBE_TAG_USED UINT32_C(0x80000000)
#define PROBE_NO_SLOT UINT32_MAX

/* So that twice as many slots, rounded up to a power of two, leave the top bit of a tag alone. */
#define PROBE_CAPACITY_MAX (UINT32_C(1) << 30)

struct probe_slot {
    uint32_t tag;
    uint32_t value;
};

struct probe {
    struct probe_slot *slots;
    unsigned char *keys; /* one every stride bytes */
    size_t key_stride_bytes;
    uint32_t mask; /* the number of slots, a power of two, minus one */
    uint32_t key_bytes;
};

/* Where the key of a slot is among all keys: at the slot's number, or at its value. Known when compiling. */
enum probe_keys { PROBE_KEYS_BY_SLOT, PROBE_KEYS_BY_VALUE };

static inline uint32_t probe_slots_for(uint32_t capacity)
{
    uint32_t slots = 2;
    while (slots < 2 * capacity) {
        slots *= 2;
    }
    return slots;
}

static inline uint64_t probe_load64(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint32_t probe_load32(const unsigned char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* A key of 1 to 8 bytes as a number; different keys give different ones. Reads nothing beyond the key. */
static inline uint64_t probe_word(const unsigned char *key, uint32_t key_bytes)
{
    if (key_bytes >= 4) {
        return (uint64_t) probe_load32(key) << 32 | probe_load32(key + key_bytes - 4);
    }
    return (uint64_t) key[0] << 16 | (uint64_t) key[key_bytes / 2] << 8 | key[key_bytes - 1];
}

/* Both halves of the product depend on all bits of both factors: one multiplication mixes 16 bytes. */
static inline uint64_t probe_mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 uint128;
    const uint128 product = (uint128) (a ^ UINT64_C(0x9E3779B97F4A7C15)) * (b ^ UINT64_C(0xD1B54A32D192ED03));
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/* Loads reach back into bytes that were seen before rather than beyond the key. */
static inline uint32_t probe_tag(const unsigned char *key, uint32_t key_bytes)
{
    const unsigned char *end = key + key_bytes;
    uint64_t hash;
    if (key_bytes <= 8) {
        hash = probe_mix(probe_word(key, key_bytes), 0);
    } else if (key_bytes <= 16) {
        hash = probe_mix(probe_load64(key), probe_load64(end - 8));
    } else {
        hash = probe_mix(probe_load64(end - 16), probe_load64(end - 8));
        for (; end - key > 16; key += 16) {
            hash = probe_mix(hash ^ probe_load64(key), probe_load64(key + 8));
        }
    }
    /* Once more, because addresses and ports that count up leave patterns that one multiplication does not break. */
    hash = (hash ^ hash >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t) (hash >> 32) | PROBE_TAG_USED;
}

static inline bool probe_keys_equal(const unsigned char *a, const unsigned char *b, uint32_t key_bytes)
{
    if (key_bytes <= 8) {
        return probe_word(a, key_bytes) == probe_word(b, key_bytes);
    }
    const uint32_t last = key_bytes - 8;
    uint64_t difference = probe_load64(a) ^ probe_load64(b);
    difference |= probe_load64(a + last) ^ probe_load64(b + last);
    for (uint32_t at = 8; at < last; at += 8) {
        difference |= probe_load64(a + at) ^ probe_load64(b + at);
    }
    return difference == 0;
}

static inline struct probe_slot *probe_slot(const struct probe *probe, uint32_t slot)
{
    return &probe->slots[slot];
}

static inline unsigned char *probe_key(const struct probe *probe, enum probe_keys where, uint32_t slot)
{
    const uint32_t place = where == PROBE_KEYS_BY_SLOT ? slot : probe_slot(probe, slot)->value;
    return probe->keys + place * probe->key_stride_bytes;
}

/*
 * The slot of the key, whose tag the caller has computed; PROBE_NO_SLOT if it is absent. Always part of its caller:
 * the compiler is not to call one copy because something that is not in a hurry needs it, too.
 */
static inline __attribute__((always_inline)) uint32_t probe_find(const struct probe *probe, enum probe_keys where,
                                                                 const unsigned char *key, uint32_t tag)
{
    uint32_t slot = tag & probe->mask;
    for (;;) {
        const uint32_t found = probe_slot(probe, slot)->tag;
        if (found == tag && probe_keys_equal(key, probe_key(probe, where, slot), probe->key_bytes)) {
            return slot;
        }
        if (found == PROBE_TAG_UNUSED) {
            return PROBE_NO_SLOT;
        }
        slot = (slot + 1) & probe->mask;
    }
}

/* What probe_get does. Inlined, so that the compiler leaves out what is for sizes of keys that its caller has ruled out. */
static inline __attribute__((always_inline)) bool probe_get_any(const struct probe *probe, enum probe_keys where,
                                                                const unsigned char *key, uint32_t *out_value)
{
    const uint32_t slot = probe_find(probe, where, key, probe_tag(key, probe->key_bytes));
    if (slot == PROBE_NO_SLOT) {
        return false;
    }
    *out_value = probe_slot(probe, slot)->value;
    return true;
}

static __attribute__((noinline)) bool probe_get_other(const struct probe *probe, enum probe_keys where,
                                                      const unsigned char *key, uint32_t *out_value)
{
    return probe_get_any(probe, where, key, out_value);
}

/* Whether keys are of 9 to 16 bytes, as flows have: these get code of their own, which is half as long. */
static inline bool probe_is_usual(const struct probe *probe)
{
    return probe->key_bytes > 8 && probe->key_bytes <= 16;
}

/* Gets the value of the key; false if it is absent. */
static inline bool probe_get(const struct probe *probe, enum probe_keys where, const unsigned char *key,
                             uint32_t *out_value)
{
    if (!probe_is_usual(probe)) {
        return probe_get_other(probe, where, key, out_value);
    }
    return probe_get_any(probe, where, key, out_value);
}

/* The slot that an absent key with this tag has to go to. */
static inline uint32_t probe_free_slot(const struct probe *probe, uint32_t tag)
{
    uint32_t slot = tag & probe->mask;
    while (probe_slot(probe, slot)->tag != PROBE_TAG_UNUSED) {
        slot = (slot + 1) & probe->mask;
    }
    return slot;
}

/*
 * Makes the slot unused. Later slots whose search passes it move up into the gap, so that no search ends too early
 * and no slot stays marked as deleted (Knuth, The Art of Computer Programming, volume 3, section 6.4, algorithm R).
 */
static inline void probe_remove(const struct probe *probe, enum probe_keys where, uint32_t slot)
{
    uint32_t gap = slot;
    for (;;) {
        slot = (slot + 1) & probe->mask;
        const uint32_t tag = probe_slot(probe, slot)->tag;
        if (tag == PROBE_TAG_UNUSED) {
            break;
        }
        const uint32_t distance_from_start = (slot - tag) & probe->mask;
        const uint32_t distance_from_gap = (slot - gap) & probe->mask;
        if (distance_from_start >= distance_from_gap) {
            *probe_slot(probe, gap) = *probe_slot(probe, slot);
            if (where == PROBE_KEYS_BY_SLOT) {
                memcpy(probe_key(probe, where, gap), probe_key(probe, where, slot), probe->key_bytes);
            }
            gap = slot;
        }
    }
    probe_slot(probe, gap)->tag = PROBE_TAG_UNUSED;
}

#endif
