/* SPDX-License-Identifier: BSD-3-Clause */
/* Two sheets: the newest one, and one that lies here or is out. */
#include "stats/desk.h"

#include <stdlib.h>

#include "loop/ring.h"
#include "util/clock.h"

struct stats_desk {
    const char *thread; /* borrowed */
    struct ring *ask, *told;
    /* the asking thread's */
    struct stats_sheet *latest, *spare; /* spare NULL: it is out */
    void (*on_told)(void *ctx);
    void *told_ctx;
    /* the telling thread's */
    void (*fill)(void *ctx, struct stats_sheet *sheet);
    void *fill_ctx;
    struct stats_sheet sheets[2];
};

struct stats_desk *desk_new(const char *thread)
{
    struct stats_desk *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->thread = thread;
    d->latest = &d->sheets[0];
    d->spare = &d->sheets[1];
    d->ask = ring_new(2);
    d->told = ring_new(2);
    if (d->ask && d->told)
        return d;
    desk_free(d);
    return NULL;
}

/* What is still in a ring lies in the desk itself. */
static void drop_ring(struct ring *r)
{
    if (!r)
        return;
    while (ring_pop(r))
        continue;
    ring_free(r);
}

void desk_free(struct stats_desk *d)
{
    if (!d)
        return;
    drop_ring(d->ask);
    drop_ring(d->told);
    free(d);
}

const char *desk_thread(const struct stats_desk *d)
{
    return d->thread;
}

static void on_asked(void *ctx, void *item)
{
    struct stats_desk *d = ctx;
    struct stats_sheet *sheet = item;
    stats_reset(sheet);
    d->fill(d->fill_ctx, sheet);
    sheet->at_ns = clock_mono_ns();
    if (ring_push(d->told, sheet) ==
        0) /* there are no more sheets than the ring has room for */
        ring_flush(d->told);
}

int desk_serve(struct stats_desk *d, struct loop *l,
               void (*fill)(void *ctx, struct stats_sheet *sheet), void *ctx)
{
    d->fill = fill;
    d->fill_ctx = ctx;
    return ring_watch(d->ask, l, on_asked, d, 1);
}

void desk_leave(struct stats_desk *d)
{
    ring_unwatch(d->ask);
}

static void on_told(void *ctx, void *item)
{
    struct stats_desk *d = ctx;
    d->spare = d->latest;
    d->latest = item;
    d->on_told(d->told_ctx);
}

int desk_open(struct stats_desk *d, struct loop *l, void (*told)(void *ctx), void *ctx)
{
    d->on_told = told;
    d->told_ctx = ctx;
    return ring_watch(d->told, l, on_told, d, 1);
}

void desk_close(struct stats_desk *d)
{
    ring_unwatch(d->told);
}

bool desk_ask(struct stats_desk *d)
{
    if (!d->spare || ring_push(d->ask, d->spare) < 0)
        return false;
    d->spare = NULL;
    ring_flush(d->ask);
    return true;
}

bool desk_is_asked(const struct stats_desk *d)
{
    return !d->spare;
}

const struct stats_sheet *desk_latest(const struct stats_desk *d)
{
    return d->latest;
}
