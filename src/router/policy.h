/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam for task schemes (`TaskScheduler.scheme_name`): which of the engines that may take a
 * task gets it. A scheme is a file policy_<name>.c with one struct policy_ops, and a row in
 * policy.c.
 *
 * The scheduler keeps `load`, `is_taken`, `is_away`, `turn` and `full` of struct sched_engine,
 * and says so after each change; `node` is the policy's own. None of the calls but open() and
 * add() may need memory.
 */
#ifndef ERSA_ROUTER_POLICY_H
#define ERSA_ROUTER_POLICY_H

#include "ersa/error.h"
#include "router/sched_task.h"

struct policy;

struct policy_ops {
    const char *name;
    bool weighs;   /* the chance of an engine depends on which others may be chosen */
    bool is_relay; /* hwm and what a task asks for are ignored; replies don't tell the engine */
    int (*open)(struct policy **ret); /* 0 or ERSA_ENOMEM */
    void (*close)(struct policy *p);  /* engines may still be in it */
    /* Engines as they come and go. 0 or ERSA_ENOMEM. */
    int (*add)(struct policy *p, struct sched_engine *e);
    void (*remove)(struct policy *p, struct sched_engine *e);
    /* One of these is another one now. */
    void (*changed)(struct policy *p, struct sched_engine *e);
    /* The engine for a task that any may take, among those not full; NULL when all are. O(log
     * n). */
    struct sched_engine *(*choose)(struct policy *p);
    /* The same for a task that only these may take. O(n). */
    struct sched_engine *(*choose_among)(struct policy *p, struct sched_engine *const *list,
                                         size_t n);
};

/* What an engine has to do: its tasks, and one more for all that is not from here. */
static inline unsigned policy_load(const struct sched_engine *e)
{
    return e->load + sched_engine_is_elsewhere(e);
}

struct policy {
    const struct policy_ops *ops;
};

/* The scheme of that name; ERSA_EUNSUPPORTED, ERSA_ENOMEM. */
int policy_open(struct policy **ret, const char *scheme, struct ersa_error *err);
void policy_close(struct policy *p); /* accepts NULL */

extern const struct policy_ops policy_leastload, policy_lru, policy_plainrandom, policy_pure,
    policy_twobin, policy_weighted;

#endif
