/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses, requests and simulated engines of the load generator (sim.h). An engine opens the
 * same eight connections as a stock one: registration DEALER, shell ROUTER to mux, task and its
 * broadcast leaf, control ROUTER, iopub PUB, heartbeat SUB and DEALER; or one DEALER for all
 * (extensions.md 2). */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "wire/jscan.h"
#include "wire/json.h"

struct sim_engine {
    const struct sim_target *target; /* borrowed */
    struct session *session;
    struct port *registration, *shell, *control, *iopub, *ping, *pong;
    struct port *attach; /* instead of all of them */
    bool publishes;
    struct buf scratch;
    char uuid[RAND_SESSION_ID_LEN + 1];
    char topic[32];
    long long id;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "simulation: %s: %s\n", what, why);
    exit(1);
}

/* ---- addresses ----------------------------------------------------------------------------
 */

static int port_of(const json_t *file, const char *key)
{
    return (int)json_integer_value(json_object_get(file, key));
}

static json_t *load(const char *path)
{
    json_error_t why;
    json_t *file = json_load_file(path, 0, &why);
    if (!file)
        die(path, why.text);
    return file;
}

void sim_target_load(struct sim_target *t, const char *client_file, const char *engine_file)
{
    json_t *client = load(client_file), *engine = load(engine_file);
    const char *interface = json_str(client, "interface"), *key = json_str(client, "key");

    snprintf(t->interface, sizeof t->interface, "%s", interface ? interface : "");
    snprintf(t->key, sizeof t->key, "%s", key ? key : "");
    t->broker = json_is_true(json_object_get(client, "broker"));
    t->registration = port_of(client, "registration");
    t->notification = port_of(client, "notification");
    t->client_task = port_of(client, "task");
    t->client_mux = port_of(client, "mux");
    t->client_iopub = port_of(client, "iopub");
    t->engine_task = port_of(engine, "task");
    t->engine_mux = port_of(engine, "mux");
    t->engine_control = port_of(engine, "control");
    t->engine_iopub = port_of(engine, "iopub");
    t->hb_ping = port_of(engine, "hb_ping");
    t->hb_pong = port_of(engine, "hb_pong");
    t->attach = port_of(json_object_get(engine, "ersa"), "attach");
    const json_t *leaves = json_object_get(engine, "broadcast");
    t->n_leaves = 0;
    for (size_t i = 0; i < json_array_size(leaves) && i < SIM_LEAVES_MAX; i++)
        t->leaves[t->n_leaves++] = (int)json_integer_value(json_array_get(leaves, i));
    const char *server = json_str(engine, "curve_serverkey");
    t->has_curve = server != NULL;
    if (t->has_curve) {
        curve_keys_make(&t->curve.own);
        if (curve_key_parse(t->curve.server, server) < 0)
            die(engine_file, "curve_serverkey is no key");
    }
    json_decref(client);
    json_decref(engine);
}

void sim_connect(struct port *p, const struct sim_target *t, int port)
{
    struct ersa_error err = {0};
    char endpoint[PORT_ENDPOINT_MAX];
    snprintf(endpoint, sizeof endpoint, "%s:%d", t->interface, port);
    if (port_connect(p, endpoint, &err))
        die(endpoint, err.text);
}

struct port *sim_port(struct wire *w, const struct sim_target *t, enum port_kind kind,
                      const char *identity, const struct port_ops *ops, void *ctx, int to)
{
    struct ersa_error err = {0};
    struct port_config cfg = {.kind = kind,
                              .name = "sim",
                              .identity = identity,
                              .identity_len = identity ? strlen(identity) : 0,
                              .ops = ops,
                              .ctx = ctx,
                              .prio = LOOP_NORMAL,
                              .curve = t->has_curve ? &t->curve : NULL};
    struct port *p = port_new(w, &cfg, &err);
    if (!p)
        die("port", err.text);
    if (to)
        sim_connect(p, t, to);
    return p;
}

/* ---- requests -----------------------------------------------------------------------------
 */

/* As large as a stock client's `lambda x: x`, its call info and a small argument. */
static const uint8_t function_buffer[560], info_buffer[52], argument_buffer[5];
static uint64_t requested_bytes;

uint64_t sim_requested_bytes(void)
{
    return requested_bytes;
}

