/* SPDX-License-Identifier: BSD-3-Clause */
/* Where tasks ran: the newest are known, the oldest forgotten, the memory bounded. */
#include "router/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct slice id_of(unsigned n, char buf[32])
{
    int len = snprintf(buf, 32, "s_1_%u", n);
    return (struct slice){buf, (size_t)len};
}

/* Two ids share a fingerprint in one run of a hundred: one in 2^40 of all pairs. */
#define WRONG_MAX 3

static void test_remembers_and_forgets(void **state)
{
    enum { N = 3 * PLACES_KEPT };
    unsigned n_wrong = 0;
    struct places p;
    char buf[32];
    places_init(&p);
    assert_int_equal(places_get(&p, id_of(1, buf)), 0);
    for (unsigned i = 0; i < N; i++)
        places_put(&p, id_of(i, buf), 1 + i % 1000);
    for (unsigned i = N - PLACES_KEPT; i < N; i++)
        n_wrong += places_get(&p, id_of(i, buf)) != 1 + i % 1000;
    assert_true(n_wrong <= WRONG_MAX);
    n_wrong = 0;
    for (unsigned i = 0; i < 100; i++)
        n_wrong += places_get(&p, id_of(i, buf)) || places_get(&p, id_of(N + i, buf));
    assert_true(n_wrong <= WRONG_MAX);
    assert_true((p.young.n_slots + p.old.n_slots) * sizeof(uint64_t) <= 4u << 20);
    places_fini(&p);
}

static void test_last_word_counts(void **state)
{
    struct places p;
    places_init(&p);
    places_put(&p, SLICE_LIT("a"), 7);
    places_put(&p, SLICE_LIT("a"), 9);
    places_put(&p, SLICE_LIT("b"), 0);
    places_put(&p, SLICE_LIT("c"), UINT32_MAX);
    assert_int_equal(places_get(&p, SLICE_LIT("a")), 9);
    assert_int_equal(places_get(&p, SLICE_LIT("b")), 0);
    assert_int_equal(places_get(&p, SLICE_LIT("c")), 0);
    assert_int_equal(p.young.n, 1);
    places_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remembers_and_forgets),
        cmocka_unit_test(test_last_word_counts),
    };
    return cmocka_run_group_tests_name("router/places", tests, NULL, NULL);
}
