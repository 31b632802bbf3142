/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures seen: a ring of 64-bit fingerprints by age, and an open-addressed table of places
 * in it. Both grow with use up to the cap. The hash is seeded, so nobody can aim at a
 * collision; by chance a new signature is taken for an old one once in 2^64 / cap messages. */
#include <stdlib.h>
#include <string.h>

#include "util/map.h"
#include "wire/session.h"

#define CAP_MAX ((size_t)1 << 28)
#define CAP_FIRST 64
#define FORGOTTEN 0 /* in the ring: no fingerprint any more */

struct replay {
    uint64_t *ring;  /* owned; `n` newest, the oldest at `first` once the cap is reached */
    uint32_t *table; /* owned; place in the ring + 1, 0: free */
    size_t mask;     /* of the table */
    size_t cap, size, n, first;
};

struct replay *replay_new(size_t cap)
{
    struct replay *r = calloc(1, sizeof(*r));
    if (r)
        r->cap = cap < CAP_MAX ? cap : CAP_MAX;
    return r;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    free(r->ring);
    free(r->table);
    free(r);
}

/* Where the fingerprint is, or the free place where it belongs. */
static size_t look_up(const struct replay *r, uint64_t print)
{
    size_t at = print & r->mask;
    while (r->table[at] && r->ring[r->table[at] - 1] != print)
        at = (at + 1) & r->mask;
    return at;
}

static int grow(struct replay *r)
{
    size_t size = r->size ? 2 * r->size : CAP_FIRST;
    if (size > r->cap)
        size = r->cap;
    size_t slots = 2 * CAP_FIRST;
    while (slots < 2 * size)
        slots *= 2;
    uint64_t *ring = reallocarray(r->ring, size, sizeof(*ring));
    if (!ring)
        return ERSA_ENOMEM;
    r->ring = ring;
    uint32_t *table = calloc(slots, sizeof(*table));
    if (!table)
        return ERSA_ENOMEM;
    free(r->table);
    r->table = table;
    r->mask = slots - 1;
    r->size = size;
    for (size_t i = 0; i < r->n; i++)
        if (ring[i] != FORGOTTEN)
            table[look_up(r, ring[i])] = (uint32_t)i + 1;
    return 0;
}

/* Empties a place and moves up what was pushed behind it. */
static void remove_at(struct replay *r, size_t hole)
{
    for (size_t at = (hole + 1) & r->mask; r->table[at]; at = (at + 1) & r->mask) {
        size_t home = r->ring[r->table[at] - 1] & r->mask;
        if (((at - home) & r->mask) < ((at - hole) & r->mask))
            continue;
        r->table[hole] = r->table[at];
        hole = at;
    }
    r->table[hole] = 0;
}

/* The place in the ring for one more: a new one, or the oldest's. */
static size_t take_place(struct replay *r)
{
    if (r->n < r->size)
        return r->n++;
    size_t place = r->first;
    if (r->ring[place] != FORGOTTEN)
        remove_at(r, look_up(r, r->ring[place]));
    r->first = (r->first + 1) % r->size;
    return place;
}

static uint64_t print_of(struct slice signature)
{
    uint64_t print = map_hash(signature.data, signature.len);
    return print == FORGOTTEN ? 1 : print;
}

int replay_check(struct replay *r, struct slice signature)
{
    if (signature.len == 0 || r->cap == 0)
        return 0;
    uint64_t print = print_of(signature);
    if (r->table && r->table[look_up(r, print)])
        return ERSA_EREPLAY;
    /* Out of memory: what there is goes on as the ring. */
    if (r->n == r->size && r->size < r->cap && r->first == 0 && grow(r) < 0 && r->size == 0)
        return 0;
    size_t place = take_place(r);
    r->ring[place] = print;
    r->table[look_up(r, print)] = (uint32_t)place + 1;
    return 0;
}

void replay_forget(struct replay *r, struct slice signature)
{
    if (signature.len == 0 || !r->table)
        return;
    size_t at = look_up(r, print_of(signature));
    if (!r->table[at])
        return;
    size_t place = r->table[at] - 1;
    remove_at(r, at);
    r->ring[place] = FORGOTTEN;
}
