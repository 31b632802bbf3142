/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines as they come to the scheduler and go (schedulers.md 2 and 7). */
#include "router/comeback.h"
#include "router/recall.h"
#include "router/sched_core.h"
#include "router/seats.h"

#define LATE_MS 500
#define AGAIN_MS 1000

static void let_go(struct sched *s, struct sched_engine *e)
{
    loop_cancel(s->loop, &e->grace);
    if (map_get(&s->by_uuid, e->uuid.data, e->uuid.len) == e)
        map_remove(&s->by_uuid, e->uuid.data, e->uuid.len);
    list_remove(&e->link);
    if (e->done)
        e->done(s->ctx, e);
}

/* It is at that still, perhaps, when it is there again. */
static void note_given_up(struct sched *s, const struct sched_engine *e)
{
    struct former *former = formers_by_uuid(&s->formers, e->uuid);
    if (former)
        former->is_away = true;
}

/* What it still owes. */
void sched_engine_judge(struct sched *s, struct sched_engine *e)
{
    while (!list_is_empty(&e->sent)) {
        struct task *t = container_of(e->sent.next, struct task, link);
        struct verdict v = {.engine = e};
        bool has_begun = t->begun || e->is_unsure;
        bool is_tried_again = t->retries && !t->is_unwanted;
        enum task_event ev = !has_begun       ? TE_DEAD_FRESH
                             : is_tried_again ? TE_DEAD_RETRY
                                              : TE_DEAD;
        if (has_begun)
            note_given_up(s, e);
        task_event(s, t, ev, &v);
    }
    sched_settle(s);
    let_go(s, e);
}

/* When this process was stopped meanwhile, or starved, what an engine has to tell may be there
 * and not read yet. */
static void on_grace(struct timer *t)
{
    struct sched_engine *e = container_of(t, struct sched_engine, grace);
    bool is_late = loop_now_ns(e->sched->loop) - t->due_ns > MS_TO_NS(LATE_MS);
    if (!is_late || loop_after(e->sched->loop, t, MS_TO_NS(AGAIN_MS)) < 0)
        sched_engine_judge(e->sched, e);
}

static void note_caps(const struct sched *s, struct sched_engine *e, bool tells_begun,
                      bool has_recall)
{
    e->tells_begun = tells_begun;
    e->pace.is_watched = tells_begun && has_recall && !s->policy->ops->is_relay;
    e->pace.adapts = e->pace.is_watched && s->cfg.hwm == HWM_AUTO;
}

void sched_engine_init(struct sched *s, struct sched_engine *e, struct slice uuid,
                       bool tells_begun, bool has_recall)
{
    *e = (struct sched_engine){.sched = s, .uuid = uuid, .grace.fn = on_grace};
    pace_init(&e->pace);
    note_caps(s, e, tells_begun, has_recall);
    list_init(&e->sent);
    list_init(&e->offers);
    list_init(&e->watchers);
    list_init(&e->link);
}

void sched_engine_tells(struct sched *s, struct sched_engine *e, bool tells_begun,
                        bool has_recall)
{
    note_caps(s, e, tells_begun, has_recall);
    sched_load_changed(s, e);
    sched_engine_eased(s, e);
}

static void come_back(struct sched *s, struct sched_engine *e, struct former *former)
{
    seats_reopen(former, e);
    e->is_away = former->is_away && e->pace.is_watched;
    formers_forget(&s->formers, former);
    if (!e->is_away)
        return;
    e->turn = ++s->back_turn;
    sched_load_changed(s, e);
    recall_nothing(s, e);
}

