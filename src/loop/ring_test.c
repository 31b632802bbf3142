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
#include <stdatomic.h>

#include "ersa/error.h"
#include "util/clock.h"

#define N 200000

static void test_bound(void **state)
{
    struct ring *r = ring_new(4);
    int x[5];
    for (int i = 0; i < 4; i++)
        assert_int_equal(ring_push(r, &x[i]), 0);
    assert_int_equal(ring_push(r, &x[4]), ERSA_EFULL);
    assert_int_equal(ring_room(r), 0);
    assert_int_equal(ring_cap(r), 4);
    assert_ptr_equal(ring_peek(r), &x[0]);
    assert_ptr_equal(ring_pop(r), &x[0]);
    assert_int_equal(ring_room(r), 1);
    for (int i = 1; i < 4; i++)
        assert_ptr_equal(ring_pop(r), &x[i]);
    assert_null(ring_peek(r));
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

struct counter {
    struct ring *r;
    int n;
    int leave_at; /* 0: never */
};

static void on_count(void *ctx, void *item)
{
    struct counter *c = ctx;
    if (++c->n == c->leave_at)
        ring_unwatch(c->r);
}

static void test_batches(void **state)
{
    struct loop *l = loop_new();
    struct counter c = {.r = ring_new(64)};
    for (int i = 0; i < 40; i++)
        ring_push(c.r, &c);
    ring_flush(c.r);
    assert_int_equal(ring_watch(c.r, l, on_count, &c, 16), 0);
    static const int after[] = {16, 32, 40, 40};
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        loop_turn(l, 0);
        assert_int_equal(c.n, after[i]);
    }
    ring_push(c.r, &c);
    ring_flush(c.r);
    ring_flush(c.r);
    loop_turn(l, -1);
    assert_int_equal(c.n, 41);
    loop_turn(l, 0); /* asleep again */
    for (int i = 0; i < 40; i++)
        ring_push(c.r, &c);
    ring_flush(c.r);
    loop_turn(l, -1);
    assert_int_equal(c.n, 41 + 16);
    loop_turn(l, -1);
    loop_turn(l, -1);
    assert_int_equal(c.n, 41 + 40);
    ring_free(c.r);
    loop_free(l);
}

static void test_unwatch_inside(void **state)
{
    struct loop *l = loop_new();
    struct counter c = {.r = ring_new(8), .leave_at = 3};
    for (int i = 0; i < 5; i++)
        ring_push(c.r, &c);
    assert_int_equal(ring_watch(c.r, l, on_count, &c, 16), 0);
    loop_turn(l, 0);
    loop_turn(l, 0);
    assert_int_equal(c.n, 3);
    assert_int_equal(ring_watch(c.r, l, on_count, &c, 16), 0);
    loop_turn(l, 0);
    assert_int_equal(c.n, 5);
    ring_free(c.r);
    loop_free(l);
}

#define ROUNDS 20000

struct teaser {
    struct ring *r;
    struct loop *l;
    atomic_int n; /* received */
    atomic_bool lost;
};

static void on_tease(void *ctx, void *item)
{
    struct teaser *t = ctx;
    if (atomic_fetch_add(&t->n, 1) + 1 == ROUNDS || atomic_load(&t->lost))
        loop_stop(t->l);
}

/* Sends the next item while the receiver is about to fall asleep after the last one. */
static void *tease(void *arg)
{
    struct teaser *t = arg;
    for (int i = 1; i <= ROUNDS; i++) {
        int64_t give_up = clock_mono_ns() + MS_TO_NS(20000);
        ring_push(t->r, t);
        ring_flush(t->r);
        for (int spins = 1; atomic_load(&t->n) < i; spins++) {
            if (spins % 1000)
                continue;
            sched_yield();
            if (clock_mono_ns() < give_up)
                continue;
            atomic_store(&t->lost, true);
            ring_flush(t->r); /* so that the test ends */
            return NULL;
        }
        for (atomic_int wait = 0; wait < i % 64;)
            wait++;
    }
    return NULL;
}

static void test_no_wake_up_is_lost(void **state)
{
    struct teaser t = {.r = ring_new(4), .l = loop_new()};
    pthread_t thread;
    assert_int_equal(ring_watch(t.r, t.l, on_tease, &t, 8), 0);
    pthread_create(&thread, NULL, tease, &t);
    loop_run(t.l);
    pthread_join(thread, NULL);
    assert_false(atomic_load(&t.lost));
    assert_int_equal(atomic_load(&t.n), ROUNDS);
    ring_free(t.r);
    loop_free(t.l);
}

static void test_load(void **state)
{
    struct ring *r = ring_new(2);
    assert_int_equal(ring_loaded(r), 0);
    ring_load(r, 1000);
    ring_load(r, 5);
    assert_int_equal(ring_loaded(r), 1005);
    ring_unload(r, 1000);
    assert_int_equal(ring_loaded(r), 5);
    ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),       cmocka_unit_test(test_load),
        cmocka_unit_test(test_batches),     cmocka_unit_test(test_unwatch_inside),
        cmocka_unit_test(test_two_threads), cmocka_unit_test(test_no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
