/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of prefixes. */
#include "wire/subs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ersa/error.h"

static void test_prefixes(void **state)
{
    struct subs s = {0};
    assert_false(subs_match(&s, SLICE_LIT("x")));
    assert_int_equal(subs_add(&s, SLICE_LIT("engine.1")), 1);
    assert_int_equal(subs_add(&s, SLICE_LIT("engine.1")), 0);
    assert_int_equal(subs_add(&s, SLICE_LIT("engine.2")), 1);
    assert_true(subs_match(&s, SLICE_LIT("engine.12")));
    assert_false(subs_match(&s, SLICE_LIT("engine.")));
    assert_true(subs_remove(&s, SLICE_LIT("engine.1")));
    assert_false(subs_remove(&s, SLICE_LIT("engine.1")));
    assert_false(subs_match(&s, SLICE_LIT("engine.1")));
    assert_true(subs_match(&s, SLICE_LIT("engine.2")));
    assert_int_equal(subs_add(&s, SLICE_LIT("")), 1);
    assert_int_equal(subs_add(&s, SLICE_LIT("")), 0);
    assert_true(subs_match(&s, SLICE_LIT("")));
    assert_true(subs_remove(&s, SLICE_LIT("")));
    assert_false(subs_match(&s, SLICE_LIT("zzz")));
    subs_fini(&s);
}

static void test_bound(void **state)
{
    struct subs s = {0};
    char text[16];
    for (int i = 0; i < SUBS_MAX; i++) {
        int n = snprintf(text, sizeof(text), "%d.", i);
        if (i % 1000 == 0) /* a full search each: not for all */
            assert_int_equal(subs_add(&s, (struct slice){text, (size_t)n}), 1);
        else
            s.items = reallocarray(s.items, s.cap = s.n + 2, sizeof(*s.items)),
            s.items[s.n++] = (struct slice){strdup(text), (size_t)n};
    }
    assert_int_equal(subs_add(&s, SLICE_LIT("one more")), ERSA_EFULL);
    subs_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
