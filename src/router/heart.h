/* SPDX-License-Identifier: BSD-3-Clause */
/* The heart monitor (controller.md 8): pings all engines each period and tells the life cycle
 * who was silent. The first beat of an engine ends its registration at once: whoever subscribes
 * to pings gets one then, and one more each HEART_HURRY_MS while registrations are pending. */
#ifndef ERSA_ROUTER_HEART_H
#define ERSA_ROUTER_HEART_H

#include "loop/loop.h"
#include "wire/msg.h"

struct router;
struct link;

#define HEART_HURRY_MS 100

struct heart {
    struct timer tick, hurry;
    int64_t start_ns;
    int64_t last_tick_ns, previous_tick_ns; /* since start_ns */
    uint64_t late;                          /* echoes of older pings */
};

void heart_start(struct router *r);
void heart_stop(struct router *r);
/* A registration is pending: do not wait for the next tick. */
void heart_hurry(struct router *r);
/* One ping for this peer only. */
void heart_greet(struct link *l);

void heart_on_pong(struct link *l, const struct msg *m);
void heart_on_subscribed(struct link *l);

#endif
