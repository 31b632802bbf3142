/* SPDX-License-Identifier: BSD-3-Clause */
/* An engine that registers is made known to all that serve it at once, and to clients when it
 * can be reached (announce.h). */
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
#include "wire/reply.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/json.h"

#define CAUSE_MAX 400

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

/* The last task that an engine began. */
static struct slice last_of(const json_t *ids)
{
    const json_t *id = json_array_get(ids, json_array_size(ids) - 1);
    return json_is_string(id) ? (struct slice){json_string_value(id), json_string_length(id)}
                              : SLICE_LIT("");
}

/* The same, of one that was registered before. */
static struct slice last_begun(const json_t *content)
{
    return last_of(json_object_get(json_object_get(content, "ersa"), "begun"));
}

/* The name of its attempt to register; it tries again under the same one while it hears no
 * answer. Empty: it has none. */
static const char *attempt_of(const json_t *content)
{
    const char *name = json_str(json_object_get(content, "ersa"), "attempt");
    return name && strlen(name) <= ENGINE_ATTEMPT_MAX ? name : "";
}

/* Was the engine accepted by that very attempt? Then the answer was lost. */
static bool is_repeated(const struct engine *e, const json_t *content)
{
    return e->attempt[0] && strcmp(e->attempt, attempt_of(content)) == 0;
}

static bool is_back(const json_t *content)
{
    return json_is_true(json_object_get(json_object_get(content, "ersa"), "again"));
}

static json_t *accepted(const struct router *r, const struct engine *e, const json_t *request)
{
    json_t *content =
        json_pack("{s:I, s:s, s:I, s:o}", "id", (json_int_t)e->id, "status", "ok", "hb_period",
                  (json_int_t)r->cfg.heart_period_ms, "connection_info", connection_info(r));
    if (json_object_get(request, "ersa")) {
        json_t *ersa = caps_json(e->caps);
        if (e->was_restored)
            json_object_set_new(ersa, "known", json_true());
        if (e->is_back)
            json_object_set_new(ersa, "again", json_true());
        json_object_set_new(content, "ersa", ersa);
    }
    return content;
}

static void decline(struct query *q, struct slice uuid, int rc, const struct ersa_error *err)
{
    log_error("registration::registration of %.*s failed: %s", SLICE_FMT(uuid), err->text);
    if (rc == ERSA_EEXIST && q->link->engine) /* it is there still, by another way maybe */
        q->link->engine->is_relayed |= q->link->is_relayed;
    hub_reply_orphan(q, "registration_reply",
                     rc == ERSA_EEXIST ? error_content_key(err->text)
                                       : error_content("RuntimeError", err->text));
}

static void enter(struct query *q, struct slice uuid, int64_t wish)
{
    struct router *r = q->r;
    unsigned caps = r->cfg.caps & caps_read(q->content);
    if (!link_is_attached(q->link))
        caps &= ~(unsigned)CAP_attach; /* it could, but it is not */
    bool is_known = registry_by_uuid(&r->registry, uuid);
    struct engine *e;
    struct ersa_error err = {0};
    int rc = start_engine(r, uuid, wish, caps, &e, &err);
    if (rc == ERSA_EEXIST && is_repeated(e, q->content)) {
        log_info("registration::registration %" PRId64 ":%.*s asks again", e->id,
                 SLICE_FMT(uuid));
    } else if (rc < 0) {
        decline(q, uuid, rc, &err);
        return;
    } else {
        log_info("registration::accepting registration %" PRId64 ":%.*s", e->id,
                 SLICE_FMT(uuid));
        snprintf(e->attempt, sizeof(e->attempt), "%s", attempt_of(q->content));
        e->was_restored = is_known;
        e->is_back = is_back(q->content);
    }
    e->is_relayed |= q->link->is_relayed;
    hub_reply_orphan(q, "registration_reply", accepted(r, e, q->content));
    direct_on_connected(e);
    if (!engine_says_ready(e))
        heart_hurry(r);
}

void registration_on_request(struct query *q)
{
    const json_t *uuid = json_object_get(q->content, "uuid");
    int64_t wish;
    if (!uuid) {
        log_error("registration::queue not specified");
    } else if (!json_is_string(uuid)) {
        hub_error(q, "TypeError", "uuid must be a string");
    } else if (!is_identity(json_string_value(uuid), json_string_length(uuid))) {
        hub_error(q, "ValueError", "uuid must be 1 to 255 octets and an identity");
    } else if (read_wish(q->content, &wish) < 0) {
        hub_error(q, "TypeError", "id must be an integer");
    } else {
        struct slice id = {json_string_value(uuid), json_string_length(uuid)};
        comeback_tells(q->r->sched, id, last_begun(q->content));
        link_find_relay(q->link, json_str(json_object_get(q->content, "ersa"), "address"));
        enter(q, id, wish);
    }
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

/* Tasks under way when it ended, whose `ersa_begun` may not have arrived; and those before. */
static void note_begun(struct router *r, struct engine *e, const json_t *ids)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (json_is_string(id))
            sched_begun(r->sched, &e->task,
                        (struct slice){json_string_value(id), json_string_length(id)});
    }
    comeback_tells(r->sched, e->uuid, last_of(ids));
}

void registration_on_unregister(struct query *q)
{
    struct engine *e = find_leaver(q);
    const json_t *ersa = json_object_get(q->content, "ersa");
    const json_t *begun = json_object_get(ersa, "begun");
    if (e && begun)
        note_begun(q->r, e, begun);
    if (!e && begun) /* it came back for these words only */
        comeback_tells(q->r->sched, link_identity(q->link), last_of(begun));
    if (!e)
        return;
    const char *cause = json_str(ersa, "cause");
    char text[CAUSE_MAX];
    if (cause)
        snprintf(text, sizeof(text), "%s", cause);
    engine_end(e, EV_UNREGISTER, cause ? text : NULL);
}

void registration_on_shutdown(struct router *r, struct engine *e, struct slice metadata)
{
    json_t *words = json_parse(metadata, NULL);
    const json_t *begun = json_object_get(json_object_get(words, "ersa"), "begun");
    if (begun)
        note_begun(r, e, begun);
    json_decref(words);
    engine_end(e, EV_UNREGISTER, "shut down on request");
}

void registration_on_ready(struct query *q)
{
    struct engine *e = q->link->engine;
    if (!e || !engine_says_ready(e)) {
        link_reject(q->link, REJECT_STRANGER);
        return;
    }
    const char *own = json_str(q->content, "address");
    free(e->task_end);
    e->task_end = own ? str_dup(own) : NULL;
    engine_ready(e);
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

/* One that can't be reached is not announced, and what it had stays its own in the meantime. */
static bool is_reachable(const struct router *r, struct slice uuid)
{
    static const enum route routes[] = {RT_MUX_ENGINE, RT_TASK_ENGINE, RT_CONTROL_ENGINE};
    if (ports_find(r, RT_ATTACH, uuid))
        return true;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (!ports_find(r, routes[i], uuid))
            return false;
    return true;
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
        !registry_lost_heart(&r->registry, uuid, &id, &caps) || !is_reachable(r, uuid))
        return;
    if (start_engine(r, uuid, id, caps, &e, NULL) < 0)
        return;
    log_warn("heartbeat::the heart of engine %" PRId64 ":%.*s beats again", e->id,
             SLICE_FMT(uuid));
    e->is_revived = true;
    const struct link *asked = e->attach ? e->attach : e->links[CH_QUERY];
    const struct link *tasks = e->links[CH_TASK];
    e->is_relayed = (asked && asked->is_relayed) || (tasks && tasks->is_relayed);
    engine_ready(e);
}
