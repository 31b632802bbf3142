/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies have no parent: they are told by the socket and their type. */
#include "engine/core.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "wire/caps.h"
#include "wire/json.h"

#define RETRY_MS 300
#define HB_PERIOD_MS 3000 /* where the hub does not say */
#define HB_PERIOD_MAX 86400000
#define TYPE_MAX 64

static void send_json(struct engine *e, const char *msg_type, json_t *content)
{
    CLEANUP(free_ptr) char *text = content ? json_text(content) : NULL;
    if (text)
        engine_send_query(e, msg_type, (struct slice){text, strlen(text)});
    else
        log_error("out of memory: a %s message is lost", msg_type);
    json_decref(content);
}

static int64_t wish(const struct engine *e)
{
    return e->id >= 0 ? e->id : e->cfg.wish;
}

json_t *registration_begun(const struct engine *e)
{
    json_t *ids = json_array();
    if (e->last_begun.len)
        json_array_append_new(ids, json_lossy(buf_slice(&e->last_begun)));
    return ids;
}

void registration_send(struct engine *e)
{
    json_t *content = json_pack("{s:s}", "uuid", session_id(e->session));
    if (wish(e) >= 0)
        json_object_set_new(content, "id", json_integer(wish(e)));
    if (e->cfg.conn->is_ersa) {
        json_t *ersa = caps_json(e->cfg.caps);
        json_object_set_new(ersa, "attempt", json_string(e->registration.attempt));
        if (e->id >= 0 && !channels_is_one(&e->channels))
            json_object_set_new(ersa, "again", json_true());
        json_object_set_new(ersa, "begun", registration_begun(e));
        json_object_set_new(ersa, "address", json_string(channels_own_end(&e->channels)));
        json_object_set_new(content, "ersa", ersa);
    }
    send_json(e, "registration_request", content);
}

static void on_timeout(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, registration.timeout);
    log_critical("Registration timed out after %.1f seconds",
                 (double)e->cfg.registration_timeout_ms / 1e3);
    if (strstr(e->cfg.interface, "127."))
        log_critical("If the controller and engines are not on the same machine, you will have "
                     "to instruct the controller to listen on an external IP (in "
                     "ipcontroller_config.py): c.IPController.ip = '0.0.0.0'");
    life_stop(e, STOP_UNREGISTERED);
}

static void on_again(struct timer *t)
{
    struct engine *e = container_of(t, struct engine, registration.again);
    if (e->life.state == LIFE_REGISTERING)
        registration_send(e);
}

void registration_init(struct engine *e)
{
    e->registration.timeout.fn = on_timeout;
    e->registration.again.fn = on_again;
    rand_session_id(e->registration.attempt);
}

void registration_start(struct engine *e)
{
    loop_after(e->loop, &e->registration.timeout, MS_TO_NS(e->cfg.registration_timeout_ms));
}

void registration_fini(struct engine *e)
{
    loop_cancel(e->loop, &e->registration.timeout);
    loop_cancel(e->loop, &e->registration.again);
}

void registration_retry(struct engine *e)
{
    loop_after(e->loop, &e->registration.again, MS_TO_NS(RETRY_MS));
}

/* The first answer: from here on the engine has a name. */
static int take_id(struct engine *e, int64_t id)
{
    char name[40];
    snprintf(name, sizeof(name), "IPEngine.%" PRId64, id);
    log_set_name(name);
    if (e->cfg.wish >= 0 && e->cfg.wish != id)
        log_warn("asked for id %" PRId64 ", got %" PRId64, e->cfg.wish, id);
    int rc = reply_self_init(&e->self, session_id(e->session), id);
    if (rc == 0)
        rc = publish_prepare(&e->publish, id);
    if (rc < 0)
        return rc;
    e->id = id;
    return runtime_hello(e);
}

/* It is known what the attempt has led to. */
static void begin_anew(struct engine *e)
{
    rand_session_id(e->registration.attempt);
    e->registration.has_told_ready = false;
}

/* `known`: one that has the engine from an earlier run's file may have sent it something
 * already. `again`: it sends nothing before it hears that the engine has forgotten. */
static bool is_true(const json_t *content, const char *key)
{
    return json_is_true(json_object_get(json_object_get(content, "ersa"), key));
}

