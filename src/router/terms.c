/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of engine numbers are sorted arrays: they are short, and read much more often than
 * changed. */
#include "router/terms.h"

#include <stdlib.h>
#include <string.h>

#include "router/sched_core.h"

static size_t lower_bound(const struct numbers *s, uint32_t number)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->items[mid] < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool has(const struct numbers *s, uint32_t number)
{
    size_t at = lower_bound(s, number);
    return at < s->n && s->items[at] == number;
}

/* 1: it is new there, 0 or ERSA_ENOMEM. */
static int add(struct numbers *s, uint32_t number)
{
    size_t at = lower_bound(s, number);
    if (at < s->n && s->items[at] == number)
        return 0;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 4;
        uint32_t *grown = reallocarray(s->items, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        s->items = grown;
        s->cap = cap;
    }
    memmove(s->items + at + 1, s->items + at, (s->n - at) * sizeof(*s->items));
    s->items[at] = number;
    s->n++;
    return 1;
}

static void on_timeout(struct timer *timer)
{
    struct terms *terms = container_of(timer, struct terms, timer);
    struct sched *s = terms->task->account->sched;
    terms->is_late = true;
    sched_decide(s, terms);
    sched_settle_soon(s);
}

struct terms *terms_of(struct sched *s, struct task *t)
{
    if (t->terms)
        return t->terms;
    struct terms *terms = calloc(1, sizeof(*terms));
    if (!terms)
        return NULL;
    terms->task = t;
    terms->timer.fn = on_timeout;
    list_init(&terms->decide);
    t->terms = terms;
    return terms;
}

static int read_targets(struct sched *s, struct terms *terms, const struct jfield *targets)
{
    size_t pos = 0;
    struct jfield item;
    char buf[DEP_ID_MAX];
    struct slice uuid;
    terms->has_targets = true;
    while (jscan_next(targets, &pos, &item)) {
        if (jscan_string(&item, buf, sizeof(buf), &uuid) < 0)
            continue;
        const struct sched_engine *e = map_get(&s->by_uuid, uuid.data, uuid.len);
        if (e && e->live && add(&terms->targets, e->number) < 0)
            return ERSA_ENOMEM;
    }
    return 0;
}

int terms_read(struct sched *s, struct task *t, const struct task_meta *m)
{
    struct terms *terms = terms_of(s, t);
    if (!terms)
        return ERSA_ENOMEM;
    terms->timeout_ns = m->timeout_ns;
    return m->targets.type == J_ARRAY ? read_targets(s, terms, &m->targets) : 0;
}

void terms_free(struct sched *s, struct task *t)
{
    struct terms *terms = t->terms;
    if (!terms)
        return;
    t->terms = NULL;
    loop_cancel(s->loop, &terms->timer);
    list_remove(&terms->decide);
    depend_unbind(terms);
    seats_leave(terms);
    free(terms->targets.items);
    free(terms->excluded.items);
    free(terms->places.items);
    free(terms);
}

void terms_start_timer(struct sched *s, struct terms *terms)
{
    if (terms && terms->timeout_ns && !timer_is_set(&terms->timer))
        loop_after(s->loop, &terms->timer, terms->timeout_ns);
}

int terms_exclude(struct terms *terms, uint32_t number)
{
    return add(&terms->excluded, number) < 0 ? ERSA_ENOMEM : 0;
}

int terms_add_place(struct terms *terms, uint32_t number)
{
    if (number)
        return add(&terms->places, number);
    terms->is_nowhere = true;
    return 0;
}

bool terms_allow(const struct terms *terms, uint32_t number)
{
    return !has(&terms->excluded, number) &&
           (!terms->has_targets || has(&terms->targets, number)) &&
           (terms->follow.n == 0 || has(&terms->places, number));
}

const struct numbers *terms_places(const struct terms *terms)
{
    return terms->has_targets ? &terms->targets : terms->follow.n ? &terms->places : NULL;
}

static size_t count_live(const struct sched *s, const struct numbers *set)
{
    size_t n = 0;
    for (size_t i = 0; i < set->n; i++)
        n += sched_live_by_number(s, set->items[i]) != NULL;
    return n;
}

bool terms_leave_somebody(const struct sched *s, const struct terms *terms)
{
    if (!terms)
        return s->n_live > 0;
    const struct numbers *places = terms_places(terms);
    if (!places)
        return terms->excluded.n < s->n_live || count_live(s, &terms->excluded) < s->n_live;
    for (size_t i = 0; i < places->n; i++)
        if (sched_live_by_number(s, places->items[i]) && terms_allow(terms, places->items[i]))
            return true;
    return false;
}

bool terms_are_hopeless(const struct sched *s, const struct terms *terms)
{
    const struct dep *f = &terms->follow;
    if (f->n && f->all && (terms->places.n > 1 || terms->is_nowhere))
        return true;
    bool may_come =
        terms_places(terms) ? f->n && dep_is_open(f) : !terms->is_unmet || !s->n_live;
    return !may_come && !terms_leave_somebody(s, terms);
}
