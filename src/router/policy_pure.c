/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme pure: engines in turn and nothing else. What a task asks for (targets,
 * dependencies, retries, a timeout) and hwm are ignored, and a reply does not tell its engine,
 * as with the plain relay that the reference has in its place (schedulers.md 13). Tasks of a
 * dead engine fail here as in the other schemes, and are not lost. */
#include "router/ordered.h"

static int pure_open(struct policy **ret)
{
    return ordered_open_by_turn(ret, &policy_pure);
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
