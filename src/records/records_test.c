/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread as the router sees it: mail goes into one ring, answers come out of the other. */
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
    struct ring *in, *out;
    struct records *records;
};

/* The other side of the rings */

static void open_seat(struct seat *s, struct store *st)
{
    s->in = ring_new(RING_CAP);
    s->out = ring_new(2);
    assert_int_equal(records_start(&s->records, st, s->in, s->out, NULL, NULL), 0);
}

static void open_memory(struct seat *s)
{
    struct store_limits limits = {.records = 100, .bytes = 1 << 20, .cull = 0.1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    open_seat(s, st);
}

static void close_seat(struct seat *s)
{
    struct mail *m;
    records_stop(s->records);
    while ((m = ring_pop(s->out)))
        mail_free(m);
    ring_free(s->in);
    ring_free(s->out);
}

static void nap(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

static void post(struct seat *s, struct mail *m)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    m->now_us = 1767323050000000;
    while (ring_push(s->in, m) < 0) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
    ring_flush(s->in);
}

static struct slice text(const char *t)
{
    return (struct slice){t, strlen(t)};
}

static struct frame frame_of(const char *t)
{
    return (struct frame){(const uint8_t *)t, strlen(t), NULL};
}

/* Up to four buffers, ended by NULL. */
struct message {
    const char *header, *metadata, *content;
    const char *buffers[4];
};

static struct held *hold(const struct message *m)
{
    struct frame f[10] = {frame_of("<IDS|MSG>"),
                          frame_of(""),
                          frame_of(m->header),
                          frame_of("{}"),
                          frame_of(m->metadata ? m->metadata : "{}"),
                          frame_of(m->content ? m->content : "{}")};
    unsigned n = 6;
    for (int i = 0; i < 4 && m->buffers[i]; i++)
        f[n++] = frame_of(m->buffers[i]);
    return msg_hold(f, n);
}

static void tell(struct seat *s, enum mail_type type, char queue, const char *id,
                 const char *engine, const struct message *msg)
{
    const struct slice none = {NULL, 0};
    struct mail *m =
        mail_new(type, text(id), engine ? text(engine) : none, none, msg ? hold(msg) : NULL);
    assert_non_null(m);
    m->queue = queue;
    post(s, m);
}

static void request(struct seat *s, char queue, const char *id, const char *engine,
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

static void result(struct seat *s, char queue, const char *id, const char *engine,
                   const char *content, const char *buffer)
{
    struct message m = {"{\"msg_id\": \"r\", \"msg_type\": \"apply_reply\", \"date\": \"" DONE
                        "\"}",
                        "{\"started\": \"" BEGUN "\", \"status\": \"ok\"}",
                        content,
                        {buffer}};
    tell(s, MAIL_RESULT, queue, id, engine, &m);
}

static void output(struct seat *s, const char *id, const char *type, const char *content)
{
    char header[64];
    snprintf(header, sizeof(header), "{\"msg_type\": \"%s\"}", type);
    struct message m = {header, NULL, content, {NULL}};
    tell(s, MAIL_IOPUB, 0, id, NULL, &m);
}

static void ask_with_engines(struct seat *s, const char *type, const char *content,
                             const char *engines)
{
    char header[128];
    snprintf(header, sizeof(header), "{\"msg_id\": \"q\", \"msg_type\": \"%s\"}", type);
    struct message m = {header, NULL, content, {NULL}};
    post(s, mail_new(MAIL_QUERY, text("q"), text(engines), text("peer"), hold(&m)));
}

static struct mail *await_any(struct seat *s)
{
    struct mail *m;
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    while (!(m = ring_pop(s->out))) {
        assert_true(clock_mono_ms() < until);
        nap();
    }
    return m;
}

static struct mail *await(struct seat *s)
{
    struct mail *m = await_any(s);
    assert_int_equal(m->type, MAIL_ANSWER);
    assert_true(slice_is(m->peer, "peer"));
    assert_true(m->msg->n >= 3);
    return m;
}

static struct slice part(const struct mail *m, unsigned i)
{
    return frame_slice(&m->msg->frames[i]);
}

/* The answer's content as text without spaces and with sorted keys; owned. */
static char *tidy(const struct mail *m)
{
    json_t *j = json_parse(part(m, 2), NULL);
    if (!j)
        fail_msg("no JSON: %.*s", SLICE_FMT(part(m, 2)));
    json_object_del(j, "traceback");
    char *t = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    return t;
}

static void expect_answer(struct seat *s, const char *type, const char *content)
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

static void ask(struct seat *s, const char *type, const char *content, const char *reply,
                const char *want)
{
    ask_with_engines(s, type, content, "");
    expect_answer(s, reply, want);
}

#define ERROR(ename, evalue)                                           \
    "{\"ename\":\"" ename "\",\"engine_info\":{},\"evalue\":\"" evalue \
    "\",\"status\":\"error\"}"

/* Records */

static void assert_record(struct seat *s, const char *id, const char *keys, const char *want)
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

static void test_a_task_from_request_to_result(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "a_1_0", NULL, "{\"label\": \"l\\u00e9\"}");
    assert_record(
        &s, "a_1_0", "[\"queue\", \"label\", \"submitted\", \"client_uuid\", \"completed\"]",
        "{\"client_uuid\":\"c0\",\"completed\":null,\"label\":\"l\xc3\xa9\",\"msg_id\":"
        "\"a_1_0\",\"queue\":\"task\",\"submitted\":\"" SENT "\"}");
    assert_record(&s, "a_1_0", "[\"engine_uuid\"]",
                  "{\"engine_uuid\":null,\"msg_id\":\"a_1_0\"}");
    tell(&s, MAIL_ASSIGNED, 't', "a_1_0", "e0", NULL);
    assert_record(&s, "a_1_0", "[\"engine_uuid\"]",
                  "{\"engine_uuid\":\"e0\",\"msg_id\":\"a_1_0\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a_1_0\"]}", "result_reply",
        "{\"completed\":[],\"pending\":[\"a_1_0\"],\"status\":\"ok\"}");
    result(&s, 't', "a_1_0", "e1", "{\"status\": \"ok\"}", "value");
    assert_record(
        &s, "a_1_0",
        "[\"engine_uuid\", \"started\", \"completed\", \"received\", \"result_content\"]",
        "{\"completed\":\"2026-01-02T03:04:07.000000Z\",\"engine_uuid\":\"e1\",\"msg_id\":"
        "\"a_1_0\",\"received\":\"2026-01-02T03:04:10.000000Z\",\"result_content\":"
        "{\"status\":\"ok\"},\"started\":\"" BEGUN "\"}");
    close_seat(&s);
}

static void test_result_request_gives_all(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "b", NULL, NULL);
    request(&s, 'm', "a", "e0", NULL);
    request(&s, 'm', "c", "e0", NULL);
    output(&s, "a", "stream", "{\"name\": \"stdout\", \"text\": \"hel\"}");
    output(&s, "a", "stream", "{\"name\": \"stdout\", \"text\": \"lo\\n\"}");
    output(&s, "a", "stream", "{\"name\": \"header\", \"text\": \"no stream\"}");
    result(&s, 't', "b", "e0", "{\"status\": \"ok\"}", "B");
    result(&s, 'm', "a", "e0", "{\"status\": \"ok\"}", "A");
    result(&s, 'm', "c", "e0", "{\"status\": \"error\"}", "stray");
    ask_with_engines(&s, "result_request", "{\"msg_ids\": [\"b\", \"c\", \"a\", \"b\"]}", "");
    struct mail *m = await(&s);
    assert_true(slice_is(part(m, 0), "result_reply"));
    assert_true(slice_is(part(m, 1), "{\"msg_id\": \"q\", \"msg_type\": \"result_request\"}"));
    assert_int_equal(m->msg->n, 5); /* in the order of the ids, none of what failed */
    assert_true(slice_is(part(m, 3), "A"));
    assert_true(slice_is(part(m, 4), "B"));
    json_t *j = json_parse(part(m, 2), NULL);
    json_t *a = json_object_get(j, "a"), *io = json_object_get(a, "io");
    assert_int_equal(json_array_size(json_object_get(j, "completed")), 3);
    assert_string_equal(json_str(json_object_get(a, "header"), "msg_id"), "a");
    assert_true(json_is_object(json_object_get(a, "metadata")));
    assert_string_equal(json_str(json_object_get(a, "result_header"), "date"), DONE);
    assert_string_equal(json_str(json_object_get(a, "result_metadata"), "started"), BEGUN);
    assert_string_equal(json_str(a, "received"), "2026-01-02T03:04:10.000000Z");
    assert_string_equal(json_str(io, "stdout"), "hello\n");
    assert_string_equal(json_str(io, "stderr"), "");
    assert_true(json_is_null(json_object_get(io, "execute_result")));
    assert_int_equal(json_object_size(io), 5);
    json_decref(j);
    mail_free(m);
    close_seat(&s);
}

