/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as the router sees them: from the mail about a task to what clients are told of it;
 * the thread. */
#include "records/records_rig.h"

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
    struct letter lost = {.type = MAIL_ENGINE_LOST,
                          .queue = 'm',
                          .msg_id = text("m"),
                          .engine = text("e0"),
                          .peer = text("7")};
    post(&s, mail_new(NULL, &lost));
    ask_with_engines(&s, "result_request", "{\"msg_ids\": [\"m\"]}", "");
    struct mail *answer = await(&s);
    assert_true(memmem(part(answer, 2).data, part(answer, 2).len,
                       "\"Engine 7 died while running task 'm'\"", 36));
    mail_free(answer);
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
    struct letter short_one = {.type = MAIL_REQUEST, .msg_id = text("b"), .engine = text("e")};
    post(&s, mail_new(NULL, &short_one));
    tell(&s, MAIL_RESULT, 'm', "b", "e", NULL);
    assert_record(&s, "b", "null", "");
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
        cmocka_unit_test(test_with_the_store_that_keeps_nothing),
        cmocka_unit_test(test_records_dropped_for_room),
        cmocka_unit_test(test_answers_that_find_no_room),
        cmocka_unit_test(test_stop_with_mail_and_answers_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
