/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls tasks back that an engine holds and has not begun (extensions.md 7), so that one long
 * task delays nobody and no engine is idle while another has a queue. The engine decides: a
 * task goes elsewhere only when its engine says that it has given it back. The oldest task is
 * asked for only when the engine does not begin it, with whatever hwm: it is away then, at
 * something that nobody gave it here (direct work, or what was given up). */
#ifndef ERSA_ROUTER_RECALL_H
#define ERSA_ROUTER_RECALL_H

#include "router/sched_task.h"

#define RECALL_TEXT_MAX ((size_t)1 << 20)

/* One that is away is to say when it is back. */
void recall_nothing(struct sched *s, struct sched_engine *e);
/* All that stands behind the engine's present task. */
void recall_from(struct sched *s, struct sched_engine *e);
/* `idle` has nothing to do, and nothing waits for it: half of what the engine that has the most
 * work holds, but no more than `idle` has room for; all of it if that engine is stuck. */
void recall_for_idle(struct sched *s, const struct sched_engine *idle);
/* The same for the engine that would be chosen next, if that is idle. */
void recall_for_next(struct sched *s);

#endif
