/* SPDX-License-Identifier: BSD-3-Clause */
/* Fingerprints of 40 bits are enough: a wrong answer, once in millions of questions, sends a
 * task to an engine that has not got its data. */
#include "router/places.h"

#include <stdbool.h>
#include <stdlib.h>

#include "util/map.h"
#include "util/zeroed.h"

#define NUMBER_BITS 24
#define NUMBER_MASK (((uint64_t)1 << NUMBER_BITS) - 1)
#define SLOTS_MIN 256

static uint64_t *find(const struct generation *g, uint64_t hash)
{
    size_t at = hash & (g->n_slots - 1);
    while (g->slots[at] && (g->slots[at] ^ hash) & ~NUMBER_MASK)
        at = (at + 1) & (g->n_slots - 1);
    return &g->slots[at];
}

/* The place in the table comes from the high bits: the low ones make room for the number. */
static uint64_t hash_of(struct slice id)
{
    uint64_t h = map_hash(id.data, id.len);
    return (h & ~NUMBER_MASK) | (h >> 40 & NUMBER_MASK);
}

static bool grow(struct generation *g)
{
    struct generation bigger = {.n = g->n, .n_slots = g->n_slots ? 2 * g->n_slots : SLOTS_MIN};
    bigger.slots = zeroed(bigger.n_slots, sizeof(*bigger.slots));
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < g->n_slots; i++) {
        uint64_t slot = g->slots[i];
        if (slot)
            *find(&bigger, (slot & ~NUMBER_MASK) | (slot >> 40 & NUMBER_MASK)) = slot;
    }
    free(g->slots);
    *g = bigger;
    return true;
}

void places_init(struct places *p)
{
    *p = (struct places){0};
}

void places_fini(struct places *p)
{
    free(p->young.slots);
    free(p->old.slots);
    places_init(p);
}

void places_put(struct places *p, struct slice id, uint32_t number)
{
    if (number == 0 || number > NUMBER_MASK)
        return;
    if (p->young.n == PLACES_KEPT) {
        free(p->old.slots);
        p->old = p->young;
        p->young = (struct generation){0};
    }
    struct generation *g = &p->young;
    if (2 * (g->n + 1) > g->n_slots && !grow(g))
        return;
    uint64_t hash = hash_of(id);
    uint64_t *slot = find(g, hash);
    g->n += *slot == 0;
    *slot = (hash & ~NUMBER_MASK) | number;
}

static uint32_t look_up(const struct generation *g, uint64_t hash)
{
    return g->slots ? (uint32_t)(*find(g, hash) & NUMBER_MASK) : 0;
}

uint32_t places_get(const struct places *p, struct slice id)
{
    uint64_t hash = hash_of(id);
    uint32_t number = look_up(&p->young, hash);
    return number ? number : look_up(&p->old, hash);
}
