/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme twobin: of two engines drawn at random (perhaps the same one twice) that which is
 * nearer to the front of the line, so longer without a new task (schedulers.md 5.2). */
#include "router/ready.h"

static int twobin_open(struct policy **ret)
{
    return ready_open(ret, &policy_twobin);
}

static struct sched_engine *nearer(struct sched_engine *a, struct sched_engine *b)
{
    return b && b->turn < a->turn ? b : a;
}

static struct sched_engine *twobin_choose(struct policy *p)
{
    struct sched_engine *first = ready_draw(p);
    return first ? nearer(first, ready_draw(p)) : NULL;
}

static struct sched_engine *twobin_choose_among(struct policy *p,
                                                struct sched_engine *const *list, size_t n)
{
    struct sched_engine *first = ready_draw_among(list, n);
    return first ? nearer(first, ready_draw_among(list, n)) : NULL;
}

const struct policy_ops policy_twobin = {
    .name = "twobin",
    .weighs = true,
    .open = twobin_open,
    .close = ready_close,
    .add = ready_add,
    .remove = ready_remove,
    .changed = ready_changed,
    .choose = twobin_choose,
    .choose_among = twobin_choose_among,
};
