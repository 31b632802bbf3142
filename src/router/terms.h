/* SPDX-License-Identifier: BSD-3-Clause */
/* On what terms a task may run: where (targets, engines that it has failed on, engines that the
 * tasks ran on which it follows) and when (dependencies, timeout). Most tasks have none.
 * Engines are their numbers, which outlive them. */
#ifndef ERSA_ROUTER_TERMS_H
#define ERSA_ROUTER_TERMS_H

#include "loop/loop.h"
#include "router/depend.h"
#include "router/seats.h"
#include "router/task_meta.h"
#include "util/list.h"

struct sched;
struct task;

struct numbers {     /* a sorted set */
    uint32_t *items; /* owned */
    size_t n, cap;
};

struct terms {
    struct task *task; /* borrowed */
    bool has_targets;
    struct numbers targets;  /* those that lived at submission */
    struct numbers excluded; /* it has failed there */
    struct numbers places;   /* where tasks that it follows ran */
    bool is_nowhere;         /* one that counts ran nowhere */
    bool is_unmet;           /* it was the task that refused an engine, not a failure */
    bool is_late;            /* its time is up, and it still waits */
    struct dep after, follow;
    struct edge *edges; /* owned: to the unfinished tasks that it depends on */
    size_t n_edges;
    struct list decide;            /* in sched.decided */
    uint64_t entry;                /* its number in the line's row; 0: not there */
    struct seat *seats, only_seat; /* owned: at engines, while it waits; seats.c */
    size_t n_seats, n_taken;
    int64_t timeout_ns; /* 0: none */
    struct timer timer;
};

/* The task's terms, made where it has none; NULL when out of memory. */
struct terms *terms_of(struct sched *s, struct task *t);
/* Reads targets, flags and timeout; dependencies are bound by depend_bind(). 0 or ERSA_ENOMEM.
 */
int terms_read(struct sched *s, struct task *t, const struct task_meta *m);
void terms_free(struct sched *s, struct task *t);
/* Its time in the line begins, unless it runs; it ends with loop_cancel(). `terms` may be NULL.
 */
void terms_start_timer(struct sched *s, struct terms *terms);

/* Never on that engine again. 0 or ERSA_ENOMEM. */
int terms_exclude(struct terms *terms, uint32_t number);
/* A task that it follows ran there (0: nowhere) and counts. 1: the first there, 0 or
 * ERSA_ENOMEM. */
int terms_add_place(struct terms *terms, uint32_t number);

bool terms_allow(const struct terms *terms, uint32_t number);
/* Not every engine will do. */
static inline bool terms_are_choosy(const struct terms *terms)
{
    return terms && (terms->has_targets || terms->follow.n || terms->excluded.n);
}
/* The only engines that it may run on; NULL: all that are not excluded. */
const struct numbers *terms_places(const struct terms *terms);
/* An engine lives that it may run on. `terms` may be NULL. */
bool terms_leave_somebody(const struct sched *s, const struct terms *terms);
/* No engine is left, and none can come, that it may run on. */
bool terms_are_hopeless(const struct sched *s, const struct terms *terms);

#endif
