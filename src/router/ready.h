/* SPDX-License-Identifier: BSD-3-Clause */
/* The engines that have room, in an array, so that any of them can be drawn in O(1): what the
 * schemes plainrandom and twobin stand on. */
#ifndef ERSA_ROUTER_READY_H
#define ERSA_ROUTER_READY_H

#include "router/policy.h"

int ready_open(struct policy **ret, const struct policy_ops *ops); /* 0 or ERSA_ENOMEM */
void ready_close(struct policy *p);
int ready_add(struct policy *base, struct sched_engine *e);
void ready_remove(struct policy *base, struct sched_engine *e);
void ready_changed(struct policy *base, struct sched_engine *e);

/* One of those with room, each as likely as the others; NULL when there is none. */
struct sched_engine *ready_draw(struct policy *base);
struct sched_engine *ready_draw_among(struct sched_engine *const *list, size_t n);

#endif
