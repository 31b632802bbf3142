/* SPDX-License-Identifier: BSD-3-Clause */
/* Broadcasts between two pretended sides: what each target gets, what the client gets back, and
 * what is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/fanout.h"
#include "router/sched_broadcast.h"
#include "util/log.h"
#include "wire/json.h"

#define ENGINES_MAX 2000
#define TEXT_MAX 1024

/* A message that was sent, as text. */
struct seen {
    int engine; /* -1: to the client */
    unsigned n_idents, n_buffers;
    char id[TEXT_MAX], metadata[TEXT_MAX], content[TEXT_MAX], buffers[TEXT_MAX];
    size_t bytes; /* of the signed frames */
    const void *payload;
    struct held *held;
};

struct rig {
    struct session *session;
    struct broadcast *b;
    struct engine_env env;
    struct loop *loop;
    struct engine *engines[ENGINES_MAX];
    int n_engines;
    struct seen *seen;
    size_t n, cap, read;
    int open; /* requests that engines have to answer, by the events */
    struct buf scratch;
};

static void copy(char out[TEXT_MAX], struct slice s)
{
    snprintf(out, TEXT_MAX, "%.*s", SLICE_FMT(s));
}

static void note(struct rig *r, int engine, const struct frame *frames, unsigned n)
{
    struct parts p;
    struct jfield id = {.key = "msg_id"};
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->seen = reallocarray(r->seen, r->cap, sizeof(*r->seen));
        assert_non_null(r->seen);
    }
    struct seen *s = &r->seen[r->n++];
    *s = (struct seen){.engine = engine, .held = msg_hold(frames, n)};
    assert_int_equal(parts_split(frames, n, &p), 0);
    assert_int_equal(session_verify(r->session, &p), 0);
    assert_int_equal(jscan(engine < 0 ? p.parent : p.header, &id, 1), 0);
    s->n_idents = p.n_idents;
    s->n_buffers = p.n_buffers;
    copy(s->id, id.raw);
    copy(s->metadata, p.metadata);
    copy(s->content, p.content);
    s->bytes = p.header.len + p.metadata.len;
    size_t len = 0;
    for (unsigned i = 0; i < p.n_buffers && len < TEXT_MAX; i++)
        len += (size_t)snprintf(s->buffers + len, TEXT_MAX - len, "%s%.*s", i ? "," : "",
                                SLICE_FMT(frame_slice(&p.buffers[i])));
    if (p.n_buffers)
        s->payload = p.buffers[0].data;
}

static struct engine *find(void *ctx, struct slice uuid)
{
    struct rig *r = ctx;
    for (int i = 0; i < r->n_engines; i++)
        if (r->engines[i] && slice_eq(r->engines[i]->uuid, uuid))
            return r->engines[i];
    return NULL;
}

static void to_engine(void *ctx, struct engine *e, const struct frame *frames, unsigned n)
{
    note(ctx, (int)e->id, frames, n);
}

static void to_client(void *ctx, struct slice client, const struct frame *frames, unsigned n,
                      struct engine *source)
{
    assert_true(slice_is(client, "client"));
    note(ctx, -1, frames, n);
}

static void on_event(void *ctx, enum broadcast_event ev, struct engine *e, struct slice msg_id)
{
    struct rig *r = ctx;
    r->open += ev == BROADCAST_SENT ? 1 : -1;
}

static const struct broadcast_ops ops = {find, to_engine, to_client, on_event};

static void add_engines(struct rig *r, int n)
{
    while (r->n_engines < n) {
        char uuid[16];
        int len = snprintf(uuid, sizeof(uuid), "u%d", r->n_engines);
        struct engine *e = engine_new(&r->env, (struct slice){uuid, (size_t)len}, r->n_engines);
        assert_non_null(e);
        r->engines[r->n_engines++] = e;
    }
}

static struct rig *rig_with(uint64_t client_limit)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct ersa_error err = {0};
    const struct broadcast_config cfg = {.digest_history = 1000, .client_limit = client_limit};
    log_set_level(LOG_CRITICAL);
    r->loop = loop_new();
    r->env.loop = r->loop;
    buf_init(&r->scratch, 65536);
    assert_int_equal(session_new(&r->session, "key", 3, "hmac-sha256", "s", "t", &err), 0);
    assert_int_equal(broadcast_new(&r->b, r->session, &cfg, &ops, r, &err), 0);
    add_engines(r, 4);
    return r;
}

