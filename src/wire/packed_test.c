/* SPDX-License-Identifier: BSD-3-Clause */
/* Packing: what comes out is what went in, blocks are held as long as the message is. */
#include "wire/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct packed *pack(const struct frame *frames, unsigned n)
{
    struct packed *p = malloc(packed_size(frames, n));
    assert_non_null(p);
    packed_fill(p, frames, n);
    return p;
}

static void assert_same(const struct packed *p, const struct frame *want, unsigned n)
{
    struct frame *got = calloc(n + 1, sizeof(*got));
    assert_non_null(got);
    assert_int_equal(p->n, n);
    packed_frames(p, got);
    for (unsigned i = 0; i < n; i++) {
        struct slice one = packed_frame(p, i);
        assert_int_equal(got[i].len, want[i].len);
        assert_int_equal(one.len, want[i].len);
        assert_ptr_equal(one.data, got[i].data);
        assert_ptr_equal(got[i].block, want[i].block);
        if (want[i].len)
            assert_memory_equal(got[i].data, want[i].data, want[i].len);
    }
    free(got);
}

/* Lengths on both sides of what two octets hold, blocks before, between and behind them. */
static void test_every_kind_of_frame(void **state)
{
    struct block_pool *pool = block_pool_new(0, false);
    struct block *a = block_get(pool, 100000), *b = block_get(pool, 3);
    uint8_t *octets = malloc(70000);
    assert_non_null(octets);
    for (size_t i = 0; i < 70000; i++)
        octets[i] = (uint8_t)(i * 7);
    memset(a->data, 1, 100000);
    memset(b->data, 2, 3);
    const struct frame frames[] = {
        {a->data, 100000, a},  {octets, 5, NULL},     {NULL, 0, NULL},
        {octets, 65534, NULL}, {octets, 65535, NULL}, {b->data, 3, b},
        {octets + 1, 0, NULL}, {octets, 69999, NULL}, {octets + 9, 256, NULL},
        {a->data, 65000, a},
    };
    const unsigned n = sizeof(frames) / sizeof(frames[0]);
    struct packed *p = pack(frames, n);
    assert_same(p, frames, n);
    assert_true(p->bytes >= 2 * a->cap + b->cap + 5 + 65534 + 65535 + 69999 + 256);
    block_unref(a);
    block_unref(b);
    assert_true(block_pool_used(pool) >= 100003);
    assert_same(p, frames, n);
    packed_fini(p);
    assert_int_equal(block_pool_used(pool), 0);
    free(p);
    free(octets);
    block_pool_free(pool);
}

static void test_own_copy(void **state)
{
    char small[] = "small";
    const struct frame frames[] = {{(uint8_t *)small, 5, NULL}, {(uint8_t *)small, 2, NULL}};
    struct packed *p = pack(frames, 2);
    small[0] = 'X';
    assert_memory_equal(packed_frame(p, 0).data, "small", 5);
    assert_memory_equal(packed_frame(p, 1).data, "sm", 2);
    packed_fini(p);
    free(p);
    p = pack(NULL, 0);
    assert_same(p, NULL, 0);
    free(p);
}

/* What a task's message costs beyond its octets (bench key queued_task_overhead_bytes). */
static void test_overhead(void **state)
{
    uint8_t octets[600] = {0};
    struct frame frames[10];
    size_t own = 0;
    for (unsigned i = 0; i < 10; i++) {
        frames[i] = (struct frame){octets, 60 * i, NULL};
        own += frames[i].len;
    }
    assert_int_equal(packed_size(frames, 10) - own, sizeof(struct packed) + 20);
    struct packed *p = pack(frames, 10);
    assert_int_equal(p->bytes, packed_size(frames, 10));
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_frame),
        cmocka_unit_test(test_own_copy),
        cmocka_unit_test(test_overhead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
