/* SPDX-License-Identifier: BSD-3-Clause */
/* Carries messages between the broadcast ports and the scheduler, and tells the ledger what
 * engines have to do. Records are not told: the ids that engines see are nobody's history. */
#include "router/broadcasts.h"

#include "router/core.h"
#include "router/direct.h"

static struct engine *find(void *ctx, struct slice uuid)
{
    const struct router *r = ctx;
    return registry_by_uuid(&r->registry, uuid);
}

static void to_engine(void *ctx, struct engine *e, const struct frame *frames, unsigned n)
{
    const struct router *r = ctx;
    direct_to_engine(e, CH_BROADCAST, frames, n, r->broadcast_source);
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct engine *source)
{
    const struct router *r = ctx;
    struct link *to = ports_find(r, RT_BROADCAST_ROOT, client);
    if (to)
        link_send(to, frames, n, source ? engine_link(source, CH_BROADCAST) : NULL);
}

static void on_event(void *ctx, enum broadcast_event ev, struct engine *e, struct slice msg_id)
{
    struct router *r = ctx;
    if (ev == BROADCAST_SENT)
        ledger_open(&r->ledger, e, msg_id);
    else if (ledger_answer(&r->ledger, e, msg_id) && ev == BROADCAST_ANSWERED)
        ledger_complete(e, msg_id);
}

const struct broadcast_ops broadcasts_ops = {
    .find = find,
    .to_engine = to_engine,
    .to_client = to_client,
    .event = on_event,
};

static bool is_probe(const struct msg *m)
{
    return m->n == 1 && m->frames[0].len == 0;
}

void broadcasts_from_client(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    if (is_probe(m))
        return;
    r->broadcast_source = l;
    link_reject_error(l, broadcast_submit(r->broadcast, link_identity(l), m));
    r->broadcast_source = NULL;
}

void broadcasts_client_gone(struct link *l)
{
    broadcast_client_gone(l->router->broadcast, link_identity(l));
}

void broadcasts_from_engine(struct link *l, const struct msg *m)
{
    if (!is_probe(m))
        link_reject_error(l, broadcast_reply(l->router->broadcast, l->engine, m));
}
