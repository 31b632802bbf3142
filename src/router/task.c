/* SPDX-License-Identifier: BSD-3-Clause */
/* A task's life:
 *
 *     NEW ----deps_met----> READY ---assigned---> SENT ---ok------------------> DONE
 *      |                    ^ ^ |                  | '----error | dead--------> FAILED
 *      | deps_open          | | |                  |
 *      v                    | | '-timed_out,       | retry | unmet | recalled |
 *     WAITING --deps_met----' |  unreachable,      | dead_retry | dead_fresh
 *        '- as READY          |  abort             |
 *                             '--------------------'
 *
 * A retry never goes to an engine again that had the task: it would drop the identical message
 * (wire.md 3.3). An answer from an engine that had it before (its heart was lost, the task went
 * on to another) ends it, but the other engine's place is taken until that one has answered
 * too: SPENT. */
#include "router/task.h"

#include "router/sched_core.h"
#include "router/terms.h"
#include "util/log.h"
#include "wire/jscan.h"

static const char *const state_names[] = {
#define X(name) #name,
    TASK_STATES(X)
#undef X
};

static const char *const event_names[] = {
#define X(name) #name,
    TASK_EVENTS(X)
#undef X
};

const char *task_state_name(enum task_state s)
{
    return state_names[s];
}

const char *task_event_name(enum task_event ev)
{
    return event_names[ev];
}

/* Steps that several actions share */

static void leave(struct sched *s, struct task *t)
{
    switch (t->where) {
    case AMONG_WAITING:
        list_remove(&t->link);
        seats_leave(t->terms);
        s->counts.waiting--;
        s->counts.dependent--;
        break;
    case IN_LINE:
        line_remove(&s->line, t);
        s->counts.waiting--;
        break;
    case AT_ENGINE:
        list_remove(&t->link);
        untold_remove(s, t);
        s->counts.sent--;
        stats_hist_add(&s->counts.engine_time, loop_now_ns(s->loop) - t->since_ns);
        t->since_ns = loop_now_ns(s->loop);
        sched_load_drop(s, t->engine, t->request.bytes);
        break;
    case NOWHERE:
        break;
    }
    t->where = NOWHERE;
    if (!t->terms)
        return;
    t->terms->is_late = false;
    loop_cancel(s->loop, &t->terms->timer);
}

/* The task is answered: it counts for others. */
static void settle_id(struct sched *s, struct task *t, enum seen_state state,
                      const struct sched_engine *e)
{
    uint32_t number = e ? e->number : 0;
    seen_set(&s->seen, t->msg_id, state);
    stats_hist_add(&s->counts.total_time, loop_now_ns(s->loop) - t->submitted_ns);
    if (number)
        places_put(&s->places, t->msg_id, number);
    depend_on_end(s, t, state, number);
    if (t->state == TASK_DONE || t->state == TASK_SPENT)
        s->counts.done++;
    else if (t->state == TASK_ABORTED)
        s->counts.aborted++;
    else
        s->counts.failed++;
}

/* The reply goes on as it came, behind the uuid of who made it. */
static void forward_answer(struct sched *s, struct task *t, const struct verdict *v)
{
    struct sched_engine *e = v->engine;
    const struct frame *reply = v->reply->frames + 1; /* behind the client's identity */
    unsigned n = v->reply->n - 1;
    struct frame uuid = {(const uint8_t *)e->uuid.data, e->uuid.len, NULL};
    bool is_ok = t->state == TASK_DONE || t->state == TASK_SPENT;
    s->ops->event(s->ctx, is_ok ? TASK_SUCCEEDED : TASK_ENDED, t->msg_id, e->uuid, v->parts);
    if (!s->policy->ops->is_relay) {
        reply = sched_vec(s, uuid, reply, n++);
        if (!reply)
            return;
    }
    bool is_there = !list_is_empty(&e->link);
    s->ops->to_client(s->ctx, task_client(t), reply, n, is_there ? e : NULL);
}

/* Actions */

