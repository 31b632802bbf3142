/* SPDX-License-Identifier: BSD-3-Clause */
/* The scheduler's inside, shared by its own files: sched_task.c (messages), task.c (a task's
 * life), task_memory.c, line.c (who waits), assign.c (who gets what), untold.c (who is told
 * of it), pace.c and recall.c (who is late, and what others do of its tasks), terms.c and
 * depend.c (who may run where and when), task_reply.c (answers made here). */
#ifndef ERSA_ROUTER_SCHED_CORE_H
#define ERSA_ROUTER_SCHED_CORE_H

#include "router/former.h"
#include "router/line.h"
#include "router/places.h"
#include "router/policy.h"
#include "router/sched_task.h"
#include "wire/seen.h"
#include "router/task.h"
#include "router/untold.h"
#include "util/buf.h"
#include "util/map.h"
#include "util/slab.h"

/* What a client has queued and unanswered; exists as long as there is any. */
struct account {
    struct sched *sched; /* borrowed */
    uint64_t bytes;
    size_t n;
    size_t identity_len;
    char identity[];
};

struct sched {
    struct loop *loop;       /* borrowed */
    struct session *session; /* borrowed */
    struct sched_config cfg;
    const struct sched_ops *ops; /* borrowed */
    void *ctx;
    struct policy *policy; /* owned */
    bool is_off;           /* scheme none: every task is refused */

    struct map tasks;    /* owned, by id: all that are not ended */
    struct map accounts; /* owned, by the client's identity */
    uint64_t held_bytes; /* on all accounts */
    struct list waiting; /* tasks whose dependencies are open */
    struct line line;    /* tasks that may start */
    uint64_t next_seq;
    struct seen seen;
    struct places places;
    struct pacer pacer;
    struct untold untold;

    struct map by_uuid;   /* engines that live or are leaving */
    struct map by_number; /* engines that live */
    struct list engines;  /* the same as in by_uuid, by age */
    size_t n_live;
    uint32_t last_number;
    int64_t front_turn, back_turn;
    struct formers formers; /* owned: engines that may come back */

    struct list decided; /* terms of tasks whose fate changed; sched_settle() */
    bool settling;
    struct defer settle_rest;

    struct slabs slabs; /* tasks */
    struct frame *vec;  /* owned; sched_vec(): never smaller than any task's message */
    size_t vec_cap;
    struct sched_engine **candidates; /* owned; assign.c */
    size_t candidates_cap;
    struct buf scratch; /* headers of messages made here */
    struct buf recall_text;
    struct sched_counts counts;
};

/* [first] and then the frames, valid until the next call; NULL when out of memory. */
struct frame *sched_vec(struct sched *s, struct frame first, const struct frame *frames,
                        unsigned n);

/* settle.c */
/* The fate of the task with these terms may be another one: it is looked at by sched_settle().
 */
void sched_decide(struct sched *s, struct terms *terms);
/* Deals with all of them and with what follows from it; a great many in several turns. */
void sched_settle(struct sched *s);
void sched_settle_soon(struct sched *s); /* at the end of this turn */
void sched_settle_rest(struct defer *d);
/* There is a rest for the next turn. */
/* The task, which may be NULL, was sent to that engine and is unanswered. */
static inline bool task_is_at(const struct task *t, const struct sched_engine *e)
{
    return t && t->where == AT_ENGINE && t->engine == e;
}

static inline bool sched_is_behind(const struct sched *s)
{
    return !list_is_empty(&s->settle_rest.link);
}
/* A task that has not started: may it, can it, must it wait? */
void sched_judge(struct sched *s, struct task *t);

/* sched_engines.c */
void sched_engines_fini(struct sched *s);
/* A task of so many octets was given to the engine, which goes to the back of the line; a task
 * is off it. */
void sched_load_add(struct sched *s, struct sched_engine *e, size_t bytes);
void sched_load_drop(struct sched *s, struct sched_engine *e, size_t bytes);
/* What it may hold, or its load, is another one: says so to those who choose. */
void sched_load_changed(struct sched *s, struct sched_engine *e);
/* The verdict on what a leaving engine still owes, and its end here. */
void sched_engine_judge(struct sched *s, struct sched_engine *e);
/* The engine has room, or is leaving and perhaps done. */
void sched_engine_eased(struct sched *s, struct sched_engine *e);
struct sched_engine *sched_live_by_number(const struct sched *s, uint32_t number);

/* assign.c */
/* Gives the READY task to an engine, else puts it in the line; fails it when it can never run.
 */
void assign_or_wait(struct sched *s, struct task *t);
/* The engine has room: gives it what waits for that. */
void assign_to(struct sched *s, struct sched_engine *e);

/* task_reply.c: answers made here. They are told as events before they go out. */
void reply_error(struct sched *s, struct task *t, const char *ename, const char *evalue);
void reply_aborted(struct sched *s, struct task *t);
/* As if from the engine, which died while running it. */
void reply_engine_died(struct sched *s, struct task *t, struct sched_engine *e);
/* To a request that never became a task: front = [client, identities...]. */
void reply_refusal(struct sched *s, const struct frame *front, unsigned n_front,
                   struct slice header, struct slice msg_id, const char *ename,
                   const char *evalue);

#endif