static void test_status(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "x_1_0", NULL, NULL);
    request(&s, 't', "x_1_1", NULL, NULL);
    result(&s, 't', "x_1_0", NULL, "{\"status\": \"ok\"}", NULL);
    ask(&s, "result_request", "{\"msg_ids\": [\"x_1_1\", \"x_1_0\"], \"status_only\": true}",
        "result_reply",
        "{\"completed\":[\"x_1_0\"],\"pending\":[\"x_1_1\"],\"status\":\"ok\"}");
    for (int i = 0; i < 2; i++)
        ask(&s, "result_request",
            i ? "{\"msg_ids\": [\"x_1_0\", \"nosuch\"], \"status_only\": true}"
              : "{\"msg_ids\": [\"x_1_0\", \"nosuch\"]}",
            "result_reply", ERROR("KeyError", "'No such message: nosuch'"));
    close_seat(&s);
}

static void test_output_of_every_kind(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 'm', "a", "e0", NULL);
    output(&s, "a", "execute_input", "{\"code\": \"1\\n2\"}");
    output(&s, "a", "execute_result", "{\"data\": {}}");
    output(&s, "a", "error", "{\"ename\": \"E\"}");
    output(&s, "a", "stream", "{\"name\": \"stderr\", \"text\": \"warn\"}");
    output(&s, "a", "status", "{\"execution_state\": \"busy\"}");
    assert_record(&s, "a",
                  "[\"execute_input\", \"execute_result\", \"error\", \"stdout\", \"stderr\"]",
                  "{\"error\":{\"ename\":\"E\"},\"execute_input\":\"1\\n2\",\"execute_result\":"
                  "{\"data\":{}},\"msg_id\":\"a\",\"stderr\":\"warn\",\"stdout\":\"\"}");
    /* An id nobody has asked for: a record of its own, into which a request merges. */
    output(&s, "s", "stream", "{\"name\": \"stdout\", \"text\": \"early\"}");
    assert_record(&s, "s", "[\"header\", \"submitted\"]",
                  "{\"header\":null,\"msg_id\":\"s\",\"submitted\":null}");
    request(&s, 'm', "s", "e0", NULL);
    assert_record(&s, "s", "[\"stdout\", \"engine_uuid\"]",
                  "{\"engine_uuid\":\"e0\",\"msg_id\":\"s\",\"stdout\":\"early\"}");
    close_seat(&s);
}

