/* SPDX-License-Identifier: BSD-3-Clause */
/* The table, its actions, and the orderly way out:
 *
 *     stop: nothing new begins; a task under way may end, then is interrupted, then the runtime
 * is killed. The runtime's end: what is left of its process group is cleared away (SIGTERM,
 * then SIGKILL), the hub is told, and what is queued goes out for at most a second. */
#include "engine/core.h"

#include <signal.h>
#include <stdio.h>

#include "util/log.h"

#define SWEEP_MS 5
#define LEFTOVERS_MS 200 /* from SIGTERM to SIGKILL for what the runtime left behind */
#define LINGER_MS 1000
/* A client hears of an engine's end and of its last result by different connections: the result
 * needs a head start, or the client fails the task first. */
#define HEAD_START_MS 200

static const char *const state_names[] = {
#define X(name) #name,
    LIFE_STATES(X)
#undef X
};

static const char *const event_names[] = {
#define X(name) #name,
    LIFE_EVENTS(X)
#undef X
};

static const struct {
    const char *cause;
    int exit_code;
    int64_t interrupt_ms, kill_ms;
} stops[STOP_MAX] = {
#define STOP(name, cause, code, interrupt_ms, kill_ms) \
    [STOP_##name] = {cause, code, interrupt_ms, kill_ms},
    LIFE_STOPS(STOP)
#undef STOP
};

/* Actions */

static void begin_service(struct engine *e)
{
    registration_ready(e);
    dispatch_written(e);
    dispatch_next(e);
}

static void lose_connection(struct engine *e)
{
    log_warn("the connection to the controller is lost; connecting again");
    if (channels_is_one(&e->channels))
        life_lose_place(e);
}

static void on_refused(struct engine *e)
{
    if (e->id >= 0)
        registration_retry(e);
    else
        life_stop(e, STOP_UNREGISTERED);
}

static void begin_stop(struct engine *e)
{
    struct life *l = &e->life;
    dispatch_drop(e);
    registration_fini(e);
    if (l->stop == STOP_UNREGISTERED)
        registration_leave(e, NULL);
    if (!e->current) {
        runtime_shutdown(e);
    } else if (stops[l->stop].interrupt_ms == 0) {
        runtime_interrupt(e, true);
    } else {
        loop_after(e->loop, &l->interrupt, MS_TO_NS(stops[l->stop].interrupt_ms));
    }
    loop_after(e->loop, &l->kill, MS_TO_NS(stops[l->stop].kill_ms));
}

static void sweep_on(struct engine *e)
{
    loop_after(e->loop, &e->life.sweep, MS_TO_NS(SWEEP_MS));
}

static void begin_end(struct engine *e)
{
    heart_stop(e);
    loop_cancel(e->loop, &e->life.interrupt);
    loop_cancel(e->loop, &e->life.kill);
    dispatch_drop(e);
    int64_t now = loop_now_ns(e->loop);
    e->life.leave_at_ns = now;
    if (e->life.last_reply_ns && !e->current && !e->life.is_unregistered)
        e->life.leave_at_ns = e->life.last_reply_ns + MS_TO_NS(HEAD_START_MS);
    bool has_leftovers = runtime_signal_group(e, SIGTERM);
    e->life.sweeps = has_leftovers ? 0 : LEFTOVERS_MS / SWEEP_MS;
    e->life.end_by_ns = now + MS_TO_NS(LINGER_MS);
    e->life.sweep.fn(&e->life.sweep);
}

static void die(struct engine *e)
{
    log_critical("the runtime ended: %s", e->life.cause);
    begin_end(e);
}

/* The table */

typedef void (*action_fn)(struct engine *e);

static const struct transition {
    enum life_state state;
    enum life_event event;
    enum life_state next;
    action_fn action;
} transitions[] = {
    {LIFE_CONNECTING, EV_UP, LIFE_REGISTERING, registration_send},
    {LIFE_REGISTERING, EV_UP, LIFE_REGISTERING, NULL},
    {LIFE_SERVING, EV_UP, LIFE_SERVING, NULL},
    {LIFE_STOPPING, EV_UP, LIFE_STOPPING, NULL},
    {LIFE_ENDING, EV_UP, LIFE_ENDING, NULL},

    {LIFE_CONNECTING, EV_DOWN, LIFE_CONNECTING, NULL},
    {LIFE_REGISTERING, EV_DOWN, LIFE_CONNECTING, NULL},
    {LIFE_SERVING, EV_DOWN, LIFE_CONNECTING, lose_connection},
    {LIFE_STOPPING, EV_DOWN, LIFE_STOPPING, NULL},
    {LIFE_ENDING, EV_DOWN, LIFE_ENDING, NULL},

    {LIFE_REGISTERING, EV_REGISTERED, LIFE_SERVING, begin_service},
    {LIFE_REGISTERING, EV_REFUSED, LIFE_REGISTERING, on_refused},
    {LIFE_REGISTERING, EV_KEPT, LIFE_SERVING, begin_service},

    {LIFE_CONNECTING, EV_STOP, LIFE_STOPPING, begin_stop},
    {LIFE_REGISTERING, EV_STOP, LIFE_STOPPING, begin_stop},
    {LIFE_SERVING, EV_STOP, LIFE_STOPPING, begin_stop},

    {LIFE_CONNECTING, EV_RUNTIME_END, LIFE_ENDING, die},
    {LIFE_REGISTERING, EV_RUNTIME_END, LIFE_ENDING, die},
    {LIFE_SERVING, EV_RUNTIME_END, LIFE_ENDING, die},
    {LIFE_STOPPING, EV_RUNTIME_END, LIFE_ENDING, begin_end},
};

static const struct transition *find(enum life_state state, enum life_event ev)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++)
        if (transitions[i].state == state && transitions[i].event == ev)
            return &transitions[i];
    return NULL;
}

