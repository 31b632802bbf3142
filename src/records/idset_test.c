/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "records/idset.h"

static struct slice id_of(char *buf, size_t size, const char *prefix, unsigned long n)
{
    int len = snprintf(buf, size, "%s_%lu", prefix, n);
    return (struct slice){buf, (size_t)len};
}

static void add(struct idset *s, const char *prefix, unsigned long n)
{
    char buf[64];
    assert_int_equal(idset_add(s, id_of(buf, sizeof(buf), prefix, n)), 0);
}

static bool has(struct idset *s, const char *prefix, unsigned long n)
{
    char buf[64];
    return idset_has(s, id_of(buf, sizeof(buf), prefix, n));
}

static void drop(struct idset *s, const char *prefix, unsigned long n)
{
    char buf[64];
    idset_remove(s, id_of(buf, sizeof(buf), prefix, n));
}

static void test_ids_in_order_are_one_run(void **state)
{
    struct idset s;
    idset_init(&s);
    for (unsigned long n = 0; n < 100000; n++)
        add(&s, "a_1", n);
    assert_int_equal(s.n_runs, 1);
    assert_true(has(&s, "a_1", 0));
    assert_true(has(&s, "a_1", 99999));
    assert_false(has(&s, "a_1", 100000));
    assert_false(has(&s, "a_2", 0));
    idset_fini(&s);
}

/* Against a plain table, in an order that depends on nothing. */
static void test_any_order(void **state)
{
    enum { N = 512, STEPS = 20000 };
    bool in[N] = {false};
    unsigned long x = 1;
    struct idset s;
    idset_init(&s);
    for (int step = 0; step < STEPS; step++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        unsigned long n = (x >> 33) % N;
        bool on = (x >> 20) % 3 != 0;
        if (on)
            add(&s, "p", n);
        else
            drop(&s, "p", n);
        in[n] = on;
        assert_int_equal(has(&s, "p", n), on);
        if (step % 500 == 0)
            for (unsigned long i = 0; i < N; i++)
                assert_int_equal(has(&s, "p", i), in[i]);
    }
    size_t runs = 0;
    for (int i = 0; i < N; i++)
        runs += in[i] && (i == 0 || !in[i - 1]);
    assert_int_equal(s.n_runs, runs);
    for (unsigned long n = 0; n < N; n++)
        drop(&s, "p", n);
    assert_int_equal(s.n_runs, 0);
    assert_int_equal(map_size(&s.prefixes), 0);
    idset_fini(&s);
}

static void test_other_forms(void **state)
{
    static const char *const ids[] = {
        "",         "x",    "_",     "7",    "a_",
        "a_07",     "a_+1", "a_0x1", "a_1 ", "a_1234567890123456789",
        "a_0_uuid", "a_00",
    };
    struct idset s;
    idset_init(&s);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct slice id = {ids[i], strlen(ids[i])};
        assert_false(idset_has(&s, id));
        assert_int_equal(idset_add(&s, id), 0);
        assert_int_equal(idset_add(&s, id), 0);
        assert_true(idset_has(&s, id));
        assert_int_equal(map_size(&s.others), i + 1);
    }
    assert_false(has(&s, "a", 7));
    assert_false(has(&s, "a", 0));
    idset_remove(&s, SLICE_LIT("x"));
    idset_remove(&s, SLICE_LIT("nosuch"));
    assert_false(idset_has(&s, SLICE_LIT("x")));
    idset_clear(&s);
    assert_int_equal(map_size(&s.others), 0);
    assert_false(idset_has(&s, SLICE_LIT("_")));
    idset_fini(&s);
}

static void test_bounds(void **state)
{
    char buf[32];
    struct idset s;
    idset_init(&s);
    for (unsigned long n = 0; n < IDSET_OTHERS_MAX + 10; n++) {
        int len = snprintf(buf, sizeof(buf), "x%lu", n);
        assert_int_equal(idset_add(&s, (struct slice){buf, (size_t)len}), 0);
    }
    assert_int_equal(map_size(&s.others), IDSET_OTHERS_MAX);
    assert_false(idset_has(&s, SLICE_LIT("x9")));
    assert_true(idset_has(&s, SLICE_LIT("x10")));
    add(&s, "old", 1);
    for (unsigned long n = 0; n < IDSET_RUNS_MAX + 10; n++)
        add(&s, "p", 2 * n);
    assert_true(s.n_runs <= IDSET_RUNS_MAX);
    assert_false(has(&s, "old", 1));
    assert_false(has(&s, "p", 0));
    assert_true(has(&s, "p", 2 * IDSET_RUNS_MAX));
    idset_clear(&s);
    for (unsigned long n = 0; n < IDSET_PREFIXES_MAX + 10; n++) {
        snprintf(buf, sizeof(buf), "p%lu", n);
        add(&s, buf, 5);
    }
    assert_int_equal(map_size(&s.prefixes), IDSET_PREFIXES_MAX);
    assert_false(has(&s, "p9", 5));
    assert_true(has(&s, "p10", 5));
    idset_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_in_order_are_one_run),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
