/* SPDX-License-Identifier: BSD-3-Clause */
/* The task scheduler: which engine runs which task of a load-balanced view, when, and what
 * becomes of it (schedulers.md A, design.md 7 and 9). It knows neither sockets nor
 * registration: it is told of engines and messages, and speaks through `struct sched_ops`. One
 * thread, the router's. A task's life is the table in task.c. */
#ifndef ERSA_ROUTER_SCHED_TASK_H
#define ERSA_ROUTER_SCHED_TASK_H

#include <limits.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "stats/hist.h"
#include "router/pace.h"
#include "wire/msg.h"
#include "wire/session.h"

struct jfield;
struct sched;

#define ENGINE_UUID_MAX 255 /* octets: it is a ZMTP identity */

/* How an engine ended. */
enum sched_end {
    END_LOST,   /* guessed from silence, or from a connection that broke */
    END_CLOSED, /* its connections are closed; its process may be back */
    END_OVER,   /* itself or its supervisor said so: it won't be back */
};

/* What the scheduler keeps per engine; embedded in struct engine as `task`. The fields are the
 * scheduler's alone, but for `load` and `uuid`, which anybody may read. */
struct sched_engine {
    struct sched *sched;   /* borrowed */
    struct slice uuid;     /* borrowed */
    struct heap_node node; /* the policy's */
    int64_t turn;          /* place in the line: smaller = longer without a new task */
    unsigned load;         /* tasks sent there and unanswered */
    bool full;             /* takes no task at present */
    bool is_taken;         /* has direct work to do */
    bool is_away;          /* is at something else that it was not given here */
    bool live;             /* takes new tasks at all */
    bool tells_begun;      /* announced `begun` */
    struct pace pace;
    enum sched_end end;   /* when it is not live any more */
    bool is_unsure;       /* it may still begin what it has */
    bool is_torn;         /* some of `sent` it will never have */
    uint32_t number;      /* of that uuid and of no other; 0: not added yet */
    struct list sent;     /* those tasks, oldest first */
    struct list offers;   /* seats.c: of tasks that may start, and may do so here ... */
    struct list watchers; /* ... and of those that can't start yet */
    uint64_t cursor;      /* line.c: tasks in the row before it are not for this engine */
    struct list link;     /* in sched.engines */
    struct timer grace;   /* runs between its end and the verdict on `sent` */
    const char *cause;    /* borrowed; of its end */
    void (*done)(void *ctx, struct sched_engine *e);
};

enum sched_event {                 /* told to records and statistics */
                   TASK_SUBMITTED, /* m = request */
                   TASK_ASSIGNED,  /* engine set; of those that stay there (untold.h) */
                   TASK_SUCCEEDED, /* m = the final reply, which says `ok` */
                   TASK_ENDED,     /* the same, but another one (also one made here) */
};

struct sched_ops {
    /* Frames behind the engine's routing: [client identity, ..., <IDS|MSG>, ...]. */
    void (*to_engine)(void *ctx, struct sched_engine *e, const struct frame *frames,
                      unsigned n);
    /* Frames behind the client's routing. The client may be gone: then they vanish. `source` is
     * the engine a real reply came from, NULL for one made here, or where the engine is not
     * there any more. */
    void (*to_client)(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct sched_engine *source);
    /* What is received is told before it goes to engine or client. `engine_uuid` empty when
     * there is none. Everything is borrowed for the call. */
    void (*event)(void *ctx, enum sched_event ev, struct slice msg_id, struct slice engine_uuid,
                  const struct parts *m);
};

#define HWM_AUTO UINT_MAX /* about 10 ms of work (pace.h) */

struct sched_config {
    const char *scheme;      /* "leastload"; "none": tasks are refused */
    unsigned hwm;            /* tasks outstanding per engine, 0: no limit, or HWM_AUTO */
    uint64_t client_limit;   /* octets queued and unanswered per client, 0: no limit */
    int64_t grace_report_ms; /* 200 */
    int64_t grace_lost_ms;   /* 5000 */
};

/* All pointers are borrowed. ERSA_EUNSUPPORTED (unknown scheme), ERSA_ENOMEM. */
int sched_new(struct sched **ret, struct loop *l, struct session *s,
              const struct sched_config *cfg, const struct sched_ops *ops, void *ctx,
              struct ersa_error *err);
