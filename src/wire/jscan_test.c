/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"
#include "wire/jscan.h"

#define TEXT(s) SLICE_LIT(s)

static struct jfield scan_one(struct slice text, const char *key)
{
    struct jfield f = {.key = key};
    assert_int_equal(jscan(text, &f, 1), 0);
    return f;
}

static void assert_raw(const struct jfield *f, enum jtype type, const char *raw)
{
    assert_int_equal(f->type, type);
    assert_int_equal(f->raw.len, strlen(raw));
    assert_memory_equal(f->raw.data, raw, f->raw.len);
}

static void test_header_as_python_writes_it(void **state)
{
    struct jfield f[] = {
        {.key = "session"}, {.key = "msg_type"}, {.key = "msg_id"}, {.key = "missing"}};
    struct slice text =
        TEXT("{\"msg_id\": \"0a1b2c3d-00112233445566778899aabb_4242_7\", "
             "\"msg_type\": \"connection_request\", \"username\": \"ada\", "
             "\"session\": \"0a1b2c3d-00112233445566778899aabb\", "
             "\"date\": \"2026-01-02T03:04:05.678901Z\", \"version\": \"5.3\"}");
    assert_int_equal(jscan(text, f, 4), 0);
    assert_raw(&f[0], J_STRING, "0a1b2c3d-00112233445566778899aabb");
    assert_raw(&f[1], J_STRING, "connection_request");
    assert_raw(&f[2], J_STRING, "0a1b2c3d-00112233445566778899aabb_4242_7");
    assert_int_equal(f[3].type, J_ABSENT);
}

static void test_every_type(void **state)
{
    struct jfield f[] = {{.key = "n"}, {.key = "b"}, {.key = "i"}, {.key = "s"},
                         {.key = "a"}, {.key = "o"}, {.key = "x"}};
    struct slice text =
        TEXT(" {\"n\":null,\"b\" : true ,\"i\":-12.5e+3,\"s\":\"\",\n\"a\":[ 1,[]],"
             "\"o\":{\"i\":7,\"q\":[{}]},\"x\":Infinity}\t");
    assert_int_equal(jscan(text, f, 7), 0);
    assert_raw(&f[0], J_NULL, "null");
    assert_raw(&f[1], J_BOOL, "true");
    assert_raw(&f[2], J_NUMBER, "-12.5e+3");
    assert_raw(&f[3], J_STRING, "");
    assert_raw(&f[4], J_ARRAY, "[ 1,[]]");
    assert_raw(&f[5], J_OBJECT, "{\"i\":7,\"q\":[{}]}");
    assert_raw(&f[6], J_NUMBER, "Infinity");
    double number;
    bool flag;
    assert_int_equal(jscan_number(&f[2], &number), 0);
    assert_true(number == -12500);
    assert_int_equal(jscan_number(&f[6], &number), 0);
    assert_true(isinf(number));
    assert_int_equal(jscan_number(&f[1], &number), ERSA_EPARSE);
    assert_int_equal(jscan_bool(&f[1], &flag), 0);
    assert_true(flag);
    assert_int_equal(jscan_bool(&f[0], &flag), ERSA_EPARSE);
}

static void test_keys(void **state)
{
    struct jfield f = scan_one(TEXT("{\"ab\":0,\"a\":1,\"a\":2}"), "a");
    assert_raw(&f, J_NUMBER, "2");
    f = scan_one(TEXT("{\"msg\\u005fid\":\"x\"}"), "msg_id");
    assert_raw(&f, J_STRING, "x");
    f = scan_one(TEXT("{\"a\\u0000b\":1,\"\":2}"), "a");
    assert_int_equal(f.type, J_ABSENT);
    f = scan_one(TEXT("{\"o\":{\"a\":1}}"), "a");
    assert_int_equal(f.type, J_ABSENT);
}

static void check_string(struct slice text, const char *want, size_t want_len)
{
    struct jfield f = scan_one(text, "s");
    char buf[64];
    struct slice got;
    assert_int_equal(jscan_string(&f, buf, sizeof(buf), &got), 0);
    assert_int_equal(got.len, want_len);
    assert_memory_equal(got.data, want, want_len);
}

