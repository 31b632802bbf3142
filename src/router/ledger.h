/* SPDX-License-Identifier: BSD-3-Clause */
/* What queue_request tells about each engine: the direct requests sent and unanswered, and what
 * was answered (controller.md 12 and 14.2). Task requests are the scheduler's own tables. Lists
 * are cleared when an engine's work is closed. Those answered are all counted, but their ids
 * are kept to a bound for all engines together. */
#ifndef ERSA_ROUTER_LEDGER_H
#define ERSA_ROUTER_LEDGER_H

#include <stdbool.h>

#include "router/engine.h"
#include "stats/hist.h"
#include "util/map.h"

/* Direct requests open at a time; beyond that they are not listed. */
#define LEDGER_MAX 1000000

struct ledger {
    struct map open;        /* direct requests by id */
    struct stats_hist time; /* until they were answered */
};

void ledger_init(struct ledger *l);
void ledger_fini(struct ledger *l); /* engines must be closed */

/* A direct request went to the engine. */
void ledger_open(struct ledger *l, struct engine *e, struct slice msg_id);
/* A direct request was answered by the engine: true if it was open there. */
bool ledger_answer(struct ledger *l, struct engine *e, struct slice msg_id);
/* The engine has done a task or a direct request: counts, and remembers the id. */
void ledger_complete(struct engine *e, struct slice msg_id);
/* Gives back the memory of what the engine has done; before it is freed. */
void ledger_forget(struct engine *e);
/* Takes out what is open, oldest first; fn is told each id. */
void ledger_close(struct ledger *l, struct engine *e,
                  void (*fn)(void *ctx, struct engine *e, struct slice msg_id), void *ctx);
/* Calls fn for each open id, and for each completed id that is remembered. */
void ledger_walk_open(const struct engine *e, void (*fn)(void *ctx, struct slice msg_id),
                      void *ctx);
void ledger_walk_completed(const struct engine *e, void (*fn)(void *ctx, struct slice msg_id),
                           void *ctx);

#endif
