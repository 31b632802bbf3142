/* SPDX-License-Identifier: BSD-3-Clause */
/* Which tasks wait, and which are at an engine: for those who ask (queue_request). */
#include "router/sched_core.h"

static struct task *task_at(struct list *it)
{
    return container_of(it, struct task, link);
}

/* Where tasks wait there are several lists, each by age; merged they are in order of arrival.
 */
static void walk_waiting(struct sched *s, void (*fn)(void *ctx, struct slice msg_id), void *ctx)
{
    struct list *const heads[] = {&s->line.resumed, &s->waiting, &s->line.choosy, &s->line.wary,
                                  &s->line.plain};
    enum { N = sizeof(heads) / sizeof(heads[0]) };
    struct list *next[N];
    for (int i = 0; i < N; i++)
        next[i] = heads[i]->next;
    for (;;) {
        int first = -1;
        for (int i = 0; i < N; i++)
            if (next[i] != heads[i] &&
                (first < 0 || task_at(next[i])->seq < task_at(next[first])->seq))
                first = i;
        if (first < 0)
            return;
        fn(ctx, task_at(next[first])->msg_id);
        next[first] = next[first]->next;
    }
}

void sched_walk(struct sched *s, struct sched_engine *e,
                void (*fn)(void *ctx, struct slice msg_id), void *ctx)
{
    if (!e) {
        walk_waiting(s, fn, ctx);
        return;
    }
    list_for_each (&e->sent, it)
        if (task_at(it)->state != TASK_SPENT)
            fn(ctx, task_at(it)->msg_id);
}