static void on_accepted(struct engine *e, const json_t *content)
{
    struct ersa_error err = {0};
    int64_t id = json_integer_value(json_object_get(content, "id"));
    int64_t period = json_integer_value(json_object_get(content, "hb_period"));
    bool is_first = e->id < 0;
    e->registration.hb_period_ms = period > 0 && period < HB_PERIOD_MAX ? period : HB_PERIOD_MS;
    begin_anew(e);
    e->registration.has_to_tell = is_true(content, "again");
    e->caps = e->cfg.caps & caps_read(content);
    loop_cancel(e->loop, &e->registration.timeout);
    if (!is_first && id != e->id)
        log_warn("registered again, but with id %" PRId64 ": user code still knows the old one",
                 id);
    if (!is_first && !is_true(content, "known"))
        life_lose_place(e);
    int rc = is_first ? take_id(e, id) : 0;
    if (rc < 0)
        err_set(&err, rc, "%s", ersa_strerror(rc));
    else
        rc = channels_serve(&e->channels, id, &err);
    if (rc < 0) {
        log_critical("the engine can't begin: %s", err.text);
        life_stop(e, STOP_FAILED);
        return;
    }
    log_info("Completed registration with id %" PRId64, id);
    if (is_first)
        heart_start(e, e->registration.hb_period_ms);
    life_event(e, EV_REGISTERED);
}

/* Only the hub's connection was lost, or all were back before the controller minded. */
static bool is_kept(const struct engine *e, const char *ename)
{
    return e->id >= 0 && !channels_is_one(&e->channels) && ename &&
           strcmp(ename, "KeyError") == 0;
}

static void on_refused(struct engine *e, const json_t *content)
{
    const char *ename = json_str(content, "ename"), *evalue = json_str(content, "evalue");
    if (is_kept(e, ename)) {
        log_info("connected again, still registered with id %" PRId64, e->id);
        begin_anew(e);
        life_event(e, EV_KEPT);
        return;
    }
    if (e->id < 0)
        log_critical("Registration Failed: %s: %s", ename ? ename : "?", evalue ? evalue : "");
    else
        log_warn("registration is refused, trying again: %s", evalue ? evalue : "");
    life_event(e, EV_REFUSED);
}

static void on_reply(struct engine *e, const json_t *content)
{
    const char *status = json_str(content, "status");
    if (e->life.state != LIFE_REGISTERING)
        return;
    if (status && strcmp(status, "ok") == 0 && json_is_integer(json_object_get(content, "id")))
        on_accepted(e, content);
    else
        on_refused(e, content);
}

void registration_on_message(struct engine *e, const struct frame *frames, unsigned n)
{
    struct parts p;
    struct jfield type = {.key = "msg_type"};
    char buf[TYPE_MAX];
    struct slice name;
    if (parts_split(frames, n, &p) < 0 || jscan(p.header, &type, 1) < 0 ||
        jscan_string(&type, buf, sizeof(buf), &name) < 0) {
        engine_reject(e, "it is no message of the protocol");
        return;
    }
    if (session_verify(e->session, &p) < 0 || replay_check(e->replay, p.signature) < 0) {
        engine_reject(e, "its signature is wrong, or was seen before");
        return;
    }
    json_t *content = json_parse(p.content, NULL);
    if (slice_is(name, "registration_reply"))
        on_reply(e, content);
    else
        log_debug("the hub sent a %.*s", SLICE_FMT(name));
    json_decref(content);
}

void registration_ready(struct engine *e)
{
    if (!(e->caps & CAP_ready || e->registration.has_to_tell) ||
        e->registration.has_told_ready || e->life.state != LIFE_SERVING ||
        !e->runtime.is_ready || !channels_is_served(&e->channels))
        return;
    e->registration.has_told_ready = true;
    send_json(e, "ersa_ready",
              json_pack("{s:I, s:s*}", "id", (json_int_t)e->id, "address",
                        channels_task_end(&e->channels)));
}

void registration_leave(struct engine *e, const char *cause)
{
    if (e->life.is_unregistered)
        return;
    e->life.is_unregistered = true;
    json_t *id = wish(e) >= 0 ? json_integer(wish(e)) : json_null();
    json_t *content = json_pack("{s:o}", "id", id);
    json_t *ersa = json_object();
    if (e->caps & CAP_death_cause && cause)
        json_object_set_new(ersa, "cause", json_lossy((struct slice){cause, strlen(cause)}));
    if (e->caps & CAP_begun)
        json_object_set_new(ersa, "begun", registration_begun(e));
    if (json_object_size(ersa))
        json_object_set(content, "ersa", ersa);
    json_decref(ersa);
    send_json(e, "unregistration_request", content);
}
