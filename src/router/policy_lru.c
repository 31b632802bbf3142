/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme lru: the engine that has been longest without a new task, whatever it has to do
 * (schedulers.md 5.2). */
#include "router/ordered.h"

static int lru_open(struct policy **ret)
{
    return ordered_open_by_turn(ret, &policy_lru);
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