static int setup(void **state)
{
    *state = rig_with(0);
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    broadcast_free(r->b);
    for (int i = 0; i < r->n_engines; i++)
        engine_free(r->engines[i]);
    for (size_t i = 0; i < r->n; i++)
        held_free(r->seen[i].held);
    session_free(r->session);
    buf_fini(&r->scratch);
    loop_free(r->loop);
    free(r->seen);
    free(r);
    return 0;
}

/* Sends a request of that id; `metadata` in JSON. */
static int submit(struct rig *r, const char *id, const char *metadata,
                  const struct frame *payload)
{
    struct frame frames[1 + SESSION_FRAMES + 1];
    struct outgoing o = {
        .msg_type = "apply_request", .msg_id = id, .metadata = {metadata, strlen(metadata)}};
    frames[0] = FRAME_LIT("own");
    assert_int_equal(session_frames(r->session, &o, &r->scratch, frames + 1), 0);
    frames[1 + SESSION_FRAMES] = payload ? *payload : FRAME_LIT("work");
    return broadcast_submit(r->b, SLICE_LIT("client"),
                            &(struct msg){frames, 2 + SESSION_FRAMES});
}

static int ask(struct rig *r, const char *id, const char *targets, bool coalescing)
{
    char metadata[TEXT_MAX];
    snprintf(metadata, sizeof(metadata), "{\"targets\": %s, \"is_coalescing\": %s}", targets,
             coalescing ? "true" : "false");
    return submit(r, id, metadata, NULL);
}

static int reply(struct rig *r, int engine, const char *id, const char *status,
                 const char *buffer)
{
    char header[TEXT_MAX], parent[TEXT_MAX], metadata[TEXT_MAX],
        signature[SESSION_SIGNATURE_MAX];
    snprintf(header, sizeof(header),
             "{\"msg_id\": \"r\", \"msg_type\": \"apply_reply\", \"session\": \"u%d\"}",
             engine);
    snprintf(parent, sizeof(parent), "{\"msg_id\": \"%s_u%d\"}", id, engine);
    snprintf(metadata, sizeof(metadata),
             "{\"status\": \"%s\", \"is_coalescing\": true, \"engine\": \"u%d\" } ", status,
             engine);
    struct slice s[] = {{header, strlen(header)},
                        {parent, strlen(parent)},
                        {metadata, strlen(metadata)},
                        SLICE_LIT("{}")};
    size_t len = session_sign(r->session, s[0], s[1], s[2], s[3], signature);
    struct frame frames[9] = {FRAME_LIT("client"),
                              FRAME_LIT("own"),
                              FRAME_LIT("<IDS|MSG>"),
                              {(const uint8_t *)signature, len, NULL}};
    for (int i = 0; i < 4; i++)
        frames[4 + i] = (struct frame){(const uint8_t *)s[i].data, s[i].len, NULL};
    frames[8] = (struct frame){(const uint8_t *)buffer, strlen(buffer), NULL};
    return broadcast_reply(r->b, r->engines[engine], &(struct msg){frames, 9});
}

static struct seen *next(struct rig *r)
{
    assert_true(r->read < r->n);
    return &r->seen[r->read++];
}

static void expect_nothing(const struct rig *r)
{
    assert_int_equal(r->read, r->n);
}

static void expect_request(struct rig *r, int engine, const char *id, const char *metadata)
{
    const struct seen *s = next(r);
    assert_int_equal(s->engine, engine);
    assert_int_equal(s->n_idents, 2);
    assert_string_equal(s->id, id);
    if (metadata)
        assert_string_equal(s->metadata, metadata);
}

static size_t gathering(const struct rig *r)
{
    return broadcast_counts(r->b).gathering;
}

#define PAIRS "[[\"u2\", 2], [\"u0\", 0], [\"u3\", 3]]"

static void ask_three(struct rig *r, const char *id)
{
    assert_int_equal(ask(r, id, PAIRS, true), 0);
    r->read += 3;
}

