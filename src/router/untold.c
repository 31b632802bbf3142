/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of pointers: to remove one empties its slot, which goes when it is the oldest. */
#include "router/untold.h"

#include <stdlib.h>

#include "router/sched_core.h"

#define SLOTS_MIN 64u

static struct task **slot(const struct untold *u, uint32_t number)
{
    return &u->slots[number & (u->cap - 1)];
}

static int make_room(struct untold *u)
{
    if (u->n < u->cap)
        return 0;
    struct untold grown = {
        .first = u->first, .n = u->n, .cap = u->cap ? 2 * u->cap : SLOTS_MIN};
    grown.slots = malloc(grown.cap * sizeof(*grown.slots));
    if (!grown.slots)
        return ERSA_ENOMEM;
    for (uint32_t i = u->first; i != u->first + u->n; i++)
        *slot(&grown, i) = *slot(u, i);
    free(u->slots);
    u->slots = grown.slots;
    u->cap = grown.cap;
    return 0;
}

static void tell(struct sched *s, struct task *t)
{
    t->is_untold = false;
    s->ops->event(s->ctx, TASK_ASSIGNED, t->msg_id, t->engine->uuid, NULL);
}

/* Of those that came to their engine at `until_ns` at the latest. */
static void tell_older(struct sched *s, int64_t until_ns)
{
    struct untold *u = &s->untold;
    for (; u->n; u->n--, u->first++) {
        struct task *t = *slot(u, u->first);
        if (t && t->since_ns > until_ns)
            break;
        if (t)
            tell(s, t);
    }
}

static void on_timer(struct timer *timer)
{
    struct sched *s = container_of(timer, struct sched, untold.timer);
    tell_older(s, loop_now_ns(s->loop) - MS_TO_NS(TELL_AFTER_MS));
    if (s->untold.n)
        loop_after(s->loop, timer, MS_TO_NS(TELL_AFTER_MS));
}

void untold_init(struct untold *u)
{
    *u = (struct untold){.timer.fn = on_timer};
}

void untold_fini(struct sched *s)
{
    loop_cancel(s->loop, &s->untold.timer);
    free(s->untold.slots);
    s->untold.slots = NULL;
}

void untold_trim(struct untold *u)
{
    if (u->n)
        return;
    free(u->slots);
    u->slots = NULL;
    u->cap = 0;
}

void untold_add(struct sched *s, struct task *t)
{
    struct untold *u = &s->untold;
    if (make_room(u) < 0) {
        tell(s, t);
        return;
    }
    t->untold_number = u->first + u->n++;
    t->is_untold = true;
    *slot(u, t->untold_number) = t;
    if (!timer_is_set(&u->timer))
        loop_after(s->loop, &u->timer, MS_TO_NS(TELL_AFTER_MS));
}

void untold_remove(struct sched *s, struct task *t)
{
    if (t->is_untold)
        *slot(&s->untold, t->untold_number) = NULL;
    t->is_untold = false;
}

void sched_tell(struct sched *s)
{
    tell_older(s, INT64_MAX);
}
