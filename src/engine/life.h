/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of an engine, one table (life.c):
 *
 *     CONNECTING -up-> REGISTERING -registered-> SERVING -down-> CONNECTING
 *     REGISTERING -refused-> REGISTERING (again, if it was registered before), else stop
 *     REGISTERING -kept-> SERVING (it is registered still)
 *     CONNECTING, REGISTERING, SERVING -stop-> STOPPING -runtime_end-> ENDING
 *     CONNECTING, REGISTERING, SERVING -runtime_end-> ENDING
 *
 * ENDING: what the runtime left behind is cleared away, the hub is told, what is queued goes
 * out. */
#ifndef ERSA_ENGINE_LIFE_H
#define ERSA_ENGINE_LIFE_H

#include <stdbool.h>

#include "loop/loop.h"

#define LIFE_STATES(X) X(CONNECTING) X(REGISTERING) X(SERVING) X(STOPPING) X(ENDING)
#define LIFE_EVENTS(X) X(UP) X(DOWN) X(REGISTERED) X(REFUSED) X(KEPT) X(STOP) X(RUNTIME_END)

enum life_state {
#define X(name) LIFE_##name,
    LIFE_STATES(X)
#undef X
        LIFE_STATE_MAX
};

enum life_event {
#define X(name) EV_##name,
    LIFE_EVENTS(X)
#undef X
        EV_MAX
};

/* Why it stops: STOP(name, cause, exit code, ms until a task is interrupted, ms until the end)
 */
#define LIFE_STOPS(STOP)                                                   \
    STOP(SHUTDOWN, "shut down on request", 0, 0, 5000)                     \
    STOP(SIGTERM, "ended by SIGTERM", 0, 3000, 5000)                       \
    STOP(SIGHUP, "its terminal is gone", 0, 3000, 5000)                    \
    STOP(SIGTERM_TWICE, "ended by SIGTERM", 0, 0, 0)                       \
    STOP(EXIT, "user code asked it to end", 0, 3000, 5000)                 \
    STOP(HEART, "the controller's heartbeat stopped", 0, 0, 2000)          \
    STOP(UNREGISTERED, "registration failed", ENGINE_EXIT_REFUSED, 0, 500) \
    STOP(FAILED, "it can't go on", 1, 0, 500)

enum life_stop {
#define STOP(name, cause, code, interrupt_ms, kill_ms) STOP_##name,
    LIFE_STOPS(STOP)
#undef STOP
        STOP_MAX
};

struct engine;

struct life {
    enum life_state state;
    enum life_stop stop;
    int exit_code;
    char cause[256];
    bool is_unregistered;
    struct timer interrupt, kill; /* of what does not stop by itself */
    struct timer sweep;           /* ENDING */
    int64_t leave_at_ns, end_by_ns;
    int64_t last_reply_ns; /* dispatch.c */
    unsigned sweeps;
};

void life_init(struct engine *e);
void life_fini(struct engine *e);
void life_event(struct engine *e, enum life_event ev);
/* Why, then EV_STOP; when it stops already, only a second SIGTERM makes a difference. */
void life_stop(struct engine *e, enum life_stop why);
/* The controller has given the engine up, or is another one. What waits here is others' or
 * nobody's, and is dropped; the task under way can't be called back, its reply would find
 * nobody.
 */
void life_lose_place(struct engine *e);
/* The runtime is free: when the engine stops, this is what was waited for. */
void life_on_idle(struct engine *e);
bool life_is_serving(const struct engine *e);

/* For the test: the state that follows, or -1 where the table has no row. */
int life_next(enum life_state state, enum life_event ev);

#endif
