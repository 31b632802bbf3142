/* SPDX-License-Identifier: BSD-3-Clause */
/* The router's inside, shared by the files of this folder and by nobody else: one struct, one
 * thread, one loop (design.md 2). Each member belongs to the file that it is named after. */
#ifndef ERSA_ROUTER_CORE_H
#define ERSA_ROUTER_CORE_H

#include "wire/caps.h"
#include "loop/complaints.h"
#include "router/control.h"
#include "router/heart.h"
#include "router/hub.h"
#include "router/idle.h"
#include "router/ledger.h"
#include "router/link.h"
#include "router/mailer.h"
#include "router/ports.h"
#include "router/recent.h"
#include "router/registry.h"
#include "router/router.h"
#include "router/sched_broadcast.h"
#include "router/sched_task.h"
#include "router/state.h"
#include "util/buf.h"
#include "wire/port.h"
#include "wire/session.h"

struct router {
    struct router_config cfg;  /* what it points at is borrowed */
    struct loop *loop;         /* borrowed */
    struct session *session;   /* borrowed */
    struct ring *from_records; /* borrowed */
    struct wire *wire;
    struct complaints complaints; /* about what peers send */
    struct ports ports;
    struct registry registry;
    struct heart heart;
    struct ledger ledger;
    struct control control;
    struct mailer mailer;
    struct hub hub;
    struct state state;
    struct idle idle;
    struct sched *sched;
    struct link *task_source; /* tasks.c: whose message the scheduler is dealing with */
    struct broadcast *broadcast;
    struct link *broadcast_source; /* broadcasts.c: likewise */
    struct frame *vec;             /* router_prepend() */
    size_t vec_cap;
    struct buf scratch; /* router_compose() */
    struct timer stopping;
    int64_t stop_by_ns;
    uint64_t rejects[REJECT_MAX];
    uint64_t iopub_dropped;
    struct recent recent;
};

/* Frames with others in front, as one array that is valid until the next call. NULL when out of
 * memory. */
const struct frame *router_prepend(struct router *r, const struct frame *front,
                                   unsigned n_front, const struct frame *frames, unsigned n);

/* A message of our own, signed; valid until the next call, as long as its parts are. */
int router_compose(struct router *r, const struct outgoing *o,
                   struct frame out[SESSION_FRAMES]);

#endif
