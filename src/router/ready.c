/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine's place in the array is its node's index; who is full or gone is not in it. The
 * array has a place for every engine of the policy, so that no change needs memory. */
#include "router/ready.h"

#include <stdlib.h>

#include "util/rand.h"

struct ready {
    struct policy base;
    struct sched_engine **items; /* owned */
    size_t n, cap;
    size_t n_engines;
};

static struct ready *self(struct policy *p)
{
    return container_of(p, struct ready, base);
}

int ready_open(struct policy **ret, const struct policy_ops *ops)
{
    struct ready *p = calloc(1, sizeof(*p));
    if (!p)
        return ERSA_ENOMEM;
    p->base.ops = ops;
    *ret = &p->base;
    return 0;
}

void ready_close(struct policy *p)
{
    free(self(p)->items);
    free(self(p));
}

static void put_in(struct ready *p, struct sched_engine *e)
{
    p->items[p->n++] = e;
    e->node.index = p->n;
}

static void take_out(struct ready *p, struct sched_engine *e)
{
    struct sched_engine *last = p->items[--p->n];
    p->items[e->node.index - 1] = last;
    last->node.index = e->node.index;
    e->node.index = 0;
}

int ready_add(struct policy *base, struct sched_engine *e)
{
    struct ready *p = self(base);
    if (p->n_engines == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct sched_engine **items =
            reallocarray(p->items, cap, sizeof(struct sched_engine *));
        if (!items)
            return ERSA_ENOMEM;
        p->items = items;
        p->cap = cap;
    }
    p->n_engines++;
    e->node.index = 0;
    ready_changed(base, e);
    return 0;
}

void ready_remove(struct policy *base, struct sched_engine *e)
{
    struct ready *p = self(base);
    if (e->node.index)
        take_out(p, e);
    p->n_engines--;
}

void ready_changed(struct policy *base, struct sched_engine *e)
{
    bool is_in = e->node.index != 0;
    if (is_in == !e->full)
        return;
    if (is_in)
        take_out(self(base), e);
    else
        put_in(self(base), e);
}

struct sched_engine *ready_draw(struct policy *base)
{
    const struct ready *p = self(base);
    return p->n ? p->items[rand_u64() % p->n] : NULL;
}

struct sched_engine *ready_draw_among(struct sched_engine *const *list, size_t n)
{
    struct sched_engine *drawn = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < n; i++)
        if (!list[i]->full && rand_u64() % ++seen == 0)
            drawn = list[i];
    return drawn;
}