int life_next(enum life_state state, enum life_event ev)
{
    const struct transition *t = find(state, ev);
    return t ? (int)t->next : -1;
}

void life_event(struct engine *e, enum life_event ev)
{
    const struct transition *t = find(e->life.state, ev);
    if (!t) {
        log_debug("life: nothing follows from %s in %s", event_names[ev],
                  state_names[e->life.state]);
        return;
    }
    if (t->next != t->state)
        log_debug("life: %s -%s-> %s", state_names[t->state], event_names[ev],
                  state_names[t->next]);
    e->life.state = t->next;
    if (t->action)
        t->action(e);
}

/* Timers */

static void on_interrupt(struct timer *t)
{
    runtime_interrupt(container_of(t, struct engine, life.interrupt), true);
}

static void on_kill(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, life.kill);
    log_warn("the runtime did not end by itself");
    runtime_kill(e);
}

static void on_sweep(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, life.sweep);
    struct life *l = &e->life;
    int64_t now = loop_now_ns(e->loop);
    bool is_leaving = now >= l->leave_at_ns;
    bool has_leftovers = runtime_signal_group(e, 0);
    if (is_leaving)
        registration_leave(e, l->cause);
    if (has_leftovers && ++l->sweeps >= LEFTOVERS_MS / SWEEP_MS) {
        runtime_signal_group(e, SIGKILL);
        has_leftovers = false;
    }
    bool is_sent = channels_queued_bytes(&e->channels) == 0;
    if (!has_leftovers && is_leaving && (is_sent || now >= l->end_by_ns))
        loop_stop(e->loop);
    else
        sweep_on(e);
}

/* Interface */

void life_init(struct engine *e)
{
    e->life =
        (struct life){.interrupt.fn = on_interrupt, .kill.fn = on_kill, .sweep.fn = on_sweep};
}

void life_fini(struct engine *e)
{
    if (!e->loop)
        return;
    loop_cancel(e->loop, &e->life.interrupt);
    loop_cancel(e->loop, &e->life.kill);
    loop_cancel(e->loop, &e->life.sweep);
}

void life_stop(struct engine *e, enum life_stop why)
{
    struct life *l = &e->life;
    if (l->state >= LIFE_STOPPING) {
        if (why == STOP_SIGTERM_TWICE)
            runtime_kill(e);
        return;
    }
    l->stop = why;
    l->exit_code = stops[why].exit_code;
    snprintf(l->cause, sizeof(l->cause), "%s", stops[why].cause);
    life_event(e, EV_STOP);
}

void life_lose_place(struct engine *e)
{
    size_t n = dispatch_drop(e);
    if (e->current)
        e->current->is_answered = true;
    if (n)
        log_warn("%zu requests that waited for the place before are dropped", n);
}

void life_on_idle(struct engine *e)
{
    if (e->life.state != LIFE_STOPPING)
        return;
    loop_cancel(e->loop, &e->life.interrupt);
    runtime_shutdown(e);
}

bool life_is_serving(const struct engine *e)
{
    return e->life.state == LIFE_SERVING;
}
