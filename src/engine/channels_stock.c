/* SPDX-License-Identifier: BSD-3-Clause */
/* The eight stock sockets (engine.md 8), all with the uuid as identity. One shell ROUTER has
 * three connections: mux, task scheduler, one broadcast leaf. The heartbeat connects last: the
 * reference's hub does not register a heart that beat before it asked. */
#include "engine/channels_set.h"

#include <string.h>

#include "util/log.h"

/* Connections are counted; which one it was does not matter. */
static void on_up(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->n_up++;
    if (c->n_wanted && c->n_up == c->n_wanted)
        c->ops->served(c->ctx);
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct channels *c = ctx;
    c->n_up--;
}

static void on_query_up(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->asked = p;
    on_up(c, p);
    c->ops->up(c->ctx);
}

static void on_query_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct channels *c = ctx;
    c->asked = NULL;
    on_down(c, p, why);
    if (c->conn->is_ersa)
        c->ops->down(c->ctx);
}

static void on_query(void *ctx, struct peer *p, const struct msg *m)
{
    struct channels *c = ctx;
    const struct frame *frames = channels_with_route(c, SLICE_LIT(""), m);
    if (frames)
        c->ops->message(c->ctx, CHAN_QUERY, frames, m->n + 1);
}

static void on_request(struct channels *c, enum channel ch, const struct peer *p,
                       const struct msg *m)
{
    if (m->n == 1 && m->frames[0].len == 0) /* the probe of a ROUTER */
        return;
    const struct frame *frames = channels_with_route(c, peer_identity(p), m);
    if (frames)
        c->ops->message(c->ctx, ch, frames, m->n + 1);
}

static void on_shell(void *ctx, struct peer *p, const struct msg *m)
{
    on_request(ctx, CHAN_SHELL, p, m);
}

static void on_control(void *ctx, struct peer *p, const struct msg *m)
{
    on_request(ctx, CHAN_CONTROL, p, m);
}

static void on_ping(void *ctx, struct peer *p, const struct msg *m)
{
    struct channels *c = ctx;
    channels_note_ping(c);
    if (c->ports[SP_PONG])
        port_send(c->ports[SP_PONG], m->frames, m->n);
}

static void on_drained(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->ops->drained(c->ctx);
}

/* A connection that was away is one to write to again. */
static void on_shell_up(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    on_up(c, p);
    c->ops->written(c->ctx);
}

static void on_written(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->ops->written(c->ctx);
}

static const struct port_ops query_ops = {
    .peer_up = on_query_up, .peer_down = on_query_down, .message = on_query};
static const struct port_ops shell_ops = {.peer_up = on_shell_up,
                                          .peer_down = on_down,
                                          .message = on_shell,
                                          .drained = on_drained,
                                          .written = on_written};
static const struct port_ops control_ops = {
    .peer_up = on_up, .peer_down = on_down, .message = on_control};
static const struct port_ops ping_ops = {
    .peer_up = on_up, .peer_down = on_down, .message = on_ping};
static const struct port_ops plain_ops = {
    .peer_up = on_up, .peer_down = on_down, .drained = on_drained};

static int open_set(struct channels *c, struct ersa_error *err)
{
    int rc = channels_port(c, SP_QUERY, PORT_DEALER, LOOP_NORMAL, &query_ops, err);
    return rc < 0 ? rc : channels_connect(c, SP_QUERY, c->conn->registration, err);
}

