/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/json.h"

static void check(const char *text, size_t len, const char *want)
{
    struct ersa_error err = {0};
    json_t *j = json_parse((struct slice){text, len}, &err);
    if (!want) {
        assert_null(j);
        assert_int_equal(err.code, ERSA_EPARSE);
        assert_true(err.text[0]);
        return;
    }
    assert_non_null(j);
    char *got = json_text(j);
    assert_string_equal(got, want);
    free(got);
    json_decref(j);
}

#define CHECK(text, want) check(text, sizeof(text) - 1, want)

static void test_takes_what_python_writes(void **state)
{
    CHECK("{\"a\": [1, 2.5, true, null], \"b\": {}}", "{\"a\":[1,2.5,true,null],\"b\":{}}");
    CHECK("\"\xc3\xa9\"", "\"\xc3\xa9\"");
    CHECK("{\"a\": 1, \"a\": 2}", "{\"a\":2}");
    CHECK("\"a\\u0000b\"", "\"a\\u0000b\"");
}

static void test_bound_on_values(void **state)
{
    size_t len = 2 * (JSON_VALUES_MAX + 1) + 1;
    char *text = malloc(len);
    struct ersa_error err = {0};
    memset(text, '0', len);
    text[0] = '[';
    for (size_t i = 2; i < len; i += 2)
        text[i] = ',';
    text[len - 1] = ']';
    assert_null(json_parse((struct slice){text, len}, &err));
    assert_int_equal(err.code, ERSA_EFULL);
    text[len - 3] = ' '; /* as many as may be */
    text[len - 2] = ' ';
    json_t *j = json_parse((struct slice){text, len}, &err);
    assert_int_equal(json_array_size(j), JSON_VALUES_MAX);
    json_decref(j);
    free(text);
}

static void test_replaces_octets_that_are_not_utf8(void **state)
{
    CHECK("{\"a\": \"x\xffy\"}", "{\"a\":\"x\xef\xbf\xbdy\"}");
    CHECK("\"\xe2\x82\"", "\"\xef\xbf\xbd\""); /* cut short: one for the piece */
    CHECK("\"\xe2(\"", "\"\xef\xbf\xbd(\"");   /* the ( stays */
    CHECK("\"\xed\xa0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    CHECK("\"\xc0\x80\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
    CHECK("\"\\ud800x\"", "\"\xef\xbf\xbdx\"");
    CHECK("\"\\ud83d\\ude00\xff\"", "\"\xf0\x9f\x98\x80\xef\xbf\xbd\"");
    CHECK("{\"k\\u0000\": 1}", "{\"k\xef\xbf\xbd\":1}");
}

static void test_numbers_that_do_not_fit(void **state)
{
    CHECK("[NaN, Infinity, -Infinity, \"NaN\"]", "[null,null,null,\"NaN\"]");
    CHECK("[1e999, -1e999, 1.5E+999]", "[null,null,null]");
    CHECK("[9223372036854775807, NaN]", "[9223372036854775807,null]");
    CHECK("[1180591620717411303424]", "[1.1805916207174113e21]");
    CHECK("[-1180591620717411303424]", "[-1.1805916207174113e21]");
}

static void test_refuses_what_is_no_json(void **state)
{
    CHECK("", NULL);
    CHECK("{", NULL);
    CHECK("nan", NULL);
    CHECK("[-inf]", NULL);
    CHECK("[0x10]", NULL);
    CHECK("{'a': 1}", NULL);
    CHECK("[1,]", NULL);
    CHECK("\"a\\", NULL);
    CHECK("\"\\u12\"", NULL);
    CHECK("\xff", NULL);
    CHECK("{} x", NULL);
    CHECK("[1\0]", NULL);
    CHECK("[1e999.5e3]", NULL);
    CHECK("[01e999]", NULL);
    CHECK("[-1.e999]", NULL);
    CHECK("[01180591620717411303424]", NULL);
    check(NULL, 0, NULL);
}

static void test_a_deep_tree_is_refused(void **state)
{
    char text[8192];
    memset(text, '[', sizeof(text));
    check(text, sizeof(text), NULL);
}

static void test_lossy_strings(void **state)
{
    json_t *j = json_lossy(SLICE_LIT("a\xff"));
    assert_string_equal(json_string_value(j), "a\xef\xbf\xbd");
    json_decref(j);
    j = json_lossy((struct slice){NULL, 0});
    assert_string_equal(json_string_value(j), "");
    json_decref(j);
}

static void test_string_members(void **state)
{
    json_t *j = json_parse(SLICE_LIT("{\"a\": \"x\", \"b\": 1}"), NULL);
    assert_string_equal(json_str(j, "a"), "x");
    assert_null(json_str(j, "b"));
    assert_null(json_str(j, "c"));
    json_decref(j);
}

static void test_truth_is_pythons(void **state)
{
    json_t *j = json_parse(SLICE_LIT("{\"t\": [true, 1, -1, 0.5, \"x\", [0], {\"a\": 0}, 9e99],"
                                     " \"f\": [false, 0, 0.0, -0.0, \"\", [], {}, null, NaN]}"),
                           NULL);
    json_t *object = json_object(), *item;
    size_t i;
    json_array_foreach(json_object_get(j, "t"), i, item)
    {
        json_object_set(object, "k", item);
        assert_true(json_truth(object, "k"));
    }
    json_array_foreach(json_object_get(j, "f"), i, item)
    {
        json_object_set(object, "k", item);
        assert_false(json_truth(object, "k"));
    }
    assert_false(json_truth(object, "absent"));
    json_decref(object);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_python_writes),
        cmocka_unit_test(test_bound_on_values),
        cmocka_unit_test(test_replaces_octets_that_are_not_utf8),
        cmocka_unit_test(test_numbers_that_do_not_fit),
        cmocka_unit_test(test_refuses_what_is_no_json),
        cmocka_unit_test(test_a_deep_tree_is_refused),
        cmocka_unit_test(test_lossy_strings),
        cmocka_unit_test(test_string_members),
        cmocka_unit_test(test_truth_is_pythons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
