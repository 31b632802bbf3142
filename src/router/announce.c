/* SPDX-License-Identifier: BSD-3-Clause */
/* Order matters: the scheduler knows an engine before any client does, and clients hear of its
 * end before the scheduler judges its tasks. */
#include "router/announce.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "router/comeback.h"
#include "router/core.h"
#include "router/direct.h"
#include "router/notify.h"
#include "util/log.h"
#include "wire/caps.h"
#include "wire/json.h"

#define RECENT_MS 10000 /* a client subscribes within that time of asking */

static json_t *id_content(int64_t id, struct slice uuid)
{
    return json_pack("{s:I, s:s%}", "id", (json_int_t)id, "uuid", uuid.data, uuid.len);
}

static void find_relay_of_tasks(struct engine *e)
{
    struct link *l = e->links[CH_TASK];
    if (!l || !e->task_end)
        return;
    link_find_relay(l, e->task_end);
    e->is_relayed |= l->is_relayed;
}

static void on_alive(void *ctx, struct engine *e)
{
    struct router *r = ctx;
    find_relay_of_tasks(e);
    e->announced_ns = loop_now_ns(r->loop);
    int64_t ms = (e->announced_ns - e->registered_ns) / 1000000;
    log_info("registration::finished registering engine %" PRId64 ":%.*s in %" PRId64 "ms",
             e->id, SLICE_FMT(e->uuid), ms);
    if (sched_engine_add(r->sched, &e->task) < 0)
        log_error("engine::%" PRId64 " gets no tasks: out of memory", e->id);
    heart_watch(r, e);
    notify(r, "registration_notification", (struct slice){NULL, 0}, id_content(e->id, e->uuid));
    state_changed(r);
    log_info("engine::Engine Connected: %" PRId64, e->id);
}

static void tell_of_end(void *ctx, int64_t id, struct slice uuid)
{
    notify_one(ctx, "unregistration_notification", id_content(id, uuid));
}

/* A client asks who is there on one connection and subscribes on another: who was announced, or
 * ended, between the answer and the subscription would stay unknown to it, or there, for ever.
 * Hearing twice of an engine does no harm, nor does the end of one that was never heard of;
 * ends come first, since an id may have gone on to another. With the scheme pure stock clients
 * send no tasks any more after any end, and are spared that. */
void announce_on_subscribed(struct link *l)
{
    struct router *r = l->router;
    int64_t since_ns = loop_now_ns(r->loop) - MS_TO_NS(RECENT_MS);
    const struct list *live = &r->registry.live;
    if (strcmp(r->cfg.sched.scheme, "pure") != 0)
        registry_walk_ended(&r->registry, since_ns, tell_of_end, l);
    for (const struct list *it = live->prev; it != live; it = it->prev) {
        const struct engine *e = container_of(it, struct engine, link);
        if (e->announced_ns < since_ns)
            break;
        notify_one(l, "registration_notification", id_content(e->id, e->uuid));
    }
}

static void on_tasks_closed(void *ctx, struct sched_engine *e)
{
    engine_close_tasks(container_of(e, struct engine, task));
}

/* What an engine that is silent has not begun goes to others. So it must not begin it when it
 * wakes up: it writes a note before (extensions.md 4), and can't any more when its connection
 * is reset. On stock sockets it can, and where its host does not acknowledge what is sent, or
 * somebody in between does, nobody knows what it has written. */
static void take_tasks_away(struct engine *e)
{
    bool is_unsure = !(e->caps & CAP_attach);
    if (e->attach) {
        struct peer *p = e->attach->peer;
        is_unsure = e->attach->is_relayed || peer_unacknowledged(p) > 0;
        peer_reset(p);
        if (e->attach)
            link_unbind(e->attach); /* its end is our doing, and tells nothing */
    }
    if (is_unsure)
        comeback_unsure(&e->task);
}

static enum sched_end end_of(const struct engine *e)
{
    return e->is_over ? END_OVER : e->reported ? END_CLOSED : END_LOST;
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    struct router *r = ctx;
    log_info("registration::unregister_engine(%" PRId64 ")%s%s", e->id, e->cause ? ": " : "",
             e->cause ? e->cause : "");
    heart_unwatch(r, e);
    direct_on_gone(r, e, was_alive);
    broadcast_engine_gone(r->broadcast, e, was_alive);
    const struct link *tasks = engine_link(e, CH_TASK);
    bool is_stuck = e->is_silent && tasks && peer_is_full(tasks->peer);
    if (!(is_stuck && e->attach))
        link_drop_full(e);
    if (!was_alive && !e->restored) {
        direct_give_back(r, e);
        return;
    }
    const char *cause = r->cfg.caps & CAP_death_cause ? e->cause : NULL;
    json_t *content = id_content(e->id, e->uuid);
    if (cause)
        json_object_set_new(content, "ersa", json_pack("{s:s}", "cause", cause));
    notify(r, "unregistration_notification", (struct slice){NULL, 0}, content);
    state_changed(r);
    if (e->is_cut && e->is_relayed)
        comeback_unsure(&e->task);
    if (is_stuck && !e->attach)
        comeback_torn(&e->task);
    if (was_alive)
        sched_engine_gone(r->sched, &e->task, end_of(e), cause, on_tasks_closed);
    direct_give_back(r, e);
    if (is_stuck && e->attach)
        take_tasks_away(e);
}

/* The client has failed this request itself when it heard of the end: it is closed for the
 * records. */
static void strand_request(void *ctx, struct engine *e, struct slice msg_id)
{
    struct router *r = ctx;
    char id[24];
    int len = snprintf(id, sizeof(id), "%lld", (long long)e->id);
    struct letter letter = {.type = MAIL_ENGINE_LOST,
                            .queue = 'm',
                            .msg_id = msg_id,
                            .engine = e->uuid,
                            .peer = {id, (size_t)len}};
    mailer_post(r, &letter, NULL);
}

static void on_strand(void *ctx, struct engine *e)
{
    struct router *r = ctx;
    if (e->is_silent)
        take_tasks_away(e);
    ledger_close(&r->ledger, e, strand_request, r);
    direct_on_strand(r, e);
}

static void on_absent(void *ctx, struct engine *e)
{
    on_strand(ctx, e);
    link_unbind_all(e);
}

const struct engine_ops announce_ops = {
    .alive = on_alive,
    .gone = on_gone,
    .strand = on_strand,
    .absent = on_absent,
};