static void test_each_target_gets_its_own(void **state)
{
    struct rig *r = *state;
    assert_int_equal(
        submit(r, "m",
               "{\"targets\": [[\"u1\",1 ] ,[\"u\\u0030\", null]], \"is_coalescing\""
               ": false, \"label\": \"}\" } ",
               NULL),
        0);
    expect_request(r, 1, "m_u1",
                   "{\"targets\": [[\"u1\",1 ]], \"is_coalescing\": false, \"label\": \"}\", "
                   "\"original_msg_id\": \"m\"}");
    expect_request(r, 0, "m_u\\u0030",
                   "{\"targets\": [[\"u\\u0030\", null]], \"is_coalescing\": false, \"label\": "
                   "\"}\", \"original_msg_id\": \"m\"}");
    expect_nothing(r);
    assert_int_equal(r->open, 2);
}

static void test_payload_is_not_copied(void **state)
{
    struct rig *r = *state;
    struct block_pool *pool = block_pool_new(0, false);
    struct block *block = block_get(pool, 100000);
    memset(block->data, 'x', 100000);
    struct frame payload = {block->data, 100000, block};
    assert_int_equal(
        submit(r, "m", "{\"targets\": " PAIRS ", \"is_coalescing\": false}", &payload), 0);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(next(r)->payload, block->data);
    for (size_t i = 0; i < r->n; i++)
        held_free(r->seen[i].held);
    r->n = r->read = 0;
    block_unref(block);
    block_pool_free(pool);
}

/* What is sent to a target does not depend on how many there are. */
static void test_cost_is_linear(void **state)
{
    struct rig *r = *state;
    size_t bytes[2];
    add_engines(r, ENGINES_MAX);
    for (int round = 0; round < 2; round++) {
        int n = round ? ENGINES_MAX : 200;
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_puts(&b, "{\"is_coalescing\": true, \"targets\": [");
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s[\"u%d\", %d]", i ? ", " : "", i, i);
        buf_puts(&b, "]}");
        assert_int_equal(submit(r, round ? "b" : "a", buf_cstr(&b), NULL), 0);
        bytes[round] = 0;
        for (int i = 0; i < n; i++)
            bytes[round] += next(r)->bytes;
        buf_fini(&b);
    }
    assert_true(bytes[1] < 10 * (bytes[0] + bytes[0] / 20));
}

static void test_plain_replies_pass(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask(r, "m", PAIRS, false), 0);
    r->read += 3;
    struct seen sent = r->seen[0];
    assert_int_equal(gathering(r), 0);
    struct frame frames[9];
    struct outgoing o = {.msg_type = "apply_reply",
                         .parent = SLICE_LIT("{\"msg_id\": \"m_s\"}")};
    frames[0] = FRAME_LIT("client");
    session_frames(r->session, &o, &r->scratch, frames + 1);
    assert_int_equal(broadcast_reply(r->b, NULL, &(struct msg){frames, 1 + SESSION_FRAMES}), 0);
    assert_string_equal(next(r)->id, "m_s");
    assert_string_equal(sent.id, "m_u2");
    expect_nothing(r);
}

static void test_results_in_the_order_of_the_request(void **state)
{
    struct rig *r = *state;
    ask_three(r, "m");
    assert_int_equal(reply(r, 3, "m", "ok", "three"), 0);
    assert_int_equal(reply(r, 0, "m", "ok", "zero"), 0);
    assert_int_equal(reply(r, 0, "m", "ok", "again"), 0);
    expect_nothing(r);
    assert_int_equal(gathering(r), 1);
    assert_int_equal(reply(r, 2, "m", "ok", "two"), 0);
    const struct seen *s = next(r);
    assert_int_equal(s->engine, -1);
    assert_int_equal(s->n_idents, 1);
    assert_string_equal(s->buffers, "two,zero,three");
    assert_string_equal(s->metadata,
                        "{\"status\": \"ok\", \"is_coalescing\": true, \"engine\": \"u2\", "
                        "\"is_broadcast\": true, \"is_coalescing\": true, "
                        "\"original_msg_id\": \"m\", \"broadcast_targets\": " PAIRS "}");
    assert_int_equal(gathering(r), 0);
    assert_int_equal(reply(r, 2, "m", "ok", "late"), 0);
    expect_nothing(r);
    assert_int_equal(broadcast_counts(r->b).late_replies, 2);
}

