/* SPDX-License-Identifier: BSD-3-Clause */
/* Linear probing; ids that follow one another, as requests and results mostly do, share cache
 * lines. Nothing is ever removed: places of batches that are gone are left behind when the
 * table is made anew. */
#include "store/backlog_index.h"

#include <stdlib.h>

#include "ersa/error.h"
#include "util/zeroed.h"
#include "wire/seen.h"

#define PLACES_MIN 4096
#define NEIGHBOURS 3 /* 2^3 side by side: with more the runs get into each other's way */

void backlog_index_fini(struct backlog_index *x)
{
    free(x->places);
    *x = (struct backlog_index){NULL, 0, 0};
}

static uint32_t hash_of(struct slice id)
{
    uint32_t hash = (uint32_t)seen_hash(id, NEIGHBOURS);
    return hash ? hash : 1;
}

static void insert(struct backlog_index *x, struct place p)
{
    size_t i = p.hash & (x->n_places - 1);
    while (x->places[i].hash)
        i = (i + 1) & (x->n_places - 1);
    x->places[i] = p;
    x->n_used++;
}

static int make_anew(struct backlog_index *x, bool (*is_alive)(void *ctx, uint32_t batch),
                     void *ctx)
{
    size_t n_alive = 0, n = PLACES_MIN;
    for (size_t i = 0; i < x->n_places; i++)
        n_alive += x->places[i].hash && is_alive(ctx, x->places[i].batch);
    while (n < 2 * n_alive)
        n *= 2;
    struct backlog_index grown = {zeroed(n, sizeof(*grown.places)), n, 0};
    if (!grown.places)
        return ERSA_ENOMEM;
    for (size_t i = 0; i < x->n_places; i++)
        if (x->places[i].hash && is_alive(ctx, x->places[i].batch))
            insert(&grown, x->places[i]);
    free(x->places);
    *x = grown;
    return 0;
}

int backlog_index_add(struct backlog_index *x, struct slice id, uint32_t batch, uint32_t at,
                      bool (*is_alive)(void *ctx, uint32_t batch), void *ctx)
{
    if (x->n_used + 1 > x->n_places / 4 * 3 && make_anew(x, is_alive, ctx) < 0)
        return ERSA_ENOMEM;
    insert(x, (struct place){hash_of(id), batch, at});
    return 0;
}

struct place *backlog_index_find(const struct backlog_index *x, struct slice id,
                                 struct place *last)
{
    if (!x->places)
        return NULL;
    uint32_t hash = hash_of(id);
    size_t mask = x->n_places - 1, i = last ? (size_t)(last - x->places) + 1 : hash;
    for (i &= mask; x->places[i].hash; i = (i + 1) & mask)
        if (x->places[i].hash == hash)
            return &x->places[i];
    return NULL;
}
