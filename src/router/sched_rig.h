/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests: a scheduler between two pretended sides. What it sends is noted down, and asserted
 * after the call; time is the test's. */
#ifndef ERSA_ROUTER_SCHED_RIG_H
#define ERSA_ROUTER_SCHED_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/sched_task.h"
#include "util/buf.h"
#include "util/log.h"
#include "wire/jscan.h"

#define RIG_ENGINES 4
#define RIG_NOTES 8192
#define RIG_TEXT 256

struct rig_engine {
    struct sched_engine e;
    struct session *session;
    char uuid[16];
    int done;
};

struct rig_note {
    enum { TO_ENGINE, TO_CLIENT, EVENT } kind;
    int engine;             /* number in the rig, -1: none */
    enum sched_event event; /* EVENT */
    unsigned n;             /* frames in front of the delimiter */
    char first[32];         /* the first of them */
    char id[64], metadata[RIG_TEXT], content[2 * RIG_TEXT], type[32];
};

struct rig {
    struct loop *loop;
    int64_t now_ns;
    struct session *session;
    struct sched *s;
    struct rig_engine engines[RIG_ENGINES];
    struct rig_note notes[RIG_NOTES];
    size_t n, read; /* noted, asserted */
    struct buf scratch;
};

static inline void rig_copy(char *out, size_t cap, struct slice s)
{
    snprintf(out, cap, "%.*s", (int)s.len, s.data ? s.data : "");
}

static inline struct rig_note *rig_note(struct rig *r)
{
    struct rig_note *n = &r->notes[r->n < RIG_NOTES - 1 ? r->n++ : r->n];
    *n = (struct rig_note){.engine = -1};
    return n;
}

static inline void rig_read(struct rig_note *note, const struct frame *frames, unsigned n)
{
    struct parts p;
    if (parts_split(frames, n, &p) < 0)
        return;
    struct jfield type = {.key = "msg_type"}, id = {.key = "msg_id"};
    jscan(p.header, &type, 1);
    jscan(note->kind == TO_ENGINE ? p.header : p.parent, &id, 1);
    rig_copy(note->type, sizeof(note->type), type.raw);
    rig_copy(note->id, sizeof(note->id), id.raw);
    rig_copy(note->metadata, sizeof(note->metadata), p.metadata);
    rig_copy(note->content, sizeof(note->content), p.content);
    note->n = p.n_idents;
    if (p.n_idents)
        rig_copy(note->first, sizeof(note->first), frame_slice(&p.idents[0]));
}

static inline int rig_number(struct rig *r, const struct sched_engine *e)
{
    for (int i = 0; i < RIG_ENGINES; i++)
        if (&r->engines[i].e == e)
            return i;
    return -1;
}

static inline void rig_to_engine(void *ctx, struct sched_engine *e, const struct frame *frames,
                                 unsigned n)
{
    struct rig *r = ctx;
    struct rig_note *note = rig_note(r);
    note->kind = TO_ENGINE;
    rig_read(note, frames, n);
    note->engine = rig_number(r, e);
}

static inline void rig_to_client(void *ctx, struct slice client, const struct frame *frames,
                                 unsigned n, struct sched_engine *source)
{
    struct rig *r = ctx;
    struct rig_note *note = rig_note(r);
    note->kind = TO_CLIENT;
    rig_read(note, frames, n);
    note->engine = source ? rig_number(r, source) : -1;
}

static inline void rig_event(void *ctx, enum sched_event ev, struct slice msg_id,
                             struct slice uuid, const struct parts *m)
{
    struct rig *r = ctx;
    struct rig_note *note = rig_note(r);
    note->kind = EVENT;
    note->event = ev;
    rig_copy(note->id, sizeof(note->id), msg_id);
    rig_copy(note->first, sizeof(note->first), uuid);
}

static inline void rig_done(void *ctx, struct sched_engine *e)
{
    struct rig *r = ctx;
    r->engines[rig_number(r, e)].done++;
}

static inline struct rig *rig_new(const struct sched_config *cfg)
{
    static const struct sched_ops ops = {rig_to_engine, rig_to_client, rig_event};
    struct rig *r = calloc(1, sizeof(*r));
    struct ersa_error err = {0};
    log_set_level(LOG_CRITICAL);
    r->loop = loop_new();
    r->now_ns = 1000000000;
    loop_set_clock(r->loop, r->now_ns);
    buf_init(&r->scratch, 65536);
    int rc = session_new(&r->session, "key", 3, "hmac-sha256", "client-session", "t", &err);
    if (rc == 0)
        rc = sched_new(&r->s, r->loop, r->session, cfg, &ops, r, &err);
    for (int i = 0; i < RIG_ENGINES && rc == 0; i++) {
        struct rig_engine *e = &r->engines[i];
        snprintf(e->uuid, sizeof(e->uuid), "U%d", i);
        rc = session_new(&e->session, "key", 3, "hmac-sha256", e->uuid, "t", &err);
    }
    if (rc < 0)
        fail_msg("%s", err.text);
    return r;
}

static inline void rig_free(struct rig *r)
{
    sched_free(r->s);
    for (int i = 0; i < RIG_ENGINES; i++)
        session_free(r->engines[i].session);
    session_free(r->session);
    buf_fini(&r->scratch);
    loop_free(r->loop);
    free(r);
}

static inline int rig_teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static inline void rig_pass_ms(struct rig *r, int64_t ms)
{
    r->now_ns += MS_TO_NS(ms);
    loop_set_clock(r->loop, r->now_ns);
    loop_turn(r->loop, 0);
}

