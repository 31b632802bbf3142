/* SPDX-License-Identifier: BSD-3-Clause */
/* The heart monitor (controller.md 8): pings all engines once a period and tells the life cycle
 * who was silent. The first beat of an engine ends its registration at once: whoever subscribes
 * to pings gets one then, and one more each HEART_HURRY_MS while its registration is pending.
 */
#ifndef ERSA_ROUTER_HEART_H
#define ERSA_ROUTER_HEART_H

#include "loop/loop.h"
#include "router/rounds.h"
#include "wire/msg.h"

struct engine;
struct link;
struct router;

#define HEART_HURRY_MS 100

struct heart {
    struct timer tick, look, hurry;
    struct rounds pings; /* struct link: connections that pings go to */
    struct rounds looks; /* struct engine: those that are live */
    int64_t start_ns;
    int64_t last_tick_ns, previous_tick_ns; /* since start_ns */
    uint64_t late;                          /* echoes of older pings */
};

void heart_start(struct router *r);
void heart_stop(struct router *r);
/* A registration is pending: do not wait for the next tick. */
void heart_hurry(struct router *r);

/* The connection takes pings: an attached engine's, or a subscription. It gets the first. */
void heart_on_listener(struct link *l);
void heart_forget(struct link *l);
void heart_on_pong(struct link *l, const struct msg *m);

/* An engine is live; it is not any more. */
void heart_watch(struct router *r, struct engine *e);
void heart_unwatch(struct router *r, struct engine *e);

#endif
