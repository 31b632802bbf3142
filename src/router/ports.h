/* SPDX-License-Identifier: BSD-3-Clause */
/* The controller's ports (controller.md 2 and 4): one table, one row a port. All are bound
 * before anything is published. */
#ifndef ERSA_ROUTER_PORTS_H
#define ERSA_ROUTER_PORTS_H

#include "router/engine.h"
#include "wire/port.h"

struct router;
struct link;

/* In the order in which numbers are given out: engines' side, then clients'. */
enum route {
    RT_QUERY,
    RT_CONTROL_ENGINE,
    RT_MUX_ENGINE,
    RT_TASK_ENGINE,
    RT_IOPUB_ENGINE,
    RT_HB_PING,
    RT_HB_PONG,
    RT_BROADCAST_LEAF, /* 2^depth of them, in ports.leaves */
    RT_CONTROL_CLIENT,
    RT_MUX_CLIENT,
    RT_TASK_CLIENT,
    RT_IOPUB_CLIENT,
    RT_NOTIFY,
    RT_BROADCAST_ROOT,
    RT_ATTACH, /* after those that the reference has, so that pools are used up as there */
    RT_MAX,
};

enum side { SIDE_ENGINE, SIDE_CLIENT };

struct gate_row {
    const char *key;      /* in the connection files */
    const char *identity; /* presented to peers */
    enum port_kind kind;
    enum side side;
    enum loop_prio prio;
    enum channel channel; /* of the engine that connects; CH_MAX: none */
    size_t tx_cap_bytes;  /* 0: the default */
    void (*up)(struct link *l);
    void (*down)(struct link *l);
    void (*message)(struct link *l, const struct msg *m);
    void (*subscribed)(struct link *l);
};

struct gate {
    struct router *router; /* borrowed */
    const struct gate_row *row;
    struct port *port;
    int number;
    char identity[32];
};

struct ports {
    struct gate gates[RT_MAX]; /* that of RT_BROADCAST_LEAF is unused */
    struct gate *leaves;
    unsigned n_leaves;
};

#define BROADCAST_DEPTH_MAX 8

/* Binds every port; numbers from the pools first. */
int ports_open(struct router *r, struct ersa_error *err);
/* Lets each write for `linger_ms`. */
void ports_close(struct router *r, unsigned linger_ms);
size_t ports_queued_bytes(const struct router *r);

/* The peer of that identity at a port, NULL when there is none. */
struct link *ports_find(const struct router *r, enum route rt, struct slice identity);
/* The same among the broadcast leaves. */
struct link *ports_find_leaf(const struct router *r, struct slice identity);
static inline struct port *ports_get(const struct ports *p, enum route rt)
{
    return p->gates[rt].port;
}

#endif