static void wait_for_others(struct sched *s, struct task *t, const struct verdict *v)
{
    list_push_back(&s->waiting, &t->link);
    t->where = AMONG_WAITING;
    s->counts.waiting++;
    s->counts.dependent++;
    seats_watch(s, t->terms);
    terms_start_timer(s, t->terms);
}

static void look_for_engine(struct sched *s, struct task *t, const struct verdict *v)
{
    if (t->where == AMONG_WAITING) {
        list_remove(&t->link);
        seats_leave(t->terms);
        s->counts.waiting--;
        s->counts.dependent--;
        t->where = NOWHERE;
        t->resumed = true;
    }
    assign_or_wait(s, t);
}

static void send_to_engine(struct sched *s, struct task *t, const struct verdict *v)
{
    struct sched_engine *e = v->engine;
    leave(s, t);
    list_push_back(&e->sent, &t->link);
    stats_hist_add(&s->counts.queue_time, loop_now_ns(s->loop) - t->since_ns);
    t->since_ns = loop_now_ns(s->loop);
    t->where = AT_ENGINE;
    t->engine = e;
    t->begun = !e->tells_begun;
    s->counts.sent++;
    sched_load_add(s, e, t->request.bytes);
    untold_add(s, t);
    s->ops->to_engine(s->ctx, e, task_frames(s, t), t->request.n);
}

/* Never to that engine again, unless it is known to have ended: it would drop what it has had
 * before. */
static bool exclude_engine(struct sched *s, struct task *t)
{
    if (!t->engine->live && t->engine->end == END_OVER)
        return true;
    struct terms *terms = terms_of(s, t);
    return terms && terms_exclude(terms, t->engine->number) == 0;
}

/* It was an engine that was told to abort it which has answered. */
static bool was_aborted(const struct verdict *v)
{
    struct jfield status = {.key = "status"};
    return v->parts && jscan(v->parts->metadata, &status, 1) == 0 &&
           slice_is(status.raw, "aborted");
}

/* An abort_request may be here before its task, and then only the engines know of it: what all
 * of them abort nobody wants. */
static void go_elsewhere(struct sched *s, struct task *t, const struct verdict *v)
{
    bool is_excluded = exclude_engine(s, t);
    leave(s, t);
    t->resumed = false;
    if (t->is_unwanted || (was_aborted(v) && !terms_leave_somebody(s, t->terms))) {
        task_event(s, t, TE_ABORT, NULL);
        return;
    }
    if (is_excluded) {
        assign_or_wait(s, t);
        return;
    }
    struct verdict failure = {.ename = "MemoryError", .evalue = "out of memory"};
    task_event(s, t, TE_UNREACHABLE, &failure);
}

/* Back to the end of the line. */
static void try_elsewhere(struct sched *s, struct task *t, const struct verdict *v)
{
    t->seq = s->next_seq++;
    s->counts.retried++;
    go_elsewhere(s, t, v);
}

static void use_retry(struct sched *s, struct task *t, const struct verdict *v)
{
    t->retries--;
    try_elsewhere(s, t, v);
}

static void note_unmet(struct sched *s, struct task *t, const struct verdict *v)
{
    struct terms *terms = terms_of(s, t);
    if (terms)
        terms->is_unmet = true;
    try_elsewhere(s, t, v);
}

/* As if it had never been there. */
static void take_back(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    t->resumed = true;
    if (t->is_unwanted)
        task_event(s, t, TE_ABORT, NULL);
    else
        assign_or_wait(s, t);
}

static void answer_done(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    forward_answer(s, t, v);
    settle_id(s, t, SEEN_OK, v->engine);
    task_free(s, t);
}

static void answer_failed(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    forward_answer(s, t, v);
    settle_id(s, t, SEEN_FAILED, v->engine);
    task_free(s, t);
}

/* Its own engine will answer too, and is busy until then. */
static void answer_and_stay(struct sched *s, struct task *t, const struct verdict *v)
{
    untold_remove(s, t);
    forward_answer(s, t, v);
    settle_id(s, t, SEEN_OK, v->engine);
}

