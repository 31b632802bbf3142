/* SPDX-License-Identifier: BSD-3-Clause */
/* Relays between clients and engines. Mux requests and replies are told to the ledger and
 * mailed to records; control is not recorded, but the scheduler hears of abort requests. */
#include "router/direct.h"

#include <stdlib.h>
#include <string.h>

#include "router/core.h"
#include "wire/reply.h"
#include "util/clock.h"
#include "util/log.h"
#include "wire/jscan.h"
#include "wire/json.h"

#define ID_MAX 512 /* octets of a message id or type */

struct waiting {
    struct list link; /* in the engine's list, by age */
    enum channel channel;
    int64_t until_ns;
    struct held *msg; /* owned: [client, ...] */
    bool paused;      /* its client isn't read meanwhile */
};

/* The two fields of a header that a relay looks at; each in `buf` or in the header. */
struct head {
    struct slice msg_id, msg_type;
    char buf[2][ID_MAX];
};

static bool read_head(struct slice header, struct head *ret)
{
    struct jfield f[] = {{.key = "msg_id"}, {.key = "msg_type"}};
    return jscan(header, f, 2) == 0 &&
           jscan_string(&f[0], ret->buf[0], ID_MAX, &ret->msg_id) == 0 &&
           jscan_string(&f[1], ret->buf[1], ID_MAX, &ret->msg_type) == 0;
}

static enum route client_route(enum channel ch)
{
    if (ch == CH_BROADCAST)
        return RT_BROADCAST_ROOT;
    return ch == CH_MUX ? RT_MUX_CLIENT : RT_CONTROL_CLIENT;
}

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

/* The refusal is the request's result, for its client and for the records. */
static void answer_refused(struct router *r, struct slice uuid, enum channel ch,
                           struct link *to, struct slice msg_id,
                           struct frame own[SESSION_FRAMES])
{
    struct engine *e = registry_by_uuid(&r->registry, uuid); /* else it was not recorded */
    struct frame front = {(const uint8_t *)uuid.data, uuid.len, NULL};
    if (e && ch == CH_MUX) {
        struct letter letter = {.type = MAIL_RESULT,
                                .queue = 'm',
                                .msg_id = msg_id,
                                .engine = uuid,
                                .frames = own,
                                .n = SESSION_FRAMES};
        mailer_post(r, &letter, NULL);
        ledger_answer(&r->ledger, e, msg_id);
    }
    const struct frame *all = to ? router_prepend(r, &front, 1, own, SESSION_FRAMES) : NULL;
    if (all)
        link_send(to, all, SESSION_FRAMES + 1, NULL);
}

static void refuse(struct router *r, struct slice uuid, enum channel ch, struct slice client,
                   const struct parts *p)
{
    struct head h;
    char type[MSG_TYPE_MAX], sentence[512], date[CLOCK_ISO_MAX];
    if (!read_head(p->header, &h) || !reply_type(h.msg_type, type))
        return;
    snprintf(sentence, sizeof(sentence), "Engine b'%.*s' is not connected: '%.*s' was not sent",
             SLICE_FMT(uuid), SLICE_FMT(h.msg_id));
    clock_iso(clock_utc_us(), date);
    json_t *content = error_content("EngineError", sentence);
    json_t *metadata = json_pack("{s:s, s:o, s:s}", "status", "error", "engine",
                                 json_lossy(uuid), "date", date);
    char *content_text = json_text(content), *metadata_text = json_text(metadata);
    struct frame own[SESSION_FRAMES];
    struct outgoing o = {.msg_type = type, .parent = p->header};
    if (content_text && metadata_text) {
        o.content = (struct slice){content_text, strlen(content_text)};
        o.metadata = (struct slice){metadata_text, strlen(metadata_text)};
        if (router_compose(r, &o, own) == 0)
            answer_refused(r, uuid, ch, ports_find(r, client_route(ch), client), h.msg_id, own);
    }
    free(content_text);
    free(metadata_text);
    json_decref(content);
    json_decref(metadata);
}

static void free_waiting(struct router *r, struct engine *e, struct waiting *w)
{
    if (w->paused) {
        struct link *client =
            ports_find(r, client_route(w->channel), frame_slice(w->msg->frames));
        if (client)
            peer_resume(client->peer);
    }
    e->waiting_bytes -= w->msg->bytes;
    list_remove(&w->link);
    held_free(w->msg);
    free(w);
}

static void fail_waiting(struct router *r, struct engine *e, struct waiting *w)
{
    struct parts p;
    if (w->channel == CH_BROADCAST)
        broadcast_undelivered(r->broadcast, e, w->msg->frames, w->msg->n);
    else if (w->channel != CH_TASK && parts_split(w->msg->frames + 1, w->msg->n - 1, &p) == 0)
        refuse(r, e->uuid, w->channel, frame_slice(w->msg->frames), &p);
    free_waiting(r, e, w);
}

