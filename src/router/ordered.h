/* SPDX-License-Identifier: BSD-3-Clause */
/* Schemes that always take the first engine in some order: one heap of all engines, the full
 * ones at its bottom. leastload and lru are an order each. */
#ifndef ERSA_ROUTER_ORDERED_H
#define ERSA_ROUTER_ORDERED_H

#include "router/policy.h"

/* Among two that both have room, or both have none. */
typedef bool (*engine_order_fn)(const struct sched_engine *a, const struct sched_engine *b);

/* 0 or ERSA_ENOMEM. `less` orders the heap and must call ordered_less() with `before`. */
int ordered_open(struct policy **ret, const struct policy_ops *ops, engine_order_fn before,
                 heap_less_fn less);
static inline bool ordered_less(const struct heap_node *a, const struct heap_node *b,
                                engine_order_fn before)
{
    const struct sched_engine *x = container_of(a, struct sched_engine, node);
    const struct sched_engine *y = container_of(b, struct sched_engine, node);
    return x->full != y->full ? y->full : before(x, y);
}

/* The same, in the order of the line: longest without a new task first. */
int ordered_open_by_turn(struct policy **ret, const struct policy_ops *ops);

void ordered_close(struct policy *p);
int ordered_add(struct policy *p, struct sched_engine *e);
void ordered_remove(struct policy *p, struct sched_engine *e);
void ordered_changed(struct policy *p, struct sched_engine *e);
struct sched_engine *ordered_choose(struct policy *p);
struct sched_engine *ordered_choose_among(struct policy *p, struct sched_engine *const *list,
                                          size_t n);

#endif