/* Before its engines are freed. Accepts NULL. */
void sched_free(struct sched *s);

/* `uuid` is borrowed for the engine's life. What it announced: `begun`, `recall`. */
void sched_engine_init(struct sched *s, struct sched_engine *e, struct slice uuid,
                       bool tells_begun, bool has_recall);
/* It announced that only now, after sched_engine_add(): for tasks from now on. */
void sched_engine_tells(struct sched *s, struct sched_engine *e, bool tells_begun,
                        bool has_recall);
/* To the front of the line, with load 0; may get tasks before this returns. 0 or ERSA_ENOMEM.
 */
int sched_engine_add(struct sched *s, struct sched_engine *e);
/* No new tasks from now on; the verdict on its tasks falls after the grace, a longer one after
 * END_LOST, with `cause` (borrowed until done(); NULL: unknown) in the error. done() is called
 * when the scheduler has let go of the engine, perhaps before this returns. */
void sched_engine_gone(struct sched *s, struct sched_engine *e, enum sched_end end,
                       const char *cause, void (*done)(void *ctx, struct sched_engine *e));
/* After that: this task was never sent to it, so others may have it at once. */
void sched_unsent(struct sched *s, struct sched_engine *e, struct slice msg_id);

/* The engine has direct work to do, or has no more of it, which the scheduler neither sends nor
 * counts. With the least load that is one task more; and a task that stands behind it may go to
 * who is idle. Any engine, added or not. */
void sched_engine_taken(struct sched_engine *e, bool is_taken);
/* The engine was away, and is back: it says so, or begins or answers something. */
void sched_engine_back(struct sched_engine *e);

static inline bool sched_engine_is_elsewhere(const struct sched_engine *e)
{
    return e->is_taken || e->is_away;
}

/* What has not been told of tasks at engines is told now: somebody is about to ask. */
void sched_tell(struct sched *s);

/* Gives back memory that is kept for the next tasks. */
void sched_trim(struct sched *s);

/* A request from a client, as received behind its identity. Returns 0 when it was taken (or
 * answered), else what is wrong with it, and it was dropped without a reply: ERSA_EPROTO
 * (frames), ERSA_EAUTH, ERSA_EPARSE (header), ERSA_EEXIST (id known), ERSA_ENOMEM. */
int sched_submit(struct sched *s, struct slice client, const struct msg *m);
/* A reply from an engine: [client, ..., <IDS|MSG>, ...]. The engine is taken from the signed
 * header (session), `e` is whose connection it came by, NULL: nobody's who is there; `session`
 * is that field where the header was read before, else NULL. Returns as sched_submit();
 * ERSA_ENOENT: signed by no engine that is known. */
int sched_reply(struct sched *s, struct sched_engine *e, const struct msg *m,
                const struct jfield *session);
/* It was given up when its heart was lost, and may still have an answer. */
bool sched_knew(const struct sched *s, struct slice uuid);
/* The engine tells that it begins the task (`begun`). */
void sched_begun(struct sched *s, struct sched_engine *e, struct slice msg_id);
/* The engine has taken these out of its queue, and will not run them (`recall`). */
void sched_recalled(struct sched *s, struct sched_engine *e, const struct slice *msg_ids,
                    unsigned n);
/* An abort_request went by on control: waiting tasks of these ids are answered `aborted` here.
 */
void sched_abort(struct sched *s, const struct slice *msg_ids, unsigned n);
/* When a client's connection goes, its tasks stay: their results belong to the records. */

struct sched_counts {
    uint64_t submitted, done, failed, aborted, retried, refused_known, refused_full,
        dropped_bad, late_replies, unlisted_events;
    uint64_t recalls, recalled; /* asked for, and tasks given back */
    size_t waiting, sent;
    size_t dependent; /* of `waiting`: on other tasks */
    struct stats_hist queue_time, engine_time, total_time;
};
const struct sched_counts *sched_counts(const struct sched *s);
/* For queue_request: calls fn for each task that waits (engine NULL) or is at the engine,
 * oldest first. */
void sched_walk(struct sched *s, struct sched_engine *e,
                void (*fn)(void *ctx, struct slice msg_id), void *ctx);

#endif
