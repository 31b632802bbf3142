/* SPDX-License-Identifier: BSD-3-Clause */
/* One question at a time; who comes meanwhile waits for the next. */
#include "web/scrape.h"

#include "util/clock.h"

const struct stats_desk *scrape_missing(const struct scrape *s)
{
    for (unsigned i = 0; i < s->n_desks; i++)
        if (desk_latest(s->desks[i])->at_ns < s->asked_ns)
            return s->desks[i];
    return NULL;
}

static void plan_next(struct scrape *s)
{
    int64_t after = s->asked_ns + MS_TO_NS(SCRAPE_GAP_MS) - clock_mono_ns();
    if (!timer_is_set(&s->gap))
        loop_after(s->loop, &s->gap, after > 0 ? after : 0);
}

static void finish(struct scrape *s)
{
    loop_cancel(s->loop, &s->late);
    s->is_asking = false;
    s->done(s->ctx);
    if (!list_is_empty(&s->joined))
        plan_next(s);
}

/* A desk that still owes an answer to an earlier question is not asked again before that has
 * come. */
static void ask_those_behind(struct scrape *s)
{
    for (unsigned i = 0; i < s->n_desks; i++)
        if (desk_latest(s->desks[i])->at_ns < s->asked_ns && !desk_is_asked(s->desks[i]))
            desk_ask(s->desks[i]);
    if (!scrape_missing(s))
        finish(s);
}

static void on_told(void *ctx)
{
    struct scrape *s = ctx;
    if (s->is_asking)
        ask_those_behind(s);
}

static void on_late(struct timer *t)
{
    finish(container_of(t, struct scrape, late));
}

static void on_gap(struct timer *t)
{
    struct scrape *s = container_of(t, struct scrape, gap);
    struct list *it;
    while ((it = list_pop_front(&s->joined)))
        list_push_back(&s->asked, it);
    s->is_asking = true;
    s->asked_ns = clock_mono_ns();
    loop_after(s->loop, &s->late, MS_TO_NS(SCRAPE_PATIENCE_MS));
    ask_those_behind(s);
}

int scrape_init(struct scrape *s, struct loop *l, struct stats_desk *const *desks, unsigned n,
                void (*done)(void *ctx), void *ctx)
{
    *s = (struct scrape){.loop = l, .desks = desks, .n_desks = n, .done = done, .ctx = ctx};
    s->gap.fn = on_gap;
    s->late.fn = on_late;
    list_init(&s->joined);
    list_init(&s->asked);
    int rc = 0;
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = desk_open(desks[i], l, on_told, s);
    if (rc < 0)
        scrape_fini(s);
    return rc;
}

void scrape_fini(struct scrape *s)
{
    loop_cancel(s->loop, &s->gap);
    loop_cancel(s->loop, &s->late);
    for (unsigned i = 0; i < s->n_desks; i++)
        desk_close(s->desks[i]);
}

void scrape_join(struct scrape *s, struct list *waiter)
{
    list_push_back(&s->joined, waiter);
    if (!s->is_asking)
        plan_next(s);
}