static int serve(struct channels *c, int64_t id, struct ersa_error *err)
{
    if (c->n_wanted)
        return 0;
    const struct connection_info *conn = c->conn;
    int rc = channels_port(c, SP_SHELL, PORT_ROUTER, LOOP_NORMAL, &shell_ops, err);
    if (rc == 0)
        rc = channels_port(c, SP_CONTROL, PORT_ROUTER, LOOP_URGENT, &control_ops, err);
    if (rc == 0)
        rc = channels_port(c, SP_IOPUB, PORT_PUB, LOOP_NORMAL, &plain_ops, err);
    if (rc == 0)
        rc = channels_port(c, SP_PONG, PORT_DEALER, LOOP_URGENT, &plain_ops, err);
    if (rc == 0)
        rc = channels_port(c, SP_PING, PORT_SUB, LOOP_URGENT, &ping_ops, err);
    if (rc < 0)
        return rc;
    port_subscribe(c->ports[SP_PING], "", 0);
    int leaf = conn->n_broadcast_leaves
                   ? conn->broadcast_leaves[(uint64_t)id % conn->n_broadcast_leaves]
                   : 0;
    const struct {
        enum stock_port port;
        int number;
    } connections[] = {
        {SP_SHELL, conn->mux},       {SP_SHELL, conn->task},  {SP_SHELL, leaf},
        {SP_CONTROL, conn->control}, {SP_IOPUB, conn->iopub}, {SP_PONG, conn->hb_pong},
        {SP_PING, conn->hb_ping},
    };
    unsigned wanted = 1; /* the registration socket */
    for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]) && rc == 0; i++) {
        if (connections[i].number == 0)
            continue;
        rc = channels_connect(c, connections[i].port, connections[i].number, err);
        wanted++;
    }
    c->n_wanted = wanted;
    return rc;
}

static bool is_served(const struct channels *c)
{
    return c->n_wanted && c->n_up >= c->n_wanted;
}

static void query(struct channels *c, struct frame *frames, unsigned n)
{
    if (c->ports[SP_QUERY])
        port_send(c->ports[SP_QUERY], frames + 1, n - 1);
}

static struct port *port_of(const struct channels *c, enum channel ch)
{
    return c->ports[ch == CHAN_CONTROL ? SP_CONTROL : SP_SHELL];
}

static int write_out(struct channels *c, enum channel ch, const struct frame *route)
{
    const struct port *port = port_of(c, ch);
    struct peer *p = port ? port_find(port, route->data, route->len) : NULL;
    return p ? peer_write_out(p) : ERSA_ECLOSED;
}

static void reply(struct channels *c, enum channel ch, struct frame *frames, unsigned n)
{
    struct port *port = port_of(c, ch);
    struct slice to = frame_slice(&frames[0]);
    if (port && port_send_to(port, to, frames + 1, n - 1) < 0)
        log_warn("engine::a reply is lost: no connection to %.*s, or too much waits for it",
                 SLICE_FMT(to));
}

static void publish(struct channels *c, struct frame *frames, unsigned n)
{
    if (c->ports[SP_IOPUB])
        port_publish(c->ports[SP_IOPUB], frames + 1, n - 1);
}

static bool is_any_full(const struct port *port)
{
    size_t pos = 0;
    const struct peer *p;
    while (port && (p = port_next_peer(port, &pos)))
        if (peer_is_full(p))
            return true;
    return false;
}

static bool is_full(const struct channels *c)
{
    return is_any_full(c->ports[SP_IOPUB]) || is_any_full(c->ports[SP_SHELL]);
}

#define TASK_ROUTE "task_out"

static bool is_task(const struct frame *route)
{
    return slice_is(frame_slice(route), TASK_ROUTE);
}

static const char *task_end(const struct channels *c)
{
    const struct port *port = port_of(c, CHAN_SHELL);
    const struct peer *p = port ? port_find(port, TASK_ROUTE, strlen(TASK_ROUTE)) : NULL;
    return p ? peer_own_address(p) : NULL;
}

static int query_port(const struct connection_info *conn)
{
    return conn->registration;
}

const struct channel_set channels_stock = {
    .open = open_set,
    .serve = serve,
    .is_served = is_served,
    .query = query,
    .reply = reply,
    .publish = publish,
    .write_out = write_out,
    .is_full = is_full,
    .is_task = is_task,
    .task_end = task_end,
    .query_port = query_port,
};
