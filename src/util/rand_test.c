/* SPDX-License-Identifier: BSD-3-Clause */
/* Session ids and the fast generator. */
#include "util/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>

static void test_session_id(void **state)
{
    char a[RAND_SESSION_ID_LEN + 1], b[RAND_SESSION_ID_LEN + 1];
    rand_session_id(a);
    rand_session_id(b);
    assert_int_equal(strlen(a), RAND_SESSION_ID_LEN);
    assert_string_not_equal(a, b);
    for (int i = 0; i < RAND_SESSION_ID_LEN; i++)
        assert_true(i == 8 ? a[i] == '-'
                           : isxdigit((unsigned char)a[i]) && !isupper((unsigned char)a[i]));
}

static void test_bits_are_balanced(void **state)
{
    int ones = 0;
    for (int i = 0; i < 10000; i++)
        ones += __builtin_popcountll(rand_u64());
    assert_true(ones > 315000 && ones < 325000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_id),
        cmocka_unit_test(test_bits_are_balanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
