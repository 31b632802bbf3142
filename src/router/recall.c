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

static struct task *task_at(struct list *it)
{
    return container_of(it, struct task, link);
}

/* The oldest of the youngest `n` movable ones behind those that it keeps. */
static struct list *find_start(const struct sched_engine *e, unsigned n)
{
    const struct list *last = pace_keeps(e) ? e->sent.next : &e->sent;
    struct list *start = NULL;
    for (struct list *it = e->sent.prev; n > 0 && it != &e->sent && it != last; it = it->prev)
        if (is_movable(task_at(it))) {
            start = it;
            n--;
        }
    return start;
}

/* {"msg_ids": [...]}, by age. */
static int write_ids(struct buf *b, const struct sched_engine *e, struct list *start)
{
    const char *before = "{\"msg_ids\": [";
    int rc = 0;
    buf_reset(b);
    for (struct list *it = start; it != &e->sent && rc == 0; it = it->next) {
        const struct task *t = task_at(it);
        if (!is_movable(t))
            continue;
        rc = buf_puts(b, before);
        if (rc == 0)
            rc = buf_put_json(b, t->msg_id.data, t->msg_id.len);
        before = ", ";
    }
    return rc < 0 ? rc : buf_puts(b, "]}");
}

/* False: nothing of it can go elsewhere. */
static bool ask(struct sched *s, struct sched_engine *e, unsigned n)
{
    struct list *start = find_start(e, n);
    struct frame frames[SESSION_FRAMES];
    if (!start || write_ids(&s->recall_text, e, start) < 0)
        return false;
    struct outgoing o = {.msg_type = "ersa_recall",
                         .content = {(const char *)s->recall_text.data, s->recall_text.len}};
    if (session_frames(s->session, &o, &s->scratch, frames) < 0)
        return false;
    e->pace.is_asked = true;
    pace_hide(e);
    s->counts.recalls++;
    s->ops->to_engine(s->ctx, e, frames, SESSION_FRAMES);
    return true;
}

void recall_from(struct sched *s, struct sched_engine *e)
{
    if (e->pace.is_asked)
        e->pace.ask_again = true;
    else
        ask(s, e, e->load - 1);
}

void recall_for_idle(struct sched *s, const struct sched_engine *idle)
{
    unsigned room = idle->pace.adapts ? idle->pace.window.size : 1;
    struct sched_engine *e;
    while ((e = pace_richest(s))) {
        unsigned half = e->load / 2;
        if (ask(s, e,
                e->pace.delay == PACE_STUCK ? e->load - pace_keeps(e)
                : half < room               ? half
                                            : room))
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

void sched_recalled(struct sched *s, struct sched_engine *e, const struct slice *msg_ids,
                    unsigned n)
{
    bool ask_again = e->pace.ask_again && e->live && s->n_live > 1;
    e->pace.is_asked = e->pace.ask_again = false;
    set_giving(s, e, true);
    for (unsigned i = 0; i < n; i++) {
        struct task *t = map_get(&s->tasks, msg_ids[i].data, msg_ids[i].len);
        if (!t || t->where != AT_ENGINE || t->engine != e || t->begun)
            continue; /* its engine was given up before the answer came */
        s->counts.recalled++;
        task_event(s, t, TE_RECALLED, NULL);
    }
    sched_settle(s);
    set_giving(s, e, false);
    if (ask_again && e->load > 1)
        recall_from(s, e);
    sched_engine_eased(s, e);
    recall_for_next(s);
}
