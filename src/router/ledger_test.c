/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct requests open and answered, per engine. */
#include "router/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct engine_env env;
    struct ledger ledger;
    struct engine *a, *b;
};

static int setup(void **state)
{
    static struct fixture f;
    f.env.loop = loop_new();
    ledger_init(&f.ledger);
    f.a = engine_new(&f.env, SLICE_LIT("a"), 0);
    f.b = engine_new(&f.env, SLICE_LIT("b"), 1);
    *state = &f;
    return f.a && f.b ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    ledger_fini(&f->ledger);
    engine_free(f->a);
    engine_free(f->b);
    loop_free(f->env.loop);
    return 0;
}

static void append(void *ctx, struct slice id)
{
    char *text = ctx;
    size_t len = strlen(text);
    snprintf(text + len, 64 - len, "%.*s ", SLICE_FMT(id));
}

static void append_closed(void *ctx, struct engine *e, struct slice id)
{
    append(ctx, id);
}

static void test_open_and_answered(void **state)
{
    struct fixture *f = *state;
    char text[64] = "";
    ledger_open(&f->ledger, f->a, SLICE_LIT("1"));
    ledger_open(&f->ledger, f->a, SLICE_LIT("2"));
    ledger_open(&f->ledger, f->b, SLICE_LIT("3"));
    ledger_open(&f->ledger, f->b, SLICE_LIT("1")); /* known: it stays where it is */
    assert_int_equal(f->a->n_queue, 2);
    assert_int_equal(f->b->n_queue, 1);
    assert_false(ledger_answer(&f->ledger, f->b, SLICE_LIT("2")));
    assert_true(ledger_answer(&f->ledger, f->a, SLICE_LIT("2")));
    assert_false(ledger_answer(&f->ledger, f->a, SLICE_LIT("2")));
    ledger_walk_open(f->a, append, text);
    assert_string_equal(text, "1 ");
}

static void test_close_tells_in_order(void **state)
{
    struct fixture *f = *state;
    char text[64] = "";
    for (int i = 0; i < 4; i++)
        ledger_open(&f->ledger, f->a, (struct slice){&"wxyz"[i], 1});
    ledger_close(&f->ledger, f->a, append_closed, text);
    assert_string_equal(text, "w x y z ");
    assert_int_equal(f->a->n_queue, 0);
    ledger_open(&f->ledger, f->b, SLICE_LIT("w"));
    assert_int_equal(f->b->n_queue, 1);
}

static void count(void *ctx, struct slice id)
{
    struct slice *last = ctx;
    *last = (struct slice){id.data, last->len + 1};
}

static void complete(struct engine *e, int n)
{
    char id[64];
    for (int i = 0; i < n; i++) {
        int len = snprintf(id, sizeof(id), "86a3d698-2d5a709829f830b446ba5572_4242_%04d", i);
        ledger_complete(e, (struct slice){id, (size_t)len});
    }
}

static struct slice last_of(struct engine *e)
{
    struct slice seen = {NULL, 0};
    ledger_walk_completed(e, count, &seen);
    return seen;
}

static void test_completed_is_counted_and_bounded(void **state)
{
    struct fixture *f = *state;
    static char huge[70000];
    complete(f->a, 10000);
    ledger_complete(f->a, (struct slice){huge, sizeof(huge)}); /* counted only */
    assert_int_equal(f->a->n_completed, 10001);
    struct slice seen = last_of(f->a);
    assert_in_range(seen.len, 300, 9999);
    assert_memory_equal(seen.data, "86a3d698-2d5a709829f830b446ba5572_4242_9999", 43);
    assert_in_range(f->env.completed_bytes, 1, 32768);
}

/* 10,000 of them, which all do much: a few KB each, and each the newest of its own. */
static void test_completed_of_many_engines(void **state)
{
    enum { MANY = 10000, EACH = 200 };
    static struct engine *engines[MANY];
    struct fixture *f = *state;
    for (int i = 0; i < MANY; i++) {
        engines[i] = engine_new(&f->env, SLICE_LIT("e"), i);
        assert_non_null(engines[i]);
    }
    for (int i = 0; i < MANY; i++)
        complete(engines[i], EACH);
    assert_in_range(f->env.completed_bytes, MANY * 512, (16 << 20) + MANY * 512);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(engines[i]->n_completed, EACH);
        struct slice seen = last_of(engines[i]);
        assert_in_range(seen.len, 5, EACH);
        assert_memory_equal(seen.data, "86a3d698-2d5a709829f830b446ba5572_4242_0199", 43);
        engine_free(engines[i]);
    }
    assert_int_equal(f->env.completed_bytes, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_open_and_answered),
        T(test_close_tells_in_order),
        T(test_completed_is_counted_and_bounded),
        T(test_completed_of_many_engines),
    };
    return cmocka_run_group_tests_name("router/ledger", tests, NULL, NULL);
}
