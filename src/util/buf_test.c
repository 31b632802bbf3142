/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounds, growth, JSON strings. */
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"

static void test_bound(void **state)
{
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_append(&b, "12345678", 8), 0);
    assert_int_equal(buf_append(&b, "abc", 3), ERSA_EFULL);
    assert_int_equal(b.len, 8);
    assert_int_equal(buf_puts(&b, "ab"), 0);
    assert_int_equal(buf_putc(&b, 'x'), ERSA_EFULL);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERSA_EFULL);
    assert_string_equal(buf_cstr(&b), "12345678ab");
    assert_int_equal(b.cap, 11);
    assert_int_equal(b.len, 10);
    buf_consume(&b, 3);
    assert_string_equal(buf_cstr(&b), "45678ab");
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

static void test_printf(void **state)
{
    struct buf b;
    char long_text[2000];
    memset(long_text, 'y', sizeof(long_text));
    long_text[1999] = '\0';
    buf_init(&b, 2010);
    assert_int_equal(buf_printf(&b, "%d-%s", 42, "x"), 0);
    assert_int_equal(buf_printf(&b, "%s", long_text), 0);
    assert_int_equal(b.len, 4 + 1999);
    assert_int_equal(buf_printf(&b, "%s", long_text), ERSA_EFULL);
    assert_int_equal(b.len, 4 + 1999);
    assert_memory_equal(b.data, "42-xyyy", 7);
    buf_fini(&b);
}

static void expect_json(const char *in, size_t len, const char *out)
{
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_put_json(&b, in, len), 0);
    assert_string_equal(buf_cstr(&b), out);
    buf_fini(&b);
}

static void test_json(void **state)
{
    expect_json("plain", 5, "\"plain\"");
    expect_json("a\"b\\c\n\t\x01\x7f", 9, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f\"");
    expect_json("\0", 1, "\"\\u0000\"");
    expect_json("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 9,
                "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"");
    expect_json("\xff", 1, "\"\xef\xbf\xbd\"");
    expect_json("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    expect_json("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_json_that_does_not_fit_leaves_nothing(void **state)
{
    struct buf b;
    buf_init(&b, 6);
    buf_puts(&b, "ab");
    assert_int_equal(buf_put_json(&b, "12345", 5), ERSA_EFULL);
    assert_int_equal(b.len, 2);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
