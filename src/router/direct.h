/* SPDX-License-Identifier: BSD-3-Clause */
/* The direct routes, mux and control: a client names the engine, the router relays
 * (controller.md 6, schedulers.md B). Frames pass untouched behind the swapped identities; what
 * is not signed is dropped at the edge. A request for an engine that is registered but not (or
 * not yet) connected waits for DIRECT_PATIENCE_MS, then fails. */
#ifndef ERSA_ROUTER_DIRECT_H
#define ERSA_ROUTER_DIRECT_H

#include "router/link.h"

#define DIRECT_PATIENCE_MS 2000
#define DIRECT_WAITING_MAX \
    ((size_t)64 << 20) /* octets an engine; beyond, the client is paused */

void direct_from_client(struct link *l, const struct msg *m);
void direct_from_engine(struct link *l, const struct msg *m);
void direct_from_attached(struct link *l, enum channel ch, const struct msg *m);

/* To the engine on that channel, now or when it is connected again. `front` is the frame of the
 * client. */
void direct_to_engine(struct engine *e, enum channel ch, const struct frame *frames, unsigned n,
                      struct link *source);
/* A connection of the engine came up: what waited goes out. */
void direct_on_connected(struct engine *e);
/* It is gone: what waited vanishes, or fails if nobody will be told otherwise; tasks stay. */
void direct_on_gone(struct router *r, struct engine *e, bool was_alive);
/* The router ends: what waited vanishes. */
void direct_forget(struct router *r, struct engine *e);
/* Behind direct_on_gone() and sched_engine_gone(): the scheduler gets the tasks back that
 * waited. */
void direct_give_back(struct router *r, struct engine *e);
/* Nothing more is expected of it: control requests that it has not answered are. */
void direct_on_strand(struct router *r, struct engine *e);

#endif
