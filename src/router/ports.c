/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of ports. A number (numbers.c) is taken by binding it, so there is no race for it.
 * With ipc an endpoint is "<interface>:<number>" as well, and numbers count from 1. */
#include "router/ports.h"

#include <stdlib.h>
#include <string.h>

#include "router/announce.h"
#include "router/attach.h"
#include "router/broadcasts.h"
#include "router/comeback.h"
#include "router/core.h"
#include "router/direct.h"
#include "router/iopub.h"
#include "router/numbers.h"
#include "router/tasks.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"

#define IOPUB_CAP_BYTES ((size_t)128 << 20) /* a slow subscriber loses output beyond that */

static const struct gate_row rows[RT_MAX] = {
    [RT_QUERY] = {"registration", NULL, PORT_ROUTER, SIDE_ENGINE, LOOP_NORMAL, CH_QUERY,
                  .message = hub_on_message},
    [RT_CONTROL_ENGINE] = {"control", "control_out", PORT_ROUTER, SIDE_ENGINE, LOOP_URGENT,
                           CH_CONTROL, .message = direct_from_engine},
    [RT_MUX_ENGINE] = {"mux", "mux_out", PORT_ROUTER, SIDE_ENGINE, LOOP_NORMAL, CH_MUX,
                       .message = direct_from_engine},
    [RT_TASK_ENGINE] = {"task", "task_out", PORT_ROUTER, SIDE_ENGINE, LOOP_NORMAL, CH_TASK,
                        .message = tasks_from_engine},
    [RT_IOPUB_ENGINE] = {"iopub", NULL, PORT_SUB, SIDE_ENGINE, LOOP_BULK, CH_IOPUB,
                         .message = iopub_from_engine},
    [RT_HB_PING] = {"hb_ping", NULL, PORT_PUB, SIDE_ENGINE, LOOP_URGENT, CH_MAX,
                    .subscribed = heart_on_listener},
    [RT_HB_PONG] = {"hb_pong", NULL, PORT_ROUTER, SIDE_ENGINE, LOOP_URGENT, CH_HB,
                    .message = heart_on_pong},
    [RT_BROADCAST_LEAF] = {"broadcast", NULL, PORT_ROUTER, SIDE_ENGINE, LOOP_NORMAL,
                           CH_BROADCAST, .message = broadcasts_from_engine},
    [RT_CONTROL_CLIENT] = {"control", "control_in", PORT_ROUTER, SIDE_CLIENT, LOOP_URGENT,
                           CH_MAX, .up = recent_on_client, .message = direct_from_client},
    [RT_MUX_CLIENT] = {"mux", "mux_in", PORT_ROUTER, SIDE_CLIENT, LOOP_NORMAL, CH_MAX,
                       .up = recent_on_client, .message = direct_from_client},
    [RT_TASK_CLIENT] = {"task", "task_in", PORT_ROUTER, SIDE_CLIENT, LOOP_NORMAL, CH_MAX,
                        .up = recent_on_client, .message = tasks_from_client},
    [RT_IOPUB_CLIENT] = {"iopub", NULL, PORT_PUB, SIDE_CLIENT, LOOP_BULK, CH_MAX,
                         .tx_cap_bytes = IOPUB_CAP_BYTES, .subscribed = recent_on_subscribed},
    [RT_NOTIFY] = {"notification", NULL, PORT_PUB, SIDE_CLIENT, LOOP_NORMAL, CH_MAX,
                   .tx_cap_bytes = IOPUB_CAP_BYTES, .subscribed = announce_on_subscribed},
    [RT_BROADCAST_ROOT] = {"broadcast", "sub_scheduler_0", PORT_ROUTER, SIDE_CLIENT,
                           LOOP_NORMAL, CH_MAX, .up = recent_on_client,
                           .down = broadcasts_client_gone, .message = broadcasts_from_client},
    [RT_ATTACH] = {"attach", NULL, PORT_ROUTER, SIDE_ENGINE, LOOP_NORMAL, CH_MAX,
                   .up = attach_on_up, .message = attach_on_message},
};

/* Events of the ports */

static void on_peer_up(void *ctx, struct peer *p)
{
    struct gate *g = ctx;
    struct link *l = link_new(g, p);
    if (!l) {
        peer_close(p);
        return;
    }
    peer_set_user(p, l);
    bool can_be_engine = g->row->channel != CH_MAX || link_is_attached(l);
    struct slice id = link_identity(l);
    struct engine *e =
        can_be_engine && id.len ? registry_by_uuid(&g->router->registry, id) : NULL;
    if (e) {
        link_bind(l, e);
        engine_connected(e);
        direct_on_connected(e);
    }
    if (g->row->up)
        g->row->up(l);
}

/* Who has said that it ends has told what it has begun. */
static bool has_told_all(const struct engine *e)
{
    return e->state == ENGINE_GONE && e->reported;
}

/* Whether notes of what an attached engine has begun may be lost with its connection: a tunnel
 * keeps some, and those behind what we have closed it for are read by nobody. */
