/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme pure: engines in turn and nothing else. What a task asks for (targets,
 * dependencies, retries, a timeout) and hwm are ignored, and a reply does not tell its engine,
 * as with the plain relay that the reference has in its place (schedulers.md 13). Tasks of a
 * dead engine fail here as in the other schemes, and are not lost. */
#include "router/ordered.h"

static bool comes_before(const struct sched_engine *a, const struct sched_engine *b)
{
    return a->turn < b->turn;
}

static bool is_less(const struct heap_node *a, const struct heap_node *b)
{
    return ordered_less(a, b, comes_before);
}

static int pure_open(struct policy **ret)
{
    return ordered_open(ret, &policy_pure, comes_before, is_less);
}

const struct policy_ops policy_pure = {
    .name = "pure",
    .is_relay = true,
    .open = pure_open,
    .close = ordered_close,
    .add = ordered_add,
    .remove = ordered_remove,
    .changed = ordered_changed,
    .choose = ordered_choose,
    .choose_among = ordered_choose_among,
};