int sim_request(struct port *p, struct session *s, struct buf *scratch, const char *engine)
{
    static const char metadata[] =
        "{\"targets\": [], \"follow\": [], \"after\": [], \"timeout\": null, "
        "\"retries\": 0, \"label\": null}";
    struct outgoing o = {.msg_type = "apply_request", .metadata = SLICE_LIT(metadata)};
    struct frame frames[1 + SESSION_FRAMES + 3];
    unsigned n = 0;

    if (engine)
        frames[n++] = (struct frame){(const uint8_t *)engine, strlen(engine), NULL};
    int rc = session_frames(s, &o, scratch, frames + n);
    if (rc)
        return rc;
    n += SESSION_FRAMES;
    frames[n++] = (struct frame){function_buffer, sizeof function_buffer, NULL};
    frames[n++] = (struct frame){info_buffer, sizeof info_buffer, NULL};
    frames[n++] = (struct frame){argument_buffer, sizeof argument_buffer, NULL};
    for (unsigned i = 0; i < n; i++)
        requested_bytes += frames[i].len;
    return port_send(p, frames, n);
}

/* ---- engines ------------------------------------------------------------------------------
 */

static void publish_status(struct sim_engine *e, struct slice parent, const char *content)
{
    struct frame frames[2 + SESSION_FRAMES];
    struct outgoing o = {
        .msg_type = "status", .parent = parent, .content = {content, strlen(content)}};
    frames[0] = FRAME_LIT("iopub");
    frames[1] = (struct frame){(const uint8_t *)e->topic, strlen(e->topic), NULL};
    if (session_frames(e->session, &o, &e->scratch, frames + 2))
        return;
    if (e->attach)
        port_send(e->attach, frames, 2 + SESSION_FRAMES);
    else
        port_publish(e->iopub, frames + 1, 1 + SESSION_FRAMES);
}

/* A note to the scheduler: what it is about is the parent, the envelope as given. */
static void send_note(struct sim_engine *e, struct peer *p, const char *type,
                      const struct parts *about, struct slice parent, struct slice content)
{
    struct frame frames[4 + SESSION_FRAMES];
    struct outgoing o = {.msg_type = type, .parent = parent, .content = content};
    memcpy(frames, about->idents, about->n_idents * sizeof *frames);
    if (session_frames(e->session, &o, &e->scratch, frames + about->n_idents) == 0)
        peer_send(p, frames, about->n_idents + SESSION_FRAMES);
}

static void on_request(void *ctx, struct peer *p, const struct msg *m)
{
    static const uint8_t none[] = {0x80, 4, 'N', '.'};
    struct sim_engine *e = ctx;
    struct parts parts;
    char metadata[400], started[CLOCK_ISO_MAX];

    if (parts_split(m->frames, m->n, &parts))
        return;
    struct jfield type = {.key = "msg_type"};
    if (parts.n_idents > 4 || jscan(parts.header, &type, 1))
        return;
    if (slice_is(type.raw, "ersa_recall")) /* all has been answered already */
        send_note(e, p, "ersa_recalled", &parts, parts.header, SLICE_LIT("{\"msg_ids\": []}"));
    if (!slice_is(type.raw, "apply_request"))
        return;
    if (e->attach && slice_is(frame_slice(&parts.idents[0]), "task"))
        send_note(e, p, "ersa_begun", &parts, parts.header, SLICE_LIT("{}"));
    if (e->publishes)
        publish_status(e, parts.header, "{\"execution_state\": \"busy\"}");
    clock_iso(clock_utc_us(), started);
    int len =
        snprintf(metadata, sizeof metadata,
                 "{\"started\": \"%s\", \"dependencies_met\": true, \"engine\": \"%s\", "
                 "\"is_broadcast\": false, \"is_coalescing\": false, \"original_msg_id\": "
                 "\"\", \"label\": null, \"status\": \"ok\"}",
                 started, e->uuid);
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = parts.header,
                         .metadata = {metadata, (size_t)len},
                         .content = SLICE_LIT("{\"status\": \"ok\"}")};
    struct frame frames[4 + SESSION_FRAMES + 1];
    memcpy(frames, parts.idents, parts.n_idents * sizeof *frames);
    if (session_frames(e->session, &o, &e->scratch, frames + parts.n_idents))
        return;
    unsigned n = parts.n_idents + SESSION_FRAMES;
    frames[n++] = (struct frame){none, sizeof none, NULL};
    peer_send(p, frames, n);
    if (e->publishes)
        publish_status(e, parts.header, "{\"execution_state\": \"idle\"}");
}

static void send_query(struct sim_engine *e, const char *type, const char *content)
{
    struct frame frames[1 + SESSION_FRAMES] = {FRAME_LIT("query")};
    struct outgoing o = {.msg_type = type, .content = {content, strlen(content)}};
    if (session_frames(e->session, &o, &e->scratch, frames + 1))
        return;
    if (e->attach)
        port_send(e->attach, frames, 1 + SESSION_FRAMES);
    else if (e->registration)
        port_send(e->registration, frames + 1, SESSION_FRAMES);
}

