/* SPDX-License-Identifier: BSD-3-Clause */
/* Pools: classes, reuse, trimming, blocks that come back from other threads. */
#include "util/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void test_reuse(void **state)
{
    struct block_pool *p = block_pool_new(1 << 20, false);
    struct block *a = block_get(p, 70000);
    assert_true(a->cap >= 70000 && a->fd == -1);
    memset(a->data, 7, a->cap);
    size_t cap = a->cap;
    assert_int_equal(block_pool_used(p), cap);
    block_ref(a);
    block_unref(a);
    assert_int_equal(block_pool_kept(p), 0);
    a->user = p;
    block_unref(a);
    assert_int_equal(block_pool_used(p), 0);
    assert_int_equal(block_pool_kept(p), cap);
    struct block *b = block_get(p, 66000);
    assert_ptr_equal(a, b);
    assert_null(b->user);
    block_unref(b);
    block_pool_trim(p, 0);
    assert_int_equal(block_pool_kept(p), 0);
    block_unref(NULL);
    block_pool_free(p);
}

static void test_every_class_is_large_enough(void **state)
{
    struct block_pool *p = block_pool_new(0, false);
    for (size_t len = 1; len < (size_t)1 << 28; len += len / 3 + 1) {
        struct block *b = block_get(p, len);
        assert_true(b->cap >= len);
        assert_true(len < 65536 || b->cap <= len + len / 2 + 65536);
        b->data[len - 1] = 1;
        block_unref(b);
    }
    assert_null(block_get(p, SIZE_MAX));
    assert_int_equal(block_pool_kept(p), 0);
    block_pool_free(p);
}

static void test_shared_memory(void **state)
{
    struct block_pool *p = block_pool_new(1 << 20, true);
    struct block *b = block_get(p, 65536), *c = block_get(p, 65536);
    assert_true(b->fd >= 0 && b->id != c->id);
    uint8_t *seen = mmap(NULL, b->cap, PROT_READ, MAP_SHARED, b->fd, 0);
    assert_ptr_not_equal(seen, MAP_FAILED);
    b->data[5] = 42;
    assert_int_equal(seen[5], 42);
    munmap(seen, b->cap);
    block_unref(b);
    block_unref(c);
    block_pool_free(p);
}

static void test_destroyed_memory_is_given_back(void **state)
{
    struct block_pool *p = block_pool_new(0, true);
    struct block *b = block_get(p, 65536);
    uint8_t *seen = mmap(NULL, b->cap, PROT_READ, MAP_SHARED, b->fd, 0);
    assert_ptr_not_equal(seen, MAP_FAILED);
    size_t cap = b->cap;
    b->data[5] = 42;
    block_unref(b); /* nothing is kept */
    assert_int_equal(seen[5], 0);
    munmap(seen, cap);
    block_pool_free(p);
}

static void test_without_descriptors(void **state)
{
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    struct block_pool *p = block_pool_new(0, true);
    setrlimit(RLIMIT_NOFILE, &none);
    struct block *b = block_get(p, 100000);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_non_null(b);
    assert_int_equal(b->fd, -1);
    b->data[99999] = 1;
    block_unref(b);
    block_pool_free(p);
}

static unsigned n_released;

static void count_release(struct block *b)
{
    n_released++;
}

static void test_wrapped_memory(void **state)
{
    uint8_t memory[16];
    struct block b;
    n_released = 0;
    block_wrap(&b, memory, sizeof(memory), count_release);
    block_ref(&b);
    block_unref(&b);
    assert_int_equal(n_released, 0);
    block_unref(&b);
    assert_int_equal(n_released, 1);
    assert_ptr_equal(b.data, memory);
}

static void *drop(void *b)
{
    block_unref(b);
    return NULL;
}

static void test_block_from_another_thread(void **state)
{
    struct block_pool *p = block_pool_new(1 << 30, false);
    pthread_t threads[8];
    struct block *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = block_get(p, 100000);
        pthread_create(&threads[i], NULL, drop, blocks[i]);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(block_pool_used(p), 0);
    struct block *again = block_get(p, 100000);
    bool known = false;
    for (int i = 0; i < 8; i++)
        known |= again == blocks[i];
    assert_true(known);
    block_unref(again);
    block_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_every_class_is_large_enough),
        cmocka_unit_test(test_shared_memory),
        cmocka_unit_test(test_destroyed_memory_is_given_back),
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_wrapped_memory),
        cmocka_unit_test(test_block_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
