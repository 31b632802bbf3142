/* SPDX-License-Identifier: BSD-3-Clause */
/* The tasks that may start and wait for an engine with room. Those that may run anywhere stand
 * in two plain queues (first those that have waited before). Those that name their engines have
 * seats there (seats.h). Those that may run anywhere but where they have been stand in a
 * numbered row, and each engine remembers up to where there is nothing for it (`cursor`): the
 * first engine that is asked takes the first that has not been there, so few are passed over.
 */
#ifndef ERSA_ROUTER_LINE_H
#define ERSA_ROUTER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct sched;
struct sched_engine;
struct task;

struct line {
    struct list resumed, plain; /* tasks by their `link` */
    struct list choosy;         /* the tasks that have seats */
    struct list wary;           /* the same tasks as in the row */
    struct task **row;          /* owned ring: entry number modulo `cap`; NULL: left */
    size_t cap;                 /* power of two, or 0 */
    uint64_t first, next;       /* numbers of the row's entries, from 1 on */
    size_t n_wary;
    size_t most_excluded; /* the most engines that one of them has excluded */
};

void line_init(struct line *l);
void line_fini(struct line *l);
/* At the end of its queue. ERSA_ENOMEM: it stands nowhere. */
int line_push(struct sched *s, struct task *t);
void line_remove(struct line *l, struct task *t);
/* The first in the line that may run on the engine; NULL when there is none. It stays there. */
struct task *line_first_for(struct line *l, struct sched_engine *e);
/* An engine has gone: those who may have been everywhere now are put on sched.decided. */
void line_review(struct sched *s);

#endif
