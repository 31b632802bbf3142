/* SPDX-License-Identifier: BSD-3-Clause */
/* What the load generator is made of: simulated engines and clients that speak the real
 * protocol to a controller or to the bare broker, all on one loop. */
#ifndef ERSA_BENCH_SIM_H
#define ERSA_BENCH_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "wire/curve.h"
#include "wire/port.h"
#include "wire/session.h"

#define SIM_LEAVES_MAX 64

/* Addresses as in the two connection files; 0 where there is no such port. */
struct sim_target {
    char interface[128];
    char key[128];
    bool has_curve; /* the files name a server key */
    struct curve_config curve;
    int registration, notification;
    int client_task, client_mux, client_iopub;
    int engine_task, engine_mux, engine_control, engine_iopub, hb_ping, hb_pong;
    int leaves[SIM_LEAVES_MAX], n_leaves; /* broadcast; an engine has one of them */
    int attach;                           /* 0: there is none */
    bool broker;                          /* no registration; the client names the engine */
    unsigned *registered; /* borrowed; counts the engines that got an id; NULL: nobody asks */
};

/* Reads both files into *t; exits with a sentence on failure. */
void sim_target_load(struct sim_target *t, const char *client_file, const char *engine_file);
/* Connects `p` to a port of the target; exits on failure. */
void sim_connect(struct port *p, const struct sim_target *t, int port);
/* A port of its own, connected to that one of the target, unless `to` is 0; exits on failure.
 * `identity` NULL: none. */
struct port *sim_port(struct wire *w, const struct sim_target *t, enum port_kind kind,
                      const char *identity, const struct port_ops *ops, void *ctx, int to);

struct sim_engine;
/* An engine that answers each apply_request at once with a correct apply_reply, and where
 * `iopub` is set publishes busy before and idle after it. Registers and echoes heartbeats like
 * a stock one; with `attached` like ours, over one connection with `ready`, `begun` and
 * `recall`. `t` is borrowed for the engine's life. */
struct sim_engine *sim_engine_new(struct loop *l, struct wire *w, const struct sim_target *t,
                                  bool iopub, bool attached);
void sim_engine_free(struct sim_engine *e);
/* Unregisters, as the watchdog of a stock engine does at its end. */
void sim_engine_leave(struct sim_engine *e);
const char *sim_engine_uuid(const struct sim_engine *e);

/* One apply_request of a stock client's shape and size, for the task port or, with `engine`
 * set, for one engine. Returns 0 or what the port said. */
int sim_request(struct port *p, struct session *s, struct buf *scratch, const char *engine);
/* Octets of the frames of all requests so far. */
uint64_t sim_requested_bytes(void);

#endif
