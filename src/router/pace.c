/* SPDX-License-Identifier: BSD-3-Clause */
/* One timer for all engines: those with work stand in the order of their last replies, so the
 * first in the list is the first to be late. It fires every WINDOW_NS at most, and not at all
 * when nobody works. Late is who is silent then, also when all that had come by that time has
 * been read: the controller may be the one that is late. */
#include "router/pace.h"

#include "router/recall.h"
#include "router/sched_core.h"
#include "util/clock.h"
#include "wire/jscan.h"

static struct sched_engine *first(const struct list *l, size_t offset)
{
    return list_is_empty(l) ? NULL : (struct sched_engine *)((char *)l->next - offset);
}

static struct sched_engine *oldest(const struct list *l)
{
    return first(l, offsetof(struct sched_engine, pace.by_age));
}

static void on_timer(struct timer *t);
static void on_heard(struct defer *d);

void pacer_init(struct pacer *p)
{
    p->timer.fn = on_timer;
    p->heard.fn = on_heard;
    list_init(&p->heard.link);
    list_init(&p->on_time);
    list_init(&p->late);
    for (int i = 0; i < PACE_SIZES; i++)
        list_init(&p->by_work[i]);
}

void pace_init(struct pace *p)
{
    *p = (struct pace){0};
    window_init(&p->window);
    list_init(&p->by_age);
    list_init(&p->by_work);
}

bool pace_is_full(const struct sched_engine *e)
{
    const struct pace *p = &e->pace;
    if (e->load == 0 || p->is_giving)
        return p->is_giving;
    return !p->adapts || p->delay != PACE_ON_TIME || e->load >= p->window.size ||
           p->bytes > PACE_BYTES;
}

unsigned pace_keeps(const struct sched_engine *e)
{
    if (e->pace.delay != PACE_STUCK || list_is_empty(&e->sent))
        return 1;
    return container_of(e->sent.next, struct task, link)->begun;
}

/* Late engines */

static void file_by_work(struct sched *s, struct sched_engine *e);

static void set_timer(struct sched *s)
{
    static const int64_t limits[] = {PACE_LATE_NS, PACE_STUCK_NS};
    const struct sched_engine *firsts[] = {oldest(&s->pacer.on_time), oldest(&s->pacer.late)};
    int64_t now = loop_now_ns(s->loop), wait = INT64_MAX;
    for (int i = 0; i < 2; i++) {
        if (!firsts[i])
            continue;
        int64_t left = limits[i] - window_running_ns(&firsts[i]->pace.window, now);
        wait = left < wait ? left : wait;
    }
    if (wait < INT64_MAX)
        loop_after(s->loop, &s->pacer.timer, wait > 0 ? wait : 0);
}

static struct sched_engine *overdue(const struct sched *s, const struct list *l, int64_t limit)
{
    struct sched_engine *e = oldest(l);
    bool is = e && window_running_ns(&e->pace.window, s->pacer.asked_ns) >= limit;
    return is ? e : NULL;
}

static void on_timer(struct timer *t)
{
    struct sched *s = container_of(t, struct sched, pacer.timer);
    s->pacer.asked_ns = loop_now_ns(s->loop);
    loop_hear_out(s->loop, &s->pacer.heard);
}

static void note_late(struct sched *s, struct sched_engine *e)
{
    e->pace.delay = PACE_LATE;
    list_remove(&e->pace.by_age);
    list_push_back(&s->pacer.late, &e->pace.by_age);
    if (e->pace.adapts)
        sched_load_changed(s, e);
}

static void note_stuck(struct sched *s, struct sched_engine *e)
{
    e->pace.delay = PACE_STUCK;
    list_remove(&e->pace.by_age);
    file_by_work(s, e);
    bool has_begun = pace_keeps(e);
    if (!has_begun && !e->is_taken) {
        e->is_away = true;
        sched_load_changed(s, e);
    }
    if (e->pace.adapts && e->load > 1 && s->n_live > 1)
        recall_from(s, e);
    if (!has_begun && !e->pace.is_asked)
        recall_for_next(s);
}

static void on_heard(struct defer *d)
{
    struct sched *s = container_of(d, struct sched, pacer.heard);
    struct sched_engine *e;
    while ((e = overdue(s, &s->pacer.on_time, PACE_LATE_NS)))
        note_late(s, e);
    while ((e = overdue(s, &s->pacer.late, PACE_STUCK_NS)))
        note_stuck(s, e);
    set_timer(s);
}

/* Its present task began just now. */
static void stand_last(struct sched *s, struct sched_engine *e)
{
    e->pace.delay = PACE_ON_TIME;
    list_remove(&e->pace.by_age);
    list_push_back(&s->pacer.on_time, &e->pace.by_age);
    if (!timer_is_set(&s->pacer.timer) && list_is_empty(&s->pacer.heard.link))
        set_timer(s);
}

/* Work for others */

/* Those of which nobody knows when they end come first. With a number for hwm what stands
 * behind a task that has begun stays there. */
