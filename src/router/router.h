/* SPDX-License-Identifier: BSD-3-Clause */
/* The router: one thread that owns every socket of the controller, the registry of engines, the
 * heart monitor and the routes between clients and engines (design.md 2). It never blocks and
 * touches no disk; what needs records goes by mail to the thread that owns them. */
#ifndef ERSA_ROUTER_ROUTER_H
#define ERSA_ROUTER_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "loop/ring.h"
#include "router/sched_task.h"
#include "stats/desk.h"
#include "util/block.h"
#include "wire/curve.h"
#include "wire/session.h"

struct router;

struct router_ports {
    const int *numbers; /* borrowed */
    size_t n;
};

struct router_config {
    const char *engine_interface; /* "tcp://127.0.0.1", "ipc:///absolute/directory/c" */
    const char *client_interface;
    struct router_ports ports, engine_ports, client_ports; /* pools of numbers */
    bool must_keep_numbers;           /* the sides' pools are the ports of an earlier run */
    const struct curve_config *curve; /* NULL: unencrypted */
    unsigned broadcast_depth;
    unsigned caps;                   /* announced: bits of ersa_caps.def */
    int64_t heart_period_ms;         /* HeartMonitor.period */
    unsigned heart_misses_max;       /* HeartMonitor.max_heartmonitor_misses */
    int64_t registration_timeout_ms; /* 0: max(30 s, 10 periods) */
    size_t digest_history;           /* signatures remembered against replay; 0: none */
    struct sched_config sched;
    const char *state_path; /* of the engine state file; NULL: none */
    struct slice restore;   /* text of that file from an earlier run; absent: start afresh */
    struct ring *aside; /* borrowed; queries while `to_records` is stalled; NULL: they wait */
    struct stats_desk *stats; /* borrowed; NULL: nobody asks for figures */
    struct block_pool *pool;  /* for large frames; they go to records by reference, so it must
                                 outlive what records still holds; NULL: a private one */
};

/* Makes the router and binds all its ports; nothing is answered before loop_run(). `s` signs
 * and checks; `to_records` and `from_records` carry struct mail. All pointers and what `cfg`
 * points at are borrowed for the router's life. ERSA_EINVAL, ERSA_EEXIST (port in use),
 * ERSA_EIO, ERSA_ENOMEM. */
int router_new(struct router **ret, struct loop *l, struct session *s, struct ring *to_records,
               struct ring *from_records, const struct router_config *cfg,
               struct ersa_error *err);
/* The loop must not run any more. Accepts NULL. */
void router_free(struct router *r);

/* Stops the loop once what is queued has been written, after `linger_ms` at the latest. */
void router_stop(struct router *r, unsigned linger_ms);

/* Port numbers as bound, for the connection files. */
struct router_endpoints {
    int registration, hb_ping, hb_pong, notification;
    int attach; /* 0: none */
    struct router_side {
        int control, mux, task, iopub;
    } engine, client;
    int broadcast;
    int broadcast_leaves[256];
    unsigned n_broadcast_leaves;
};
void router_endpoints(const struct router *r, struct router_endpoints *ret);

/* How many engines the limit of open descriptors allows: attached ones, and stock ones with
 * their eight connections. */
void router_capacity(unsigned long *ret_attached, unsigned long *ret_stock);

#endif
