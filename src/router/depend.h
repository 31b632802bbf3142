/* SPDX-License-Identifier: BSD-3-Clause */
/* Dependencies between tasks (schedulers.md 4): counters instead of sets. Each unfinished task
 * has a list of edges to those that depend on it, so that an end costs as much as there are
 * edges, and a submission as much as it names ids. An id named twice counts twice on both sides
 * of each comparison, which changes nothing. */
#ifndef ERSA_ROUTER_DEPEND_H
#define ERSA_ROUTER_DEPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/seen.h"
#include "util/list.h"

struct sched;
struct task;
struct terms;
struct task_meta;

struct dep {
    bool all, success, failure; /* what is asked */
    size_t n;                   /* ids; 0: nothing is asked */
    size_t n_match, n_against;  /* finished in a way that counts, that does not */
};

struct edge {
    struct list link;    /* in the `dependents` of the task that is waited for */
    struct terms *waits; /* borrowed: who waits */
    bool is_follow;
};

static inline bool dep_is_met(const struct dep *d)
{
    return d->n == 0 || (d->all ? d->n_match == d->n : d->n_match > 0);
}

static inline bool dep_is_unreachable(const struct dep *d)
{
    return d->n && (d->all ? d->n_against > 0 : d->n_against == d->n);
}

static inline bool dep_is_open(const struct dep *d)
{
    return d->n_match + d->n_against < d->n;
}

/* One of its ids is finished so; returns whether it counts. */
bool dep_count(struct dep *d, enum seen_state state);

/* Reads `after` and `follow` of a task that has terms, and waits for what is unfinished of
 * them. 0; ERSA_ENOENT: an id is unknown, or the task's own; ERSA_ENOMEM. */
int depend_bind(struct sched *s, struct task *t, const struct task_meta *m);
void depend_unbind(struct terms *terms);

/* The task has ended so, on the engine of that number (0: on none): tells who depends on it,
 * and puts them on sched.decided. */
void depend_on_end(struct sched *s, struct task *t, enum seen_state state, uint32_t number);

#endif
