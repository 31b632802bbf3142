/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine as the router knows it, and its life as a table of transitions (engine.c). What the
 * rest of the router does about a change is behind `struct engine_ops`, so that the life cycle
 * can be tested without sockets. Only engine_event() changes `state`. */
#ifndef ERSA_ROUTER_ENGINE_H
#define ERSA_ROUTER_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "router/sched_task.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/str.h"
#include "wire/caps.h"

#define ENGINE_STATES(X) X(ABSENT) X(PENDING) X(ALIVE) X(PROBATION) X(GONE)
#define ENGINE_EVENTS(X)                                                                      \
    X(REGISTER)     /* its registration_request was accepted */                               \
    X(USABLE)       /* first beat or `ready`, and its connections are there */                \
    X(STALLED)      /* nothing of the kind in registration_timeout, and no connection left */ \
    X(BEAT)         /* a sign of life in this period */                                       \
    X(MISSED)       /* a period without one */                                                \
    X(HEART_FAILED) /* one period too many */                                                 \
    X(UNREGISTER)   /* it, or its supervisor, said so */                                      \
    X(DISCONNECTED) /* its connections are closed */                                          \
    X(CLOSED)       /* nothing of its work is open any more */

enum engine_state {
#define X(name) ENGINE_##name,
    ENGINE_STATES(X)
#undef X
        ENGINE_STATE_MAX,
};

enum engine_event {
#define X(name) EV_##name,
    ENGINE_EVENTS(X)
#undef X
        EV_MAX,
};

const char *engine_state_name(enum engine_state s);
const char *engine_event_name(enum engine_event ev);

/* Channels between controller and engine: a stock engine has one connection for each, an
 * attached one a single connection for all (extensions.md 2). */
enum channel { CH_QUERY, CH_MUX, CH_TASK, CH_BROADCAST, CH_CONTROL, CH_IOPUB, CH_HB, CH_MAX };

struct link; /* router/ports.h: a connected peer */
struct engine;

/* What happens around an engine when its state changes. All must be set. */
struct engine_ops {
    /* PENDING -> ALIVE: tell everybody. */
    void (*alive)(void *ctx, struct engine *e);
    /* -> GONE: no more work for it. `was_alive`: it had been announced. */
    void (*gone)(void *ctx, struct engine *e, bool was_alive);
    /* Some time after `gone`: direct requests still open are given up. */
    void (*strand)(void *ctx, struct engine *e);
    /* GONE -> ABSENT: nothing of it is open; to be freed, but not in this call. */
    void (*absent)(void *ctx, struct engine *e);
};

#define ENGINE_ATTEMPT_MAX 63

struct engine_env { /* the same for all engines of a router */
    struct loop *loop;
    const struct engine_ops *ops;
    void *ctx;
    int64_t stall_ms;           /* registration_timeout */
    int64_t restore_ms;         /* what a restored engine has instead */
    int64_t settle_ms;          /* from the first beat: its connections may be late so long */
    int64_t lost_ms;            /* from the end of its last connection */
    int64_t linger_reported_ms; /* from its end: late replies to direct requests */
    int64_t linger_lost_ms;
    int64_t linger_cut_ms;
    uint64_t events[EV_MAX];           /* that the table had */
    size_t in_state[ENGINE_STATE_MAX]; /* ABSENT is not counted */
    size_t completed_bytes;            /* ledger.c: of all engines */
    uint64_t unlisted_events;          /* pairs that the table does not have */
};

struct engine {
    struct sched_engine task; /* the scheduler's */
    struct engine_env *env;   /* borrowed */

    enum engine_state state;
    int64_t id;
    struct slice uuid; /* in `text` */
    unsigned caps;     /* in force: bits of ersa_caps.def */
    int64_t registered_ns, announced_ns;

    struct link *links[CH_MAX]; /* borrowed; NULL while there is no such connection */
    struct link *attach;        /* borrowed; stands for all of them */

