/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme leastload: the engine with the fewest tasks, among equals the one that has been
 * longest without a new one (schedulers.md 5.2). One heap of all engines, the full ones at its
 * bottom. */
#include <stdlib.h>

#include "router/policy.h"

struct leastload {
    struct policy base;
    struct heap heap;
};

static bool comes_before(const struct sched_engine *a, const struct sched_engine *b)
{
    if (a->full != b->full)
        return b->full;
    if (a->load != b->load)
        return a->load < b->load;
    return a->turn < b->turn;
}

static bool node_comes_before(const struct heap_node *a, const struct heap_node *b)
{
    return comes_before(container_of(a, struct sched_engine, node),
                        container_of(b, struct sched_engine, node));
}

static int leastload_open(struct policy **ret)
{
    struct leastload *p = calloc(1, sizeof(*p));
    if (!p)
        return ERSA_ENOMEM;
    p->base.ops = &policy_leastload;
    heap_init(&p->heap, node_comes_before);
    *ret = &p->base;
    return 0;
}

static void leastload_close(struct policy *base)
{
    struct leastload *p = container_of(base, struct leastload, base);
    heap_fini(&p->heap);
    free(p);
}

static int leastload_add(struct policy *base, struct sched_engine *e)
{
    return heap_push(&container_of(base, struct leastload, base)->heap, &e->node);
}

static void leastload_remove(struct policy *base, struct sched_engine *e)
{
    heap_remove(&container_of(base, struct leastload, base)->heap, &e->node);
}

static void leastload_changed(struct policy *base, struct sched_engine *e)
{
    heap_changed(&container_of(base, struct leastload, base)->heap, &e->node);
}

static struct sched_engine *leastload_choose(struct policy *base)
{
    struct heap_node *top = heap_top(&container_of(base, struct leastload, base)->heap);
    struct sched_engine *e = top ? container_of(top, struct sched_engine, node) : NULL;
    return e && !e->full ? e : NULL;
}

static struct sched_engine *leastload_choose_among(struct policy *base,
                                                   struct sched_engine *const *list, size_t n)
{
    struct sched_engine *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!list[i]->full && (!best || comes_before(list[i], best)))
            best = list[i];
    return best;
}

const struct policy_ops policy_leastload = {
    .name = "leastload",
    .open = leastload_open,
    .close = leastload_close,
    .add = leastload_add,
    .remove = leastload_remove,
    .changed = leastload_changed,
    .choose = leastload_choose,
    .choose_among = leastload_choose_among,
};
