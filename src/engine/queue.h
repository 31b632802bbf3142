/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait for the runtime, in strict order of arrival whatever way they came, and
 * what was asked to be aborted (engine.md 11): single ids, which may come before their task and
 * are therefore remembered for a while, and "every execute received so far". */
#ifndef ERSA_ENGINE_QUEUE_H
#define ERSA_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/request.h"
#include "util/list.h"
#include "util/map.h"

#define ABORT_IDS_MAX 65536u
#define ABORT_AGE_MS 3600000 /* an id that nobody sent in an hour will not come */

struct queue {
    struct list waiting; /* struct request */
    size_t n, bytes, bytes_max;
    struct map aborted; /* struct aborted by message id */
    struct list aborted_order;
    int64_t abort_executes_ns; /* executes that arrived until then are aborted */
};

void queue_init(struct queue *q, size_t bytes_max);
void queue_fini(struct queue *q);

/* Takes a held request on success. ERSA_EFULL: it would pass the bound. */
int queue_push(struct queue *q, struct request *r);
/* In front of all others, whatever the bound. */
void queue_push_front(struct queue *q, struct request *r);
/* The next one, the caller's from now on; NULL when there is none. */
struct request *queue_pop(struct queue *q);
/* Takes out those whose ids are in `ids` (any values), which `may_go` and which nobody wants
 * aborted, to the end of the list `ret`: the caller's from now on. O(what waits). */
void queue_give_back(struct queue *q, const struct map *ids,
                     bool (*may_go)(void *ctx, const struct request *r), void *ctx,
                     struct list *ret);

/* Remembers an id. When there are too many, or too old ones, the oldest are forgotten. */
int queue_abort(struct queue *q, struct slice msg_id, int64_t now_ns);
void queue_abort_executes(struct queue *q, int64_t until_ns);
/* Is this request, whose turn it is, aborted? Its id is forgotten then. */
bool queue_is_aborted(struct queue *q, const struct request *r);

#endif
