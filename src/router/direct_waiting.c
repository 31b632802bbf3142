/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait for an engine's connection: for DIRECT_PATIENCE_MS, tasks as long as it
 * lives. Beyond DIRECT_WAITING_MAX their clients aren't read meanwhile. */
#include <stdlib.h>

#include "router/core.h"
#include "router/direct.h"
#include "router/direct_impl.h"

struct waiting {
    struct list link; /* in the engine's list, by age */
    enum channel channel;
    int64_t until_ns;
    struct held *msg; /* owned: [client, ...] */
    bool paused;      /* its client isn't read meanwhile */
};

static void free_waiting(struct router *r, struct engine *e, struct waiting *w)
{
    if (w->paused) {
        struct link *client =
            ports_find(r, direct_client_route(w->channel), frame_slice(w->msg->frames));
        if (client)
            peer_resume(client->peer);
    }
    e->waiting_bytes -= w->msg->bytes;
    list_remove(&w->link);
    held_free(w->msg);
    free(w);
}

static void fail_waiting(struct router *r, struct engine *e, struct waiting *w)
{
    struct parts p;
    if (w->channel == CH_BROADCAST)
        broadcast_undelivered(r->broadcast, e, w->msg->frames, w->msg->n);
    else if (w->channel != CH_TASK && parts_split(w->msg->frames + 1, w->msg->n - 1, &p) == 0)
        direct_refuse(r, e->uuid, w->channel, frame_slice(w->msg->frames), p.header);
    free_waiting(r, e, w);
}

static struct router *engine_router(const struct engine *e)
{
    struct registry *registry = e->env->ctx;
    return registry->ctx;
}

static void arm_patience(struct router *r, struct engine *e);

static void on_patience(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, patience);
    struct router *r = engine_router(e);
    int64_t now = loop_now_ns(r->loop);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        if (w->channel != CH_TASK && w->until_ns <= now)
            fail_waiting(r, e, w);
    }
    arm_patience(r, e);
}

/* A task waits as long as its engine lives: the scheduler deals with its end. */
static void arm_patience(struct router *r, struct engine *e)
{
    list_for_each (&e->waiting, it) {
        const struct waiting *w = container_of(it, struct waiting, link);
        if (w->channel == CH_TASK)
            continue;
        e->patience.fn = on_patience;
        loop_after(r->loop, &e->patience, w->until_ns - loop_now_ns(r->loop));
        return;
    }
}

static void wait_for_engine(struct router *r, struct engine *e, enum channel ch,
                            const struct frame *frames, unsigned n, struct link *source)
{
    struct waiting *w = calloc(1, sizeof(*w));
    struct held *held = w ? msg_hold(frames, n) : NULL;
    if (!held) {
        free(w);
        if (source)
            link_reject(source, REJECT_NO_MEMORY);
        return;
    }
    w->channel = ch;
    w->until_ns = loop_now_ns(r->loop) + MS_TO_NS(DIRECT_PATIENCE_MS);
    w->msg = held;
    list_push_back(&e->waiting, &w->link);
    e->waiting_bytes += held->bytes;
    if (e->waiting_bytes > DIRECT_WAITING_MAX && source && ch != CH_TASK) {
        w->paused = true;
        peer_pause(source->peer);
    }
    if (!timer_is_set(&e->patience))
        arm_patience(r, e);
}

/* One of an earlier run drops what comes before it has registered again. */
static struct link *find_way(const struct engine *e, enum channel ch)
{
    return e->restored && e->attach ? NULL : engine_link(e, ch);
}

void direct_to_engine(struct engine *e, enum channel ch, const struct frame *frames, unsigned n,
                      struct link *source)
{
    struct link *to = find_way(e, ch);
    if (to)
        link_send_channel(to, ch, frames, n, source);
    else
        wait_for_engine(engine_router(e), e, ch, frames, n, source);
}

void direct_on_connected(struct engine *e)
{
    struct router *r = engine_router(e);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        struct link *to = find_way(e, w->channel);
        if (!to)
            continue;
        link_send_channel(to, w->channel, w->msg->frames, w->msg->n, NULL);
        free_waiting(r, e, w);
    }
}

void direct_on_gone(struct router *r, struct engine *e, bool was_alive)
{
    loop_cancel(r->loop, &e->patience);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        if (w->channel == CH_TASK)
            continue;
        if (was_alive)
            free_waiting(r, e, w);
        else
            fail_waiting(r, e, w);
    }
}

void direct_forget(struct router *r, struct engine *e)
{
    loop_cancel(r->loop, &e->patience);
    list_for_each (&e->waiting, it)
        free_waiting(r, e, container_of(it, struct waiting, link));
}

void direct_give_back(struct router *r, struct engine *e)
{
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        struct parts p;
        struct head h;
        if (parts_split(w->msg->frames + 1, w->msg->n - 1, &p) == 0 &&
            direct_read_head(p.header, &h))
            sched_unsent(r->sched, &e->task, h.msg_id);
        free_waiting(r, e, w);
    }
}
