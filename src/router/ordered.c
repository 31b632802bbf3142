/* SPDX-License-Identifier: BSD-3-Clause */
/* The heap behind the ordered schemes. */
#include "router/ordered.h"

#include <stdlib.h>

struct ordered {
    struct policy base;
    struct heap heap;
    engine_order_fn before;
};

static struct ordered *self(struct policy *p)
{
    return container_of(p, struct ordered, base);
}

int ordered_open(struct policy **ret, const struct policy_ops *ops, engine_order_fn before,
                 heap_less_fn less)
{
    struct ordered *p = calloc(1, sizeof(*p));
    if (!p)
        return ERSA_ENOMEM;
    p->base.ops = ops;
    p->before = before;
    heap_init(&p->heap, less);
    *ret = &p->base;
    return 0;
}

static bool has_waited_longer(const struct sched_engine *a, const struct sched_engine *b)
{
    return a->turn < b->turn;
}

static bool is_less_by_turn(const struct heap_node *a, const struct heap_node *b)
{
    return ordered_less(a, b, has_waited_longer);
}

int ordered_open_by_turn(struct policy **ret, const struct policy_ops *ops)
{
    return ordered_open(ret, ops, has_waited_longer, is_less_by_turn);
}

void ordered_close(struct policy *p)
{
    heap_fini(&self(p)->heap);
    free(self(p));
}

int ordered_add(struct policy *p, struct sched_engine *e)
{
    return heap_push(&self(p)->heap, &e->node);
}

void ordered_remove(struct policy *p, struct sched_engine *e)
{
    heap_remove(&self(p)->heap, &e->node);
}

void ordered_changed(struct policy *p, struct sched_engine *e)
{
    heap_changed(&self(p)->heap, &e->node);
}

struct sched_engine *ordered_choose(struct policy *p)
{
    struct heap_node *top = heap_top(&self(p)->heap);
    struct sched_engine *e = top ? container_of(top, struct sched_engine, node) : NULL;
    return e && !e->full ? e : NULL;
}

struct sched_engine *ordered_choose_among(struct policy *p, struct sched_engine *const *list,
                                          size_t n)
{
    struct sched_engine *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!list[i]->full && (!best || self(p)->before(list[i], best)))
            best = list[i];
    return best;
}
