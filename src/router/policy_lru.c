/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme lru: the engine that has been longest without a new task, whatever it has to do
 * (schedulers.md 5.2). */
#include "router/ordered.h"

static bool comes_before(const struct sched_engine *a, const struct sched_engine *b)
{
    return a->turn < b->turn;
}

static bool is_less(const struct heap_node *a, const struct heap_node *b)
{
    return ordered_less(a, b, comes_before);
}

static int lru_open(struct policy **ret)
{
    return ordered_open(ret, &policy_lru, comes_before, is_less);
}

const struct policy_ops policy_lru = {
    .name = "lru",
    .open = lru_open,
    .close = ordered_close,
    .add = ordered_add,
    .remove = ordered_remove,
    .changed = ordered_changed,
    .choose = ordered_choose,
    .choose_among = ordered_choose_among,
};
