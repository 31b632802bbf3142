/* SPDX-License-Identifier: BSD-3-Clause */
/* Registration, unregistration, announcement. Order matters: the scheduler knows an engine
 * before any client does, and clients hear of its end before the scheduler judges its tasks. */
#include "router/registration.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/caps.h"
#include "router/comeback.h"
#include "router/core.h"
#include "router/direct.h"
#include "router/notify.h"
#include "wire/reply.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/json.h"

#define CAUSE_MAX 400
#define RECENT_MS 10000 /* a client subscribes within that time of asking */

/* What is announced */

static json_t *id_content(int64_t id, struct slice uuid)
{
    return json_pack("{s:I, s:s%}", "id", (json_int_t)id, "uuid", uuid.data, uuid.len);
}

static void on_alive(void *ctx, struct engine *e)
{
    struct router *r = ctx;
    e->announced_ns = loop_now_ns(r->loop);
    int64_t ms = (e->announced_ns - e->registered_ns) / 1000000;
    log_info("registration::finished registering engine %" PRId64 ":%.*s in %" PRId64 "ms",
             e->id, SLICE_FMT(e->uuid), ms);
    if (sched_engine_add(r->sched, &e->task) < 0)
        log_error("engine::%" PRId64 " gets no tasks: out of memory", e->id);
    heart_watch(r, e);
    notify(r, "registration_notification", (struct slice){NULL, 0}, id_content(e->id, e->uuid));
    state_changed(r);
    log_info("engine::Engine Connected: %" PRId64, e->id);
}

static void tell_of_end(void *ctx, int64_t id, struct slice uuid)
{
    notify_one(ctx, "unregistration_notification", id_content(id, uuid));
}

/* A client asks who is there on one connection and subscribes on another: who was announced, or
 * ended, between the answer and the subscription would stay unknown to it, or there, for ever.
 * Hearing twice of an engine does no harm, nor does the end of one that was never heard of;
 * ends come first, since an id may have gone on to another. With the scheme pure stock clients
 * send no tasks any more after any end, and are spared that. */
void registration_on_subscribed(struct link *l)
{
    struct router *r = l->router;
    int64_t since_ns = loop_now_ns(r->loop) - MS_TO_NS(RECENT_MS);
    const struct list *live = &r->registry.live;
    if (strcmp(r->cfg.sched.scheme, "pure") != 0)
        registry_walk_ended(&r->registry, since_ns, tell_of_end, l);
    for (const struct list *it = live->prev; it != live; it = it->prev) {
        const struct engine *e = container_of(it, struct engine, link);
        if (e->announced_ns < since_ns)
            break;
        notify_one(l, "registration_notification", id_content(e->id, e->uuid));
    }
}

static void on_tasks_closed(void *ctx, struct sched_engine *e)
{
    engine_close_tasks(container_of(e, struct engine, task));
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    struct router *r = ctx;
    log_info("registration::unregister_engine(%" PRId64 ")%s%s", e->id, e->cause ? ": " : "",
             e->cause ? e->cause : "");
    heart_unwatch(r, e);
    direct_on_gone(r, e, was_alive);
    broadcast_engine_gone(r->broadcast, e, was_alive);
    link_drop_full(e);
    if (!was_alive && !e->restored)
        return;
    const char *cause = r->cfg.caps & CAP_death_cause ? e->cause : NULL;
    json_t *content = id_content(e->id, e->uuid);
    if (cause)
        json_object_set_new(content, "ersa", json_pack("{s:s}", "cause", cause));
    notify(r, "unregistration_notification", (struct slice){NULL, 0}, content);
    state_changed(r);
    if (was_alive)
        sched_engine_gone(r->sched, &e->task, e->reported, cause, on_tasks_closed);
}

/* The client has failed this request itself when it heard of the end: it is closed for the
 * records. */
static void strand_request(void *ctx, struct engine *e, struct slice msg_id)
{
    struct router *r = ctx;
    char id[24];
    int len = snprintf(id, sizeof(id), "%lld", (long long)e->id);
    struct letter letter = {.type = MAIL_ENGINE_LOST,
                            .queue = 'm',
                            .msg_id = msg_id,
                            .engine = e->uuid,
                            .peer = {id, (size_t)len}};
    mailer_post(r, &letter, NULL);
}

/* What an engine that is silent has not begun goes to others. So it must not begin it when it
 * wakes up: it writes a note before (extensions.md 4), and can't any more when its connection
 * is reset. On stock sockets it can, and where its host does not acknowledge what is sent, or
 * somebody in between does, nobody knows what it has written. */
static void take_tasks_away(struct engine *e)
{
    bool is_unsure = !(e->caps & CAP_attach);
    if (e->attach) {
        struct peer *p = e->attach->peer;
        is_unsure = e->attach->is_relayed || peer_unacknowledged(p) > 0;
        peer_reset(p);
    }
    if (is_unsure)
        comeback_unsure(&e->task);
}

