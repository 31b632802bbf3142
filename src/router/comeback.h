/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that were given up, or nearly, and are there again (schedulers.md 7, decisions.md):
 * what of their tasks has begun is asked, not guessed, so that none runs twice. */
#ifndef ERSA_ROUTER_COMEBACK_H
#define ERSA_ROUTER_COMEBACK_H

#include "router/sched_task.h"

/* The engine of that name has lost its connection and registers anew. It begins tasks in the
 * order in which they came, and tells the last one that it began (empty: none), so what stands
 * behind that one goes elsewhere; the verdict falls now, unless it has not been given up. */
void comeback_tells(struct sched *s, struct slice uuid, struct slice last_begun);
/* It is silent, but may be there all the same, and nobody knows what it will begin; or what it
 * said of that may be lost: until it tells, all that it has counts as begun. */
void comeback_unsure(struct sched_engine *e);
/* Some of what was sent to it was thrown away: nothing is adopted, all that it has counts as
 * begun. */
void comeback_torn(struct sched_engine *e);
/* `old` was silent, and beats again on the same connections as `e`: what it had, it has. */
void comeback_adopt(struct sched *s, struct sched_engine *old, struct sched_engine *e);

#endif