/* Whatever the order of the answers: the first failure in the request's order, no results. */
static void test_any_failure_tells(void **state)
{
    static const int orders[][3] = {{2, 0, 3}, {3, 0, 2}, {0, 3, 2}, {0, 2, 3}};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%zu", i);
        ask_three(r, id);
        for (int k = 0; k < 3; k++) {
            int e = orders[i][k];
            assert_int_equal(reply(r, e, id,
                                   e == 0   ? "error"
                                   : e == 3 ? "aborted"
                                            : "ok",
                                   "x"),
                             0);
        }
        const struct seen *s = next(r);
        assert_int_equal(s->n_buffers, 0);
        assert_non_null(strstr(s->metadata, "\"status\": \"error\""));
        assert_non_null(strstr(s->metadata, "\"engine\": \"u0\""));
        expect_nothing(r);
    }
    assert_int_equal(gathering(r), 0);
}

static void test_unknown_targets(void **state)
{
    struct rig *r = *state;
    assert_int_equal(ask(r, "p", "[[\"no\", 9], [\"u1\", 1]]", false), 0);
    const struct seen *s = next(r);
    assert_int_equal(s->engine, -1);
    assert_int_equal(s->n_idents, 1);
    assert_string_equal(s->id, "p_no");
    assert_non_null(strstr(s->content, "Engine b'no' is not registered: 'p_no' was not sent"));
    expect_request(r, 1, "p_u1", NULL);
    assert_int_equal(ask(r, "c", "[[\"u1\", 1], [\"no\", 9]]", true), 0);
    expect_request(r, 1, "c_u1", NULL);
    expect_nothing(r);
    assert_int_equal(reply(r, 1, "c", "ok", "x"), 0);
    s = next(r);
    assert_string_equal(s->id, "c");
    assert_non_null(strstr(s->metadata, "\"broadcast_targets\": [[\"u1\", 1], [\"no\", 9]]"));
    assert_int_equal(ask(r, "n", "[[\"no\", 9]]", true), 0);
    assert_non_null(strstr(next(r)->content, "EngineError"));
    assert_int_equal(gathering(r), 0);
}

static void test_engine_that_goes(void **state)
{
    struct rig *r = *state;
    ask_three(r, "told");
    assert_int_equal(ask(r, "other", "[[\"u1\", 1]]", true), 0);
    r->read++;
    broadcast_engine_gone(r->b, r->engines[3], true);
    assert_int_equal(gathering(r), 1);
    reply(r, 2, "told", "ok", "x");
    expect_nothing(r);
    ask_three(r, "untold");
    reply(r, 2, "untold", "ok", "x");
    reply(r, 0, "untold", "ok", "x");
    broadcast_engine_gone(r->b, r->engines[3], false);
    assert_non_null(strstr(next(r)->metadata, "\"engine\":\"u3\""));
    assert_int_equal(gathering(r), 1);
}

static void test_undelivered(void **state)
{
    struct rig *r = *state;
    for (int coalescing = 0; coalescing < 2; coalescing++) {
        assert_int_equal(ask(r, coalescing ? "c" : "p", "[[\"u1\", 1]]", coalescing), 0);
        struct held *h = next(r)->held;
        broadcast_undelivered(r->b, r->engines[1], h->frames, h->n);
        const struct seen *s = next(r);
        assert_string_equal(s->id, coalescing ? "c" : "p_u1");
        assert_int_equal(s->n_idents, 1);
        assert_non_null(strstr(s->content, "is not connected"));
        broadcast_undelivered(r->b, r->engines[1], h->frames, 3); /* no message */
    }
    assert_int_equal(gathering(r), 0);
}

static void test_client_that_goes(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        ask_three(r, id);
        reply(r, 2, id, "ok", "x");
    }
    broadcast_client_gone(r->b, SLICE_LIT("another"));
    assert_int_equal(gathering(r), 10);
    broadcast_client_gone(r->b, SLICE_LIT("client"));
    assert_int_equal(gathering(r), 0);
    for (int i = 0; i < 4; i++)
        assert_true(list_is_empty(&r->engines[i]->broadcasts));
}

