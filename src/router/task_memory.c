/* SPDX-License-Identifier: BSD-3-Clause */
/* A task is one piece of memory, its message included: a million of them may wait. What is
 * given back serves the next tasks until a burst is over (idle.h). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "router/sched_core.h"
#include "router/task.h"
#include "router/terms.h"

/* From a slab; what is too large for one, from the heap. */
static struct task *take_piece(struct sched *s, size_t size)
{
    bool is_large = size > SLAB_PIECE_MAX;
    struct task *t = is_large ? malloc(size) : slabs_get(&s->slabs, size);
    if (t)
        *t = (struct task){.is_large = is_large};
    return t;
}

static void give_piece(struct sched *s, struct task *t)
{
    if (t->is_large)
        free(t);
    else
        slabs_put(&s->slabs, t);
}

/* Accounts */

static void charge(struct account *a, struct task *t)
{
    a->bytes += t->request.bytes;
    a->sched->held_bytes += t->request.bytes;
    a->n++;
    t->account = a;
}

static void discharge(struct sched *s, struct task *t)
{
    struct account *a = t->account;
    if (!a)
        return;
    a->bytes -= t->request.bytes;
    s->held_bytes -= t->request.bytes;
    if (--a->n)
        return;
    map_remove(&s->accounts, a->identity, a->identity_len);
    free(a);
}

static struct account *account_of(struct sched *s, struct slice client)
{
    struct account *a = map_get(&s->accounts, client.data, client.len);
    if (a)
        return a;
    a = malloc(sizeof(*a) + client.len);
    if (!a)
        return NULL;
    *a = (struct account){.sched = s, .identity_len = client.len};
    memcpy(a->identity, client.data, client.len);
    if (map_put(&s->accounts, a->identity, a->identity_len, a) < 0) {
        free(a);
        return NULL;
    }
    return a;
}

/* Tasks */

struct slice task_header(const struct task *t)
{
    return packed_frame(&t->request, t->n_front + 2);
}

struct slice task_client(const struct task *t)
{
    return packed_frame(&t->request, 0);
}

const struct frame *task_frames(struct sched *s, const struct task *t)
{
    assert(s->vec_cap >= t->request.n);
    packed_frames(&t->request, s->vec);
    return s->vec;
}

static bool is_within(struct slice part, struct slice whole)
{
    return part.data >= whole.data && part.data < whole.data + whole.len;
}

struct task *task_new(struct sched *s, const struct frame *frames, unsigned n, unsigned n_front,
                      struct slice header, struct slice msg_id)
{
    size_t size = offsetof(struct task, request) + packed_size(frames, n);
    bool is_plain_id = is_within(msg_id, header);
    struct task *t = take_piece(s, size + (is_plain_id ? 0 : msg_id.len));
    if (!t)
        return NULL;
    list_init(&t->link);
    list_init(&t->dependents);
    t->n_front = n_front;
    t->submitted_ns = t->since_ns = loop_now_ns(s->loop);
    packed_fill(&t->request, frames, n);
    t->request.bytes += offsetof(struct task, request);
    char *id = (char *)t + size;
    if (is_plain_id)
        t->msg_id.data = task_header(t).data + (msg_id.data - header.data);
    else
        t->msg_id.data = memcpy(id, msg_id.data, msg_id.len);
    t->msg_id.len = msg_id.len;
    if (map_put(&s->tasks, t->msg_id.data, t->msg_id.len, t) < 0) {
        packed_fini(&t->request);
        give_piece(s, t);
        return NULL;
    }
    struct account *a = account_of(s, frame_slice(&frames[0]));
    if (!a) {
        task_free(s, t);
        return NULL;
    }
    charge(a, t);
    return t;
}

void task_free(struct sched *s, struct task *t)
{
    map_remove(&s->tasks, t->msg_id.data, t->msg_id.len);
    list_remove(&t->link);
    list_remove(&t->dependents);
    terms_free(s, t);
    discharge(s, t);
    packed_fini(&t->request);
    give_piece(s, t);
}