static inline void rig_init_engine(struct rig *r, int i, bool tells_begun)
{
    struct rig_engine *e = &r->engines[i];
    sched_engine_init(r->s, &e->e, (struct slice){e->uuid, strlen(e->uuid)}, tells_begun,
                      tells_begun);
}

static inline void rig_add(struct rig *r, int i)
{
    rig_init_engine(r, i, true);
    assert_int_equal(sched_engine_add(r->s, &r->engines[i].e), 0);
}

static inline void rig_add_stock(struct rig *r, int i)
{
    rig_init_engine(r, i, false);
    assert_int_equal(sched_engine_add(r->s, &r->engines[i].e), 0);
}

static inline void rig_begun(struct rig *r, int i, const char *id)
{
    sched_begun(r->s, &r->engines[i].e, (struct slice){id, strlen(id)});
}

static inline void rig_gone(struct rig *r, int i, bool reported, const char *cause)
{
    sched_engine_gone(r->s, &r->engines[i].e, reported ? END_OVER : END_LOST, cause, rig_done);
}

/* From client `client`, under that id. */
static inline int rig_submit_from(struct rig *r, const char *client, const char *id,
                                  const char *metadata)
{
    struct frame f[SESSION_FRAMES + 2];
    struct outgoing o = {
        .msg_type = "apply_request", .msg_id = id, .metadata = {metadata, strlen(metadata)}};
    assert_int_equal(session_frames(r->session, &o, &r->scratch, f), 0);
    f[SESSION_FRAMES] = FRAME_LIT("function");
    f[SESSION_FRAMES + 1] = FRAME_LIT("");
    struct msg m = {f, SESSION_FRAMES + 2};
    return sched_submit(r->s, (struct slice){client, strlen(client)}, &m);
}

static inline int rig_submit(struct rig *r, const char *id, const char *metadata)
{
    return rig_submit_from(r, "C", id, metadata);
}

/* From engine `i`, over the connection of `via`, NULL: of nobody who is there. */
static inline int rig_reply_over(struct rig *r, int i, struct sched_engine *via, const char *id,
                                 const char *metadata)
{
    struct frame f[1 + SESSION_FRAMES];
    char parent[128];
    int len = snprintf(parent, sizeof(parent), "{\"msg_id\": \"%s\"}", id);
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = {parent, (size_t)len},
                         .metadata = {metadata, strlen(metadata)}};
    f[0] = FRAME_LIT("whatever");
    assert_int_equal(session_frames(r->engines[i].session, &o, &r->scratch, f + 1), 0);
    struct msg m = {f, 1 + SESSION_FRAMES};
    return sched_reply(r->s, via, &m, NULL);
}

static inline int rig_reply_via(struct rig *r, int i, int via, const char *id,
                                const char *metadata)
{
    return rig_reply_over(r, i, &r->engines[via].e, id, metadata);
}

static inline int rig_reply_of_nobody(struct rig *r, int i, const char *id,
                                      const char *metadata)
{
    return rig_reply_over(r, i, NULL, id, metadata);
}

#define RIG_OK "{\"status\": \"ok\", \"dependencies_met\": true}"
#define RIG_ERROR "{\"status\": \"error\", \"dependencies_met\": true}"
#define RIG_UNMET "{\"status\": \"error\", \"dependencies_met\": false}"

static inline int rig_reply(struct rig *r, int i, const char *id, const char *metadata)
{
    return rig_reply_via(r, i, i, id, metadata);
}

/* The next note that is no event; NULL when there is none. */
static inline struct rig_note *rig_next(struct rig *r)
{
    while (r->read < r->n) {
        struct rig_note *n = &r->notes[r->read++];
        if (n->kind != EVENT)
            return n;
    }
    return NULL;
}

static inline void rig_expect_sent(struct rig *r, int engine, const char *id)
{
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_ENGINE);
    assert_string_equal(n->id, id);
    assert_int_equal(n->engine, engine);
}

/* A reply that an engine made. */
static inline void rig_expect_reply(struct rig *r, int engine, const char *id)
{
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_CLIENT);
    assert_string_equal(n->id, id);
    assert_int_equal(n->engine, engine);
    assert_string_equal(n->first, r->engines[engine].uuid);
}

/* An error that the scheduler made. */
static inline struct rig_note *rig_expect_error(struct rig *r, const char *id,
                                                const char *ename)
{
    struct rig_note *n = rig_next(r);
    assert_non_null(n);
    assert_int_equal(n->kind, TO_CLIENT);
    assert_int_equal(n->engine, -1);
    assert_string_equal(n->id, id);
    assert_string_equal(n->type, "apply_reply");
    struct jfield f[] = {{.key = "ename"}, {.key = "engine_info"}};
    assert_int_equal(jscan((struct slice){n->content, strlen(n->content)}, f, 2), 0);
    assert_true(slice_is(f[0].raw, ename));
    assert_true(slice_is(f[1].raw, "{}"));
    return n;
}

/* Submitted, and sent to that engine at once. */
static inline void rig_give(struct rig *r, int engine, const char *id, const char *metadata)
{
    rig_submit(r, id, metadata);
    rig_expect_sent(r, engine, id);
}

/* The engine answers, and its answer is passed on. */
static inline void rig_answer(struct rig *r, int engine, const char *id, const char *metadata)
{
    rig_reply(r, engine, id, metadata);
    rig_expect_reply(r, engine, id);
}

/* The whole life of a task that has no terms. */
static inline void rig_run(struct rig *r, int engine, const char *id, const char *metadata)
{
    rig_give(r, engine, id, "{}");
    rig_answer(r, engine, id, metadata);
}

static inline void rig_expect_nothing(struct rig *r)
{
    assert_null(rig_next(r));
}

#endif
