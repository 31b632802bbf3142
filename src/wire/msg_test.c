/* SPDX-License-Identifier: BSD-3-Clause */
/* Holding: small frames copied, large ones referenced. */
#include "wire/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_hold(void **state)
{
    struct block_pool *pool = block_pool_new(0, false);
    struct block *b = block_get(pool, 100000);
    b->data[99999] = 9;
    char small[] = "small";
    struct frame frames[] = {{(uint8_t *)small, 5, NULL},
                             {NULL, 0, NULL},
                             {b->data, 100000, b},
                             {(uint8_t *)small, 2, NULL}};
    struct held *h = msg_hold(frames, 4);
    block_unref(b);
    small[0] = 'X';
    assert_int_equal(h->n, 4);
    assert_memory_equal(h->frames[0].data, "small", 5);
    assert_int_equal(h->frames[1].len, 0);
    assert_ptr_equal(h->frames[2].data, b->data);
    assert_int_equal(h->frames[2].data[99999], 9);
    assert_memory_equal(h->frames[3].data, "sm", 2);
    assert_true(h->bytes >= 100000 + 7);
    assert_true(block_pool_used(pool) >= 100000);
    held_free(h);
    held_free(NULL);
    assert_int_equal(block_pool_used(pool), 0);
    block_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
