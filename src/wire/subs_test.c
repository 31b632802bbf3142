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

static void test_the_nearest_is_not_the_one(void **state)
{
    static const char *const prefixes[] = {"b", "bcd", "bcdx", "bd", "bcc", "\xff", "\x7f"};
    struct subs s = {0};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        assert_int_equal(subs_add(&s, (struct slice){prefixes[i], strlen(prefixes[i])}), 1);
    assert_true(subs_match(&s, SLICE_LIT("bce")));
    assert_true(subs_match(&s, SLICE_LIT("\xff\x01")));
    assert_false(subs_match(&s, SLICE_LIT("\xfe")));
    assert_true(subs_remove(&s, SLICE_LIT("b")));
    assert_false(subs_match(&s, SLICE_LIT("bce")));
    assert_true(subs_match(&s, SLICE_LIT("bcdw")));
    assert_false(subs_match(&s, SLICE_LIT("b")));
    assert_false(subs_match(&s, SLICE_LIT("a")));
    assert_false(subs_match(&s, SLICE_LIT("")));
    subs_fini(&s);
}

static void test_bound(void **state)
{
    struct subs s = {0};
    char text[16];
    for (int i = 0; i < SUBS_MAX; i++) {
        int n = snprintf(text, sizeof(text), "%d.", i * 7919 % SUBS_MAX);
        assert_int_equal(subs_add(&s, (struct slice){text, (size_t)n}), 1);
    }
    assert_int_equal(subs_add(&s, SLICE_LIT("one more")), ERSA_EFULL);
    assert_int_equal(subs_add(&s, SLICE_LIT("77.")), 0);
    assert_true(subs_match(&s, SLICE_LIT("9999.x")));
    assert_false(subs_match(&s, SLICE_LIT("9999")));
    subs_fini(&s);
}

static void test_bound_on_octets(void **state)
{
    static char text[65536];
    struct subs s = {0};
    int rc = 1;
    unsigned n = 0;
    for (; rc == 1; n++) {
        memcpy(text, &n, sizeof(n));
        rc = subs_add(&s, (struct slice){text, sizeof(text)});
    }
    assert_int_equal(rc, ERSA_EFULL);
    assert_int_equal(n - 1, SUBS_OCTETS_MAX / sizeof(text));
    n = 0;
    memcpy(text, &n, sizeof(n));
    assert_true(subs_remove(&s, (struct slice){text, sizeof(text)}));
    assert_int_equal(subs_add(&s, (struct slice){text, sizeof(text)}), 1);
    subs_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_the_nearest_is_not_the_one),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_bound_on_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
