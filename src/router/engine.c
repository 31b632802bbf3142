/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine's life:
 *
 *     ABSENT -register-> PENDING -usable-> ALIVE -missed-> PROBATION -beat-> ALIVE
 *                           |                |  ^ -beat-      | -missed-
 *      stalled | unregister |                |                |
 *            | disconnected |   unregister | disconnected | heart_failed
 *                           v                v                v
 *                         GONE <-----------------------------'
 *                           '--closed-> ABSENT (to be freed)
 *
 * `usable` is the first beat, or `ready`, once the engine is connected for mux, task and
 * control: who is announced can be reached. A stock engine whose connections stay away is
 * announced all the same after settle_ms. A registration that stalls keeps its place while the
 * engine is connected. In GONE late replies are still taken, until scheduler and direct route
 * have let go of it. */
#include "router/engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "router/ledger.h"
#include "util/log.h"

struct transition {
    enum engine_state state;
    enum engine_event event;
    enum engine_state next;
    void (*action)(struct engine *e, enum engine_event ev);
};

static const char *const state_names[] = {
#define X(name) #name,
    ENGINE_STATES(X)
#undef X
};

static const char *const event_names[] = {
#define X(name) #name,
    ENGINE_EVENTS(X)
#undef X
};

static bool is_connected(const struct engine *e)
{
    if (e->attach)
        return true;
    for (int ch = 0; ch < CH_MAX; ch++)
        if (e->links[ch])
            return true;
    return false;
}

/* Its process is connected at all: the control channel may be its supervisor's. */
static bool is_process_connected(const struct engine *e)
{
    return e->attach || e->links[CH_QUERY] || e->links[CH_MUX] || e->links[CH_TASK] ||
           e->links[CH_HB];
}

static bool is_routable(const struct engine *e)
{
    return e->attach || (e->links[CH_MUX] && e->links[CH_TASK] && e->links[CH_CONTROL]);
}

static void cancel_timers(struct engine *e)
{
    loop_cancel(e->env->loop, &e->stall);
    loop_cancel(e->env->loop, &e->settle);
    loop_cancel(e->env->loop, &e->lost);
    loop_cancel(e->env->loop, &e->linger);
}

/* Actions */

static void start_registration(struct engine *e, enum engine_event ev)
{
    e->registered_ns = loop_now_ns(e->env->loop);
    loop_after(e->env->loop, &e->stall,
               MS_TO_NS(e->restored ? e->env->restore_ms : e->env->stall_ms));
}

static void announce(struct engine *e, enum engine_event ev)
{
    loop_cancel(e->env->loop, &e->stall);
    loop_cancel(e->env->loop, &e->settle);
    e->misses = 0;
    e->env->ops->alive(e->env->ctx, e);
}

static void count_miss(struct engine *e, enum engine_event ev)
{
    e->misses++;
}

static void clear_misses(struct engine *e, enum engine_event ev)
{
    e->misses = 0;
}

static void give_up(struct engine *e, enum engine_event ev)
{
    cancel_timers(e);
    e->env->ops->gone(e->env->ctx, e, false);
    engine_close_tasks(e);
    engine_close_mux(e);
}

static void retire(struct engine *e, enum engine_event ev)
{
    cancel_timers(e);
    /* After the end of all its connections nothing can be under way any more. */
    e->is_silent = ev == EV_HEART_FAILED;
    e->is_cut = e->is_cut && ev == EV_DISCONNECTED;
    e->reported = !e->is_silent && !e->is_cut;
    e->is_over = ev == EV_UNREGISTER;
    int64_t ms = e->is_silent ? e->env->linger_lost_ms
                 : e->is_cut  ? e->env->linger_cut_ms
                              : e->env->linger_reported_ms;
    loop_after(e->env->loop, &e->linger, MS_TO_NS(ms));
    e->env->ops->gone(e->env->ctx, e, true);
}

static void release(struct engine *e, enum engine_event ev)
{
    cancel_timers(e);
    e->env->ops->absent(e->env->ctx, e);
}

static const struct transition transitions[] = {
    {ENGINE_ABSENT, EV_REGISTER, ENGINE_PENDING, start_registration},

    {ENGINE_PENDING, EV_USABLE, ENGINE_ALIVE, announce},
    {ENGINE_PENDING, EV_STALLED, ENGINE_GONE, give_up},
    {ENGINE_PENDING, EV_UNREGISTER, ENGINE_GONE, give_up},
    {ENGINE_PENDING, EV_DISCONNECTED, ENGINE_GONE, give_up},

    {ENGINE_ALIVE, EV_BEAT, ENGINE_ALIVE, NULL},
    {ENGINE_ALIVE, EV_MISSED, ENGINE_PROBATION, count_miss},
    {ENGINE_ALIVE, EV_UNREGISTER, ENGINE_GONE, retire},
    {ENGINE_ALIVE, EV_DISCONNECTED, ENGINE_GONE, retire},

    {ENGINE_PROBATION, EV_BEAT, ENGINE_ALIVE, clear_misses},
    {ENGINE_PROBATION, EV_MISSED, ENGINE_PROBATION, count_miss},
    {ENGINE_PROBATION, EV_HEART_FAILED, ENGINE_GONE, retire},
    {ENGINE_PROBATION, EV_UNREGISTER, ENGINE_GONE, retire},
    {ENGINE_PROBATION, EV_DISCONNECTED, ENGINE_GONE, retire},

    {ENGINE_GONE, EV_CLOSED, ENGINE_ABSENT, release},
};