static void test_results_out_of_turn(void **state)
{
    struct seat s;
    open_memory(&s);
    result(&s, 't', "stranger", "e0", "{\"status\": \"ok\"}", NULL);
    request(&s, 't', "t", NULL, NULL);
    result(&s, 't', "t", "e0", "{\"status\": \"ok\", \"n\": 1}", NULL);
    result(&s, 't', "t", "e0", "{\"status\": \"ok\", \"n\": 2}", NULL);
    assert_record(&s, "stranger", "null", "");
    assert_record(&s, "t", "[\"result_content\"]",
                  "{\"msg_id\":\"t\",\"result_content\":{\"n\":1,\"status\":\"ok\"}}");
    request(&s, 'm', "m", "e0", NULL);
    tell(&s, MAIL_ENGINE_LOST, 'm', "m", "e0", NULL);
    assert_record(
        &s, "m", "[\"result_header\", \"result_metadata\", \"completed\", \"received\"]",
        "{\"completed\":\"2026-01-02T03:04:10.000000Z\",\"msg_id\":\"m\",\"received\":"
        "null,\"result_header\":{\"date\":\"2026-01-02T03:04:10.000000Z\",\"engine\":"
        "\"e0\",\"msg_type\":\"apply_reply\"},\"result_metadata\":{\"engine\":\"e0\","
        "\"status\":\"error\"}}");
    result(&s, 'm', "m", "e0", "{\"status\": \"ok\"}", NULL); /* late, but true */
    assert_record(&s, "m", "[\"result_content\"]",
                  "{\"msg_id\":\"m\",\"result_content\":{\"status\":\"ok\"}}");
    close_seat(&s);
}