static struct router *engine_router(const struct engine *e)
{
    struct registry *registry = e->env->ctx;
    return registry->ctx;
}

static void arm_patience(struct router *r, struct engine *e);

static void on_patience(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, patience);
    struct router *r = engine_router(e);
    int64_t now = loop_now_ns(r->loop);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        if (w->channel != CH_TASK && w->until_ns <= now)
            fail_waiting(r, e, w);
    }
    arm_patience(r, e);
}

/* A task waits as long as its engine lives: the scheduler deals with its end. */
static void arm_patience(struct router *r, struct engine *e)
{
    list_for_each (&e->waiting, it) {
        const struct waiting *w = container_of(it, struct waiting, link);
        if (w->channel == CH_TASK)
            continue;
        e->patience.fn = on_patience;
        loop_after(r->loop, &e->patience, w->until_ns - loop_now_ns(r->loop));
        return;
    }
}

static void wait_for_engine(struct router *r, struct engine *e, enum channel ch,
                            const struct frame *frames, unsigned n, struct link *source)
{
    struct waiting *w = calloc(1, sizeof(*w));
    struct held *held = w ? msg_hold(frames, n) : NULL;
    if (!held) {
        free(w);
        if (source)
            link_reject(source, REJECT_NO_MEMORY);
        return;
    }
    w->channel = ch;
    w->until_ns = loop_now_ns(r->loop) + MS_TO_NS(DIRECT_PATIENCE_MS);
    w->msg = held;
    list_push_back(&e->waiting, &w->link);
    e->waiting_bytes += held->bytes;
    if (e->waiting_bytes > DIRECT_WAITING_MAX && source && ch != CH_TASK) {
        w->paused = true;
        peer_pause(source->peer);
    }
    if (!timer_is_set(&e->patience))
        arm_patience(r, e);
}

/* One of an earlier run drops what comes before it has registered again. */
static struct link *find_way(const struct engine *e, enum channel ch)
{
    return e->restored && e->attach ? NULL : engine_link(e, ch);
}

void direct_to_engine(struct engine *e, enum channel ch, const struct frame *frames, unsigned n,
                      struct link *source)
{
    struct link *to = find_way(e, ch);
    if (to)
        link_send_channel(to, ch, frames, n, source);
    else
        wait_for_engine(engine_router(e), e, ch, frames, n, source);
}

/* Its clients have been told of its end, and wait for nothing that was under way. A client that
 * heard of it while it was about to send knows of no engine to wait for. */
static bool is_past(const struct link *to)
{
    return to->engine && to->engine->state == ENGINE_GONE;
}

void direct_from_client(struct link *l, const struct msg *m)
{
    struct router *r = l->router;
    enum channel ch = l->gate == &r->ports.gates[RT_MUX_CLIENT] ? CH_MUX : CH_CONTROL;
    struct parts p;
    struct head h;
    if (!link_admit(l, m->frames, m->n, &p))
        return;
    if (p.n_idents == 0 || !read_head(p.header, &h)) {
        link_reject(l, p.n_idents ? REJECT_HEADER : REJECT_MALFORMED);
        return;
    }
    struct slice uuid = frame_slice(&p.idents[0]), client = link_identity(l);
    struct engine *e = registry_by_uuid(&r->registry, uuid);
    if (e && ch == CH_MUX)
        record_request(r, e, &p, &h, l);
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
    /* Engines can be reached as soon as they are connected, registered or not. */
    struct link *to = ports_find(r, ch == CH_MUX ? RT_MUX_ENGINE : RT_CONTROL_ENGINE, uuid);
    if (!to)
        to = ports_find(r, RT_ATTACH, uuid);
    if (to && !(ch == CH_MUX && is_past(to))) {
        link_send_channel(to, ch, out, m->n, l);
        return;
    }
    link_reject(l, REJECT_UNROUTABLE);
    if (uuid.len <= ENGINE_UUID_MAX)
        refuse(r, uuid, ch, client, &p);
}

void direct_on_connected(struct engine *e)
{
    struct router *r = engine_router(e);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        struct link *to = find_way(e, w->channel);
        if (!to)
            continue;
        link_send_channel(to, w->channel, w->msg->frames, w->msg->n, NULL);
        free_waiting(r, e, w);
    }
}

void direct_on_gone(struct router *r, struct engine *e, bool was_alive)
{
    loop_cancel(r->loop, &e->patience);
    list_for_each (&e->waiting, it) {
        struct waiting *w = container_of(it, struct waiting, link);
        if (was_alive)
            free_waiting(r, e, w);
        else
            fail_waiting(r, e, w);
    }
}

/* Replies */

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
    if (ch == CH_MUX && !record_reply(r, l, &p, l))
        return;
    struct link *to = ports_find(r, client_route(ch), frame_slice(&p.idents[0]));
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
