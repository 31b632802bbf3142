/* SPDX-License-Identifier: BSD-3-Clause */
/* Slabs: pieces don't overlap, memory is dense, serves any size again and goes back. */
#include "util/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/resident_rig.h"

/* Each holds its own pattern while sizes and ages are mixed. */
static void test_mixed(void **state)
{
    enum { N = 5000, ROUNDS = 40000 };
    static struct {
        uint8_t *p;
        size_t size;
        uint8_t mark;
    } items[N];
    struct slabs s;
    unsigned seed = 7;
    slabs_init(&s);
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1103515245u + 12345u;
        size_t i = seed / 65536u % N;
        if (items[i].p) {
            for (size_t k = 0; k < items[i].size; k += 13)
                assert_int_equal(items[i].p[k], items[i].mark);
            assert_int_equal(items[i].p[items[i].size - 1], items[i].mark);
            slabs_put(&s, items[i].p);
            items[i].p = NULL;
            continue;
        }
        items[i].size = 1 + seed / 7u % (round % 3 ? 300 : SLAB_PIECE_MAX);
        items[i].mark = (uint8_t)round;
        items[i].p = slabs_get(&s, items[i].size);
        assert_non_null(items[i].p);
        assert_int_equal((uintptr_t)items[i].p % SLAB_STEP, 0);
        memset(items[i].p, items[i].mark, items[i].size);
        if (round % 5000 == 0)
            slabs_trim(&s);
    }
    for (size_t i = 0; i < N; i++)
        slabs_put(&s, items[i].p);
    assert_int_equal(slabs_used(&s), 0);
    slabs_fini(&s);
}

/* A thousand octets cost a thousand, and nothing when they are given back: in the order in
 * which they came, with a few that stay. */
static void test_dense_and_given_back(void **state)
{
    enum { N = 50000, SIZE = 1000 };
    static void *pieces[N];
    struct slabs s;
    slabs_init(&s);
    size_t before = resident_bytes();
    for (size_t i = 0; i < N; i++) {
        pieces[i] = slabs_get(&s, SIZE);
        assert_non_null(pieces[i]);
        memset(pieces[i], 1, SIZE);
    }
    size_t full = resident_bytes() - before;
    if (IS_MEASURABLE)
        assert_in_range(full, (size_t)N * SIZE, (size_t)N * SIZE * 11 / 10);
    for (size_t i = 0; i < N; i++)
        if (i % 10000 != 0)
            slabs_put(&s, pieces[i]);
    slabs_trim(&s);
    size_t after = resident_bytes();
    if (IS_MEASURABLE)
        assert_true(after < before + full / 10);
    assert_int_equal(*(uint8_t *)pieces[10000], 1);
    for (size_t i = 0; i < N; i += 10000)
        slabs_put(&s, pieces[i]);
    slabs_trim(&s);
    assert_true(list_is_empty(&s.roomy) && list_is_empty(&s.full));
    pieces[0] = slabs_get(&s, 16);
    assert_non_null(pieces[0]);
    slabs_put(&s, pieces[0]);
    slabs_fini(&s);
}

/* Slabs that are empty serve other sizes. */
static void test_other_sizes(void **state)
{
    enum { N = 3000 };
    static void *pieces[N];
    struct slabs s;
    slabs_init(&s);
    for (size_t size = 4096; size >= 1000; size -= 100) {
        for (size_t i = 0; i < N; i++)
            assert_non_null(pieces[i] = slabs_get(&s, size));
        for (size_t i = 0; i < N; i++)
            slabs_put(&s, pieces[i]);
    }
    size_t n = 0;
    list_for_each (&s.roomy, it)
        n++;
    assert_true(list_is_empty(&s.full));
    assert_in_range(n, 1, 6); /* 12 MB of one size, and a slab of each other */
    slabs_fini(&s);
}

static void test_sizes_that_are_none(void **state)
{
    struct slabs s;
    slabs_init(&s);
    assert_null(slabs_get(&s, 0));
    assert_null(slabs_get(&s, SLAB_PIECE_MAX + 1));
    slabs_put(&s, NULL);
    slabs_trim(&s);
    slabs_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_dense_and_given_back),
        cmocka_unit_test(test_other_sizes),
        cmocka_unit_test(test_sizes_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