static void test_what_is_no_json_is_left_out(void **state)
{
    struct seat s;
    open_memory(&s);
    struct message m = {"{\"msg_id\": \"a\"}", "[broken", "{\"a\": }", {NULL}};
    tell(&s, MAIL_REQUEST, 'm', "a", "e0", &m);
    output(&s, "a", "stream", "{\"name\": \"stdout\"}");
    output(&s, "a", "stream", "{");
    output(&s, "a", "execute_result", "[");
    assert_record(
        &s, "a", "[\"metadata\", \"content\", \"header\", \"submitted\"]",
        "{\"content\":null,\"header\":{\"msg_id\":\"a\"},\"metadata\":null,\"msg_id\":"
        "\"a\",\"submitted\":\"2026-01-02T03:04:10.000000Z\"}");
    struct mail *short_one = mail_new(MAIL_REQUEST, text("b"), text("e"), text(""), NULL);
    post(&s, short_one);
    tell(&s, MAIL_RESULT, 'm', "b", "e", NULL);
    assert_record(&s, "b", "null", "");
    close_seat(&s);
}

/* Queries */

static void test_history(void **state)
{
    struct seat s;
    open_memory(&s);
    ask(&s, "history_request", "{}", "history_reply", "{\"history\":[],\"status\":\"ok\"}");
    request(&s, 't', "b", NULL, NULL);
    request(&s, 't', "a", NULL, NULL);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"b\",\"a\"],\"status\":\"ok\"}");
    close_seat(&s);
}

