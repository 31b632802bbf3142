/* SPDX-License-Identifier: BSD-3-Clause */
/* What one event means for other tasks: an end, a timeout, an engine that has gone. Whoever may
 * be concerned stands in `decided`, and is judged from there, one after the other, whatever
 * that leads to: a chain of any length is no recursion. After SETTLE_MAX of them the rest waits
 * for the next turn of the loop, so that a hundred thousand delay nobody; who comes meanwhile
 * stands behind them. */
#include "router/sched_core.h"
#include "router/seats.h"
#include "router/terms.h"

#define SETTLE_MAX 1024

void sched_judge(struct sched *s, struct task *t)
{
    struct terms *terms = t->terms;
    struct verdict v = {.ename = "ImpossibleDependency", .evalue = ""};
    enum task_event ev = TE_DEPS_MET;
    if (terms && (dep_is_unreachable(&terms->after) || dep_is_unreachable(&terms->follow) ||
                  (terms_are_choosy(terms) && terms_are_hopeless(s, terms))))
        ev = TE_UNREACHABLE;
    else if (terms && !(dep_is_met(&terms->after) && dep_is_met(&terms->follow)))
        ev = TE_DEPS_OPEN;
    if (ev != TE_DEPS_OPEN || t->state == TASK_NEW)
        task_event(s, t, ev, &v);
    else if (terms)
        seats_watch(s, terms);
}

/* What it may run on is another set than before: it stands in the line anew, but its time goes
 * on. */
static void ask_again(struct sched *s, struct task *t)
{
    line_remove(&s->line, t);
    s->counts.waiting--;
    t->where = NOWHERE;
    assign_or_wait(s, t);
}

static void decide(struct sched *s, struct terms *terms)
{
    struct verdict late = {.ename = "TaskTimeout", .evalue = ""};
    struct task *t = terms->task;
    if (t->is_unwanted && t->where != AT_ENGINE)
        task_event(s, t, TE_ABORT, NULL);
    else if (terms->is_late)
        task_event(s, t, TE_TIMED_OUT, &late);
    else if (t->state == TASK_WAITING || t->state == TASK_NEW)
        sched_judge(s, t);
    else if (t->where == IN_LINE && terms_are_choosy(terms))
        ask_again(s, t);
}

static void settle_some(struct sched *s)
{
    struct list *it;
    s->settling = true;
    for (int i = 0; i < SETTLE_MAX && (it = list_pop_front(&s->decided)); i++)
        decide(s, container_of(it, struct terms, decide));
    s->settling = false;
    if (!list_is_empty(&s->decided))
        loop_defer(s->loop, &s->settle_rest);
}

void sched_settle_rest(struct defer *d)
{
    settle_some(container_of(d, struct sched, settle_rest));
}

void sched_settle(struct sched *s)
{
    if (!s->settling && !sched_is_behind(s) && !list_is_empty(&s->decided))
        settle_some(s);
}

void sched_settle_soon(struct sched *s)
{
    loop_defer(s->loop, &s->settle_rest);
}

void sched_decide(struct sched *s, struct terms *terms)
{
    if (list_is_empty(&terms->decide))
        list_push_back(&s->decided, &terms->decide);
}