int sched_engine_add(struct sched *s, struct sched_engine *e)
{
    struct former *former = formers_by_uuid(&s->formers, e->uuid);
    e->number = former ? former->number : ++s->last_number;
    e->turn = --s->front_turn;
    struct sched_engine *leaving = map_get(&s->by_uuid, e->uuid.data, e->uuid.len);
    map_remove(&s->by_uuid, e->uuid.data, e->uuid.len);
    int rc = map_put(&s->by_uuid, e->uuid.data, e->uuid.len, e);
    if (rc == 0)
        rc = map_put(&s->by_number, &e->number, sizeof(e->number), e);
    if (rc == 0)
        rc = s->policy->ops->add(s->policy, e);
    if (rc < 0) {
        if (map_get(&s->by_number, &e->number, sizeof(e->number)) == e)
            map_remove(&s->by_number, &e->number, sizeof(e->number));
        map_remove(&s->by_uuid, e->uuid.data, e->uuid.len);
        return rc;
    }
    list_push_back(&s->engines, &e->link);
    s->n_live++;
    e->live = true;
    if (leaving)
        comeback_adopt(s, leaving, e);
    if (former)
        come_back(s, e, former);
    sched_engine_eased(s, e);
    return 0;
}

void sched_engine_gone(struct sched *s, struct sched_engine *e, enum sched_end end,
                       const char *cause, void (*done)(void *ctx, struct sched_engine *e))
{
    e->done = done;
    if (!e->live) { /* it never came */
        let_go(s, e);
        return;
    }
    e->live = false;
    e->end = end;
    e->cause = cause;
    s->n_live--;
    s->policy->ops->remove(s->policy, e);
    pace_leave(e);
    map_remove(&s->by_number, &e->number, sizeof(e->number));
    seats_close(s, e, end == END_OVER ? NULL : formers_add(&s->formers, e));
    line_review(s);
    sched_settle(s);
    int64_t ms = end == END_LOST ? s->cfg.grace_lost_ms : s->cfg.grace_report_ms;
    if (list_is_empty(&e->sent))
        let_go(s, e);
    else if (loop_after(s->loop, &e->grace, MS_TO_NS(ms)) < 0)
        sched_engine_judge(s, e);
}

void sched_unsent(struct sched *s, struct sched_engine *e, struct slice msg_id)
{
    struct task *t = map_get(&s->tasks, msg_id.data, msg_id.len);
    struct verdict v = {.engine = e};
    if (!task_is_at(t, e))
        return;
    task_event(s, t, TE_DEAD_FRESH, &v);
    sched_settle(s);
    sched_engine_eased(s, e);
}

void sched_engines_fini(struct sched *s)
{
    list_for_each (&s->engines, it) {
        struct sched_engine *e = container_of(it, struct sched_engine, link);
        loop_cancel(s->loop, &e->grace);
        pace_leave(e);
        list_remove(&e->link);
        list_remove(&e->offers);
        list_remove(&e->watchers);
    }
    pace_stop(s);
}

void sched_load_changed(struct sched *s, struct sched_engine *e)
{
    if (!e->live)
        return;
    pace_load_changed(s, e);
    e->full = s->cfg.hwm == HWM_AUTO ? pace_is_full(e) : s->cfg.hwm && e->load >= s->cfg.hwm;
    s->policy->ops->changed(s->policy, e);
}

void sched_engine_taken(struct sched_engine *e, bool is_taken)
{
    e->is_taken = is_taken;
    if (!e->live)
        return;
    sched_load_changed(e->sched, e);
    if (!is_taken)
        sched_engine_eased(e->sched, e);
}

void sched_engine_back(struct sched_engine *e)
{
    if (!e->is_away)
        return;
    e->is_away = false;
    if (!e->live)
        return;
    sched_load_changed(e->sched, e);
    sched_engine_eased(e->sched, e);
}

void sched_load_add(struct sched *s, struct sched_engine *e, size_t bytes)
{
    e->load++;
    e->pace.bytes += bytes;
    e->turn = ++s->back_turn;
    sched_load_changed(s, e);
}

void sched_load_drop(struct sched *s, struct sched_engine *e, size_t bytes)
{
    e->load--;
    e->pace.bytes -= bytes;
    sched_load_changed(s, e);
}

void sched_engine_eased(struct sched *s, struct sched_engine *e)
{
    if (e->live)
        assign_to(s, e);
    if (e->live && policy_load(e) == 0)
        recall_for_idle(s, e);
    else if (!e->live && list_is_empty(&e->sent) && timer_is_set(&e->grace))
        let_go(s, e);
}

struct sched_engine *sched_live_by_number(const struct sched *s, uint32_t number)
{
    return map_get(&s->by_number, &number, sizeof(number));
}