static void on_strand(void *ctx, struct engine *e)
{
    struct router *r = ctx;
    if (e->is_silent)
        take_tasks_away(e);
    ledger_close(&r->ledger, e, strand_request, r);
}

static void on_absent(void *ctx, struct engine *e)
{
    on_strand(ctx, e);
    link_unbind_all(e);
}

const struct engine_ops registration_ops = {
    .alive = on_alive,
    .gone = on_gone,
    .strand = on_strand,
    .absent = on_absent,
};

/* Requests */

static bool is_identity(const char *uuid, size_t len)
{
    static const struct slice delimiter = SLICE_LIT("<IDS|MSG>");
    return len > 0 && len <= ENGINE_UUID_MAX && uuid[0] != '\0' &&
           !slice_eq((struct slice){uuid, len}, delimiter);
}

static json_t *connection_info(const struct router *r)
{
    struct router_endpoints ep;
    router_endpoints(r, &ep);
    json_t *leaves = json_array();
    for (unsigned i = 0; i < ep.n_broadcast_leaves; i++)
        json_array_append_new(leaves, json_integer(ep.broadcast_leaves[i]));
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "interface",
                     r->cfg.engine_interface, "registration", ep.registration, "control",
                     ep.engine.control, "mux", ep.engine.mux, "task", ep.engine.task, "iopub",
                     ep.engine.iopub, "hb_ping", ep.hb_ping, "hb_pong", ep.hb_pong, "broadcast",
                     leaves);
}

/* The wished id, REGISTRY_NO_ID when there is none to be had. -1: it is no integer. */
static int read_wish(const json_t *content, int64_t *ret)
{
    const json_t *id = json_object_get(content, "id");
    *ret = REGISTRY_NO_ID;
    if (!id || json_is_null(id))
        return 0;
    if (json_is_real(id) && fabs(json_real_value(id)) >= 0x1p63)
        return 0; /* an integer that fits nowhere: nobody gets such an id */
    if (!json_is_integer(id))
        return -1;
    json_int_t wish = json_integer_value(id);
    if (wish >= 0 && wish <= INT32_MAX)
        *ret = wish;
    return 0;
}

/* Makes the engine known to everything that serves it; it is PENDING, or in service already, of
 * an earlier run. */
static int start_engine(struct router *r, struct slice uuid, int64_t wish, unsigned caps,
                        struct engine **ret, struct ersa_error *err)
{
    int rc = registry_add(&r->registry, uuid, wish, caps, ret, err);
    if (rc < 0)
        return rc;
    if (engine_is_live(*ret))
        sched_engine_tells(r->sched, &(*ret)->task, caps & CAP_begun, caps & CAP_recall);
    else
        sched_engine_init(r->sched, &(*ret)->task, (*ret)->uuid, caps & CAP_begun,
                          caps & CAP_recall);
    link_bind_all(r, *ret);
    return 0;
}

int registration_restore(struct router *r, struct slice uuid, int64_t id,
                         struct ersa_error *err)
{
    struct engine *e;
    if (!is_identity(uuid.data, uuid.len))
        return err_set(err, ERSA_EPARSE, "the uuid of engine %" PRId64 " is no identity", id);
    int rc = registry_restore(&r->registry, uuid, id, &e, err);
    if (rc == 0)
        sched_engine_init(r->sched, &e->task, e->uuid, false, false);
    return rc;
}

/* Of an engine that was registered before: the last task that it began. */
static struct slice last_begun(const json_t *content)
{
    const json_t *ids = json_object_get(json_object_get(content, "ersa"), "begun");
    const json_t *id = json_array_get(ids, json_array_size(ids) - 1);
    return json_is_string(id) ? (struct slice){json_string_value(id), json_string_length(id)}
                              : SLICE_LIT("");
}

/* A tunnel acknowledges for the engine what it has not read, and may keep back what the engine
 * has written. Then the two ends have different names for the connection (so they have with
 * address translation). */
static void find_relay(struct link *l, const json_t *content)
{
    const char *own =
        json_string_value(json_object_get(json_object_get(content, "ersa"), "address"));
    const char *here = peer_address(l->peer);
    l->is_relayed = own && link_is_attached(l) && strcmp(own, here) != 0;
    if (l->is_relayed)
        log_debug("registration::%.*s is %s there and %s here", SLICE_FMT(link_identity(l)),
                  own, here);
}

