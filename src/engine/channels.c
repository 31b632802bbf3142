/* SPDX-License-Identifier: BSD-3-Clause */
/* What both sets have in common. */
#include "engine/channels_set.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"

int channels_open(struct channels *c, struct loop *l, struct wire *w,
                  const struct connection_info *conn, const char *interface,
                  const struct curve_config *curve, const char *uuid, bool use_attach,
                  const struct channels_ops *ops, void *ctx, struct ersa_error *err)
{
    *c = (struct channels){
        .set = use_attach ? &channels_attach : &channels_stock,
        .wire = w,
        .conn = conn,
        .interface = interface,
        .curve = curve,
        .uuid = uuid,
        .ops = ops,
        .ctx = ctx,
        .loop = l,
    };
    int rc = c->set->open(c, err);
    if (rc < 0)
        channels_close(c);
    return rc;
}

int channels_serve(struct channels *c, int64_t id, struct ersa_error *err)
{
    return c->set->serve(c, id, err);
}

void channels_close(struct channels *c)
{
    for (int i = 0; i < SP_MAX; i++) {
        if (c->ports[i])
            port_close(c->ports[i], 0);
        c->ports[i] = NULL;
    }
    c->attached = c->asked = NULL;
    free(c->vec);
    c->vec = NULL;
    c->vec_cap = 0;
}

bool channels_is_one(const struct channels *c)
{
    return c->set->is_one;
}

const char *channels_own_end(const struct channels *c)
{
    const struct peer *p = c->attached ? c->attached : c->asked;
    return p ? peer_own_address(p) : "";
}

const char *channels_task_end(const struct channels *c)
{
    return c->set->task_end ? c->set->task_end(c) : NULL;
}

bool channels_is_served(const struct channels *c)
{
    return c->set->is_served(c);
}

void channels_query(struct channels *c, struct frame *frames, unsigned n)
{
    c->set->query(c, frames, n);
}

void channels_reply(struct channels *c, enum channel ch, struct frame *frames, unsigned n)
{
    c->set->reply(c, ch, frames, n);
}

void channels_publish(struct channels *c, struct frame *frames, unsigned n)
{
    c->set->publish(c, frames, n);
}

int channels_write_out(struct channels *c, enum channel ch, const struct frame *route)
{
    return c->set->write_out(c, ch, route);
}

bool channels_is_full(const struct channels *c)
{
    return c->set->is_full(c);
}

size_t channels_queued_bytes(const struct channels *c)
{
    size_t sum = 0;
    for (int i = 0; i < SP_MAX; i++)
        if (c->ports[i])
            sum += port_queued_bytes(c->ports[i]);
    return sum;
}

bool channels_is_task(const struct channels *c, const struct frame *route)
{
    return c->set->is_task(route);
}

char *channels_address(const struct channels *c)
{
    return connection_url(c->interface, c->set->query_port(c->conn));
}

/* For the sets */

int channels_port(struct channels *c, enum stock_port which, enum port_kind kind,
                  enum loop_prio prio, const struct port_ops *ops, struct ersa_error *err)
{
    static const char *const names[SP_MAX] = {
        [SP_QUERY] = "registration", [SP_SHELL] = "shell",  [SP_CONTROL] = "control",
        [SP_IOPUB] = "iopub",        [SP_PING] = "hb_ping", [SP_PONG] = "hb_pong",
    };
    struct port_config cfg = {
        .kind = kind,
        .name = names[which],
        .identity = c->uuid,
        .identity_len = strlen(c->uuid),
        .ops = ops,
        .ctx = c,
        .prio = prio,
        .tx_cap_bytes = CHANNELS_TX_CAP,
        .reconnect_min_ms = 50,
        .reconnect_max_ms = 2000,
        .curve = c->curve,
    };
    c->ports[which] = port_new(c->wire, &cfg, err);
    return c->ports[which] ? 0 : err ? err->code : ERSA_ENOMEM;
}

int channels_connect(struct channels *c, enum stock_port which, int number,
                     struct ersa_error *err)
{
    CLEANUP(free_ptr) char *url = connection_url(c->interface, number);
    if (!url)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    int rc = port_connect(c->ports[which], url, err);
    return rc < 0 ? err_prefix(err, rc, "%s", url) : 0;
}

const struct frame *channels_with_route(struct channels *c, struct slice route,
                                        const struct msg *m)
{
    if (m->n + 1 > c->vec_cap) {
        unsigned cap = c->vec_cap ? c->vec_cap : 16;
        while (cap < m->n + 1)
            cap *= 2;
        struct frame *vec = reallocarray(c->vec, cap, sizeof(*vec));
        if (!vec)
            return NULL;
        c->vec = vec;
        c->vec_cap = cap;
    }
    c->vec[0] = (struct frame){(const uint8_t *)route.data, route.len, NULL};
    memcpy(c->vec + 1, m->frames, m->n * sizeof(*m->frames));
    return c->vec;
}

void channels_note_ping(struct channels *c)
{
    c->last_ping_ns = loop_now_ns(c->loop);
}
