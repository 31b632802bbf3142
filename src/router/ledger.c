/* SPDX-License-Identifier: BSD-3-Clause */
/* Open direct requests in a hash and in a list per engine; completed ids as text, one after the
 * other, each behind its length in one octet-pair. An engine that has no room for one more, and
 * may not grow, drops its older half: all engines together keep COMPLETED_MAX octets (and a few
 * each), and the less of it is left, the less an engine may have. */
#include "router/ledger.h"

#include <stdlib.h>
#include <string.h>

#define COMPLETED_MAX ((size_t)16 << 20)
#define COMPLETED_SHARE 64 /* an engine may have that part of what is left */
#define COMPLETED_OWN_MAX 32768
#define COMPLETED_OWN_MIN 512 /* whatever the others have */
#define COMPLETED_FIRST 64

struct open_request {
    struct list link; /* in the engine's queue */
    struct engine *engine;
    int64_t since_ns;
    size_t len;
    char msg_id[];
};

static void forget(struct ledger *l, struct open_request *q)
{
    map_remove(&l->open, q->msg_id, q->len);
    list_remove(&q->link);
    q->engine->n_queue--;
    free(q);
}

/* Drops ids from the front until half of the room is free, and as much as is needed. */
static void drop_oldest(struct buf *b, size_t need)
{
    size_t pos = 0, keep = need > b->cap / 2 ? b->cap - need : b->cap / 2;
    while (b->len - pos > keep) {
        uint16_t len;
        memcpy(&len, b->data + pos, sizeof(len));
        pos += sizeof(len) + len;
    }
    buf_consume(b, pos);
}

/* Grows where the engine may have so much. */
static bool grow(struct engine *e, size_t more)
{
    struct buf *b = &e->completed;
    size_t *all = &e->env->completed_bytes;
    size_t left = *all < COMPLETED_MAX ? COMPLETED_MAX - *all : 0;
    size_t cap = b->cap ? b->cap : COMPLETED_FIRST;
    while (cap < b->len + more)
        cap *= 2;
    if (cap > COMPLETED_OWN_MIN && (cap > COMPLETED_OWN_MAX || cap > left / COMPLETED_SHARE))
        return false;
    size_t before = b->cap;
    if (buf_reserve(b, more) < 0)
        return false;
    *all += b->cap - before;
    return true;
}

void ledger_init(struct ledger *l)
{
    map_init(&l->open);
    memset(&l->time, 0, sizeof(l->time));
}

void ledger_fini(struct ledger *l)
{
    size_t pos = 0;
    struct open_request *q;
    while ((q = map_next(&l->open, &pos)))
        forget(l, q);
    map_fini(&l->open);
}

/* Who chooses engines for tasks is to know. */
static void tell_scheduler(struct engine *e)
{
    bool is_taken = e->n_queue > 0;
    if (is_taken != e->task.is_taken)
        sched_engine_taken(&e->task, is_taken);
}

void ledger_open(struct ledger *l, struct engine *e, struct slice msg_id)
{
    if (map_size(&l->open) >= LEDGER_MAX)
        return;
    struct open_request *q = malloc(sizeof(*q) + msg_id.len);
    if (!q)
        return;
    q->engine = e;
    q->since_ns = loop_now_ns(e->env->loop);
    q->len = msg_id.len;
    memcpy(q->msg_id, msg_id.data, msg_id.len);
    if (map_put(&l->open, q->msg_id, q->len, q) < 0) {
        free(q);
        return;
    }
    list_push_back(&e->queue, &q->link);
    e->n_queue++;
    tell_scheduler(e);
}

bool ledger_answer(struct ledger *l, struct engine *e, struct slice msg_id)
{
    struct open_request *q = map_get(&l->open, msg_id.data, msg_id.len);
    if (!q || q->engine != e)
        return false;
    stats_hist_add(&l->time, loop_now_ns(e->env->loop) - q->since_ns);
    forget(l, q);
    tell_scheduler(e);
    return true;
}

void ledger_complete(struct engine *e, struct slice msg_id)
{
    e->n_completed++;
    uint16_t len = (uint16_t)msg_id.len;
    size_t need = sizeof(len) + msg_id.len;
    struct buf *b = &e->completed;
    if (need > COMPLETED_OWN_MAX / 2)
        return;
    if (b->len + need > b->cap && !grow(e, need)) {
        if (need > b->cap)
            return;
        drop_oldest(b, need);
    }
    buf_append(b, &len, sizeof(len));
    buf_append(b, msg_id.data, msg_id.len);
}

void ledger_forget(struct engine *e)
{
    e->env->completed_bytes -= e->completed.cap;
    buf_fini(&e->completed);
}

void ledger_close(struct ledger *l, struct engine *e,
                  void (*fn)(void *ctx, struct engine *e, struct slice msg_id), void *ctx)
{
    while (!list_is_empty(&e->queue)) {
        struct open_request *q = container_of(e->queue.next, struct open_request, link);
        fn(ctx, e, (struct slice){q->msg_id, q->len});
        forget(l, q);
    }
}

void ledger_walk_open(const struct engine *e, void (*fn)(void *ctx, struct slice msg_id),
                      void *ctx)
{
    list_for_each (&e->queue, it) {
        const struct open_request *q = container_of(it, struct open_request, link);
        fn(ctx, (struct slice){q->msg_id, q->len});
    }
}

void ledger_walk_completed(const struct engine *e, void (*fn)(void *ctx, struct slice msg_id),
                           void *ctx)
{
    const struct buf *b = &e->completed;
    for (size_t pos = 0; pos < b->len;) {
        uint16_t len;
        memcpy(&len, b->data + pos, sizeof(len));
        pos += sizeof(len);
        fn(ctx, (struct slice){(const char *)b->data + pos, len});
        pos += len;
    }
}
