/* SPDX-License-Identifier: BSD-3-Clause */
/* Two threads; nothing lost, nothing out of order, nobody asleep over mail. */
#include "loop/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "ersa/error.h"

#define N 200000

static void test_bound(void **state)
{
    struct ring *r = ring_new(4);
    int x[5];
    for (int i = 0; i < 4; i++)
        assert_int_equal(ring_push(r, &x[i]), 0);
    assert_int_equal(ring_push(r, &x[4]), ERSA_EFULL);
    assert_int_equal(ring_room(r), 0);
    assert_ptr_equal(ring_pop(r), &x[0]);
    assert_int_equal(ring_room(r), 1);
    for (int i = 1; i < 4; i++)
        assert_ptr_equal(ring_pop(r), &x[i]);
    assert_null(ring_pop(r));
    ring_free(r);
}

struct reader {
    struct loop *l;
    uintptr_t next;
    bool wrong;
};

static void on_item(void *ctx, void *item)
{
    struct reader *rd = ctx;
    rd->wrong |= (uintptr_t)item != rd->next++;
    if (rd->next > N)
        loop_stop(rd->l);
}

static void *produce(void *arg)
{
    struct ring *r = arg;
    for (uintptr_t i = 1; i <= N; i++) {
        while (ring_push(r, (void *)i) == ERSA_EFULL)
            sched_yield();
        if (i % 7 == 0 || i == N)
            ring_flush(r);
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct ring *r = ring_new(64);
    struct reader rd = {.l = loop_new(), .next = 1};
    pthread_t t;
    assert_int_equal(ring_watch(r, rd.l, on_item, &rd, 16), 0);
    pthread_create(&t, NULL, produce, r);
    assert_int_equal(loop_run(rd.l), 0);
    pthread_join(t, NULL);
    assert_false(rd.wrong);
    assert_int_equal(rd.next, N + 1);
    ring_free(r);
    loop_free(rd.l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
