/* SPDX-License-Identifier: BSD-3-Clause */
/* Two threads and one desk: a sheet is whole, newer than the question, and in one hand only. */
#include "stats/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "util/clock.h"

#define ROUNDS 20000

struct teller {
    struct stats_desk *desk;
    struct loop *loop;
    double filled; /* its own thread's: no lock, so TSan would tell if another looked */
    struct stats_hist hist;
};

/* Every figure of one sheet is the same. */
static void fill(void *ctx, struct stats_sheet *s)
{
    struct teller *t = ctx;
    t->filled++;
    stats_hist_add(&t->hist, 1000000);
    for (int i = 0; i < 100; i++)
        stats_put_label(s, STATS_DROPPED, "some", t->filled);
    stats_put_hist(s, STATS_TASK_TOTAL, &t->hist);
    stats_put_thread(s, "teller");
    if (t->filled == ROUNDS)
        loop_stop(t->loop); /* behind this turn, in which the answer goes out */
}

static void *tell(void *arg)
{
    struct teller *t = arg;
    loop_run(t->loop);
    return NULL;
}

struct asker {
    struct loop *loop;
    struct stats_desk *desk;
    int left;
    double last;
    int64_t asked_ns;
    unsigned n_torn, n_stale, n_refused;
};

static void ask(struct asker *a)
{
    a->asked_ns = clock_mono_ns();
    a->n_refused += !desk_ask(a->desk);
}

static void on_told(void *ctx)
{
    struct asker *a = ctx;
    const struct stats_sheet *s = desk_latest(a->desk);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 100; i++)
        a->n_torn += s->samples[i].value != a->last + 1;
    for (unsigned i = 0; i <= STATS_N_BOUNDS; i++)
        sum += s->hists[0].hist.counts[i];
    a->n_torn += (double)sum != a->last + 1 || s->n_samples != 101 || s->n_hists != 1;
    a->n_stale += s->at_ns < a->asked_ns;
    a->last++;
    if (--a->left)
        ask(a);
    else
        loop_stop(a->loop);
}

static void test_sheets_are_whole(void **state)
{
    struct teller t = {.desk = desk_new("teller"), .loop = loop_new()};
    struct asker a = {.desk = t.desk, .loop = loop_new(), .left = ROUNDS};
    pthread_t thread;
    assert_int_equal(desk_serve(t.desk, t.loop, fill, &t), 0);
    assert_int_equal(desk_open(a.desk, a.loop, on_told, &a), 0);
    assert_int_equal(desk_latest(a.desk)->at_ns, 0);
    pthread_create(&thread, NULL, tell, &t);
    ask(&a);
    assert_int_equal(loop_run(a.loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(a.n_torn + a.n_stale + a.n_refused, 0);
    assert_true(t.filled == ROUNDS);
    desk_leave(t.desk);
    desk_close(a.desk);
    desk_free(t.desk);
    loop_free(t.loop);
    loop_free(a.loop);
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

/* Nobody answers: one question is out, the next is refused, the last answer stays. */
static void test_a_thread_that_is_stuck(void **state)
{
    struct teller t = {.desk = desk_new("teller"), .loop = loop_new()};
    struct loop *l = loop_new();
    int n = 0;
    assert_int_equal(desk_serve(t.desk, t.loop, fill, &t), 0);
    assert_int_equal(desk_open(t.desk, l, count, &n), 0);
    assert_true(desk_ask(t.desk));
    while (t.filled < 1)
        assert_int_equal(loop_turn(t.loop, 1000), 0);
    while (n < 1)
        assert_int_equal(loop_turn(l, 1000), 0);
    assert_true(desk_ask(t.desk));
    assert_true(desk_is_asked(t.desk));
    assert_false(desk_ask(t.desk));
    assert_true(desk_latest(t.desk)->samples[0].value == 1);
    desk_leave(t.desk); /* with the question on its way */
    desk_close(t.desk);
    desk_free(t.desk);
    loop_free(t.loop);
    loop_free(l);
}

static void test_an_answer_under_way_is_nobodys(void **state)
{
    struct teller t = {.desk = desk_new("teller"), .loop = loop_new()};
    struct loop *l = loop_new();
    int n = 0;
    assert_int_equal(desk_serve(t.desk, t.loop, fill, &t), 0);
    assert_int_equal(desk_open(t.desk, l, count, &n), 0);
    assert_true(desk_ask(t.desk));
    while (t.filled < 1)
        assert_int_equal(loop_turn(t.loop, 1000), 0);
    desk_close(t.desk);
    desk_leave(t.desk);
    desk_free(t.desk);
    loop_free(t.loop);
    loop_free(l);
    desk_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheets_are_whole),
        cmocka_unit_test(test_a_thread_that_is_stuck),
        cmocka_unit_test(test_an_answer_under_way_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
