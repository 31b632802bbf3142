/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a task stands that may run on some engines only (targets, `follow`): it has a seat at
 * each of them. An engine with room looks at its own seats alone, and its end concerns those
 * who sat there and nobody else. As many seats as the task names engines: what a submission
 * costs anyway. */
#ifndef ERSA_ROUTER_SEATS_H
#define ERSA_ROUTER_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/list.h"

struct former;
struct sched;
struct sched_engine;
struct terms;

struct seat {
    struct list link; /* in `offers` or `watchers` of the engine, or `seats` of a former one */
    struct terms *terms; /* borrowed: whose */
};

/* Sits at every live engine that it may run on: among the offers of those, or (it can't start
 * yet) among the watchers. It must have no seats. 0 or ERSA_ENOMEM. */
int seats_take(struct sched *s, struct terms *terms, bool may_start);
void seats_leave(struct terms *terms);
/* Of a task that waits for others: sits among the watchers when it is known by now where it may
 * run. Without memory it is noticed later that the last of its engines has gone. */
void seats_watch(struct sched *s, struct terms *terms);
/* The engine has gone: those who had no other seat are put on sched.decided. Where it may come
 * back (`former` is not NULL) all seats are kept there meanwhile, and count for nothing. */
void seats_close(struct sched *s, struct sched_engine *e, struct former *former);
/* It is back. */
void seats_reopen(struct former *former, struct sched_engine *e);
/* Of those who sit there and may start, the one that has stood longest; NULL: nobody. */
struct terms *seats_first(const struct sched_engine *e);

#endif
