/* SPDX-License-Identifier: BSD-3-Clause */
/* Freed memory is kept for the next burst as long as there is work: giving it back and touching
 * it again costs page faults. A second with next to no mail, after some, is the end of a burst.
 */
#include "router/idle.h"

#include <malloc.h>

#include "router/core.h"

#define TICK_MS 1000
#define QUIET 64        /* mails a tick that don't count as work */
#define WORTHWHILE 1024 /* mails since the last trim that make another worth its time */
#define QUEUED_BYTES ((size_t)1 << 20) /* more of it waits for peers that take it: not yet */
#define POOL_KEEP_BYTES ((size_t)4 << 20)

static void trim(struct router *r)
{
    sched_trim(r->sched);
    if (r->cfg.pool)
        block_pool_trim(r->cfg.pool, POOL_KEEP_BYTES);
    malloc_trim(0);
    r->idle.trimmed = r->mailer.posted;
    r->idle.trims++;
}

static void on_tick(struct timer *t)
{
    struct router *r = container_of(t, struct router, idle.tick);
    struct idle *i = &r->idle;
    uint64_t n = r->mailer.posted - i->posted;
    size_t queued = ports_queued_bytes(r);
    bool is_draining = queued > QUEUED_BYTES && queued != i->queued;
    i->posted = r->mailer.posted;
    i->queued = queued;
    if (n < QUIET && !is_draining && i->posted - i->trimmed >= WORTHWHILE)
        trim(r);
    loop_after(r->loop, t, MS_TO_NS(TICK_MS));
}

void idle_start(struct router *r)
{
    r->idle.tick.fn = on_tick;
    loop_after(r->loop, &r->idle.tick, MS_TO_NS(TICK_MS));
}

void idle_stop(struct router *r)
{
    loop_cancel(r->loop, &r->idle.tick);
}
