/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is there, under which id, and who may come back (controller.md 7 and 9). */
#include "router/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/caps.h"
#include "util/log.h"

struct witness {
    struct loop *loop;
    int64_t now_ns;
    struct registry r;
    int alive, gone, strand, absent;
};

static void on_alive(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->alive++;
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    ((struct witness *)ctx)->gone++;
    if (was_alive)
        engine_close_tasks(e);
}

static void on_strand(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->strand++;
}

static void on_absent(void *ctx, struct engine *e)
{
    ((struct witness *)ctx)->absent++;
}

static const struct engine_ops ops = {on_alive, on_gone, on_strand, on_absent};
static struct link *const some_link = (struct link *)&ops;

static int setup(void **state)
{
    struct witness *w = calloc(1, sizeof(*w));
    struct registry_limits limits = {.registration_timeout_ms = 30000, .restore_ms = 11000};
    log_set_level(LOG_CRITICAL);
    w->loop = loop_new();
    w->now_ns = 1000000000;
    loop_set_clock(w->loop, w->now_ns);
    registry_init(&w->r, w->loop, &limits, &ops, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct witness *w = *state;
    registry_fini(&w->r);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void pass_ms(struct witness *w, int64_t ms)
{
    w->now_ns += MS_TO_NS(ms);
    loop_set_clock(w->loop, w->now_ns);
    loop_turn(w->loop, 0);
}

static struct engine *add(struct witness *w, const char *uuid, int64_t wish)
{
    struct engine *e = NULL;
    struct slice s = {uuid, strlen(uuid)};
    assert_int_equal(registry_add(&w->r, s, wish, 0, &e, NULL), 0);
    return e;
}

static struct engine *add_alive(struct witness *w, const char *uuid, int64_t wish)
{
    struct engine *e = add(w, uuid, wish);
    e->attach = some_link;
    engine_beat(e);
    assert_int_equal(e->state, ENGINE_ALIVE);
    return e;
}

static void test_ids_count_up(void **state)
{
    struct witness *w = *state;
    assert_int_equal(add(w, "a", REGISTRY_NO_ID)->id, 0);
    assert_int_equal(add(w, "b", REGISTRY_NO_ID)->id, 1);
    assert_int_equal(add(w, "c", 7)->id, 7);
    assert_int_equal(add(w, "d", REGISTRY_NO_ID)->id, 8);
    assert_int_equal(add(w, "e", 7)->id, 9); /* taken */
    assert_int_equal(add(w, "f", 3)->id, 3);
    assert_int_equal(w->r.n_pending, 6);
    assert_string_equal(registry_by_id(&w->r, 7)->uuid.data, "c");
    assert_int_equal(registry_by_uuid(&w->r, SLICE_LIT("f"))->id, 3);
    assert_null(registry_by_id(&w->r, 5));
    assert_null(registry_by_uuid(&w->r, SLICE_LIT("g")));
}

static void test_uuid_in_use(void **state)
{
    struct witness *w = *state;
    struct ersa_error err = {0};
    struct engine *a = add(w, "a", REGISTRY_NO_ID), *e = NULL;
    assert_int_equal(registry_add(&w->r, SLICE_LIT("a"), 4, 0, &e, &err), ERSA_EEXIST);
    assert_ptr_equal(e, a);
    assert_non_null(strstr(err.text, "'a'"));
}

static void test_end_frees_at_the_end_of_the_turn(void **state)
{
    struct witness *w = *state;
    struct engine *e = add_alive(w, "a", REGISTRY_NO_ID);
    assert_int_equal(w->r.n_live, 1);
    engine_end(e, EV_UNREGISTER, "exit code 0");
    assert_int_equal(w->r.n_live, 0);
    assert_null(registry_by_uuid(&w->r, SLICE_LIT("a")));
    assert_null(registry_by_id(&w->r, 0));
    assert_int_equal(w->gone, 1);
    assert_int_equal(w->absent, 0);
    pass_ms(w, 201);
    pass_ms(w, 0);
    assert_int_equal(w->strand, 1);
    assert_int_equal(w->absent, 1);
}

static void test_same_uuid_gets_its_id_again(void **state)
{
    struct witness *w = *state;
    engine_end(add_alive(w, "a", REGISTRY_NO_ID), EV_UNREGISTER, NULL);
    add_alive(w, "b", REGISTRY_NO_ID);
    assert_int_equal(add(w, "a", REGISTRY_NO_ID)->id, 0);
}

static void test_lost_heart_may_come_back(void **state)
{
    struct witness *w = *state;
    int64_t id;
    unsigned caps;
    struct engine *e = add_alive(w, "a", 5);
    e->caps = CAP_begun;
    engine_event(e, EV_MISSED);
    engine_end(e, EV_HEART_FAILED, NULL);
    assert_true(registry_lost_heart(&w->r, SLICE_LIT("a"), &id, &caps));
    assert_int_equal(id, 5);
    assert_int_equal(caps, CAP_begun);
    engine_end(add_alive(w, "b", REGISTRY_NO_ID), EV_UNREGISTER, NULL);
    assert_false(registry_lost_heart(&w->r, SLICE_LIT("b"), &id, &caps));
    assert_false(registry_lost_heart(&w->r, SLICE_LIT("c"), &id, &caps));
}

static void test_restored(void **state)
{
    struct witness *w = *state;
    struct engine *stock, *ours, *lost, *e;
    struct ersa_error err = {0};
    assert_int_equal(registry_restore(&w->r, SLICE_LIT("stock"), 4, &stock, &err), 0);
    assert_int_equal(registry_restore(&w->r, SLICE_LIT("ours"), 2, &ours, &err), 0);
    assert_int_equal(registry_restore(&w->r, SLICE_LIT("lost"), 0, &lost, &err), 0);
    assert_int_equal(registry_restore(&w->r, SLICE_LIT("x"), 4, &e, &err), ERSA_EEXIST);
    assert_int_equal(registry_restore(&w->r, SLICE_LIT("ours"), 9, &e, &err), ERSA_EEXIST);
    assert_int_equal(w->r.next_id, 5);

    stock->links[CH_MUX] = stock->links[CH_TASK] = some_link;
    engine_connected(stock);
    assert_int_equal(stock->state, ENGINE_PENDING);
    stock->links[CH_CONTROL] = some_link;
    engine_connected(stock);
    assert_int_equal(stock->state, ENGINE_ALIVE);
    assert_int_equal(
        registry_add(&w->r, SLICE_LIT("stock"), 7, CAP_ready | CAP_begun, &e, &err), 0);
    assert_ptr_equal(e, stock);
    assert_int_equal(stock->caps, CAP_ready | CAP_begun);
    assert_int_equal(stock->state, ENGINE_ALIVE);
    ours->attach = some_link;
    engine_connected(ours);
    engine_beat(ours);
    assert_int_equal(ours->state, ENGINE_PENDING);
    assert_int_equal(registry_add(&w->r, SLICE_LIT("ours"), 7, CAP_ready, &e, &err), 0);
    assert_ptr_equal(e, ours);
    assert_int_equal(e->id, 2);
    engine_beat(ours);
    assert_int_equal(ours->state, ENGINE_PENDING);
    engine_ready(ours);
    assert_int_equal(ours->state, ENGINE_ALIVE);
    assert_int_equal(registry_add(&w->r, SLICE_LIT("ours"), 7, 0, &e, &err), ERSA_EEXIST);

    pass_ms(w, 11001);
    assert_int_equal(w->gone, 1);
    assert_int_equal(add(w, "lost", REGISTRY_NO_ID)->id, 0);
    assert_int_equal(w->r.n_live, 2);
    stock->links[CH_MUX] = stock->links[CH_TASK] = stock->links[CH_CONTROL] = NULL;
}

static void test_thousands(void **state)
{
    struct witness *w = *state;
    char uuid[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(uuid, sizeof(uuid), "u%d", i);
        assert_int_equal(add_alive(w, uuid, REGISTRY_NO_ID)->id, i);
    }
    for (int i = 0; i < 3000; i += 2) {
        struct engine *e = registry_by_id(&w->r, i);
        engine_end(e, EV_DISCONNECTED, NULL);
    }
    pass_ms(w, 6000);
    pass_ms(w, 0);
    assert_int_equal(w->absent, 1500);
    assert_int_equal(w->r.n_live, 1500);
    assert_non_null(registry_by_id(&w->r, 2999));
}

static void test_caps(void **state)
{
    json_t *holder = json_pack("{s:o}", "ersa", caps_json(CAP_attach | CAP_begun));
    assert_int_equal(caps_read(holder), CAP_attach | CAP_begun);
    assert_int_equal(caps_bit("ready"), CAP_ready);
    assert_int_equal(caps_bit("telepathy"), 0);
    json_object_set_new(json_object_get(holder, "ersa"), "v", json_integer(2));
    assert_int_equal(caps_read(holder), 0);
    json_decref(holder);
    holder = json_pack("{s:{s:i, s:[s, i, s]}}", "ersa", "v", 1, "caps", "ready", 3, "new");
    assert_int_equal(caps_read(holder), CAP_ready);
    json_decref(holder);
    holder = json_pack("{s:[]}", "ersa");
    assert_int_equal(caps_read(holder), 0);
    json_decref(holder);
    assert_int_equal(caps_read(NULL), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_ids_count_up),
        T(test_uuid_in_use),
        T(test_end_frees_at_the_end_of_the_turn),
        T(test_same_uuid_gets_its_id_again),
        T(test_lost_heart_may_come_back),
        T(test_restored),
        T(test_thousands),
        cmocka_unit_test(test_caps),
    };
    return cmocka_run_group_tests_name("router/registry", tests, NULL, NULL);
}
