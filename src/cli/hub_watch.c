/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of the hub that wants to know one number; see hub_watch.h. */
#include "cli/hub_watch.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/str.h"
#include "wire/json.h"

#define FILE_POLL_NS MS_TO_NS(20)
#define SOON_NS MS_TO_NS(10)    /* many engines that register together are one question */
#define AGAIN_NS MS_TO_NS(2000) /* a notification may have come before we listened */
#define SCRATCH_MAX 4096

static void ask(struct hub_watch *w)
{
    struct frame frames[SESSION_FRAMES];
    struct outgoing o = {.msg_type = "connection_request", .content = SLICE_LIT("{}")};
    if (session_frames(w->session, &o, &w->scratch, frames) == 0)
        port_send(w->query, frames, SESSION_FRAMES);
    loop_after(w->loop, &w->timer, AGAIN_NS);
}

static void on_query_up(void *ctx, struct peer *p)
{
    ask(ctx);
}

static void on_notification(void *ctx, struct peer *p, const struct msg *m)
{
    struct hub_watch *w = ctx;
    loop_after(w->loop, &w->timer, SOON_NS);
}

static void on_reply(void *ctx, struct peer *p, const struct msg *m)
{
    struct hub_watch *w = ctx;
    struct parts parts;
    if (parts_split(m->frames, m->n, &parts) < 0 || session_verify(w->session, &parts) < 0)
        return;
    json_t *content = json_parse(parts.content, NULL);
    const json_t *engines = json_object_get(content, "engines");
    size_t n = json_object_size(engines);
    bool is_answer = json_is_object(engines);
    json_decref(content);
    if (is_answer)
        w->fn(w->ctx, n, NULL);
}

static const struct port_ops query_ops = {.peer_up = on_query_up, .message = on_reply};
static const struct port_ops notification_ops = {.message = on_notification};

static int open_port(struct hub_watch *w, struct port **ret, enum port_kind kind, int number,
                     struct ersa_error *err)
{
    const char *id = session_id(w->session);
    struct port_config cfg = {
        .kind = kind,
        .name = "hub",
        .identity = kind == PORT_DEALER ? id : NULL,
        .identity_len = kind == PORT_DEALER ? strlen(id) : 0,
        .ops = kind == PORT_DEALER ? &query_ops : &notification_ops,
        .ctx = w,
        .reconnect_min_ms = 50,
        .curve = w->conn.curve_serverkey ? &w->curve : NULL,
    };
    CLEANUP(free_ptr) char *url = connection_url(w->interface, number);
    *ret = url ? port_new(w->wire, &cfg, err) : NULL;
    if (!*ret)
        return ERSA_ENOMEM;
    return port_connect(*ret, url, err);
}

static int check(struct hub_watch *w, struct ersa_error *err)
{
    const struct connection_info *c = &w->conn;
    if (strcmp(c->pack, "json") != 0 && strcmp(c->pack, "orjson") != 0)
        return err_set(err, ERSA_EUNSUPPORTED, "its messages are packed as '%s'", c->pack);
    if (*c->ssh)
        return err_set(err, ERSA_EUNSUPPORTED, "it is behind an ssh tunnel");
    if (!c->curve_serverkey)
        return 0;
    curve_keys_make(&w->curve.own);
    return curve_key_parse(w->curve.server, c->curve_serverkey) < 0
               ? err_set(err, ERSA_EINVAL, "its curve_serverkey is no key of CURVE")
               : 0;
}

static int open_ports(struct hub_watch *w, struct ersa_error *err)
{
    int rc = check(w, err);
    if (rc < 0)
        return rc;
    w->interface = connection_interface(&w->conn, NULL);
    w->wire = wire_new(w->loop, NULL);
    if (!w->interface || !w->wire)
        return ERSA_ENOMEM;
    const char *key = w->conn.key;
    rc = session_new(&w->session, key, strlen(key), w->conn.signature_scheme, NULL, NULL, err);
    if (rc == 0)
        rc = open_port(w, &w->notification, PORT_SUB, w->conn.notification, err);
    if (rc == 0)
        rc = port_subscribe(w->notification, "", 0);
    return rc == 0 ? open_port(w, &w->query, PORT_DEALER, w->conn.registration, err) : rc;
}

/* Until the file is there; then until somebody has an answer. */
static void on_timer(struct timer *t)
{
    struct hub_watch *w = container_of(t, struct hub_watch, timer);
    if (w->query) {
        ask(w);
        return;
    }
    if (connection_file_read(w->path, false, &w->conn, NULL) < 0) {
        loop_after(w->loop, t, FILE_POLL_NS);
        return;
    }
    struct ersa_error err = {0};
    int rc = open_ports(w, &err);
    if (rc == 0)
        return;
    if (!err.code)
        err_set(&err, rc, "%s", ersa_strerror(rc));
    w->fn(w->ctx, 0, &err);
}

int hub_watch_start(struct hub_watch *w, struct loop *l, const char *path, hub_watch_fn fn,
                    void *ctx)
{
    *w = (struct hub_watch){.loop = l, .timer.fn = on_timer, .fn = fn, .ctx = ctx};
    buf_init(&w->scratch, SCRATCH_MAX);
    w->path = str_dup(path);
    if (!w->path) {
        w->loop = NULL;
        return ERSA_ENOMEM;
    }
    loop_after(l, &w->timer, 0);
    return 0;
}

void hub_watch_stop(struct hub_watch *w)
{
    if (!w->loop)
        return;
    loop_cancel(w->loop, &w->timer);
    if (w->query)
        port_close(w->query, 0);
    if (w->notification)
        port_close(w->notification, 0);
    w->query = w->notification = NULL;
    w->loop = NULL;
}

void hub_watch_fini(struct hub_watch *w)
{
    hub_watch_stop(w);
    if (w->wire)
        wire_free(w->wire);
    if (w->session)
        session_free(w->session);
    connection_info_fini(&w->conn);
    curve_wipe(&w->curve, sizeof(w->curve));
    buf_fini(&w->scratch);
    free(w->path);
    free(w->interface);
    *w = (struct hub_watch){0};
}
