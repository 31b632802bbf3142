/* SPDX-License-Identifier: BSD-3-Clause */
/* Slices, numbers, distance. */
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"

static void test_slices(void **state)
{
    struct slice none = {NULL, 0}, empty = {"", 0}, word = SLICE_LIT("word");
    assert_true(slice_is(word, "word"));
    assert_false(slice_is(word, "wor"));
    assert_false(slice_is(none, ""));
    assert_true(slice_is(empty, ""));
    assert_false(slice_eq(none, none));
    assert_true(slice_eq(word, SLICE_LIT("word")));
    char *copy = str_dup_slice(word), *nothing = str_dup_slice(none);
    assert_string_equal(copy, "word");
    assert_string_equal(nothing, "");
    free(copy);
    free(nothing);
}

static void test_numbers(void **state)
{
    long long i = 0;
    double d = 0;
    assert_int_equal(str_to_i64("-42", &i), 0);
    assert_int_equal(i, -42);
    assert_int_equal(str_to_double("1.5e3", &d), 0);
    assert_true(d == 1500);
    static const char *const bad[] = {"", " 1", "1 ", "x", "1x", "999999999999999999999"};
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_int_equal(str_to_i64(bad[k], &i), ERSA_EPARSE);
    for (size_t k = 0; k < 5; k++)
        assert_int_equal(str_to_double(bad[k], &d), ERSA_EPARSE);
}

static void test_distance(void **state)
{
    assert_int_equal(str_distance("scheme", "scheme"), 0);
    assert_int_equal(str_distance("scheme_name", "schem_name"), 1);
    assert_int_equal(str_distance("", "abc"), 3);
    assert_int_equal(str_distance("kitten", "sitting"), 3);
}

static void test_hex_and_paths(void **state)
{
    char out[7];
    str_hex("\x00\xab\xff", 3, out);
    assert_string_equal(out, "00abff");
    char *path = str_path("/a", "b"), *text = str_printf("%d%%", 5);
    assert_string_equal(path, "/a/b");
    assert_string_equal(text, "5%");
    free(path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_hex_and_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