static void test_strings(void **state)
{
    check_string(TEXT("{\"s\":\"plain\xff octets\"}"), "plain\xff octets", 13);
    check_string(TEXT("{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"), "\"\\/\b\f\n\r\t", 8);
    check_string(TEXT("{\"s\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"}"),
                 "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10);
    check_string(TEXT("{\"s\":\"\\ud83dx\\udc00\"}"), "\xef\xbf\xbdx\xef\xbf\xbd", 7);
    check_string(TEXT("{\"s\":\"a\\u0000b\"}"), "a\0b", 3);
    struct jfield f = scan_one(TEXT("{\"s\":\"abc\",\"e\":\"\\u20ac\"}"), "s");
    char small[2];
    struct slice got;
    assert_int_equal(jscan_string(&f, small, sizeof(small), &got), ERSA_EPARSE);
    f = scan_one(TEXT("{\"s\":\"abc\",\"e\":\"\\u20ac\"}"), "e");
    assert_int_equal(jscan_string(&f, small, sizeof(small), &got), ERSA_EPARSE);
    f = scan_one(TEXT("{\"s\":5}"), "s");
    assert_int_equal(jscan_string(&f, small, sizeof(small), &got), ERSA_EPARSE);
}

/* The quote is found whatever its place in the eight octets looked at together. */
static void test_string_ends_anywhere(void **state)
{
    static const char special[] = {'"', '\\', '\n'};
    for (size_t len = 0; len < 40; len++) {
        for (size_t kind = 0; kind < sizeof(special); kind++) {
            char text[128];
            int n = snprintf(text, sizeof(text), "{\"s\":\"");
            memset(text + n, 'a' + (int)(len % 20), len);
            memset(text + n, 0x80, len / 3);
            size_t at = (size_t)n + len;
            text[at] = special[kind];
            memcpy(text + at + 1, "n\"}", 3);
            if (kind == 0)
                memcpy(text + at + 1, "}  ", 3);
            struct jfield f = {.key = "s"};
            int rc = jscan((struct slice){text, at + 4}, &f, 1);
            assert_int_equal(rc, kind == 2 ? ERSA_EPARSE : 0);
            assert_int_equal(f.raw.len, kind == 0 ? len : kind == 1 ? len + 2 : 0);
        }
    }
}

static void test_one_field(void **state)
{
    struct jfield f = {.key = "msg_id"};
    assert_int_equal(jscan_one(TEXT(" { \"a\": [1], \"msg_id\" : \"x\", \"msg_id\": 2"), &f),
                     0);
    assert_raw(&f, J_STRING, "x");
    assert_int_equal(jscan_one(TEXT("{\"a\": 1}"), &f), 0);
    assert_int_equal(f.type, J_ABSENT);
    static const char *const broken[] = {
        "",          "{",           "[]",           "{\"msg_id\"",       "{\"msg_id\": \"x",
        "{\"a\": 1", "{\"a\": 1,}", "{\"a\": 1} x", "{a, \"msg_id\": 1}"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_int_equal(jscan_one((struct slice){broken[i], strlen(broken[i])}, &f),
                         ERSA_EPARSE);
        assert_int_equal(f.type, J_ABSENT);
    }
}

/* Until the last of them is found, or all of the text. */
static void test_some_fields(void **state)
{
    struct jfield f[] = {{.key = "date"}, {.key = "id"}};
    assert_int_equal(
        jscan_some(TEXT("{\"id\": 1, \"id\": 2, \"x\": {}, \"date\": \"d\" broken"), f, 2), 0);
    assert_raw(&f[0], J_STRING, "d");
    assert_raw(&f[1], J_NUMBER, "2");
    assert_int_equal(jscan_some(TEXT("{\"\\u0069d\": 3, \"date\": null, ]"), f, 2), 0);
    assert_raw(&f[0], J_NULL, "null");
    assert_raw(&f[1], J_NUMBER, "3");
    assert_int_equal(jscan_some(TEXT("{\"id\": 4, \"id\": 5}"), f, 2), 0);
    assert_int_equal(f[0].type, J_ABSENT);
    assert_raw(&f[1], J_NUMBER, "5");
    assert_int_equal(jscan_some(TEXT("{\"id\": 4, \"id\": 5"), f, 2), ERSA_EPARSE);
    assert_int_equal(jscan_some(TEXT("{\"id\": 4, \"date\": x"), f, 2), ERSA_EPARSE);
    assert_int_equal(f[1].type, J_ABSENT);
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "{}{}",
        "{} x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":nan}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"x}",
        "{\"a\":\"\\",
        "{\"a\":\"\n\"}",
        "{\"a\":[}",
        "{\"a\":[1,]}",
        "{\"a\":[,]}",
        "{\"a\":[1 2]}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":{1:2}}",
        "{\"a\":{\"b\":1,}}",
        "{\"a\":[1}",
        "{\"a\":[[1]",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct jfield f = {.key = "a"};
        /* A copy of the exact size, so that a read behind the end is noticed. */
        size_t len = strlen(bad[i]);
        char *exact = malloc(len + 1);
        memcpy(exact, bad[i], len);
        char *text = realloc(exact, len ? len : 1);
        if (jscan((struct slice){text, len}, &f, 1) != ERSA_EPARSE)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(f.type, J_ABSENT);
        free(text);
    }
    struct jfield f = {.key = "a"};
    assert_int_equal(jscan((struct slice){NULL, 0}, &f, 1), ERSA_EPARSE);
}

static int scan_depth(unsigned arrays)
{
    char text[4096];
    size_t n = 0;
    memcpy(text, "{\"a\":", 5);
    n = 5;
    memset(text + n, '[', arrays);
    n += arrays;
    memset(text + n, ']', arrays);
    n += arrays;
    text[n++] = '}';
    struct jfield f = {.key = "a"};
    return jscan((struct slice){text, n}, &f, 1);
}

static void test_depth_is_bounded(void **state)
{
    assert_int_equal(scan_depth(JSCAN_DEPTH_MAX - 1), 0);
    assert_int_equal(scan_depth(JSCAN_DEPTH_MAX), ERSA_EPARSE);
}

static void test_walks_an_array(void **state)
{
    static const char *const want[] = {"one", "2", "[3, \"x\"]", "{\"k\":[4]}", "null"};
    struct jfield f =
        scan_one(TEXT("{\"a\": [ \"one\" , 2,[3, \"x\"],{\"k\":[4]}, null ]}"), "a");
    struct jfield item;
    size_t pos = 0, n = 0;
    while (jscan_next(&f, &pos, &item)) {
        assert_in_range(n, 0, 4);
        assert_int_equal(item.raw.len, strlen(want[n]));
        assert_memory_equal(item.raw.data, want[n], item.raw.len);
        n++;
    }
    assert_int_equal(n, 5);
    f = scan_one(TEXT("{\"a\": [ ]}"), "a");
    pos = 0;
    assert_false(jscan_next(&f, &pos, &item));
    f = scan_one(TEXT("{\"a\": 5}"), "a");
    pos = 0;
    assert_false(jscan_next(&f, &pos, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_as_python_writes_it),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_string_ends_anywhere),
        cmocka_unit_test(test_one_field),
        cmocka_unit_test(test_some_fields),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_walks_an_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
