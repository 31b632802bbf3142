/* SPDX-License-Identifier: BSD-3-Clause */
/* How many tasks an engine may hold with hwm=auto: as many as it does in about WINDOW_NS,
 * reckoned from the spacing of its replies, so that it never waits for the controller and never
 * hoards. Where the spacing has the way to and fro in it, which is long when the controller has
 * thousands of engines to listen to, what the engine itself says of a task's time counts.
 * Arithmetic alone: O(1) a reply, no clock, no memory. recall.c acts on it. */
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
    /* It was idle before its present task; before the one that was answered last, and has said
     * how long that took. */
    enum { WINDOW_STEADY, WINDOW_OUT, WINDOW_BACK } trip;
};

/* Nothing is known: one task. */
void window_init(struct window *w);
/* An idle engine has got a task. */
void window_start(struct window *w, int64_t now_ns);
/* The spacing of the reply that has come now tells little of the task: it would be good to know
 * what the engine says. */
bool window_is_vague(const struct window *w, int64_t now_ns);
#define WINDOW_NOT_SAID (-1)
/* A task was answered, and the next one begins. `said_ns`: what the engine says that it took.
 * Grows by at most one task; after one that took WINDOW_NS or longer all begins anew. */
void window_answer(struct window *w, int64_t now_ns, int64_t said_ns);
/* What the engine's present task has taken so far. */
int64_t window_running_ns(const struct window *w, int64_t now_ns);
/* How long `n` tasks will take; those of which nothing is known take WINDOW_NS each. */
int64_t window_work_ns(const struct window *w, unsigned n);

#endif