static void file_by_work(struct sched *s, struct sched_engine *e)
{
    struct pace *p = &e->pace;
    list_remove(&p->by_work);
    unsigned keeps = pace_keeps(e);
    if (e->load <= keeps || p->is_asked || (keeps && !p->adapts))
        return;
    int64_t work = p->delay == PACE_ON_TIME ? window_work_ns(&p->window, e->load - 1)
                                            : PACE_WORTH_NS << PACE_SIZES;
    int size = -1;
    for (int64_t limit = PACE_WORTH_NS; size + 1 < PACE_SIZES && work >= limit; limit *= 2)
        size++;
    if (size >= 0)
        list_push_back(&s->pacer.by_work[size], &p->by_work);
}

struct sched_engine *pace_richest(const struct sched *s)
{
    struct sched_engine *e = NULL;
    for (int i = PACE_SIZES - 1; i >= 0 && !e; i--)
        e = first(&s->pacer.by_work[i], offsetof(struct sched_engine, pace.by_work));
    return e;
}

void pace_hide(struct sched_engine *e)
{
    list_remove(&e->pace.by_work);
}

/* Short tasks */

static bool is_short(const struct pace *p)
{
    return window_work_ns(&p->window, 1) <= PACE_SHORT_NS;
}

/* One long task among short ones hardly moves the mean; the next may all be long. */
static void note_length(struct sched *s, const struct pace *p, int64_t said_ns)
{
    struct pacer *all = &s->pacer;
    int64_t now = loop_now_ns(s->loop);
    bool goes_on = now - all->answered_ns <= PACE_BREAK_NS;
    all->answered_ns = now;
    bool is_long = !is_short(p) || said_ns > PACE_SHORT_NS;
    all->n_short = is_long ? 0 : goes_on ? all->n_short + (all->n_short < PACE_STREAM) : 1;
}

void pace_chose(struct sched *s, struct sched_engine *e)
{
    struct pacer *p = &s->pacer;
    int64_t now = loop_now_ns(s->loop);
    p->n_chosen = p->turn_ns == now ? p->n_chosen + 1 : 1;
    p->turn_ns = now;
    p->last = e;
}

static bool is_flooded(const struct pacer *p, int64_t now)
{
    return p->n_short >= PACE_STREAM && p->n_chosen > PACE_SPREAD && p->turn_ns == now &&
           now - p->answered_ns <= PACE_BREAK_NS;
}

struct sched_engine *pace_same_again(const struct sched *s)
{
    struct sched_engine *e = s->pacer.last;
    if (!e || !is_flooded(&s->pacer, loop_now_ns(s->loop)))
        return NULL;
    const struct pace *p = &e->pace;
    bool has_room = p->adapts && p->delay == PACE_ON_TIME && !p->is_asked && !p->is_giving &&
                    !sched_engine_is_elsewhere(e) && e->load < PACE_TOGETHER &&
                    p->bytes < PACE_TOGETHER_BYTES;
    bool is_done_soon = window_work_ns(&p->window, e->load + 1) <= PACE_WORTH_NS;
    return has_room && is_done_soon ? e : NULL;
}

/* Events */

static bool read_date(const struct jfield *f, int64_t *ret_us)
{
    return f->type == J_STRING && clock_parse_iso(f->raw.data, f->raw.len, ret_us) == 0;
}

/* From the beginning of the task to its reply, by the engine's own clock. */
static int64_t read_length(const struct parts *reply)
{
    struct jfield started = {.key = "started"}, date = {.key = "date"};
    int64_t from, to;
    if (jscan(reply->metadata, &started, 1) < 0 || jscan(reply->header, &date, 1) < 0 ||
        !read_date(&started, &from) || !read_date(&date, &to) || to < from)
        return WINDOW_NOT_SAID;
    return to - from < WINDOW_NS / 1000 ? (to - from) * 1000 : WINDOW_NS;
}

static void adapt(struct sched *s, struct pace *p, const struct parts *reply)
{
    int64_t now = loop_now_ns(s->loop);
    int64_t said = window_is_vague(&p->window, now) ? read_length(reply) : WINDOW_NOT_SAID;
    window_answer(&p->window, now, said);
    note_length(s, p, said);
}

void pace_answered(struct sched *s, struct sched_engine *e, const struct parts *reply)
{
    if (!e->pace.is_watched || !e->live)
        return;
    if (e->pace.adapts)
        adapt(s, &e->pace, reply);
    else
        window_start(&e->pace.window, loop_now_ns(s->loop));
    stand_last(s, e);
}

void pace_load_changed(struct sched *s, struct sched_engine *e)
{
    struct pace *p = &e->pace;
    if (!p->is_watched)
        return;
    if (e->load == 0) {
        list_remove(&p->by_age);
        p->delay = PACE_ON_TIME;
    } else if (list_is_empty(&p->by_age) && p->delay != PACE_STUCK) {
        window_start(&p->window, loop_now_ns(s->loop));
        stand_last(s, e);
    }
    file_by_work(s, e);
}

void pace_leave(struct sched_engine *e)
{
    struct pacer *p = &e->sched->pacer;
    if (p->last == e)
        p->last = NULL;
    list_remove(&e->pace.by_age);
    list_remove(&e->pace.by_work);
}

void pace_stop(struct sched *s)
{
    loop_cancel(s->loop, &s->pacer.timer);
    loop_undefer(&s->pacer.heard);
}
