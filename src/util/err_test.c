/* SPDX-License-Identifier: BSD-3-Clause */
/* Sentences of errors. */
#include "util/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

static void test_texts(void **state)
{
    assert_string_equal(ersa_strerror(0), "success");
    assert_string_equal(ersa_strerror(ERSA_EFULL), "a bound was reached");
    assert_string_equal(ersa_strerror(-9999), "unknown error");
}

static void test_set_and_prefix(void **state)
{
    struct ersa_error err = {0};
    assert_int_equal(err_set(&err, ERSA_EIO, "disk %d", 3), ERSA_EIO);
    assert_string_equal(err.text, "disk 3");
    assert_int_equal(err_prefix(&err, ERSA_EINVAL, "store"), ERSA_EIO);
    assert_string_equal(err.text, "store: disk 3");
    errno = ENOENT;
    assert_int_equal(err_errno(&err, ERSA_ENOENT, "x"), ERSA_ENOENT);
    assert_string_equal(err.text, "x: No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(err_set(NULL, ERSA_EIO, "nobody listens"), ERSA_EIO);
    assert_int_equal(err_prefix(NULL, ERSA_EIO, "nobody listens"), ERSA_EIO);
}

static void test_long_text_is_cut(void **state)
{
    struct ersa_error err = {0};
    char text[1000];
    memset(text, 'x', sizeof(text));
    text[999] = '\0';
    err_set(&err, ERSA_EIO, "%s", text);
    assert_int_equal(strlen(err.text), ERSA_ERROR_TEXT_MAX - 1);
    err_prefix(&err, ERSA_EIO, "%s", text);
    assert_int_equal(strlen(err.text), ERSA_ERROR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_set_and_prefix),
        cmocka_unit_test(test_long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
