/* SPDX-License-Identifier: BSD-3-Clause */
/* What the scheduler, the direct routes, the heart, records and all clients are told when an
 * engine's life changes (controller.md 7). */
#ifndef ERSA_ROUTER_ANNOUNCE_H
#define ERSA_ROUTER_ANNOUNCE_H

#include "router/engine.h"
#include "router/link.h"

extern const struct engine_ops announce_ops; /* ctx: struct router */

/* A client subscribed to notifications: it is told of the engines announced lately. */
void announce_on_subscribed(struct link *l);

#endif