static void test_bounds(void **state)
{
    struct rig *r = rig_with(20000);
    char *large = calloc(1, 12001);
    memset(large, 'x', 12000);
    ask_three(r, "m");
    reply(r, 2, "m", "ok", large);
    reply(r, 3, "m", "ok", large); /* too much: the first result is dropped, too */
    ask_three(r, "n");
    reply(r, 0, "n", "ok", large);
    reply(r, 0, "m", "ok", large);
    assert_non_null(strstr(next(r)->content, "QueueFull"));
    reply(r, 2, "n", "ok", "");
    reply(r, 3, "n", "ok", "");
    assert_int_equal(next(r)->n_buffers, 3);
    int refused = 0;
    for (int i = 0; i < 100; i++) {
        char id[8];
        snprintf(id, sizeof(id), "k%d", i);
        assert_int_equal(ask(r, id, PAIRS, true), 0);
        refused += r->seen[r->n - 1].engine == -1;
    }
    assert_true(refused > 50 && refused < 100);
    assert_non_null(strstr(r->seen[r->n - 1].content, "QueueFull"));
    free(large);
    void *own = r;
    teardown(&own);
}

static void test_broken_requests(void **state)
{
    static const char *const bad[] = {
        "{}",
        "{\"targets\": [], \"is_coalescing\": true}",
        "{\"targets\": [\"u1\"], \"is_coalescing\": true}",
        "{\"targets\": [[\"u1\"]], \"is_coalescing\": true}",
        "{\"targets\": [[\"u1\", 1, 2]], \"is_coalescing\": false}",
        "{\"targets\": [[\"\", 1]], \"is_coalescing\": false}",
        "{\"targets\": {\"u1\": 1}, \"is_coalescing\": false}",
        "{\"targets\": [[\"u1\", 1]], \"is_coalescing\": 0}",
    };
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(submit(r, "m", bad[i], NULL), 0);
        const struct seen *s = next(r);
        assert_int_equal(s->engine, -1);
        assert_string_equal(s->id, "m");
        assert_non_null(strstr(s->content, "ValueError"));
    }
    assert_int_equal(submit(r, "m", "[]", NULL), ERSA_EPARSE);
    char id[FANOUT_ORIGINAL_MAX + 2] = {0};
    memset(id, 'i', FANOUT_ORIGINAL_MAX + 1);
    assert_int_equal(ask(r, id, PAIRS, true), ERSA_EPARSE);
    expect_nothing(r);
}

static void test_replays(void **state)
{
    struct rig *r = *state;
    ask_three(r, "m");
    struct frame frames[1 + SESSION_FRAMES];
    struct outgoing o = {.msg_type = "apply_request",
                         .msg_id = "n",
                         .metadata = SLICE_LIT("{\"targets\": [[\"u1\", 1]], "
                                               "\"is_coalescing\": true}")};
    assert_int_equal(session_frames(r->session, &o, &r->scratch, frames), 0);
    struct msg m = {frames, SESSION_FRAMES};
    assert_int_equal(broadcast_submit(r->b, SLICE_LIT("client"), &m), 0);
    r->read++;
    assert_int_equal(broadcast_submit(r->b, SLICE_LIT("client"), &m), ERSA_EEXIST);
    assert_int_equal(ask(r, "m", "[[\"u1\", 1]]", true), ERSA_EEXIST);
    frames[1] = FRAME_LIT("0000");
    assert_int_equal(broadcast_submit(r->b, SLICE_LIT("client"), &m), ERSA_EAUTH);
    m.n = 5;
    assert_int_equal(broadcast_submit(r->b, SLICE_LIT("client"), &m), ERSA_EPROTO);
    expect_nothing(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_target_gets_its_own),
        TEST(test_payload_is_not_copied),
        TEST(test_cost_is_linear),
        TEST(test_plain_replies_pass),
        TEST(test_results_in_the_order_of_the_request),
        TEST(test_any_failure_tells),
        TEST(test_unknown_targets),
        TEST(test_engine_that_goes),
        TEST(test_undelivered),
        TEST(test_client_that_goes),
        TEST(test_broken_requests),
        TEST(test_replays),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
