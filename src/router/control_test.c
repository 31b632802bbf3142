/* SPDX-License-Identifier: BSD-3-Clause */
/* Control requests that engines have not answered: each has one answer, and all a bound. */
#include "router/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct engine_env env;
    struct control control;
    struct engine *a, *b;
    char told[64];
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    f.env.loop = loop_new();
    control_init(&f.control);
    f.a = engine_new(&f.env, SLICE_LIT("a"), 0);
    f.b = engine_new(&f.env, SLICE_LIT("b"), 1);
    *state = &f;
    return f.a && f.b ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_fini(&f->control);
    assert_int_equal(f->control.bytes, 0);
    engine_free(f->a);
    engine_free(f->b);
    loop_free(f->env.loop);
    return 0;
}

static void open_one(struct fixture *f, struct engine *e, struct slice id)
{
    const struct control_request q = {SLICE_LIT("client"), id};
    control_open(&f->control, e, id, &q);
}

static void tell(void *ctx, struct engine *e, const struct control_request *q)
{
    struct fixture *f = ctx;
    size_t len = strlen(f->told);
    assert_true(slice_is(q->client, "client"));
    snprintf(f->told + len, sizeof(f->told) - len, "%.*s%.*s ", SLICE_FMT(e->uuid),
             SLICE_FMT(q->header));
}

static void close_all(struct fixture *f, struct engine *e)
{
    control_close(&f->control, e, tell, f);
}

static void test_what_is_open_is_told_in_order(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        open_one(f, f->a, (struct slice){&"xyz"[i], 1});
    open_one(f, f->a, SLICE_LIT("x")); /* known: it stays where it is */
    open_one(f, f->b, SLICE_LIT("x"));
    assert_true(control_answer(&f->control, f->a->uuid, SLICE_LIT("y")));
    close_all(f, f->a);
    assert_string_equal(f->told, "ax az ");
    close_all(f, f->a);
    close_all(f, f->b);
    assert_string_equal(f->told, "ax az bx ");
}

static void test_an_answer_in_its_place_is_the_only_one(void **state)
{
    struct fixture *f = *state;
    open_one(f, f->a, SLICE_LIT("x"));
    open_one(f, f->b, SLICE_LIT("x"));
    close_all(f, f->a);
    assert_false(control_answer(&f->control, f->a->uuid, SLICE_LIT("x")));
    assert_true(control_answer(&f->control, f->b->uuid, SLICE_LIT("x")));
    assert_true(control_answer(&f->control, f->b->uuid, SLICE_LIT("never asked")));
    assert_int_equal(f->control.bytes, 0);
}

static void ignore(void *ctx, struct engine *e, const struct control_request *q)
{
}

static void test_they_are_bounded_together(void **state)
{
    static char header[1 << 20];
    struct fixture *f = *state;
    const struct control_request q = {SLICE_LIT("client"), {header, sizeof(header)}};
    char id[16];
    struct slice name = {id, 0};
    for (int i = 0; i < 100; i++) {
        name.len = (size_t)snprintf(id, sizeof(id), "%d", i);
        control_open(&f->control, f->a, name, &q);
    }
    assert_in_range(f->control.bytes, CONTROL_MAX - 2 * sizeof(header), CONTROL_MAX);
    size_t n = map_size(&f->control.requests);

    control_close(&f->control, f->a, ignore, NULL);
    for (int i = 0; i < 10; i++) { /* these are the first to go */
        name.len = (size_t)snprintf(id, sizeof(id), "new %d", i);
        control_open(&f->control, f->b, name, &q);
        assert_true(map_size(&f->control.requests) <= n);
    }
    size_t n_new = 0;
    list_for_each (&f->b->control, at)
        n_new++;
    assert_int_equal(n_new, 10);
}

static void test_what_is_too_long_is_not_followed(void **state)
{
    static char huge[2000];
    struct fixture *f = *state;
    memset(huge, 'x', sizeof(huge));
    open_one(f, f->a, (struct slice){huge, sizeof(huge)});
    assert_int_equal(f->control.bytes, 0);
    assert_true(control_answer(&f->control, f->a->uuid, (struct slice){huge, sizeof(huge)}));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_what_is_open_is_told_in_order),
        T(test_an_answer_in_its_place_is_the_only_one),
        T(test_they_are_bounded_together),
        T(test_what_is_too_long_is_not_followed),
    };
    return cmocka_run_group_tests_name("router/control", tests, NULL, NULL);
}