static bool may_lose_notes(const struct link *l, enum peer_down why)
{
    if (!l->engine || !link_is_attached(l) || has_told_all(l->engine))
        return false;
    return l->is_relayed || (why != DOWN_EOF && why != DOWN_BROKEN);
}

static void on_peer_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct link *l = peer_user(p);
    if (!l)
        return;
    struct engine *e = l->engine;
    bool attached = link_is_attached(l), is_cut = why != DOWN_EOF || l->is_relayed;
    if (may_lose_notes(l, why))
        comeback_unsure(&e->task);
    if (l->gate->row->down)
        l->gate->row->down(l);
    link_unbind(l);
    peer_set_user(p, NULL);
    link_free(l);
    if (e)
        engine_disconnected(e, attached, is_cut);
}

/* An attached engine that connects anew has lost its former connection, and with it its place
 * and maybe its last notes: it registers again (extensions.md 2). Stock peers just go on. */
static void on_taken_over(void *ctx, struct peer *p)
{
    struct link *l = peer_user(p);
    if (!l || !l->engine || !link_is_attached(l))
        return;
    struct engine *e = l->engine;
    if (!has_told_all(e))
        comeback_unsure(&e->task);
    e->is_cut = true;
    engine_end(e, EV_DISCONNECTED, "its connection was replaced");
    link_unbind(l);
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct gate *g = ctx;
    struct link *l = peer_user(p);
    if (!l || !g->row->message)
        return;
    if (l->engine && g->row->channel < CH_HB)
        l->engine->heard = true;
    g->row->message(l, m);
}

static void on_subscribed(void *ctx, struct peer *p, struct slice prefix, bool on)
{
    struct gate *g = ctx;
    struct link *l = peer_user(p);
    if (l && on && g->row->subscribed)
        g->row->subscribed(l);
}

static void on_drained(void *ctx, struct peer *p)
{
    struct link *l = peer_user(p);
    if (l)
        link_drained(l);
}

static const struct port_ops gate_ops = {
    .peer_up = on_peer_up,
    .peer_down = on_peer_down,
    .peer_taken_over = on_taken_over,
    .message = on_message,
    .subscribed = on_subscribed,
    .drained = on_drained,
};

/* Numbers */

/* Binds one interface; `number` 0 lets the system choose. Returns the number or an error. */
static int bind_number(struct port *p, const char *interface, int number,
                       struct ersa_error *err)
{
    char endpoint[PORT_ENDPOINT_MAX], bound[PORT_ENDPOINT_MAX];
    if ((size_t)snprintf(endpoint, sizeof(endpoint), "%s:%d", interface, number) >=
        sizeof(endpoint))
        return err_set(err, ERSA_EINVAL, "interface %s is too long", interface);
    int rc = port_bind(p, endpoint, bound, err);
    if (rc < 0)
        return rc;
    const char *colon = strrchr(bound, ':');
    return number ? number : atoi(colon + 1);
}

static bool is_ipc(const char *interface)
{
    return strncmp(interface, "ipc:", 4) == 0;
}

static bool is_any(const char *interface)
{
    return strcmp(interface, "tcp://*") == 0 || strcmp(interface, "tcp://0.0.0.0") == 0;
}

/* Where the row's port listens: at its side's interface, the query port at both, under one
 * number. That is TCP's, if there is any; and who listens everywhere needs no other address. */
static unsigned interfaces_of(const struct router *r, const struct gate_row *row,
                              const char *ret[2])
{
    const char *own = r->cfg.engine_interface, *other = r->cfg.client_interface;
    ret[0] = row->side == SIDE_ENGINE ? own : other;
    if (row != &rows[RT_QUERY] || strcmp(own, other) == 0)
        return 1;
    bool is_covered = is_any(own) && !is_ipc(other), covers = is_any(other) && !is_ipc(own);
    bool other_first = covers || is_ipc(own);
    ret[0] = other_first ? other : own;
    ret[1] = other_first ? own : other;
    return is_covered || covers ? 1 : 2;
}

/* Makes the gate's port and binds it under one number wherever it listens; 0: any free one. */
static int open_at(struct gate *g, const struct port_config *cfg,
                   const char *const interfaces[2], unsigned n, int number,
                   struct ersa_error *err)
{
    g->port = port_new(g->router->wire, cfg, err);
    if (!g->port)
        return err && err->code ? err->code : ERSA_ENOMEM;
    int rc = number;
    for (unsigned i = 0; i < n && rc >= 0; i++)
        rc = bind_number(g->port, interfaces[i], rc, err);
    g->number = rc;
    return rc;
}