static void on_registered(void *ctx, struct peer *p, const struct msg *m)
{
    struct sim_engine *e = ctx;
    struct parts parts;
    struct jfield f[] = {{.key = "status"}, {.key = "id"}};

    if (parts_split(m->frames, m->n, &parts) || jscan(parts.content, f, 2) ||
        !slice_is(f[0].raw, "ok"))
        die("registration", "refused");
    e->id = atoll(f[1].raw.data);
    snprintf(e->topic, sizeof e->topic, "engine.%lld.status", e->id);
    if (e->target->registered)
        ++*e->target->registered;
    if (e->attach) {
        send_query(e, "ersa_ready", "{}");
        return;
    }
    if (e->target->n_leaves)
        sim_connect(e->shell, e->target, e->target->leaves[e->id % e->target->n_leaves]);
    sim_connect(e->ping, e->target, e->target->hb_ping);
}

static void on_ping(void *ctx, struct peer *p, const struct msg *m)
{
    struct sim_engine *e = ctx;
    port_send(e->pong, m->frames, m->n);
}

/* What comes over the one connection: by the channel in front. */
static void on_attached(void *ctx, struct peer *p, const struct msg *m)
{
    struct slice channel = m->n ? frame_slice(&m->frames[0]) : (struct slice){0};
    if (slice_is(channel, "hb"))
        peer_send(p, m->frames, m->n);
    else if (slice_is(channel, "task") || slice_is(channel, "mux"))
        on_request(ctx, p, m);
    else if (slice_is(channel, "query") && ((struct sim_engine *)ctx)->id < 0)
        on_registered(ctx, p, m);
}

static struct port *open_port(struct sim_engine *e, struct wire *w, enum port_kind kind,
                              const struct port_ops *ops, int to)
{
    return sim_port(w, e->target, kind, e->uuid, ops, e, to);
}

struct sim_engine *sim_engine_new(struct loop *l, struct wire *w, const struct sim_target *t,
                                  bool iopub, bool attached)
{
    static const struct port_ops attach_ops = {.message = on_attached};
    static const struct port_ops request_ops = {.message = on_request};
    static const struct port_ops registration_ops = {.message = on_registered};
    static const struct port_ops ping_ops = {.message = on_ping};
    static const struct port_ops no_ops = {0};
    struct ersa_error err = {0};
    struct sim_engine *e = calloc(1, sizeof *e);

    if (!e)
        die("engine", "out of memory");
    e->target = t;
    e->publishes = iopub;
    e->id = -1;
    rand_session_id(e->uuid);
    snprintf(e->topic, sizeof e->topic, "engine.0.status");
    buf_init(&e->scratch, 1 << 20);
    if (session_new(&e->session, t->key, strlen(t->key), "hmac-sha256", e->uuid, "bench", &err))
        die("session", err.text);
    char content[200];
    if (attached) {
        if (!t->attach)
            die("attach", "the controller has no such port");
        e->attach = open_port(e, w, PORT_DEALER, &attach_ops, t->attach);
        snprintf(content, sizeof content,
                 "{\"uuid\": \"%s\", \"ersa\": {\"v\": 1, \"caps\": [\"attach\", \"ready\", "
                 "\"begun\", \"recall\"]}}",
                 e->uuid);
        send_query(e, "registration_request", content);
        return e;
    }
    e->shell = open_port(e, w, PORT_ROUTER, &request_ops, t->engine_mux);
    if (t->engine_task)
        sim_connect(e->shell, t, t->engine_task);
    e->iopub = open_port(e, w, PORT_PUB, &no_ops, t->engine_iopub);
    if (t->broker)
        return e;
    e->control = open_port(e, w, PORT_ROUTER, &no_ops, t->engine_control);
    e->pong = open_port(e, w, PORT_DEALER, &no_ops, t->hb_pong);
    e->ping = open_port(e, w, PORT_SUB, &ping_ops, 0);
    port_subscribe(e->ping, "", 0);
    e->registration = open_port(e, w, PORT_DEALER, &registration_ops, t->registration);

    snprintf(content, sizeof content, "{\"uuid\": \"%s\"}", e->uuid);
    send_query(e, "registration_request", content);
    return e;
}

void sim_engine_leave(struct sim_engine *e)
{
    char content[40];
    snprintf(content, sizeof content, "{\"id\": %lld}", e->id);
    send_query(e, "unregistration_request", content);
}

void sim_engine_free(struct sim_engine *e)
{
    struct port *ports[] = {e->registration, e->shell, e->control, e->iopub,
                            e->ping,         e->pong,  e->attach};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
        if (ports[i])
            port_close(ports[i], 0);
    session_free(e->session);
    buf_fini(&e->scratch);
    free(e);
}

const char *sim_engine_uuid(const struct sim_engine *e)
{
    return e->uuid;
}
