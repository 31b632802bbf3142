/* SPDX-License-Identifier: BSD-3-Clause */
/* The list `sent` of an engine is in the order in which it begins: all that was sent went over
 * one connection, into one queue. */
#include "router/comeback.h"

#include "router/sched_core.h"

void comeback_tells(struct sched *s, struct slice uuid, struct slice last_begun)
{
    struct sched_engine *e = map_get(&s->by_uuid, uuid.data, uuid.len);
    if (!e)
        return;
    e->is_unsure = false;
    struct task *last = map_get(&s->tasks, last_begun.data, last_begun.len);
    if (task_is_at(last, e))
        for (struct list *it = &last->link; it != &e->sent; it = it->prev)
            container_of(it, struct task, link)->begun = true;
    if (!e->live)
        sched_engine_judge(s, e);
}

void comeback_unsure(struct sched_engine *e)
{
    e->is_unsure = true;
}

void comeback_torn(struct sched_engine *e)
{
    e->is_torn = e->is_unsure = true;
}

void comeback_adopt(struct sched *s, struct sched_engine *old, struct sched_engine *e)
{
    struct list *it;
    while (!old->is_torn && (it = list_pop_front(&old->sent))) {
        struct task *t = container_of(it, struct task, link);
        t->engine = e;
        list_push_back(&e->sent, it);
        sched_load_add(s, e, t->request.bytes);
    }
    sched_engine_judge(s, old);
}
