/* SPDX-License-Identifier: BSD-3-Clause */
/* A list, a map of ids with their list by age, and one point in time. */
#include "engine/queue.h"

#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

#define ORIGINAL_MAX 1024 /* octets of a message id */

struct aborted {
    struct list link;
    int64_t since_ns;
    size_t len;
    char id[];
};

void queue_init(struct queue *q, size_t bytes_max)
{
    *q = (struct queue){.bytes_max = bytes_max, .abort_executes_ns = INT64_MIN};
    list_init(&q->waiting);
    list_init(&q->aborted_order);
    map_init(&q->aborted);
}

static void forget(struct queue *q, struct aborted *a)
{
    map_remove(&q->aborted, a->id, a->len);
    list_remove(&a->link);
    free(a);
}

void queue_fini(struct queue *q)
{
    struct request *r;
    while ((r = queue_pop(q)))
        request_free(r);
    list_for_each (&q->aborted_order, it)
        forget(q, container_of(it, struct aborted, link));
    map_fini(&q->aborted);
}

static void count_in(struct queue *q, const struct request *r)
{
    q->n++;
    q->bytes += request_bytes(r);
}

static void count_out(struct queue *q, const struct request *r)
{
    q->n--;
    q->bytes -= request_bytes(r);
}

int queue_push(struct queue *q, struct request *r)
{
    if (q->n && q->bytes + request_bytes(r) > q->bytes_max)
        return ERSA_EFULL;
    list_push_back(&q->waiting, &r->link);
    count_in(q, r);
    return 0;
}

void queue_push_front(struct queue *q, struct request *r)
{
    list_push_front(&q->waiting, &r->link);
    count_in(q, r);
}

struct request *queue_pop(struct queue *q)
{
    struct list *it = list_pop_front(&q->waiting);
    if (!it)
        return NULL;
    struct request *r = container_of(it, struct request, link);
    count_out(q, r);
    return r;
}

static struct aborted *oldest(const struct queue *q)
{
    return list_is_empty(&q->aborted_order)
               ? NULL
               : container_of(q->aborted_order.next, struct aborted, link);
}

int queue_abort(struct queue *q, struct slice msg_id, int64_t now_ns)
{
    struct aborted *a;
    while ((a = oldest(q)) && (map_size(&q->aborted) >= ABORT_IDS_MAX ||
                               now_ns - a->since_ns > MS_TO_NS(ABORT_AGE_MS)))
        forget(q, a);
    a = map_get(&q->aborted, msg_id.data, msg_id.len);
    if (a) {
        a->since_ns = now_ns;
        list_remove(&a->link);
        list_push_back(&q->aborted_order, &a->link);
        return 0;
    }
    a = malloc(sizeof(*a) + msg_id.len);
    if (!a)
        return ERSA_ENOMEM;
    *a = (struct aborted){.since_ns = now_ns, .len = msg_id.len};
    memcpy(a->id, msg_id.data, msg_id.len);
    if (map_put(&q->aborted, a->id, a->len, a) < 0) {
        free(a);
        return ERSA_ENOMEM;
    }
    list_push_back(&q->aborted_order, &a->link);
    return 0;
}

void queue_abort_executes(struct queue *q, int64_t until_ns)
{
    q->abort_executes_ns = until_ns;
}

/* A coalescing broadcast is known to its client by its original id alone. */
static struct aborted *find_aborted(const struct queue *q, const struct request *r)
{
    char buf[ORIGINAL_MAX];
    struct slice original;
    if (map_size(&q->aborted) == 0)
        return NULL;
    struct aborted *a = map_get(&q->aborted, r->msg_id.data, r->msg_id.len);
    if (!a && jscan_string(&r->meta[META_ORIGINAL], buf, sizeof(buf), &original) == 0)
        a = map_get(&q->aborted, original.data, original.len);
    return a;
}

static bool is_aborted_execute(const struct queue *q, const struct request *r)
{
    return r->arrived_ns <= q->abort_executes_ns && slice_is(r->msg_type, "execute_request");
}

bool queue_is_aborted(struct queue *q, const struct request *r)
{
    struct aborted *a = find_aborted(q, r);
    if (!a)
        return is_aborted_execute(q, r);
    forget(q, a);
    return true;
}

void queue_give_back(struct queue *q, const struct map *ids,
                     bool (*may_go)(void *ctx, const struct request *r), void *ctx,
                     struct list *ret)
{
    list_for_each (&q->waiting, it) {
        struct request *r = container_of(it, struct request, link);
        if (!map_get(ids, r->msg_id.data, r->msg_id.len) || !may_go(ctx, r) ||
            find_aborted(q, r) || is_aborted_execute(q, r))
            continue;
        list_remove(it);
        count_out(q, r);
        list_push_back(ret, it);
    }
}
