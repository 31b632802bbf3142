/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme leastload: the engine with the fewest tasks, among equals the one that has been
 * longest without a new one (schedulers.md 5.2). */
#include "router/ordered.h"

static bool comes_before(const struct sched_engine *a, const struct sched_engine *b)
{
    unsigned x = policy_load(a), y = policy_load(b);
    return x != y ? x < y : a->turn < b->turn;
}

static bool is_less(const struct heap_node *a, const struct heap_node *b)
{
    return ordered_less(a, b, comes_before);
}

static int leastload_open(struct policy **ret)
{
    return ordered_open(ret, &policy_leastload, comes_before, is_less);
}

const struct policy_ops policy_leastload = {
    .name = "leastload",
    .open = leastload_open,
    .close = ordered_close,
    .add = ordered_add,
    .remove = ordered_remove,
    .changed = ordered_changed,
    .choose = ordered_choose,
    .choose_among = ordered_choose_among,
};
