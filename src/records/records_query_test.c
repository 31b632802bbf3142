/* SPDX-License-Identifier: BSD-3-Clause */
/* What clients ask about records: history, queries, purging, resubmission, and what is
 * malformed. */
#include "records/records_rig.h"

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

#define FEWER                                                                                \
    "the answer would be larger than 64 MiB: ask for fewer records at a time, or, by keys, " \
    "for fewer of their fields"

/* One record may always be had, however large it is; several only up to 64 MiB. */
static void test_large_answers(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct store_limits limits = {.records = 100, .bytes = 1 << 30, .cull = 0.1};
    struct store *st = NULL;
    struct seat s;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    open_seat(&s, st);
    char *large = calloc(1, (70 << 20) + 1);
    assert_non_null(large);
    for (int i = 0; i < 4; i++) {
        memset(large, ids[i][0], i == 3 ? 70 << 20 : 30 << 20);
        request(&s, 't', ids[i], NULL, NULL);
        result(&s, 't', ids[i], "e0", "{\"status\": \"ok\"}", large);
    }
    ask(&s, "result_request", "{\"msg_ids\": [\"a\", \"b\", \"c\"]}", "result_reply",
        ERROR("OverflowError", FEWER));
    ask(&s, "db_request", "{\"query\": {}, \"keys\": [\"result_buffers\"]}", "db_reply",
        ERROR("OverflowError", FEWER));
    ask_with_engines(&s, "db_request", "{\"query\": {}, \"keys\": [\"msg_id\"]}", "");
    expect_answer(&s, "db_reply", NULL);
    ask_with_engines(&s, "result_request", "{\"msg_ids\": [\"a\", \"b\"]}", "");
    struct mail *m = await(&s);
    assert_int_equal(m->msg->n, 3 + 2);
    assert_int_equal(part(m, 3).len, 30 << 20);
    assert_int_equal(part(m, 4).data[(30 << 20) - 1], 'b');
    assert_non_null(m->msg->frames[4].block); /* by reference from here on */
    mail_free(m);
    ask_with_engines(&s, "result_request", "{\"msg_ids\": [\"d\"]}", "");
    m = await(&s);
    assert_int_equal(part(m, 3).len, 70 << 20);
    mail_free(m);
    free(large);
    close_seat(&s);
}

/* The 24th field: only where there is some, unless it is asked for; tables have no column. */
static void test_display_data(void **state)
{
    struct seat s;
    open_memory(&s);
    request(&s, 't', "a", NULL, NULL);
    request(&s, 't', "b", NULL, NULL);
    output(&s, "a", "display_data", "{\"data\": {\"text/plain\": \"1\"}}");
    output(&s, "a", "display_data", "{\"data\": {\"text/plain\": \"2\"}}");
    assert_record(&s, "a", "[\"display_data\"]",
                  "{\"display_data\":{\"data\":{\"text/plain\":\"2\"}},\"msg_id\":\"a\"}");
    assert_record(&s, "b", "[\"display_data\"]", "{\"display_data\":null,\"msg_id\":\"b\"}");
    ask(&s, "db_request",
        "{\"query\": {\"display_data\": {\"$ne\": null}}, \"keys\": [\"msg_id\"]}", "db_reply",
        "{\"buffer_lens\":null,\"records\":[{\"msg_id\":\"a\"}],\"result_buffer_lens\":null,"
        "\"status\":\"ok\"}");
    ask_with_engines(&s, "db_request", "{\"query\": {}}", "");
    struct mail *m = await(&s);
    json_t *j = json_parse(part(m, 2), NULL), *records = json_object_get(j, "records");
    assert_int_equal(json_object_size(json_array_get(records, 0)), 22);
    assert_non_null(json_object_get(json_array_get(records, 0), "display_data"));
    assert_int_equal(json_object_size(json_array_get(records, 1)), 21);
    json_decref(j);
    mail_free(m);
    close_seat(&s);
}

static void test_malformed_requests(void **state)
{
    struct seat s;
    open_memory(&s);
    ask(&s, "result_request", "{}", "hub_error", ERROR("KeyError", "'msg_ids'"));
    ask(&s, "result_request", "{\"msg_ids\": \"x\"}", "result_reply",
        ERROR("TypeError", "msg_ids must be a list"));
    ask(&s, "result_request", "{\"msg_ids\": [5]}", "result_reply",
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
    ask(&s, "purge_request", "{\"msg_ids\": 5}", "hub_error", NULL);
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

/* Nothing is sent when one of them has no request any more: output of something that was never
 * requested here, or buffers that were dropped for want of room. */
static void test_resubmit_of_what_is_not_whole(void **state)
{
    struct seat s;
    struct store_limits limits = {.records = 100, .bytes = 8, .cull = 0.1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    struct store_record short_one = {.set = STORE_FIELD(F_msg_id) | STORE_FIELD(F_header)};
    short_one.v[F_msg_id].text = SLICE_LIT("short");
    short_one.v[F_header].text = SLICE_LIT("{\"msg_type\": \"execute_request\"}");
    assert_int_equal(st->ops->put(st, &short_one, NULL), 0);
    open_seat(&s, st);
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"short\"]}", "resubmit_reply",
        ERROR("ValueError",
              "the record was kept without the request's content, which can't be sent again"));
    request(&s, 't', "a", NULL, NULL);
    request(&s, 't', "b", NULL, NULL);
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"b\", \"a\"]}", "resubmit_reply",
        ERROR("ValueError",
              "the record was kept without the request's buffers, which can't be sent again"));
    output(&s, "skeleton", "stream", "{\"name\": \"stdout\", \"text\": \"x\"}");
    ask(&s, "resubmit_request", "{\"msg_ids\": [\"b\", \"skeleton\"]}", "resubmit_reply",
        ERROR("ValueError", "there is no request in the record"));
    ask_with_engines(&s, "resubmit_request", "{\"msg_ids\": [\"b\"]}", "");
    struct mail *m = await_any(&s);
    assert_int_equal(m->type, MAIL_RESUBMIT);
    mail_free(m);
    close_seat(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_db_request),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_display_data),
        cmocka_unit_test(test_malformed_requests),
        cmocka_unit_test(test_purge),
        cmocka_unit_test(test_resubmit),
        cmocka_unit_test(test_resubmit_of_what_is_not_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
