/* SPDX-License-Identifier: BSD-3-Clause */
/* The tasks that may start and wait for an engine with room. Those that may run anywhere stand
 * in two plain queues (first those that have waited before). Those that are particular about
 * their engine stand in a numbered row, and each engine remembers up to where there is nothing
 * for it
 * (`cursor`): since a task's terms only get narrower, every engine looks at every such task
 * once. */
#ifndef ERSA_ROUTER_LINE_H
#define ERSA_ROUTER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct task;
struct sched_engine;

struct line {
    struct list resumed, plain; /* tasks by their `link` */
    struct list choosy;         /* the same tasks as in the row */
    struct task **row;          /* owned ring: entry number modulo `cap`; NULL: left */
    size_t cap;                 /* power of two, or 0 */
    uint64_t first, next;       /* numbers of the row's entries, from 1 on */
    size_t n_choosy;
};

void line_init(struct line *l);
void line_fini(struct line *l);
/* At the end of its queue. ERSA_ENOMEM: it stands nowhere. */
int line_push(struct line *l, struct task *t);
void line_remove(struct line *l, struct task *t);
/* The first in the line that may run on the engine; NULL when there is none. It stays there. */
struct task *line_first_for(struct line *l, struct sched_engine *e);

#endif
