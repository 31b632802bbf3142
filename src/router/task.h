/* SPDX-License-Identifier: BSD-3-Clause */
/* A task and its life (the table is in task.c). Only task_event() changes `state`. */
#ifndef ERSA_ROUTER_TASK_H
#define ERSA_ROUTER_TASK_H

#include "router/sched_task.h"
#include "util/list.h"
#include "wire/packed.h"

#define TASK_STATES(X) X(NEW) X(WAITING) X(READY) X(SENT) X(SPENT) X(DONE) X(FAILED) X(ABORTED)
#define TASK_EVENTS(X)                                                             \
    X(REFUSED)     /* its dependencies make no sense */                            \
    X(DEPS_OPEN)   /* it depends on tasks that are not finished */                 \
    X(DEPS_MET)    /* it may start */                                              \
    X(UNREACHABLE) /* it can never start */                                        \
    X(TIMED_OUT)   /* it waited too long */                                        \
    X(ABORT)       /* a client does not want it any more */                        \
    X(ASSIGNED)    /* an engine has room for it */                                 \
    X(OK)          /* its engine answers: done */                                  \
    X(ERROR)       /* its engine answers: failed, and that is final */             \
    X(RETRY)       /* its engine answers: failed, but it has retries left */       \
    X(UNMET)       /* its engine answers: not here */                              \
    X(ELSEWHERE)   /* an engine that had it before answers: done */                \
    X(RECALLED)    /* its engine has given it back, not begun */                   \
    X(DEAD_RETRY)  /* its engine died while running it, and it has retries left */ \
    X(DEAD_FRESH)  /* its engine died and had not begun it */                      \
    X(DEAD)        /* its engine died while running it */

enum __attribute__((packed)) task_state {
#define X(name) TASK_##name,
    TASK_STATES(X)
#undef X
        TASK_STATE_MAX,
};

enum task_event {
#define X(name) TE_##name,
    TASK_EVENTS(X)
#undef X
        TE_MAX,
};

const char *task_state_name(enum task_state s);
const char *task_event_name(enum task_event ev);
/* Where the table leads; TASK_STATE_MAX: the pair is unlisted. */
enum task_state task_next_state(enum task_state s, enum task_event ev);

struct terms;   /* terms.h */
struct account; /* sched_core.h */

enum __attribute__((packed)) task_place { NOWHERE, AMONG_WAITING, IN_LINE, AT_ENGINE };

/* A million may wait, so what is here counts: one allocation, the message included. */
struct task {
    struct list link;            /* in the list that `where` says */
    struct list dependents;      /* edges of those that wait for it (depend.h) */
    struct account *account;     /* its client's; borrowed */
    struct sched_engine *engine; /* AT_ENGINE; borrowed */
    struct terms *terms;         /* owned; NULL: may run anywhere at any time */
    int64_t submitted_ns;
    int64_t since_ns;    /* when it came to where it is: the line, an engine */
    uint64_t seq;        /* by age, anew when it goes back to the end of the line */
    struct slice msg_id; /* in `request`, or (an id with escapes) behind it */
    unsigned retries;    /* left */
    unsigned n_front;    /* frames of `request` before the delimiter */
    enum task_state state;
    enum task_place where;
    bool begun;       /* its engine has begun it, or would not tell */
    bool is_unwanted; /* a client does not want it any more */
    bool resumed;     /* has waited its time already: before those that have not */
    bool is_large;    /* task_memory.c: in no slab */
    bool is_untold;   /* untold.h; and where it is there */
    uint32_t untold_number;
    struct packed request; /* [client, identities..., <IDS|MSG>, ...]; must be the last */
};

/* What comes with an event. */
struct verdict {
    struct sched_engine *engine; /* ASSIGNED: where to; answers and deaths: whose */
    const struct msg *reply;     /* answers: behind the engine's routing */
    const struct parts *parts;   /* answers: of `reply` */
    const char *ename, *evalue;  /* failures made here */
};

/* A task for a request that is to be kept: [client, identities..., <IDS|MSG>, ...]. `msg_id` is
 * copied unless it points into the header. It is known under its id from now on. NULL when out
 * of memory. */
struct task *task_new(struct sched *s, const struct frame *frames, unsigned n, unsigned n_front,
                      struct slice header, struct slice msg_id);
/* Without any event; for sched_free() and for a task that is refused for want of memory. */
void task_free(struct sched *s, struct task *t);

struct slice task_header(const struct task *t);
struct slice task_client(const struct task *t);
/* Its `request.n` frames, valid until the next sched_vec(), which they share the memory with.
 */
const struct frame *task_frames(struct sched *s, const struct task *t);

/* Applies the table. An unlisted pair is logged, counted and changes nothing; returns whether
 * it was listed. The task may be gone afterwards; what follows for others is done by
 * sched_settle(). */
bool task_event(struct sched *s, struct task *t, enum task_event ev, const struct verdict *v);

#endif