static void vanish(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    task_free(s, t);
}

static void fail_here(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    reply_error(s, t, v->ename, v->evalue);
    settle_id(s, t, SEEN_FAILED, NULL);
    task_free(s, t);
}

static void fail_with_engine(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    reply_engine_died(s, t, v->engine);
    settle_id(s, t, SEEN_FAILED, v->engine);
    task_free(s, t);
}

static void abort_here(struct sched *s, struct task *t, const struct verdict *v)
{
    leave(s, t);
    reply_aborted(s, t);
    settle_id(s, t, SEEN_FAILED, NULL);
    task_free(s, t);
}

struct step {
    bool listed;
    enum task_state next;
    void (*action)(struct sched *s, struct task *t, const struct verdict *v);
};

#define TO(next, action)          \
    {                             \
        true, TASK_##next, action \
    }

static const struct step steps[TASK_STATE_MAX][TE_MAX] =
    {
        [TASK_NEW] =
            {
                [TE_REFUSED] = TO(FAILED, fail_here),
                [TE_UNREACHABLE] = TO(FAILED, fail_here),
                [TE_DEPS_OPEN] = TO(WAITING, wait_for_others),
                [TE_DEPS_MET] = TO(READY, look_for_engine),
                [TE_ABORT] = TO(ABORTED, abort_here),
            },
        [TASK_WAITING] =
            {
                [TE_DEPS_MET] = TO(READY, look_for_engine),
                [TE_UNREACHABLE] = TO(FAILED, fail_here),
                [TE_TIMED_OUT] = TO(FAILED, fail_here),
                [TE_ABORT] = TO(ABORTED, abort_here),
            },
        [TASK_READY] =
            {
                [TE_ASSIGNED] = TO(SENT, send_to_engine),
                [TE_UNREACHABLE] = TO(FAILED, fail_here),
                [TE_TIMED_OUT] = TO(FAILED, fail_here),
                [TE_ABORT] = TO(ABORTED, abort_here),
                [TE_ELSEWHERE] = TO(DONE, answer_done),
            },
        [TASK_SENT] =
            {
                [TE_OK] = TO(DONE, answer_done),
                [TE_ERROR] = TO(FAILED, answer_failed),
                [TE_RETRY] = TO(READY, use_retry),
                [TE_UNMET] = TO(READY, note_unmet),
                [TE_ELSEWHERE] = TO(SPENT, answer_and_stay),
                [TE_RECALLED] = TO(READY, take_back),
                [TE_DEAD_RETRY] = TO(READY, use_retry),
                [TE_DEAD_FRESH] = TO(READY, take_back),
                [TE_DEAD] = TO(FAILED, fail_with_engine),
            },
        [TASK_SPENT] =
            {
                [TE_OK] = TO(DONE, vanish),
                [TE_ERROR] = TO(DONE, vanish),
                [TE_RETRY] = TO(DONE, vanish),
                [TE_UNMET] = TO(DONE, vanish),
                [TE_RECALLED] = TO(DONE, vanish),
                [TE_DEAD_RETRY] = TO(DONE, vanish),
                [TE_DEAD_FRESH] = TO(DONE, vanish),
                [TE_DEAD] = TO(DONE, vanish),
            },
};

enum task_state task_next_state(enum task_state s, enum task_event ev)
{
    return steps[s][ev].listed ? steps[s][ev].next : TASK_STATE_MAX;
}

bool task_event(struct sched *s, struct task *t, enum task_event ev, const struct verdict *v)
{
    const struct step *step = &steps[t->state][ev];
    if (!step->listed) {
        s->counts.unlisted_events++;
        log_debug("task::%.*s %s: nothing to do for %s", SLICE_FMT(t->msg_id),
                  task_state_name(t->state), task_event_name(ev));
        return false;
    }
    log_debug("task::%.*s %s -%s-> %s", SLICE_FMT(t->msg_id), task_state_name(t->state),
              task_event_name(ev), task_state_name(step->next));
    t->state = step->next;
    step->action(s, t, v);
    return true;
}
