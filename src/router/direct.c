/* SPDX-License-Identifier: BSD-3-Clause */
/* Relays between clients and engines. Mux requests and replies are told to the ledger and
 * mailed to records; control is not recorded, but the scheduler hears of abort requests, and
 * what an engine leaves unanswered is answered here (control.h, direct_answer.c). */
#include "router/direct.h"

#include <stdlib.h>

#include "router/core.h"
#include "router/direct_impl.h"
#include "wire/reply.h"
#include "wire/jscan.h"

/* Requests */

/* Only what gets a reply is recorded: comm messages would be pending for ever. */
static void record_request(struct router *r, struct engine *e, const struct parts *p,
                           const struct head *h, struct link *source)
{
    char type[MSG_TYPE_MAX];
    if (!reply_type(h->msg_type, type))
        return;
    struct letter letter = {
        .type = MAIL_REQUEST,
        .queue = 'm',
        .msg_id = h->msg_id,
        .engine = e->uuid,
        .frames = p->wire,
        .n = p->n_wire,
    };
    mailer_post(r, &letter, source);
    ledger_open(&r->ledger, e, h->msg_id);
}

/* Likewise only what gets a reply is waited for. */
static void follow_control(struct router *r, struct engine *e, const struct parts *p,
                           const struct head *h, struct slice client)
{
    char type[MSG_TYPE_MAX];
    const struct control_request request = {client, p->header};
    if (reply_type(h->msg_type, type))
        control_open(&r->control, e, h->msg_id, &request);
}

/* The scheduler answers tasks that it still holds; engines see to the others. */
static void tell_scheduler_of_abort(struct router *r, const struct parts *p)
{
    struct jfield ids = {.key = "msg_ids"}, item;
    struct slice *list = NULL, id;
    char buf[ID_MAX];
    size_t n = 0, cap = 0, pos = 0;
    if (jscan(p->content, &ids, 1) < 0 || ids.type != J_ARRAY)
        return;
    while (jscan_next(&ids, &pos, &item)) {
        if (jscan_string(&item, buf, sizeof(buf), &id) < 0)
            continue;
        if (id.data == buf) { /* one with escapes */
            sched_abort(r->sched, &id, 1);
            continue;
        }
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            struct slice *grown = reallocarray(list, cap, sizeof(*list));
            if (!grown)
                break;
            list = grown;
        }
        list[n++] = id;
    }
    sched_abort(r->sched, list, (unsigned)n);
    free(list);
}

/* Who connects anew drops what comes before it has registered; of a past one nobody knows
 * whether it lives. Its clients have been told of its end, wait for no mux request that was
 * under way, and know of no engine to wait for when they were about to send. A silent one may
 * still hear control for a while. Other engines can be reached as soon as they are connected.
 */
static struct link *find_unregistered(struct router *r, enum channel ch, struct slice uuid)
{
    struct link *to = ports_find(r, ch == CH_MUX ? RT_MUX_ENGINE : RT_CONTROL_ENGINE, uuid);
    if (!to)
        to = ports_find(r, RT_ATTACH, uuid);
    if (!to)
        return NULL;
    const struct engine *e = to->engine;
    bool is_reachable = e ? ch == CH_CONTROL && e->state == ENGINE_GONE && !e->mux_closed
                          : !link_is_attached(to) && !registry_has_ended(&r->registry, uuid);
    return is_reachable ? to : NULL;
}

