/* SPDX-License-Identifier: BSD-3-Clause */
/* Who waits for which answer. One thread, two loops, turned by hand. */
#include "web/scrape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

struct fixture {
    struct loop *asking, *telling;
    struct stats_desk *desks[2];
    struct scrape scrape;
    unsigned n_filled, n_done, n_served;
    const struct stats_desk *missing;
};

static void fill(void *ctx, struct stats_sheet *s)
{
    struct fixture *f = ctx;
    f->n_filled++;
}

static void on_done(void *ctx)
{
    struct fixture *f = ctx;
    f->n_done++;
    f->missing = scrape_missing(&f->scrape);
    while (list_pop_front(&f->scrape.asked))
        f->n_served++;
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.asking = loop_new(), .telling = loop_new()};
    for (int i = 0; i < 2; i++) {
        f.desks[i] = desk_new(i ? "second" : "first");
        if (!f.desks[i] || desk_serve(f.desks[i], f.telling, fill, &f) < 0)
            return -1;
    }
    *state = &f;
    return scrape_init(&f.scrape, f.asking, f.desks, 2, on_done, &f);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    scrape_fini(&f->scrape);
    for (int i = 0; i < 2; i++) {
        desk_leave(f->desks[i]);
        desk_free(f->desks[i]);
    }
    loop_free(f->asking);
    loop_free(f->telling);
    return 0;
}

static void turn_until(struct fixture *f, const unsigned *counter, unsigned value, bool tell)
{
    int64_t until = clock_mono_ms() + 10000;
    while (*counter < value && clock_mono_ms() < until) {
        loop_turn(f->asking, 1);
        if (tell)
            loop_turn(f->telling, 0);
    }
    assert_int_equal(*counter, value);
}

static void test_those_that_come_together_share(void **state)
{
    struct fixture *f = *state;
    struct list waiters[5];
    for (int i = 0; i < 5; i++)
        scrape_join(&f->scrape, &waiters[i]);
    turn_until(f, &f->n_served, 5, true);
    assert_int_equal(f->n_done, 1);
    assert_int_equal(f->n_filled, 2);
    assert_null(f->missing);
}

static void test_who_comes_later_gets_newer_figures(void **state)
{
    struct fixture *f = *state;
    struct list first, second;
    scrape_join(&f->scrape, &first);
    loop_turn(f->asking, 0);
    loop_turn(f->asking, 0);
    assert_true(desk_is_asked(f->desks[0]));
    int64_t joined_ns = clock_mono_ns();
    scrape_join(&f->scrape, &second);
    turn_until(f, &f->n_served, 2, true);
    assert_int_equal(f->n_done, 2);
    assert_int_equal(f->n_filled, 4);
    assert_true(desk_latest(f->desks[0])->at_ns > joined_ns);
    assert_true(desk_latest(f->desks[1])->at_ns > joined_ns);
}

static void test_questions_keep_their_distance(void **state)
{
    struct fixture *f = *state;
    int64_t start = clock_mono_ns();
    for (unsigned i = 1; i <= 6; i++) {
        struct list waiter;
        scrape_join(&f->scrape, &waiter);
        turn_until(f, &f->n_served, i, true);
    }
    assert_true(clock_mono_ns() - start >= MS_TO_NS(5 * SCRAPE_GAP_MS));
}

/* It is waited for once, named, and asked again when it has answered. */
static void test_a_thread_that_is_stuck(void **state)
{
    struct fixture *f = *state;
    struct list waiter;
    int64_t start = clock_mono_ns();
    scrape_join(&f->scrape, &waiter);
    turn_until(f, &f->n_served, 1, false);
    assert_true(clock_mono_ns() - start >= MS_TO_NS(SCRAPE_PATIENCE_MS));
    assert_ptr_equal(f->missing, f->desks[0]);
    assert_string_equal(desk_thread(f->missing), "first");
    turn_until(f, &f->n_filled, 2, true);
    scrape_join(&f->scrape, &waiter);
    turn_until(f, &f->n_served, 2, true);
    assert_null(f->missing);
    assert_true(f->n_filled >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_those_that_come_together_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_comes_later_gets_newer_figures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_questions_keep_their_distance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_thread_that_is_stuck, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