static void test_db_request(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "a", NULL, NULL);
    request(&s, 'm', "b", "e0", NULL);
    result(&s, 'm', "b", "e0", "{\"status\": \"ok\"}", "R");
    ask_with_engines(&s, "db_request",
                     "{\"query\": {}, \"keys\": [\"buffers\", \"result_buffers\"]}", "");
    struct mail *m = await(&s);
    char *got = tidy(m);
    assert_string_equal(got,
                        "{\"buffer_lens\":[2,2],\"records\":[{\"msg_id\":\"a\"},{\"msg_id\":"
                        "\"b\"}],\"result_buffer_lens\":[0,1],\"status\":\"ok\"}");
    free(got);
    assert_int_equal(m->msg->n, 3 + 5);
    assert_true(slice_is(part(m, 3), "f"));
    assert_true(slice_is(part(m, 4), "args"));
    assert_true(slice_is(part(m, 7), "R"));
    mail_free(m);
    /* All fields but the buffers, with no keys at all or an empty list of them. */
    ask_with_engines(&s, "db_request", "{\"query\": {\"queue\": \"task\"}, \"keys\": []}", "");
    m = await(&s);
    json_t *j = json_parse(part(m, 2), NULL);
    assert_int_equal(json_object_size(json_array_get(json_object_get(j, "records"), 0)), 21);
    assert_int_equal(json_array_size(json_object_get(j, "records")), 1);
    json_decref(j);
    mail_free(m);
    ask(&s, "db_request", "{\"query\": {\"completed\": {\"$ne\": null}}, \"keys\": \"msg_id\"}",
        "db_reply",
        "{\"buffer_lens\":null,\"records\":[{\"msg_id\":\"b\"}],\"result_buffer_lens\":null,"
        "\"status\":\"ok\"}");
    static const char *const errors[][2] = {
        {"{\"query\": {\"a\": {\"$foo\": 1}}}", ERROR("KeyError", "'$foo'")},
        {"{\"keys\": [\"nosuch\"]}", ERROR("KeyError", "'nosuch'")},
        {"{\"query\": []}", ERROR("TypeError", "the query must be an object")},
        {"{\"keys\": 5}", ERROR("TypeError", "keys must be a list of names")},
        {"{\"query\": {\"a\": {\"$in\": 5}}}", ERROR("TypeError", "$in needs a list")},
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        ask(&s, "db_request", errors[i][0], "db_reply", errors[i][1]);
    close_seat(&s);
}

static void test_malformed_requests(void **state)
{
    struct seat s;
    open_memory(&s);
    ask(&s, "result_request", "{}", "hub_error", ERROR("KeyError", "'msg_ids'"));
    ask(&s, "result_request", "{\"msg_ids\": \"x\"}", "hub_error",
        ERROR("TypeError", "msg_ids must be a list"));
    ask(&s, "result_request", "{\"msg_ids\": [5]}", "hub_error",
        ERROR("TypeError", "msg_ids must be strings"));
    ask(&s, "history_request", "[]", "hub_error",
        ERROR("TypeError", "the content is not a JSON object"));
    ask(&s, "resubmit_request", "{}", "hub_error", ERROR("KeyError", "'msg_ids'"));
    close_seat(&s);
}

static void test_purge(void **state)
{
    static const char ok[] = "{\"status\":\"ok\"}";
    struct seat s;
    open_memory(&s);
    for (int i = 0; i < 4; i++) {
        char id[24];
        snprintf(id, sizeof(id), "a_1_%d", i);
        request(&s, 'm', id, i < 2 ? "e0" : "e1", NULL);
        if (i != 3)
            result(&s, 'm', id, i < 2 ? "e0" : "e1", "{\"status\": \"ok\"}", NULL);
    }
    ask(&s, "purge_request", "{\"msg_ids\": [\"a_1_0\", \"a_1_3\"]}", "purge_reply",
        ERROR("IndexError", "msg pending: 'a_1_3'"));
    ask(&s, "purge_request", "{\"msg_ids\": [\"a_1_0\", \"nosuch\"]}", "purge_reply", ok);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a_1_1\",\"a_1_2\",\"a_1_3\"],\"status\":\"ok\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a_1_0\"]}", "result_reply",
        ERROR("KeyError", "'No such message: a_1_0'"));
    ask(&s, "result_request", "{\"msg_ids\": [\"a_1_0\"], \"status_only\": true}",
        "result_reply", ERROR("KeyError", "'No such message: a_1_0'"));
    ask_with_engines(&s, "purge_request", "{\"msg_ids\": [], \"engine_ids\": [0, 99]}", "e0 -");
    expect_answer(&s, "purge_reply", ERROR("IndexError", "No such engine: 99"));
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a_1_2\",\"a_1_3\"],\"status\":\"ok\"}");
    ask(&s, "purge_request", "{\"msg_ids\": 5}", "purge_reply", NULL);
    ask(&s, "purge_request", "{\"msg_ids\": \"all\"}", "purge_reply", ok);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a_1_3\"],\"status\":\"ok\"}");
    result(&s, 'm', "a_1_3", "e1", "{\"status\": \"ok\"}", NULL); /* it was open all the time */
    assert_record(&s, "a_1_3", "[\"result_content\"]",
                  "{\"msg_id\":\"a_1_3\",\"result_content\":{\"status\":\"ok\"}}");
    close_seat(&s);
}