void direct_from_client(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    enum channel ch = l->gate == &r->ports.gates[RT_MUX_CLIENT] ? CH_MUX : CH_CONTROL;
    struct parts p;
    struct head h;
    if (!link_admit(l, m->frames, m->n, &p))
        return;
    if (p.n_idents == 0 || !direct_read_head(p.header, &h)) {
        link_reject(l, p.n_idents ? REJECT_HEADER : REJECT_MALFORMED);
        return;
    }
    struct slice uuid = frame_slice(&p.idents[0]), client = link_identity(l);
    struct engine *e = registry_by_uuid(&r->registry, uuid);
    struct link *to = e ? NULL : find_unregistered(r, ch, uuid);
    if (e && ch == CH_MUX)
        record_request(r, e, &p, &h, l);
    struct engine *asked = to ? to->engine : e;
    if (asked && ch == CH_CONTROL)
        follow_control(r, asked, &p, &h, client);
    if (ch == CH_CONTROL && slice_is(h.msg_type, "abort_request"))
        tell_scheduler_of_abort(r, &p);

    struct frame front = {(const uint8_t *)client.data, client.len, NULL};
    const struct frame *out = router_prepend(r, &front, 1, m->frames + 1, m->n - 1);
    if (!out) {
        link_reject(l, REJECT_NO_MEMORY);
        return;
    }
    if (e) {
        direct_to_engine(e, ch, out, m->n, l);
        return;
    }
    if (to) {
        link_send_channel(to, ch, out, m->n, l);
        return;
    }
    link_reject(l, REJECT_UNROUTABLE);
    if (uuid.len <= ENGINE_UUID_MAX)
        direct_refuse(r, uuid, ch, client, p.header);
}

/* Replies */

/* False: the engine was taken for gone, and its client has had an answer. */
static bool is_awaited(struct router *r, const struct link *l, const struct parts *p)
{
    struct jfield id = {.key = "msg_id"};
    char buf[ID_MAX];
    struct slice msg_id;
    return jscan_one(p->parent, &id) < 0 || jscan_string(&id, buf, ID_MAX, &msg_id) < 0 ||
           control_answer(&r->control, link_identity(l), msg_id);
}

/* The engine of a reply is the one that signed it, whatever connection it came by. False: its
 * client was told that the engine is gone, and has failed the request. */
static bool record_reply(struct router *r, const struct link *l, const struct parts *p,
                         struct link *source)
{
    struct jfield session = {.key = "session"}, id = {.key = "msg_id"};
    char buf[2][ID_MAX];
    struct slice uuid, msg_id;
    if (jscan(p->header, &session, 1) < 0 || jscan_one(p->parent, &id) < 0 ||
        jscan_string(&session, buf[0], ID_MAX, &uuid) < 0 ||
        jscan_string(&id, buf[1], ID_MAX, &msg_id) < 0)
        return true;
    struct engine *e = l->engine && slice_eq(l->engine->uuid, uuid)
                           ? l->engine
                           : registry_by_uuid(&r->registry, uuid);
    if (!e)
        return true;
    struct letter letter = {
        .type = MAIL_RESULT,
        .queue = 'm',
        .msg_id = msg_id,
        .engine = e->uuid,
        .frames = p->wire,
        .n = p->n_wire,
    };
    mailer_post(r, &letter, source);
    bool was_open = ledger_answer(&r->ledger, e, msg_id);
    if (was_open)
        ledger_complete(e, msg_id);
    return e->state != ENGINE_GONE && (was_open || !e->is_revived);
}

void direct_from_attached(struct link *l, enum channel ch, const struct msg *m)
{
    struct router *r = l->router;
    struct parts p;
    if (!link_admit(l, m->frames, m->n, &p))
        return;
    if (p.n_idents == 0) {
        link_reject(l, REJECT_MALFORMED);
        return;
    }
    if (ch == CH_MUX ? !record_reply(r, l, &p, l) : !is_awaited(r, l, &p))
        return;
    struct link *to = ports_find(r, direct_client_route(ch), frame_slice(&p.idents[0]));
    if (!to)
        return;
    struct slice uuid = link_identity(l);
    struct frame front = {(const uint8_t *)uuid.data, uuid.len, NULL};
    const struct frame *out = router_prepend(r, &front, 1, m->frames + 1, m->n - 1);
    if (out)
        link_send(to, out, m->n, l);
    else
        link_reject(l, REJECT_NO_MEMORY);
}

void direct_from_engine(struct link *l, const struct msg *m)
{
    direct_from_attached(l, l->gate->row->channel, m);
}
