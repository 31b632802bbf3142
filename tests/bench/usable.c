/* SPDX-License-Identifier: BSD-3-Clause */
/* A client that waits until it has had a correct answer from each of N engines, which is what
 * *usable* means: for the key about a storm of registrations (keys_scale.py).
 *
 *     usable CLIENT_FILE ENGINE_FILE --engines N
 *
 * Prints `waiting` once it hears notifications. To each engine that is announced it sends an
 * apply_request of its own at once, by mux; an answer counts when it is signed, says `ok` and
 * names that engine. Ends when N different ones have answered, with one JSON object. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "util/clock.h"
#include "util/map.h"
#include "wire/jscan.h"

struct seen {
    bool answered;
    char uuid[RAND_SESSION_ID_LEN + 1];
};

struct client {
    struct loop *loop;
    struct wire *wire;
    struct sim_target target;
    struct session *session;
    struct port *mux, *notification;
    struct buf scratch;
    struct map engines; /* owned struct seen, by uuid */
    unsigned wanted, announced, answered, wrong;
    int64_t start_ns;
};

static void meet(struct client *c, struct slice uuid)
{
    if (uuid.len != RAND_SESSION_ID_LEN || map_get(&c->engines, uuid.data, uuid.len))
        return;
    struct seen *e = calloc(1, sizeof *e);
    if (!e)
        exit(1);
    memcpy(e->uuid, uuid.data, uuid.len);
    if (map_put(&c->engines, e->uuid, uuid.len, e) < 0 ||
        sim_request(c->mux, c->session, &c->scratch, e->uuid) < 0)
        exit(1);
    if (c->announced++ == 0)
        c->start_ns = clock_mono_ns();
}

static void on_notification(void *ctx, struct peer *p, const struct msg *m)
{
    struct client *c = ctx;
    struct parts parts;
    struct jfield type = {.key = "msg_type"}, uuid = {.key = "uuid"};
    if (parts_split(m->frames, m->n, &parts) || session_verify(c->session, &parts) ||
        jscan(parts.header, &type, 1) || jscan(parts.content, &uuid, 1)) {
        c->wrong++;
        return;
    }
    if (slice_is(type.raw, "registration_notification"))
        meet(c, uuid.raw);
}

static bool is_correct(struct client *c, const struct parts *parts, struct slice uuid)
{
    struct jfield type = {.key = "msg_type"}, status = {.key = "status"},
                  engine = {.key = "engine"};
    return session_verify(c->session, parts) == 0 && jscan(parts->header, &type, 1) == 0 &&
           jscan(parts->content, &status, 1) == 0 && jscan(parts->metadata, &engine, 1) == 0 &&
           slice_is(type.raw, "apply_reply") && slice_is(status.raw, "ok") &&
           slice_eq(engine.raw, uuid);
}

static void on_reply(void *ctx, struct peer *p, const struct msg *m)
{
    struct client *c = ctx;
    struct parts parts;
    if (parts_split(m->frames, m->n, &parts) || parts.n_idents != 1) {
        c->wrong++;
        return;
    }
    struct slice uuid = frame_slice(&parts.idents[0]);
    struct seen *e = map_get(&c->engines, uuid.data, uuid.len);
    if (!e || e->answered || !is_correct(c, &parts, uuid)) {
        c->wrong++;
        return;
    }
    e->answered = true;
    if (++c->answered == c->wanted)
        loop_stop(c->loop);
}

static struct port *open_port(struct client *c, enum port_kind kind, const struct port_ops *ops,
                              int to)
{
    struct port *p = sim_port(c->wire, &c->target, kind, NULL, ops, c, to);
    if (kind == PORT_SUB)
        port_subscribe(p, "", 0);
    while (port_peers(p) == 0)
        loop_turn(c->loop, 100);
    return p;
}

static void close_all(struct client *c)
{
    size_t pos = 0;
    for (struct seen *e; (e = map_next(&c->engines, &pos));)
        free(e);
    map_fini(&c->engines);
    port_close(c->mux, 0);
    port_close(c->notification, 0);
    wire_free(c->wire);
    loop_free(c->loop);
    session_free(c->session);
    buf_fini(&c->scratch);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"engines", required_argument, NULL, 'e'}, {0}};
    static const struct port_ops reply_ops = {.message = on_reply};
    static const struct port_ops notification_ops = {.message = on_notification};
    static struct client c;
    struct ersa_error err = {0};

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o != 'e')
            return 2;
        c.wanted = (unsigned)atoi(optarg);
    }
    if (argc - optind != 2 || c.wanted == 0) {
        fprintf(stderr, "usage: usable CLIENT_FILE ENGINE_FILE --engines N\n");
        return 2;
    }
    sim_target_load(&c.target, argv[optind], argv[optind + 1]);
    map_init(&c.engines);
    buf_init(&c.scratch, 1 << 20);
    c.loop = loop_new();
    c.wire = c.loop ? wire_new(c.loop, NULL) : NULL;
    if (!c.wire || session_new(&c.session, c.target.key, strlen(c.target.key), "hmac-sha256",
                               NULL, "bench", &err)) {
        fprintf(stderr, "usable: %s\n", err.text[0] ? err.text : "out of memory");
        return 1;
    }
    c.mux = open_port(&c, PORT_DEALER, &reply_ops, c.target.client_mux);
    c.notification = open_port(&c, PORT_SUB, &notification_ops, c.target.notification);
    puts("waiting");
    fflush(stdout);
    loop_run(c.loop);
    printf("{\"usable\": %u, \"announced\": %u, \"wrong\": %u, \"seconds\": %.3f}\n",
           c.answered, c.announced, c.wrong, (double)(clock_mono_ns() - c.start_ns) / 1e9);
    close_all(&c);
    return c.wrong != 0;
}
