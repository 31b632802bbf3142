/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheme plainrandom: any engine that has room (schedulers.md 5.2). */
#include "router/ready.h"

static int plainrandom_open(struct policy **ret)
{
    return ready_open(ret, &policy_plainrandom);
}

static struct sched_engine *draw_among(struct policy *p, struct sched_engine *const *list,
                                       size_t n)
{
    return ready_draw_among(list, n);
}

const struct policy_ops policy_plainrandom = {
    .name = "plainrandom",
    .open = plainrandom_open,
    .close = ready_close,
    .add = ready_add,
    .remove = ready_remove,
    .changed = ready_changed,
    .choose = ready_draw,
    .choose_among = draw_among,
};
