/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of recalls: tasks by the list, what is asked back, and what engines answer to that.
 */
#ifndef ERSA_ROUTER_SCHED_RECALL_RIG_H
#define ERSA_ROUTER_SCHED_RECALL_RIG_H

#include "router/sched_rig.h"

/* Engine `i` does `n` tasks of that length, alone; its window is then what they make it. */
static inline void train(struct rig *r, int i, const char *name, unsigned n, int64_t each_ms)
{
    char id[32], metadata[64];
    snprintf(metadata, sizeof(metadata), "{\"targets\": [\"U%d\"]}", i);
    for (unsigned k = 0; k < n; k++) {
        snprintf(id, sizeof(id), "%s_%u", name, k);
        rig_give(r, i, id, metadata);
        rig_begun(r, i, id);
        rig_pass_ms(r, each_ms);
        rig_answer(r, i, id, RIG_OK);
    }
    rig_expect_nothing(r);
}

static inline void submit(struct rig *r, const char *const *ids)
{
    for (; *ids; ids++)
        rig_submit(r, *ids, "{}");
}

#define IDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void expect_sent(struct rig *r, int engine, const char *const *ids)
{
    for (; *ids; ids++)
        rig_expect_sent(r, engine, *ids);
}

static inline void expect_asked(struct rig *r, int engine, const char *ids, const char *more)
{
    char content[256];
    snprintf(content, sizeof(content), "{\"msg_ids\": [%s]%s}", ids, more);
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_ENGINE);
    assert_string_equal(n->type, "ersa_recall");
    assert_string_equal(n->content, content);
    assert_int_equal(n->engine, engine);
    assert_int_equal(n->n, 0);
}

static inline void expect_recall(struct rig *r, int engine, const char *ids)
{
    expect_asked(r, engine, ids, "");
}

/* It is to say when it is free, too. */
static inline void expect_recall_of_away(struct rig *r, int engine, const char *ids)
{
    expect_asked(r, engine, ids, ", \"tell_free\": true");
}

static inline void give_back(struct rig *r, int engine, const char *const *ids)
{
    struct slice list[16];
    unsigned n = 0;
    for (; *ids; ids++)
        list[n++] = (struct slice){*ids, strlen(*ids)};
    sched_recalled(r->s, &r->engines[engine].e, list, n);
}

static inline void give_nothing(struct rig *r, int engine)
{
    sched_recalled(r->s, &r->engines[engine].e, NULL, 0);
}

#endif
