/* SPDX-License-Identifier: BSD-3-Clause */
/* At most one recall an engine is under way; a second one waits for the answer to the first. */
#include "router/recall.h"

#include "router/sched_core.h"
#include "router/terms.h"
#include "util/log.h"

/* Could another engine do it? */
static bool is_movable(const struct task *t)
{
    if (t->begun)
        return false;
    const struct numbers *places = terms_are_choosy(t->terms) ? terms_places(t->terms) : NULL;
    return !places || places->n > 1;
}

static struct task *task_at(const struct list *it)
{
    return container_of(it, struct task, link);
}

/* The oldest of the youngest `n` movable ones; not the oldest of all if it `keeps` that. */
static struct list *find_start(const struct sched_engine *e, unsigned n, bool keeps)
{
    const struct list *last = keeps ? e->sent.next : &e->sent;
    struct list *start = NULL;
    for (struct list *it = e->sent.prev; n > 0 && it != &e->sent && it != last; it = it->prev)
        if (is_movable(task_at(it))) {
            start = it;
            n--;
        }
    return start;
}

/* {"msg_ids": [...]}, by age; from one that is away also when it is back. */
static int write_content(struct buf *b, const struct sched_engine *e, const struct list *start)
{
    const char *before = "";
    buf_reset(b);
    int rc = buf_puts(b, "{\"msg_ids\": [");
    for (const struct list *it = start; it != &e->sent && rc == 0; it = it->next) {
        const struct task *t = task_at(it);
        if (!is_movable(t))
            continue;
        rc = buf_puts(b, before);
        if (rc == 0)
            rc = buf_put_json(b, t->msg_id.data, t->msg_id.len);
        before = ", ";
    }
    return rc < 0 ? rc : buf_puts(b, e->is_away ? "], \"tell_free\": true}" : "]}");
}

static bool send_recall(struct sched *s, struct sched_engine *e, const struct list *start)
{
    struct frame frames[SESSION_FRAMES];
    if (write_content(&s->recall_text, e, start) < 0)
        return false;
    struct outgoing o = {.msg_type = "ersa_recall",
                         .content = {(const char *)s->recall_text.data, s->recall_text.len}};
    if (session_frames(s->session, &o, &s->scratch, frames) < 0)
        return false;
    e->pace.is_asked = true;
    e->pace.names_tasks = start != &e->sent;
    pace_hide(e);
    s->counts.recalls++;
    s->ops->to_engine(s->ctx, e, frames, SESSION_FRAMES);
    return true;
}

/* False: nothing of it can go elsewhere. */
static bool ask(struct sched *s, struct sched_engine *e, unsigned n, bool keeps)
{
    const struct list *start = find_start(e, n, keeps);
    return start && send_recall(s, e, start);
}

void recall_nothing(struct sched *s, struct sched_engine *e)
{
    send_recall(s, e, &e->sent);
}

void recall_from(struct sched *s, struct sched_engine *e)
{
    if (e->pace.is_asked)
        e->pace.ask_again = true;
    else
        ask(s, e, e->load - 1, true);
}

/* All that one that is stuck does not keep, else half. */
static unsigned how_many(const struct sched_engine *e, unsigned room)
{
    unsigned half = e->load / 2;
    return e->pace.delay == PACE_STUCK ? e->load - pace_keeps(e) : half < room ? half : room;
}

void recall_for_idle(struct sched *s, const struct sched_engine *idle)
{
    unsigned room = idle->pace.adapts ? idle->pace.window.size : 1;
    struct sched_engine *e;
    while ((e = pace_richest(s))) {
        if (ask(s, e, how_many(e, room), pace_keeps(e)))
            return;
        pace_hide(e);
    }
}

void recall_for_next(struct sched *s)
{
    const struct sched_engine *next = s->policy->ops->choose(s->policy);
    if (next && policy_load(next) == 0)
        recall_for_idle(s, next);
}

static void set_giving(struct sched *s, struct sched_engine *e, bool on)
{
    e->pace.is_giving = on;
    sched_load_changed(s, e);
}

/* How many of them it had. */
static unsigned take_all(struct sched *s, struct sched_engine *e, const struct slice *msg_ids,
                         unsigned n)
{
    unsigned n_taken = 0;
    set_giving(s, e, true);
    for (unsigned i = 0; i < n; i++) {
        struct task *t = map_get(&s->tasks, msg_ids[i].data, msg_ids[i].len);
        if (!task_is_at(t, e) || t->begun)
            continue; /* its engine was given up before the answer came */
        n_taken++;
        task_event(s, t, TE_RECALLED, NULL);
    }
    s->counts.recalled += n_taken;
    sched_settle(s);
    set_giving(s, e, false);
    return n_taken;
}

void sched_recalled(struct sched *s, struct sched_engine *e, const struct slice *msg_ids,
                    unsigned n)
{
    bool ask_again = e->pace.ask_again && e->live && s->n_live > 1;
    e->pace.is_asked = e->pace.ask_again = false;
    unsigned n_taken = take_all(s, e, msg_ids, n);
    if (n_taken == 0 && e->pace.names_tasks && e->pace.delay == PACE_STUCK)
        pace_hide(e); /* what it keeps now it would keep if it were asked again */
    if (ask_again && e->load > 1)
        recall_from(s, e);
    sched_engine_eased(s, e);
    recall_for_next(s);
}
