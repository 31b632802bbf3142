/* SPDX-License-Identifier: BSD-3-Clause */
/* Which engine for a task that may start, and which task for an engine that has room
 * (schedulers.md 5). Nothing that could run waits while an engine has room for it, so an engine
 * with new room is all that the line has to be asked about. */
#include <stdlib.h>

#include "router/sched_core.h"
#include "router/terms.h"

static bool has_candidates(struct sched *s, size_t n)
{
    if (n <= s->candidates_cap)
        return true;
    struct sched_engine **grown =
        reallocarray(s->candidates, 2 * n, sizeof(struct sched_engine *));
    if (!grown)
        return false;
    s->candidates = grown;
    s->candidates_cap = 2 * n;
    return true;
}

static struct sched_engine *choose_listed(struct sched *s, const struct terms *terms,
                                          const struct numbers *places)
{
    size_t n = 0;
    if (!has_candidates(s, places->n))
        return NULL;
    for (size_t i = 0; i < places->n; i++) {
        struct sched_engine *e = sched_live_by_number(s, places->items[i]);
        if (e && terms_allow(terms, e->number))
            s->candidates[n++] = e;
    }
    return s->policy->ops->choose_among(s->policy, s->candidates, n);
}

static void pretend_full(struct sched *s, struct sched_engine *e, bool on)
{
    e->full = on;
    s->policy->ops->changed(s->policy, e);
}

/* Any engine but those. Where it does not matter who else was there, they are passed over as
 * they come up, and count as full meanwhile: few come up before one that will do. */
static struct sched_engine *pass_over(struct sched *s, const struct terms *terms)
{
    size_t n = 0;
    struct sched_engine *chosen;
    while ((chosen = s->policy->ops->choose(s->policy)) &&
           !terms_allow(terms, chosen->number)) {
        pretend_full(s, chosen, true);
        s->candidates[n++] = chosen;
    }
    while (n > 0)
        pretend_full(s, s->candidates[--n], false);
    return chosen;
}

static struct sched_engine *choose_but(struct sched *s, const struct terms *terms)
{
    const struct numbers *excluded = &terms->excluded;
    size_t n = 0;
    if (!has_candidates(s, excluded->n))
        return NULL;
    if (!s->policy->ops->weighs)
        return pass_over(s, terms);
    for (size_t i = 0; i < excluded->n; i++) {
        struct sched_engine *e = sched_live_by_number(s, excluded->items[i]);
        if (e && !e->full) {
            pretend_full(s, e, true);
            s->candidates[n++] = e;
        }
    }
    struct sched_engine *chosen = s->policy->ops->choose(s->policy);
    while (n > 0)
        pretend_full(s, s->candidates[--n], false);
    return chosen;
}

static struct sched_engine *choose_any(struct sched *s)
{
    struct sched_engine *e = pace_same_again(s);
    if (e)
        return e;
    e = s->policy->ops->choose(s->policy);
    if (e)
        pace_chose(s, e);
    return e;
}

static struct sched_engine *choose_engine(struct sched *s, const struct task *t)
{
    if (!terms_are_choosy(t->terms))
        return choose_any(s);
    const struct numbers *places = terms_places(t->terms);
    return places ? choose_listed(s, t->terms, places) : choose_but(s, t->terms);
}

void assign_or_wait(struct sched *s, struct task *t)
{
    struct verdict v = {.ename = "ImpossibleDependency", .evalue = ""};
    if (terms_are_choosy(t->terms) && terms_are_hopeless(s, t->terms)) {
        task_event(s, t, TE_UNREACHABLE, &v);
        return;
    }
    v.engine = choose_engine(s, t);
    if (v.engine) {
        task_event(s, t, TE_ASSIGNED, &v);
        return;
    }
    if (line_push(s, t) < 0) {
        v.ename = "MemoryError";
        v.evalue = "out of memory";
        task_event(s, t, TE_UNREACHABLE, &v);
        return;
    }
    t->where = IN_LINE;
    s->counts.waiting++;
    terms_start_timer(s, t->terms);
}

void assign_to(struct sched *s, struct sched_engine *e)
{
    while (e->live && !e->full) {
        struct task *t = line_first_for(&s->line, e);
        if (!t)
            return;
        struct verdict v = {.engine = e};
        task_event(s, t, TE_ASSIGNED, &v);
    }
}