void registration_on_request(struct query *q)
{
    struct router *r = q->r;
    const json_t *uuid = json_object_get(q->content, "uuid");
    int64_t wish;
    if (!uuid) {
        log_error("registration::queue not specified");
        return;
    }
    if (!json_is_string(uuid)) {
        hub_error(q, "TypeError", "uuid must be a string");
        return;
    }
    if (!is_identity(json_string_value(uuid), json_string_length(uuid))) {
        hub_error(q, "ValueError", "uuid must be 1 to 255 octets and an identity");
        return;
    }
    if (read_wish(q->content, &wish) < 0) {
        hub_error(q, "TypeError", "id must be an integer");
        return;
    }

    struct slice id = {json_string_value(uuid), json_string_length(uuid)};
    comeback_tells(r->sched, id, last_begun(q->content));
    unsigned caps = r->cfg.caps & caps_read(q->content);
    bool is_known = registry_by_uuid(&r->registry, id);
    struct engine *e;
    struct ersa_error err = {0};
    int rc = start_engine(r, id, wish, caps, &e, &err);
    if (rc < 0) {
        log_error("registration::registration of %.*s failed: %s", SLICE_FMT(id), err.text);
        hub_reply_orphan(q, "registration_reply",
                         rc == ERSA_EEXIST ? error_content_key(err.text)
                                           : error_content("RuntimeError", err.text));
        return;
    }
    log_info("registration::accepting registration %" PRId64 ":%.*s", e->id, SLICE_FMT(id));
    find_relay(q->link, q->content);
    json_t *content =
        json_pack("{s:I, s:s, s:I, s:o}", "id", (json_int_t)e->id, "status", "ok", "hb_period",
                  (json_int_t)r->cfg.heart_period_ms, "connection_info", connection_info(r));
    if (json_object_get(q->content, "ersa")) {
        json_t *ersa = caps_json(caps);
        if (is_known)
            json_object_set_new(ersa, "known", json_true());
        json_object_set_new(content, "ersa", ersa);
    }
    hub_reply_orphan(q, "registration_reply", content);
    direct_on_connected(e);
    if (!(caps & CAP_ready))
        heart_hurry(r);
}

/* Who sent it decides, where it has an identity of its own, as engines do: the id may be a mere
 * wish, and somebody else's. */
static struct engine *find_leaver(const struct query *q)
{
    struct slice who = link_identity(q->link);
    if (q->link->engine)
        return q->link->engine;
    if (link_is_attached(q->link) || (who.len && who.data[0])) {
        log_warn("registration::%.*s is not registered, and unregisters nobody",
                 SLICE_FMT(who));
        return NULL;
    }
    const json_t *id = json_object_get(q->content, "id");
    if (!json_is_integer(id)) {
        log_error("registration::unregistration without an engine id");
        return NULL;
    }
    return registry_by_id(&q->r->registry, json_integer_value(id));
}

/* Tasks under way when it ended, whose `ersa_begun` may not have arrived. */
static void note_begun(struct router *r, struct engine *e, const json_t *ids)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (json_is_string(id))
            sched_begun(r->sched, &e->task,
                        (struct slice){json_string_value(id), json_string_length(id)});
    }
}

void registration_on_unregister(struct query *q)
{
    struct engine *e = find_leaver(q);
    if (!e)
        return;
    const json_t *ersa = json_object_get(q->content, "ersa");
    if (engine_is_live(e))
        note_begun(q->r, e, json_object_get(ersa, "begun"));
    const char *cause = json_str(ersa, "cause");
    char text[CAUSE_MAX];
    if (cause)
        snprintf(text, sizeof(text), "%s", cause);
    engine_end(e, EV_UNREGISTER, cause ? text : NULL);
}

void registration_on_ready(struct query *q)
{
    struct engine *e = q->link->engine;
    if (e && e->caps & CAP_ready)
        engine_ready(e);
    else
        link_reject(q->link, REJECT_STRANGER);
}

void registration_on_connection_request(struct query *q)
{
    json_t *engines = json_object();
    list_for_each (&q->r->registry.live, it) {
        const struct engine *e = container_of(it, struct engine, link);
        char id[24];
        snprintf(id, sizeof(id), "%" PRId64, e->id);
        json_object_set_new(engines, id, json_stringn(e->uuid.data, e->uuid.len));
    }
    hub_reply(q, "connection_reply",
              json_pack("{s:s, s:o}", "status", "ok", "engines", engines));
}

void registration_revive(struct link *l)
{
    struct router *r = l->router;
    struct slice uuid = link_identity(l);
    struct engine *e;
    int64_t id;
    unsigned caps;
    if (link_is_attached(l) && !l->engine)
        return; /* a new connection: it registers anew */
    if (registry_by_uuid(&r->registry, uuid) ||
        !registry_lost_heart(&r->registry, uuid, &id, &caps))
        return;
    if (start_engine(r, uuid, id, caps, &e, NULL) < 0)
        return;
    log_warn("heartbeat::the heart of engine %" PRId64 ":%.*s beats again", e->id,
             SLICE_FMT(uuid));
    e->is_revived = true;
    engine_ready(e);
}
