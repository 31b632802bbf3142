/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection for all channels (extensions.md 2). Its end is the engine's end for the
 * controller, so nothing is sent from then on until there is another one. What was queued by
 * then goes out in front of the next registration: there answers count, and notes don't. */
#include "engine/channels_set.h"

#include <string.h>

#include "util/log.h"

static const struct {
    struct frame name;
    enum channel channel;
} rows[] = {
    {FRAME_LIT("query"), CHAN_QUERY},     {FRAME_LIT("mux"), CHAN_SHELL},
    {FRAME_LIT("task"), CHAN_SHELL},      {FRAME_LIT("broadcast"), CHAN_SHELL},
    {FRAME_LIT("control"), CHAN_CONTROL},
};

static bool is_frame(const struct frame *f, const struct frame *name)
{
    return f->len == name->len && memcmp(f->data, name->data, f->len) == 0;
}

static void on_up(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->attached = p;
    c->ops->up(c->ctx);
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct channels *c = ctx;
    if (c->attached != p)
        return;
    c->attached = NULL;
    c->ops->down(c->ctx);
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    static const struct frame hb = FRAME_LIT("hb");
    struct channels *c = ctx;
    if (m->n < 2)
        return;
    if (is_frame(&m->frames[0], &hb)) {
        channels_note_ping(c);
        peer_send(p, m->frames, m->n);
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (is_frame(&m->frames[0], &rows[i].name)) {
            c->ops->message(c->ctx, rows[i].channel, m->frames, m->n);
            return;
        }
    log_debug("a message on a channel that this engine does not have");
}

static void on_drained(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->ops->drained(c->ctx);
}

static void on_written(void *ctx, struct peer *p)
{
    struct channels *c = ctx;
    c->ops->written(c->ctx);
}

static const struct port_ops ops = {.peer_up = on_up,
                                    .peer_down = on_down,
                                    .message = on_message,
                                    .drained = on_drained,
                                    .written = on_written};

static int open_set(struct channels *c, struct ersa_error *err)
{
    int rc = channels_port(c, SP_QUERY, PORT_DEALER, LOOP_URGENT, &ops, err);
    return rc < 0 ? rc : channels_connect(c, SP_QUERY, c->conn->attach, err);
}

static int serve(struct channels *c, int64_t id, struct ersa_error *err)
{
    return 0;
}

static bool is_served(const struct channels *c)
{
    return c->attached;
}

static void send_all(struct channels *c, const struct frame *frames, unsigned n)
{
    if (c->attached)
        peer_send(c->attached, frames, n);
}

static void query(struct channels *c, struct frame *frames, unsigned n)
{
    frames[0] = FRAME_LIT("query");
    send_all(c, frames, n);
}

static void reply(struct channels *c, enum channel ch, struct frame *frames, unsigned n)
{
    send_all(c, frames, n);
}

static void publish(struct channels *c, struct frame *frames, unsigned n)
{
    frames[0] = FRAME_LIT("iopub");
    send_all(c, frames, n);
}

static int write_out(struct channels *c, enum channel ch, const struct frame *route)
{
    return c->attached ? peer_write_out(c->attached) : ERSA_ECLOSED;
}

static bool is_full(const struct channels *c)
{
    return c->attached && peer_is_full(c->attached);
}

static bool is_task(const struct frame *route)
{
    static const struct frame task = FRAME_LIT("task");
    return is_frame(route, &task);
}

static int query_port(const struct connection_info *conn)
{
    return conn->attach;
}

const struct channel_set channels_attach = {
    .is_one = true,
    .open = open_set,
    .serve = serve,
    .is_served = is_served,
    .query = query,
    .reply = reply,
    .publish = publish,
    .write_out = write_out,
    .is_full = is_full,
    .is_task = is_task,
    .query_port = query_port,
};
