/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/dispatch.h"
#include "engine/reply.h"
#include "ersa/error.h"

static const struct request_def task = {.type = "apply_request", .is_task = true};
static const struct request_def other = {.type = "kernel_info_request"};

#define STARTED 1700000000123456
#define STARTED_TEXT "2023-11-14T22:13:20.123456Z"

/* The metadata of the reply to a request with that metadata. */
static char *metadata(const struct request_def *def, const char *request, const char *status,
                      bool is_unmet, int64_t published)
{
    static char text[4096];
    struct frame frames[] = {
        FRAME_LIT("mux"), FRAME_LIT("<IDS|MSG>"),
        FRAME_LIT(""),    FRAME_LIT("{\"msg_id\": \"i\", \"msg_type\": \"t\"}"),
        FRAME_LIT("{}"),  {(const uint8_t *)request, strlen(request), NULL},
        FRAME_LIT("{}"),
    };
    struct request r;
    struct reply_self self;
    struct buf out;
    assert_int_equal(request_read(&r, CHAN_SHELL, frames, 7), 0);
    r.def = def;
    r.started_us = STARTED;
    assert_int_equal(reply_self_init(&self, "u-1", 3), 0);
    buf_init(&out, sizeof(text) - 1);
    int rc = reply_metadata(&out, &self, &r, (struct slice){status, strlen(status)}, is_unmet,
                            published);
    assert_int_equal(rc, 0);
    memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    buf_fini(&out);
    reply_self_fini(&self);
    request_fini(&r);
    return text;
}

static void test_defaults(void **state)
{
    assert_string_equal(metadata(&task, "{}", "ok", false, REPLY_SAYS_NOTHING),
                        "{\"engine\": \"u-1\", \"started\": \"" STARTED_TEXT
                        "\", \"dependencies_met\": true, "
                        "\"label\": null, \"is_broadcast\": false, \"is_coalescing\": false, "
                        "\"original_msg_id\": \"\", \"status\": \"ok\"}");
}

static void test_copies_as_they_stand(void **state)
{
    assert_string_equal(
        metadata(&task,
                 "{\"label\":\"a\\\"\\u00e4 \xff\", \"is_broadcast\": true, \"targets\": [[1]],"
                 " \"is_coalescing\": 1.50, \"original_msg_id\": {\"a\": [1, 2]}}",
                 "aborted", false, REPLY_SAYS_NOTHING),
        "{\"engine\": \"u-1\", \"started\": \"" STARTED_TEXT "\", \"dependencies_met\": true, "
        "\"label\": \"a\\\"\\u00e4 \xff\", \"is_broadcast\": true, \"is_coalescing\": 1.50, "
        "\"original_msg_id\": {\"a\": [1, 2]}, \"status\": \"aborted\"}");
}

static void test_empty_label(void **state)
{
    assert_non_null(
        strstr(metadata(&task, "{\"label\": \"\"}", "ok", false, -1), "\"label\": \"\", "));
}

static void test_error_names_the_engine(void **state)
{
    const char *text = metadata(&task, "{}", "error", true, REPLY_SAYS_NOTHING);
    assert_non_null(strstr(text, "\"dependencies_met\": false"));
    assert_non_null(strstr(text, "\"status\": \"error\", \"engine_info\": "
                                 "{\"engine_uuid\": \"u-1\", \"engine_id\": 3}}"));
}

static void test_others_carry_the_engine_only(void **state)
{
    assert_string_equal(metadata(&other, "{\"label\": \"x\"}", "ok", false, -1),
                        "{\"engine\": \"u-1\"}");
    assert_string_equal(metadata(NULL, "{}", "error", false, -1), "{\"engine\": \"u-1\"}");
}

static void test_output_is_told(void **state)
{
    assert_string_equal(metadata(&other, "{}", "ok", false, 0),
                        "{\"engine\": \"u-1\", \"ersa\": {\"output_complete\": true, "
                        "\"published\": 0}}");
    assert_non_null(strstr(metadata(&task, "{}", "ok", false, 12),
                           "\"status\": \"ok\", \"ersa\": {\"output_complete\": true, "
                           "\"published\": 12}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_copies_as_they_stand),
        cmocka_unit_test(test_empty_label),
        cmocka_unit_test(test_error_names_the_engine),
        cmocka_unit_test(test_others_carry_the_engine_only),
        cmocka_unit_test(test_output_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