static void test_resubmit(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "a", NULL, NULL);
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"x\", \"a\", \"it's\"]}", "resubmit_reply",
        ERROR("KeyError", "'No such msg(s): [\\\\'x\\\\', \\\"it\\\\'s\\\"]'"));
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"a\", \"a\"]}", "resubmit_reply",
        ERROR("KeyError", "'No such msg(s): []'"));
    ask(&s, "resubmit_request", "{\"msg_ids\": []}", "resubmit_reply",
        "{\"resubmitted\":{},\"status\":\"ok\"}");

    ask_with_engines(&s, "resubmit_request", "{\"msg_ids\": [\"a\"]}", "");
    struct mail *m = await_any(&s);
    char id[128], want[512];
    assert_int_equal(m->type, MAIL_RESUBMIT);
    snprintf(id, sizeof(id), "%.*s", SLICE_FMT(m->msg_id));
    json_t *header = json_parse(part(m, 0), NULL);
    assert_string_equal(json_str(header, "msg_id"), id);
    assert_string_equal(json_str(header, "session"), "c0");
    assert_string_equal(json_str(header, "msg_type"), "apply_request");
    assert_string_not_equal(json_str(header, "date"), SENT);
    assert_true(slice_is(part(m, 1), "{}"));
    json_decref(header);
    mail_free(m);
    snprintf(want, sizeof(want), "{\"resubmitted\":{\"a\":\"%s\"},\"status\":\"ok\"}", id);
    expect_answer(&s, "resubmit_reply", want);
    snprintf(want, sizeof(want), "{\"msg_id\":\"a\",\"queue\":\"task\",\"resubmitted\":\"%s\"}",
             id);
    assert_record(&s, "a", "[\"queue\", \"resubmitted\"]", want);
    snprintf(want, sizeof(want),
             "{\"client_uuid\":\"c0\",\"label\":null,\"metadata\":{},\"msg_id\":\"%s\","
             "\"queue\":null}",
             id);
    assert_record(&s, id, "[\"queue\", \"metadata\", \"label\", \"client_uuid\"]", want);
    snprintf(want, sizeof(want), "{\"msg_ids\": [\"%s\"], \"status_only\": true}", id);
    char status[300];
    snprintf(status, sizeof(status),
             "{\"completed\":[],\"pending\":[\"%s\"],\"status\":\"ok\"}", id);
    ask(&s, "result_request", want, "result_reply", status);
    request(&s, 't', id, NULL, NULL); /* as the scheduler tells of it */
    snprintf(want, sizeof(want), "{\"msg_id\":\"%s\",\"queue\":\"task\"}", id);
    assert_record(&s, id, "[\"queue\"]", want);
    close_seat(&s);
}

