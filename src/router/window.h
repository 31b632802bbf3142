/* SPDX-License-Identifier: BSD-3-Clause */
/* How many tasks an engine may hold with hwm=auto: as many as it does in about WINDOW_NS,
 * reckoned from the spacing of its replies, so that it never waits for the controller and never
 * hoards. Arithmetic alone: O(1) a reply, no clock, no memory. recall.c acts on it. */
#ifndef ERSA_ROUTER_WINDOW_H
#define ERSA_ROUTER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_NS ((int64_t)10000000) /* of work that an engine holds */
#define WINDOW_MAX 256u               /* tasks, however short */

struct window {
    int64_t since_ns; /* last reply, or when an idle engine got work: its task began then */
    int64_t busy_ns;  /* spent on the `n` tasks that are not in `mean_ns` yet */
    int64_t mean_ns;  /* a task takes; 0: not known */
    unsigned n;
    unsigned size; /* tasks it may hold */
};

/* Nothing is known: one task. */
void window_init(struct window *w);
/* An idle engine has got a task. */
void window_start(struct window *w, int64_t now_ns);
/* A task was answered, and the next one begins. Grows by at most one task; after one that took
 * WINDOW_NS or longer all begins anew. */
void window_answer(struct window *w, int64_t now_ns);
/* What the engine's present task has taken so far. */
int64_t window_running_ns(const struct window *w, int64_t now_ns);
/* How long `n` tasks will take; those of which nothing is known take WINDOW_NS each. */
int64_t window_work_ns(const struct window *w, unsigned n);

#endif
