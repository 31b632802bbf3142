/* SPDX-License-Identifier: BSD-3-Clause */
/* Binding to ids, and counting their ends. */
#include "router/depend.h"

#include <stdlib.h>

#include "router/sched_core.h"
#include "router/terms.h"

bool dep_count(struct dep *d, enum seen_state state)
{
    bool counts = state == SEEN_OK ? d->success : d->failure;
    if (counts)
        d->n_match++;
    else
        d->n_against++;
    return counts;
}

static size_t count_ids(const struct dep_meta *m)
{
    size_t pos = 0, n = 0;
    char buf[DEP_ID_MAX];
    struct slice id;
    while (dep_meta_next(m, &pos, buf, &id))
        n++;
    return n;
}

static void start(struct dep *d, const struct dep_meta *m, size_t n)
{
    *d = (struct dep){.all = m->all, .success = m->success, .failure = m->failure, .n = n};
}

static int count_finished(struct sched *s, struct terms *terms, struct slice id, bool is_follow,
                          enum seen_state state)
{
    bool counts = dep_count(is_follow ? &terms->follow : &terms->after, state);
    return counts && is_follow ? terms_add_place(terms, places_get(&s->places, id)) : 0;
}

static int bind(struct sched *s, struct task *t, const struct dep_meta *m, bool is_follow)
{
    struct terms *terms = t->terms;
    size_t pos = 0;
    char buf[DEP_ID_MAX];
    struct slice id;
    while (dep_meta_next(m, &pos, buf, &id)) {
        enum seen_state state = seen_get(&s->seen, id);
        if (state == SEEN_NEVER || slice_eq(id, t->msg_id))
            return ERSA_ENOENT;
        struct task *other = state == SEEN_OPEN ? map_get(&s->tasks, id.data, id.len) : NULL;
        if (other) {
            struct edge *edge = &terms->edges[terms->n_edges++];
            *edge = (struct edge){.waits = terms, .is_follow = is_follow};
            list_push_back(&other->dependents, &edge->link);
            continue;
        }
        int rc = count_finished(s, terms, id, is_follow, state);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int depend_bind(struct sched *s, struct task *t, const struct task_meta *m)
{
    struct terms *terms = t->terms;
    size_t n_after = count_ids(&m->after), n_follow = count_ids(&m->follow);
    if (n_after + n_follow == 0)
        return 0;
    start(&terms->after, &m->after, n_after);
    start(&terms->follow, &m->follow, n_follow);
    terms->edges = calloc(n_after + n_follow, sizeof(*terms->edges));
    if (!terms->edges)
        return ERSA_ENOMEM;
    int rc = bind(s, t, &m->after, false);
    return rc < 0 ? rc : bind(s, t, &m->follow, true);
}

void depend_unbind(struct terms *terms)
{
    for (size_t i = 0; i < terms->n_edges; i++)
        list_remove(&terms->edges[i].link);
    free(terms->edges);
    terms->edges = NULL;
    terms->n_edges = 0;
}

/* Returns whether it may run somewhere else now. Out of memory for a place is taken as a place
 * that is gone. */
static bool count_end(const struct edge *edge, enum seen_state state, uint32_t number)
{
    struct terms *terms = edge->waits;
    bool counts = dep_count(edge->is_follow ? &terms->follow : &terms->after, state);
    int rc = counts && edge->is_follow ? terms_add_place(terms, number) : 0;
    if (rc < 0)
        terms->is_nowhere = true;
    return rc > 0;
}

void depend_on_end(struct sched *s, struct task *t, enum seen_state state, uint32_t number)
{
    struct list *it;
    while ((it = list_pop_front(&t->dependents))) {
        const struct edge *edge = container_of(it, struct edge, link);
        struct terms *waits = edge->waits;
        bool has_place = count_end(edge, state, number);
        bool is_last = edge->is_follow && !dep_is_open(&waits->follow);
        if (has_place || is_last || waits->task->state == TASK_WAITING)
            sched_decide(s, waits);
    }
}
