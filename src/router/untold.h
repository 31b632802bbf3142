/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks that are at an engine while nobody has been told so (TASK_ASSIGNED). Most tasks are
 * short: their result says where they were, and to tell it before would cost records as much as
 * the result. So it is told of those that stay, and of all when somebody asks. */
#ifndef ERSA_ROUTER_UNTOLD_H
#define ERSA_ROUTER_UNTOLD_H

#include <stdint.h>

#include "loop/loop.h"

struct sched;
struct task;

#define TELL_AFTER_MS 20

struct untold {
    struct task **slots; /* owned ring, oldest first; NULL: is not there any more */
    uint32_t first, n, cap;
    struct timer timer;
};

void untold_init(struct untold *u);
void untold_fini(struct sched *s);
void untold_trim(struct untold *u);

/* The task has come to its engine. */
void untold_add(struct sched *s, struct task *t);
/* It leaves its engine. */
void untold_remove(struct sched *s, struct task *t);

#endif
