/* SPDX-License-Identifier: BSD-3-Clause */
/* The task scheduler: which engine runs which task of a load-balanced view, when, and what
 * becomes of it (schedulers.md A, design.md 7 and 9). Knows neither sockets nor registration:
 * it is told of engines and messages, and speaks through `struct sched_ops`. One thread, the
 * router's.
 *
 * A task's life, one table in task.c:
 *
 *     NEW -> READY -> SENT -> DONE | FAILED      SENT -engine_gone-> READY (not begun, or
 * retries) | FAILED NEW, READY -abort-> ABORTED                SENT -unmet | failed with
 * retries-> READY (engine excluded)
 */
#ifndef ERSA_ROUTER_SCHED_TASK_H
#define ERSA_ROUTER_SCHED_TASK_H

#include "ersa/error.h"
#include "loop/loop.h"
#include "wire/port.h"
#include "wire/session.h"

struct sched;
struct engine; /* router/engine.h; the scheduler uses only what is declared here */

/* What the scheduler keeps per engine; embedded in struct engine as `task`. The fields are the
 * scheduler's alone. */
struct sched_engine {
    struct heap_node node; /* in the policy's order */
    struct list sent;      /* tasks sent there and unanswered, oldest first */
    unsigned load;         /* their number */
    int64_t turn;          /* place in the line: smaller = longer without a new task */
    bool live;             /* takes new tasks */
    bool tells_begun;      /* announced `begun` */
    struct timer grace;    /* runs between its death and the verdict on `sent` */
    struct sched *sched;
};

enum sched_event {                 /* told to records and statistics */
                   TASK_SUBMITTED, /* m = request */
                   TASK_ASSIGNED,  /* engine set */
                   TASK_ENDED,     /* m = the final reply (also one made here) */
};

struct sched_ops {
    /* Frames behind the engine's routing: [client identity, <IDS|MSG>, ...]. */
    void (*to_engine)(void *ctx, struct engine *e, const struct frame *frames, unsigned n);
    /* Frames behind the client's routing. The client may be gone: then they vanish. `source` is
     * the engine a real reply came from, NULL for one made here. */
    void (*to_client)(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct engine *source);
    /* `engine_uuid` empty when none. Parts are borrowed for the call. */
    void (*event)(void *ctx, enum sched_event ev, struct slice msg_id, struct slice engine_uuid,
                  const struct parts *m);
    /* Client over or again under its limit of bytes (TaskScheduler.client_limit is answered
     * with QueueFull by the scheduler itself; this is for statistics and may be NULL). */
    void (*client_full)(void *ctx, struct slice client, bool full);
};

struct sched_config {
    const char *scheme;      /* "leastload" */
    unsigned hwm;            /* tasks outstanding per engine, 0: no limit */
    uint64_t client_limit;   /* bytes queued and unanswered per client, 0: no limit */
    int64_t grace_report_ms; /* 200 */
    int64_t grace_lost_ms;   /* 5000 */
};

int sched_new(struct sched **ret, struct loop *l, struct session *s,
              const struct sched_config *cfg, const struct sched_ops *ops, void *ctx,
              struct ersa_error *err);
void sched_free(struct sched *s);

/* `uuid` is borrowed for the engine's life. New engines go to the front of the line, load 0. */
void sched_engine_init(struct sched *s, struct engine *e, struct sched_engine *se,
                       struct slice uuid, bool tells_begun);
void sched_engine_add(struct sched *s, struct engine *e);
/* No new tasks from now on; the verdict on its tasks falls after the grace (`reported`: its
 * supervisor said so, else its heart or connection was lost), with `cause` (may be NULL:
 * unknown) in the error. done() is called when the scheduler has let go of the engine, perhaps
 * before this returns. */
void sched_engine_gone(struct sched *s, struct engine *e, bool reported, const char *cause,
                       void (*done)(void *ctx, struct engine *e));

/* A request from a client, as received behind its identity. Verified, its id refused when
 * known. */
void sched_submit(struct sched *s, struct slice client, const struct msg *m);
/* A reply from an engine: [client, <IDS|MSG>, ...]. Verified; the engine is taken from the
 * signed header (session), `e` is whose connection it came by. */
void sched_reply(struct sched *s, struct engine *e, const struct msg *m);
/* The engine tells that it begins the task (`begun`). */
void sched_begun(struct sched *s, struct engine *e, struct slice msg_id);
/* An abort_request went by on control: waiting tasks of these ids are answered `aborted` here.
 */
void sched_abort(struct sched *s, const struct slice *msg_ids, unsigned n);
/* The client's connection is gone: its waiting tasks stay (results belong to the records). */

struct sched_counts {
    uint64_t submitted, done, failed, aborted, retried, refused_known, refused_full,
        dropped_bad, late_replies;
    size_t waiting, sent;
};
const struct sched_counts *sched_counts(const struct sched *s);
/* For queue_request: calls fn for each id waiting (engine NULL) or sent. */
void sched_walk(struct sched *s, void (*fn)(void *ctx, struct slice msg_id, struct engine *e),
                void *ctx);

#endif
