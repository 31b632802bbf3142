/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the records thread share: the router's side of its rings. Mail goes into
 * one, answers come out of the other. Only tests include it. */
#ifndef ERSA_RECORDS_RECORDS_RIG_H
#define ERSA_RECORDS_RECORDS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "records/records.h"
#include "util/clock.h"
#include "wire/json.h"

#define DEADLINE_MS 10000
#define RING_CAP 64
#define SENT "2026-01-02T03:04:05.678901Z"
#define BEGUN "2026-01-02T03:04:06.000001Z"
#define DONE "2026-01-02T03:04:07Z"

struct seat {
    struct ring *in, *aside, *out;
    struct records *records;
};

/* The other side of the rings */

static inline void open_seat(struct seat *s, struct store *st)
{
    s->in = ring_new(RING_CAP);
    s->aside = ring_new(2);
    s->out = ring_new(2);
    struct records_rings rings = {s->in, s->aside, s->out};
    assert_int_equal(records_start(&s->records, st, &rings, NULL, NULL), 0);
}

static inline void open_memory(struct seat *s)
{
    struct store_limits limits = {.records = 100, .bytes = 1 << 20, .cull = 0.1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    open_seat(s, st);
}

static inline void close_seat(struct seat *s)
{
    struct mail *m;
    records_stop(s->records);
    while ((m = ring_pop(s->out)))
        mail_free(m);
    ring_free(s->in);
    ring_free(s->aside);
    ring_free(s->out);
}

static inline void nap(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static inline void post(struct seat *s, struct mail *m)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    m->now_us = 1767323050000000;
    while (ring_push(s->in, m) < 0) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
    ring_flush(s->in);
}

static inline struct slice text(const char *t)
{
    return (struct slice){t, strlen(t)};
}

static inline struct frame frame_of(const char *t)
{
    return (struct frame){(const uint8_t *)t, strlen(t), NULL};
}

/* Up to four buffers, ended by NULL. */
struct message {
    const char *header, *metadata, *content;
    const char *buffers[4];
};

#define MESSAGE_FRAMES 10

/* Returns how many frames it is. */
static inline unsigned frames_of(const struct message *m, struct frame f[MESSAGE_FRAMES])
{
    const char *const parts[] = {"<IDS|MSG>",
                                 "",
                                 m->header,
                                 "{}",
                                 m->metadata ? m->metadata : "{}",
                                 m->content ? m->content : "{}"};
    unsigned n = 0;
    for (; n < sizeof(parts) / sizeof(parts[0]); n++)
        f[n] = frame_of(parts[n]);
    for (int i = 0; i < 4 && m->buffers[i]; i++)
        f[n++] = frame_of(m->buffers[i]);
    return n;
}

static inline void tell(struct seat *s, enum mail_type type, char queue, const char *id,
                        const char *engine, const struct message *msg)
{
    struct frame f[MESSAGE_FRAMES];
    struct letter l = {.type = type, .queue = queue, .msg_id = text(id), .frames = f};
    if (engine)
        l.engine = text(engine);
    if (msg)
        l.n = frames_of(msg, f);
    post(s, mail_new(NULL, &l));
}

static inline void request(struct seat *s, char queue, const char *id, const char *engine,
                           const char *metadata)
{
    char header[256];
    snprintf(header, sizeof(header),
             "{\"msg_id\": \"%s\", \"msg_type\": \"apply_request\", \"session\": \"c0\", "
             "\"date\": \"" SENT "\"}",
             id);
    struct message m = {header, metadata, "{}", {"f", "args"}};
    tell(s, MAIL_REQUEST, queue, id, engine, &m);
}

static inline void result(struct seat *s, char queue, const char *id, const char *engine,
                          const char *content, const char *buffer)
{
    struct message m = {"{\"msg_id\": \"r\", \"msg_type\": \"apply_reply\", \"date\": \"" DONE
                        "\"}",
                        "{\"started\": \"" BEGUN "\", \"status\": \"ok\"}",
                        content,
                        {buffer}};
    tell(s, MAIL_RESULT, queue, id, engine, &m);
}

static inline void output(struct seat *s, const char *id, const char *type, const char *content)
{
    char header[64];
    snprintf(header, sizeof(header), "{\"msg_type\": \"%s\"}", type);
    struct message m = {header, NULL, content, {NULL}};
    tell(s, MAIL_IOPUB, 0, id, NULL, &m);
}

static inline void ask_with_engines(struct seat *s, const char *type, const char *content,
                                    const char *engines)
{
    char header[128];
    snprintf(header, sizeof(header), "{\"msg_id\": \"q\", \"msg_type\": \"%s\"}", type);
    struct message m = {header, NULL, content, {NULL}};
    struct frame f[MESSAGE_FRAMES];
    struct letter l = {MAIL_QUERY, 0, text("q"), text(engines), text("peer"), f, 0};
    l.n = frames_of(&m, f);
    post(s, mail_new(NULL, &l));
}

static inline struct mail *await_any(struct seat *s)
{
    struct mail *m;
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    while (!(m = ring_pop(s->out))) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
    return m;
}

static inline struct mail *await(struct seat *s)
{
    struct mail *m = await_any(s);
    assert_int_equal(m->type, MAIL_ANSWER);
    assert_true(slice_is(m->peer, "peer"));
    assert_true(m->msg->n >= 3);
    return m;
}

static inline struct slice part(const struct mail *m, unsigned i)
{
    return frame_slice(&m->msg->frames[i]);
}

/* The answer's content as text without spaces and with sorted keys; owned. */
static inline char *tidy(const struct mail *m)
{
    json_t *j = json_parse(part(m, 2), NULL);
    if (!j)
        fail_msg("no JSON: %.*s", SLICE_FMT(part(m, 2)));
    json_object_del(j, "traceback");
    char *t = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    return t;
}

static inline void expect_answer(struct seat *s, const char *type, const char *content)
{
    struct mail *m = await(s);
    char *got = tidy(m);
    assert_int_equal(part(m, 0).len, strlen(type));
    assert_memory_equal(part(m, 0).data, type, strlen(type));
    if (content)
        assert_string_equal(got, content);
    free(got);
    mail_free(m);
}

static inline void ask(struct seat *s, const char *type, const char *content, const char *reply,
                       const char *want)
{
    ask_with_engines(s, type, content, "");
    expect_answer(s, reply, want);
}

#define ERROR(ename, evalue)                                           \
    "{\"ename\":\"" ename "\",\"engine_info\":{},\"evalue\":\"" evalue \
    "\",\"status\":\"error\"}"

static inline void assert_record(struct seat *s, const char *id, const char *keys,
                                 const char *want)
{
    char content[512], whole[2048];
    snprintf(content, sizeof(content), "{\"query\": {\"msg_id\": \"%s\"}, \"keys\": %s}", id,
             keys);
    snprintf(whole, sizeof(whole),
             "{\"buffer_lens\":null,\"records\":[%s],\"result_buffer_lens\":null,\"status\":"
             "\"ok\"}",
             want);
    ask(s, "db_request", content, "db_reply", whole);
}

#endif