    char attempt[ENGINE_ATTEMPT_MAX + 1]; /* to register, that was accepted; empty: unnamed */
    bool was_restored;                    /* then */
    bool is_back;                         /* it was registered before, and may have to forget */

    bool restored;   /* of an earlier run's state file, and not registered since */
    bool is_revived; /* its heart had stopped, and its clients had been told */
    bool heard;      /* a message came since the heart last looked */
    uint64_t moved;  /* by its connections, when the heart last looked */
    bool has_beaten; /* ever: first beat, or `ready` */
    unsigned misses; /* looks of the heart in a row */
    bool reported;   /* end known from itself, its supervisor or its connections, not guessed */
    bool is_over;    /* the same, but for its connections: its process may live */
    bool is_cut;     /* its connection broke, or was replaced: it may be back soon */
    bool is_silent;  /* its heartbeat stopped */
    bool is_relayed; /* somebody stands between us: on the query connection or that for tasks */
    char *task_end;  /* owned; its end of that for tasks, NULL: unknown */
    char *cause;     /* owned; why it ended, NULL: unknown */

    struct list beat; /* heart.c: who is looked at */

    struct timer stall;  /* PENDING: registration_timeout */
    struct timer settle; /* has beaten, waits for its connections */
    struct timer lost;   /* all connections closed */
    struct timer linger; /* GONE: late replies may still come */

    struct list waiting; /* direct.c: requests that wait for its connection */
    size_t waiting_bytes;
    struct timer patience; /* of the oldest of them */

    struct list broadcasts; /* gather.c: coalescing ones that wait for its answer */

    struct list queue; /* ledger.c: direct requests sent and unanswered */
    size_t n_queue;
    struct buf completed; /* ledger.c: ids answered, newest last, bounded */
    uint64_t n_completed;
    struct list control; /* control.c: requests that it has not answered */

    bool task_closed; /* the scheduler has let go */
    bool mux_closed;  /* direct requests are settled */
    bool complained;  /* bad input of this engine was logged */

    struct list link; /* registry's list of its state */
    char text[];
};

/* In ABSENT; NULL when out of memory. `env` is borrowed. */
struct engine *engine_new(struct engine_env *env, struct slice uuid, int64_t id);
void engine_free(struct engine *e); /* accepts NULL; no event, no operation */

/* Applies the table; an unlisted pair is logged, counted and changes nothing. Returns whether
 * it was listed. */
bool engine_event(struct engine *e, enum engine_event ev);

/* It echoed a ping. */
void engine_beat(struct engine *e);
/* It said that it is ready (extensions.md 3). */
void engine_ready(struct engine *e);
/* A connection came: may end the registration. */
void engine_connected(struct engine *e);
/* A connection went: may be the engine's end. `attached`: it was the one for all channels.
 * `is_cut`: it was not closed by the engine. */
void engine_disconnected(struct engine *e, bool attached, bool is_cut);
/* Ends it by EV_UNREGISTER, EV_HEART_FAILED or EV_DISCONNECTED; `cause` (may be NULL) is
 * copied. No-op when it has ended. */
void engine_end(struct engine *e, enum engine_event ev, const char *cause);
/* The scheduler has let go of it; its direct requests are settled. */
void engine_close_tasks(struct engine *e);
void engine_close_mux(struct engine *e);

static inline bool engine_is_live(const struct engine *e)
{
    return e->state == ENGINE_ALIVE || e->state == ENGINE_PROBATION;
}

/* What its heart tells comes by another way than what it has read. */
static inline bool engine_says_ready(const struct engine *e)
{
    return e->caps & CAP_ready || e->is_back;
}

/* Is connected for that channel, in one way or the other; NULL when not. */
static inline struct link *engine_link(const struct engine *e, enum channel ch)
{
    return e->attach ? e->attach : e->links[ch];
}

#endif