static void test_with_the_store_that_keeps_nothing(void **state)
{
    static const char no_data[] = ERROR("NoData", "NoDB backend doesn't store any data. ");
    struct seat s;
    struct store *st = NULL;
    assert_int_equal(store_none_open(&st, NULL), 0);
    open_seat(&s, st);
    request(&s, 't', "a", NULL, NULL);
    request(&s, 'm', "b", "e0", NULL);
    result(&s, 't', "a", "e0", "{\"status\": \"ok\"}", NULL);
    output(&s, "a", "stream", "{\"name\": \"stdout\", \"text\": \"x\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a\", \"b\"], \"status_only\": true}",
        "result_reply", "{\"completed\":[\"a\"],\"pending\":[\"b\"],\"status\":\"ok\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a\"]}", "result_reply", no_data);
    ask(&s, "history_request", "{}", "history_reply", no_data);
    ask(&s, "db_request", "{\"query\": {}}", "db_reply", no_data);
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"a\"]}", "resubmit_reply", no_data);
    ask(&s, "purge_request", "{\"msg_ids\": [\"b\"]}", "purge_reply",
        ERROR("IndexError", "msg pending: 'b'"));
    ask_with_engines(&s, "purge_request", "{\"msg_ids\": [\"a\"], \"engine_ids\": [0]}", "e0");
    expect_answer(&s, "purge_reply", "{\"status\":\"ok\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a\"], \"status_only\": true}", "result_reply",
        ERROR("KeyError", "'No such message: a'"));
    close_seat(&s);
}

/* The thread */

static void test_records_dropped_for_room(void **state)
{
    struct store_limits limits = {.records = 4, .bytes = 1 << 20, .cull = 0.5};
    struct store *st = NULL;
    struct seat s;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    open_seat(&s, st);
    for (int i = 0; i < 5; i++) {
        char id[24];
        snprintf(id, sizeof(id), "a_1_%d", i);
        request(&s, 't', id, NULL, NULL);
    }
    result(&s, 't', "a_1_0", "e0", "{\"status\": \"ok\"}", NULL);
    output(&s, "a_1_1", "stream", "{\"name\": \"stdout\", \"text\": \"x\"}");
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a_1_2\",\"a_1_3\",\"a_1_4\"],\"status\":\"ok\"}");
    ask(&s, "result_request", "{\"msg_ids\": [\"a_1_0\", \"a_1_1\"], \"status_only\": true}",
        "result_reply",
        "{\"completed\":[\"a_1_0\"],\"pending\":[\"a_1_1\"],\"status\":\"ok\"}");
    close_seat(&s);
}

/* Many more answers than their ring holds, none of which is read at first: mail waits, nothing
 * is lost, and the order stays. */
static void test_answers_that_find_no_room(void **state)
{
    enum { N = RING_CAP };
    struct seat s;
    open_memory(&s);
    for (int i = 0; i < N; i++) {
        char content[64];
        snprintf(content, sizeof(content), "{\"msg_ids\": [\"id%d\"]}", i);
        ask_with_engines(&s, "result_request", content, "");
    }
    for (int i = 0; i < N; i++) {
        char want[128];
        snprintf(want, sizeof(want), ERROR("KeyError", "'No such message: id%d'"), i);
        expect_answer(&s, "result_reply", want);
    }
    request(&s, 't', "a", NULL, NULL);
    ask(&s, "history_request", "{}", "history_reply",
        "{\"history\":[\"a\"],\"status\":\"ok\"}");
    close_seat(&s);
}

static void test_stop_with_mail_and_answers_left(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct seat s;
        open_memory(&s);
        for (int i = 0; i < 20; i++) {
            request(&s, 't', "a", NULL, NULL);
            ask_with_engines(&s, "history_request", "{}", "");
        }
        close_seat(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_task_from_request_to_result),
        cmocka_unit_test(test_result_request_gives_all),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_output_of_every_kind),
        cmocka_unit_test(test_results_out_of_turn),
        cmocka_unit_test(test_what_is_no_json_is_left_out),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_db_request),
        cmocka_unit_test(test_malformed_requests),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_resubmit),
        cmocka_unit_test(test_with_the_store_that_keeps_nothing),
        cmocka_unit_test(test_records_dropped_for_room),
        cmocka_unit_test(test_answers_that_find_no_room),
        cmocka_unit_test(test_stop_with_mail_and_answers_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
