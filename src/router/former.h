/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines that were given up because their hearts were lost. Such an engine may only sleep: it
 * is the same process when it is there again, which drops what it has seen before. So it keeps
 * its number, what was excluded from it stays excluded, tasks that name it find their seats
 * again, and its answer counts where nobody else has answered yet (schedulers.md 7). */
#ifndef ERSA_ROUTER_FORMER_H
#define ERSA_ROUTER_FORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

struct sched_engine;

struct former {
    struct list link; /* oldest first */
    uint32_t number;
    bool is_away;      /* what it had begun was given up, and it has not answered since */
    struct list seats; /* seats.c: of tasks that name it and have not started */
    struct slice uuid; /* in `text` */
    char text[];
};

struct formers {
    struct map by_uuid, by_number;
    struct list order;
};

void formers_init(struct formers *f);
void formers_fini(struct formers *f);
/* Returns NULL when out of memory; the oldest is forgotten when there are too many. */
struct former *formers_add(struct formers *f, const struct sched_engine *e);
void formers_forget(struct formers *f, struct former *n);
/* NULL: it is new, or is there. */
struct former *formers_by_uuid(const struct formers *f, struct slice uuid);
struct former *formers_by_number(const struct formers *f, uint32_t number);

#endif