/* Timers */

static void on_stall(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, stall);
    if (is_connected(e))
        log_warn("registration::registration %" PRId64 ":%.*s is stalled: no heartbeat yet",
                 e->id, SLICE_FMT(e->uuid));
    else
        engine_event(e, EV_STALLED);
}

static void on_settle(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, settle);
    log_warn("registration::engine %" PRId64
             " beats, but is not connected for mux, task and control",
             e->id);
    engine_event(e, EV_USABLE);
}

static void on_lost(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, lost);
    e->is_cut = e->is_relayed; /* only the tunnel may have ended */
    engine_end(e, EV_DISCONNECTED, "its connections are closed");
}

static void on_linger(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, linger);
    e->env->ops->strand(e->env->ctx, e);
    engine_close_mux(e);
}

static void settle_registration(struct engine *e)
{
    if (e->state != ENGINE_PENDING || !e->has_beaten)
        return;
    if (e->restored && e->attach)
        return; /* it registers again */
    if (is_routable(e))
        engine_event(e, EV_USABLE);
    else if (!timer_is_set(&e->settle))
        loop_after(e->env->loop, &e->settle, MS_TO_NS(e->env->settle_ms));
}

static void close_when_settled(struct engine *e)
{
    if (e->state == ENGINE_GONE && e->task_closed && e->mux_closed)
        engine_event(e, EV_CLOSED);
}

const char *engine_state_name(enum engine_state s)
{
    return state_names[s];
}

const char *engine_event_name(enum engine_event ev)
{
    return event_names[ev];
}

struct engine *engine_new(struct engine_env *env, struct slice uuid, int64_t id)
{
    struct engine *e = calloc(1, sizeof(*e) + uuid.len + 1);
    if (!e)
        return NULL;
    memcpy(e->text, uuid.data, uuid.len);
    e->uuid = (struct slice){e->text, uuid.len};
    e->id = id;
    e->env = env;
    e->stall.fn = on_stall;
    e->settle.fn = on_settle;
    e->lost.fn = on_lost;
    e->linger.fn = on_linger;
    list_init(&e->waiting);
    list_init(&e->queue);
    list_init(&e->control);
    list_init(&e->broadcasts);
    list_init(&e->link);
    list_init(&e->beat);
    buf_init(&e->completed, UINT32_MAX);
    return e;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    cancel_timers(e);
    list_remove(&e->link);
    list_remove(&e->beat);
    ledger_forget(e);
    free(e->cause);
    free(e->task_end);
    free(e);
}

bool engine_event(struct engine *e, enum engine_event ev)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
        const struct transition *t = &transitions[i];
        if (t->state != e->state || t->event != ev)
            continue;
        if (t->next != e->state)
            log_debug("engine::%" PRId64 " %s -%s-> %s", e->id, engine_state_name(e->state),
                      engine_event_name(ev), engine_state_name(t->next));
        e->env->events[ev]++;
        e->env->in_state[e->state]--;
        e->env->in_state[t->next]++;
        e->state = t->next;
        if (t->action)
            t->action(e, ev);
        return true;
    }
    e->env->unlisted_events++;
    log_debug("engine::%" PRId64 " %s: nothing to do for %s", e->id,
              engine_state_name(e->state), engine_event_name(ev));
    return false;
}

void engine_beat(struct engine *e)
{
    e->heard = true;
    if (e->state != ENGINE_PENDING || engine_says_ready(e))
        return;
    e->has_beaten = true;
    settle_registration(e);
}

void engine_ready(struct engine *e)
{
    e->heard = true;
    e->has_beaten = true;
    settle_registration(e);
}

void engine_connected(struct engine *e)
{
    loop_cancel(e->env->loop, &e->lost);
    settle_registration(e);
}

void engine_disconnected(struct engine *e, bool attached, bool is_cut)
{
    if (e->state == ENGINE_GONE || e->state == ENGINE_ABSENT)
        return;
    e->is_cut = attached && is_cut;
    if (attached)
        engine_end(e, EV_DISCONNECTED,
                   is_cut ? "its connection broke" : "its connection is closed");
    else if (!is_process_connected(e))
        loop_after(e->env->loop, &e->lost, MS_TO_NS(e->env->lost_ms));
}

void engine_end(struct engine *e, enum engine_event ev, const char *cause)
{
    assert(ev == EV_UNREGISTER || ev == EV_HEART_FAILED || ev == EV_DISCONNECTED);
    if (e->state == ENGINE_GONE || e->state == ENGINE_ABSENT)
        return;
    if (cause && !e->cause)
        e->cause = str_dup(cause);
    engine_event(e, ev);
}

void engine_close_tasks(struct engine *e)
{
    e->task_closed = true;
    close_when_settled(e);
}

void engine_close_mux(struct engine *e)
{
    e->mux_closed = true;
    close_when_settled(e);
}