static int open_gate(struct router *r, struct gate *g, const struct gate_row *row,
                     struct numbers *numbers, struct ersa_error *err)
{
    g->router = r;
    g->row = row;
    const char *interfaces[2] = {NULL, NULL};
    unsigned n = interfaces_of(r, row, interfaces);
    const char *identity = g->identity[0] ? g->identity : row->identity;
    struct port_config cfg = {
        .kind = row->kind,
        .name = row->key,
        .identity = identity,
        .identity_len = identity ? strlen(identity) : 0,
        .ops = &gate_ops,
        .ctx = g,
        .prio = row->prio,
        .tx_cap_bytes = row->tx_cap_bytes,
        .curve = r->cfg.curve,
    };
    bool ipc = is_ipc(interfaces[0]);
    int number = numbers_first(numbers, row->side, ipc);
    int rc = open_at(g, &cfg, interfaces, n, number, err);
    while (rc == ERSA_EEXIST && numbers_other(numbers, row->side, ipc, &number)) {
        port_close(g->port, 0);
        rc = open_at(g, &cfg, interfaces, n, number, err);
    }
    return rc < 0 ? err_prefix(err, rc, "port %s", row->key) : 0;
}

/* "sub_scheduler_0" and the leaf's number in `depth` binary digits. */
static void name_leaf(struct gate *g, unsigned leaf, unsigned depth)
{
    int n = snprintf(g->identity, sizeof(g->identity), "sub_scheduler_0");
    for (unsigned bit = depth; bit-- > 0;)
        g->identity[n++] = (leaf >> bit) & 1 ? '1' : '0';
    g->identity[n] = '\0';
}

static int open_leaves(struct router *r, struct numbers *numbers, struct ersa_error *err)
{
    unsigned depth = r->cfg.broadcast_depth;
    if (depth > BROADCAST_DEPTH_MAX)
        return err_set(err, ERSA_EINVAL, "broadcast depth %u, at most %d", depth,
                       BROADCAST_DEPTH_MAX);
    r->ports.leaves = calloc(1u << depth, sizeof(*r->ports.leaves));
    if (!r->ports.leaves)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    for (unsigned i = 0; i < 1u << depth; i++) {
        r->ports.n_leaves = i + 1;
        name_leaf(&r->ports.leaves[i], i, depth);
        int rc = open_gate(r, &r->ports.leaves[i], &rows[RT_BROADCAST_LEAF], numbers, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int open_all(struct router *r, struct numbers *numbers, struct ersa_error *err)
{
    for (enum route rt = 0; rt < RT_MAX; rt++) {
        if (rt == RT_ATTACH && !(r->cfg.caps & CAP_attach))
            continue;
        int rc = rt == RT_BROADCAST_LEAF
                     ? open_leaves(r, numbers, err)
                     : open_gate(r, &r->ports.gates[rt], &rows[rt], numbers, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int ports_open(struct router *r, struct ersa_error *err)
{
    struct numbers numbers;
    int rc = numbers_init(&numbers, &r->cfg);
    if (rc < 0)
        return err_set(err, rc, "out of memory");
    rc = open_all(r, &numbers, err);
    numbers_fini(&numbers);
    if (rc < 0)
        return rc;
    rc = port_subscribe(r->ports.gates[RT_IOPUB_ENGINE].port, "", 0);
    if (rc < 0)
        return err_set(err, rc, "port iopub: %s", ersa_strerror(rc));
    return 0;
}

static void close_gate(struct gate *g, unsigned linger_ms)
{
    if (!g->port)
        return;
    size_t pos = 0;
    struct peer *p;
    while ((p = port_next_peer(g->port, &pos))) {
        struct link *l = peer_user(p);
        if (!l)
            continue;
        link_unbind(l);
        peer_set_user(p, NULL);
        link_free(l);
    }
    port_close(TAKE_PTR(g->port), linger_ms);
}

void ports_close(struct router *r, unsigned linger_ms)
{
    for (enum route rt = 0; rt < RT_MAX; rt++)
        close_gate(&r->ports.gates[rt], linger_ms);
    for (unsigned i = 0; i < r->ports.n_leaves; i++)
        close_gate(&r->ports.leaves[i], linger_ms);
    free(TAKE_PTR(r->ports.leaves));
    r->ports.n_leaves = 0;
}

size_t ports_queued_bytes(const struct router *r)
{
    size_t sum = 0;
    for (enum route rt = 0; rt < RT_MAX; rt++)
        if (r->ports.gates[rt].port)
            sum += port_queued_bytes(r->ports.gates[rt].port);
    for (unsigned i = 0; i < r->ports.n_leaves; i++)
        if (r->ports.leaves[i].port)
            sum += port_queued_bytes(r->ports.leaves[i].port);
    return sum;
}

static struct link *find_peer(struct port *port, struct slice identity)
{
    struct peer *p = port && identity.len ? port_find(port, identity.data, identity.len) : NULL;
    return p ? peer_user(p) : NULL;
}

struct link *ports_find(const struct router *r, enum route rt, struct slice identity)
{
    return find_peer(r->ports.gates[rt].port, identity);
}

struct link *ports_find_leaf(const struct router *r, struct slice identity)
{
    struct link *l = NULL;
    for (unsigned i = 0; i < r->ports.n_leaves && !l; i++)
        l = find_peer(r->ports.leaves[i].port, identity);
    return l;
}
