/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme weighted: two engines are drawn by weight, 1 / (1e-6 + load), and the one with the
 * greater weight gets the task, the first drawn on a tie (schedulers.md 5.2).
 *
 * The weights are the leaves of a tree of sums, so that a change and a draw are O(log n). Sums
 * are made anew from below on each change: nothing drifts, however different the weights are.
 */
#include <stdlib.h>

#include "router/policy.h"
#include "util/rand.h"

struct weighted {
    struct policy base;
    double *sums;                 /* owned; sums[1] is the root, sums[cap + i] leaf i */
    struct sched_engine **leaves; /* owned; NULL: free */
    size_t cap, n;
};

static struct weighted *self(struct policy *p)
{
    return container_of(p, struct weighted, base);
}

static double weight_of(const struct sched_engine *e)
{
    return e->full ? 0 : 1 / (1e-6 + policy_load(e));
}

/* In [0, below). */
static double draw_number(double below)
{
    return (double)(rand_u64() >> 11) * 0x1p-53 * below;
}

static void set_leaf(struct weighted *p, size_t leaf, double weight)
{
    size_t i = p->cap + leaf;
    p->sums[i] = weight;
    for (i /= 2; i >= 1; i /= 2)
        p->sums[i] = p->sums[2 * i] + p->sums[2 * i + 1];
}

static int weighted_open(struct policy **ret)
{
    struct weighted *p = calloc(1, sizeof(*p));
    if (!p)
        return ERSA_ENOMEM;
    p->base.ops = &policy_weighted;
    *ret = &p->base;
    return 0;
}

static void weighted_close(struct policy *base)
{
    free(self(base)->sums);
    free(self(base)->leaves);
    free(self(base));
}

static int grow(struct weighted *p)
{
    size_t cap = p->cap ? 2 * p->cap : 16;
    double *sums = calloc(2 * cap, sizeof(*sums));
    struct sched_engine **leaves = calloc(cap, sizeof(struct sched_engine *));
    if (!sums || !leaves) {
        free(sums);
        free(leaves);
        return ERSA_ENOMEM;
    }
    for (size_t i = 0; i < p->n; i++)
        leaves[i] = p->leaves[i];
    free(p->sums);
    free(p->leaves);
    p->sums = sums;
    p->leaves = leaves;
    p->cap = cap;
    for (size_t i = 0; i < p->n; i++)
        set_leaf(p, i, weight_of(p->leaves[i]));
    return 0;
}

static int weighted_add(struct policy *base, struct sched_engine *e)
{
    struct weighted *p = self(base);
    int rc = p->n == p->cap ? grow(p) : 0;
    if (rc < 0)
        return rc;
    p->leaves[p->n++] = e;
    e->node.index = p->n;
    set_leaf(p, p->n - 1, weight_of(e));
    return 0;
}

static void weighted_remove(struct policy *base, struct sched_engine *e)
{
    struct weighted *p = self(base);
    size_t leaf = e->node.index - 1;
    struct sched_engine *last = p->leaves[--p->n];
    p->leaves[leaf] = last;
    last->node.index = leaf + 1;
    set_leaf(p, leaf, weight_of(last));
    set_leaf(p, p->n, 0);
    p->leaves[p->n] = NULL;
    e->node.index = 0;
}

static void weighted_changed(struct policy *base, struct sched_engine *e)
{
    set_leaf(self(base), e->node.index - 1, weight_of(e));
}

static struct sched_engine *draw(const struct weighted *p)
{
    double left = draw_number(p->sums[1]);
    size_t i = 1;
    while (i < p->cap) {
        i *= 2;
        if (left >= p->sums[i] && p->sums[i + 1] > 0) {
            left -= p->sums[i];
            i++;
        }
    }
    return p->leaves[i - p->cap];
}

static struct sched_engine *heavier(struct sched_engine *first, struct sched_engine *second)
{
    return policy_load(second) < policy_load(first) ? second : first;
}

static struct sched_engine *weighted_choose(struct policy *base)
{
    const struct weighted *p = self(base);
    return p->n && p->sums[1] > 0 ? heavier(draw(p), draw(p)) : NULL;
}

static struct sched_engine *draw_among(struct sched_engine *const *list, size_t n, double sum)
{
    double left = draw_number(sum);
    struct sched_engine *last = NULL;
    for (size_t i = 0; i < n; i++) {
        if (list[i]->full)
            continue;
        last = list[i];
        left -= weight_of(last);
        if (left < 0)
            break;
    }
    return last;
}

static struct sched_engine *weighted_choose_among(struct policy *base,
                                                  struct sched_engine *const *list, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weight_of(list[i]);
    return sum > 0 ? heavier(draw_among(list, n, sum), draw_among(list, n, sum)) : NULL;
}

const struct policy_ops policy_weighted = {
    .name = "weighted",
    .weighs = true,
    .open = weighted_open,
    .close = weighted_close,
    .add = weighted_add,
    .remove = weighted_remove,
    .changed = weighted_changed,
    .choose = weighted_choose,
    .choose_among = weighted_choose_among,
};
