/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/queue.h"
#include "ersa/error.h"

/* A held request as it comes from a scheduler. */
static struct request *make_with(const char *type, const char *id, int64_t arrived_ns,
                                 const char *metadata)
{
    char header[256];
    snprintf(header, sizeof(header), "{\"msg_id\": \"%s\", \"msg_type\": \"%s\"}", id, type);
    const struct frame frames[] = {
        FRAME_LIT("task"),
        FRAME_LIT("client"),
        FRAME_LIT("<IDS|MSG>"),
        FRAME_LIT(""),
        {(const uint8_t *)header, strlen(header), NULL},
        FRAME_LIT("{}"),
        {(const uint8_t *)metadata, strlen(metadata), NULL},
        FRAME_LIT("{}"),
        FRAME_LIT("buffer"),
    };
    struct request r;
    assert_int_equal(request_read(&r, CHAN_SHELL, frames, sizeof(frames) / sizeof(frames[0])),
                     0);
    r.arrived_ns = arrived_ns;
    struct request *held = request_hold(&r);
    assert_non_null(held);
    request_fini(&r);
    return held;
}

static struct request *make(const char *type, const char *id, int64_t arrived_ns)
{
    return make_with(type, id, arrived_ns, "{\"label\": \"l\"}");
}

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static void test_held_request_stands_alone(void **state)
{
    struct request *r = make("apply_request", "a_1", 5);
    assert_true(slice_is(r->msg_id, "a_1"));
    assert_true(slice_is(r->msg_type, "apply_request"));
    assert_true(slice_is(r->meta[META_LABEL].raw, "l"));
    assert_int_equal(r->parts.n_idents, 2);
    assert_int_equal(r->parts.n_buffers, 1);
    assert_true(slice_is(frame_slice(&r->parts.buffers[0]), "buffer"));
    struct request *again = request_hold(r);
    request_free(r);
    assert_true(slice_is(again->msg_id, "a_1"));
    assert_true(slice_is(again->meta[META_LABEL].raw, "l"));
    request_free(again);
}

static void test_ids_with_escapes(void **state)
{
    struct request *r = make("apply_request", "a\\\"\\u00e4", 0);
    assert_true(slice_is(r->msg_id, "a\"\xc3\xa4"));
    struct request *again = request_hold(r);
    request_free(r);
    assert_true(slice_is(again->msg_id, "a\"\xc3\xa4"));
    assert_true(slice_is(again->msg_type, "apply_request"));
    request_free(again);
}

static void test_what_is_no_request(void **state)
{
    static const char *const headers[] = {"",
                                          "{}",
                                          "[]",
                                          "nonsense",
                                          "{\"msg_id\": \"x\"}",
                                          "{\"msg_id\": 1, \"msg_type\": \"t\"}"};
    struct request r;
    struct frame frames[] = {FRAME_LIT("mux"), FRAME_LIT("<IDS|MSG>"), FRAME_LIT(""),
                             FRAME_LIT("{}"),  FRAME_LIT("{}"),        FRAME_LIT("{}"),
                             FRAME_LIT("{}")};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        frames[3] = (struct frame){(const uint8_t *)headers[i], strlen(headers[i]), NULL};
        assert_int_equal(request_read(&r, CHAN_SHELL, frames, 7), ERSA_EPARSE);
    }
    frames[3] = FRAME_LIT("{\"msg_id\": \"x\", \"msg_type\": \"t\"}");
    assert_int_equal(request_read(&r, CHAN_SHELL, frames, 7), 0);
    request_fini(&r);
    frames[5] = FRAME_LIT("metadata");
    assert_int_equal(request_read(&r, CHAN_SHELL, frames, 7), ERSA_EPARSE);
    assert_int_equal(request_read(&r, CHAN_SHELL, frames, 6), ERSA_EPROTO);
    assert_int_equal(request_read(&r, CHAN_SHELL, frames + 1, 6), ERSA_EPROTO);
}

static void test_order(void **state)
{
    struct queue q;
    char id[16];
    queue_init(&q, SIZE_MAX);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(queue_push(&q, make("apply_request", id, i)), 0);
    }
    assert_int_equal(q.n, 1000);
    queue_push_front(&q, make("clear_request", "first", 0));
    struct request *r = queue_pop(&q);
    assert_true(slice_is(r->msg_id, "first"));
    request_free(r);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "%d", i);
        r = queue_pop(&q);
        assert_true(slice_is(r->msg_id, id));
        request_free(r);
    }
    assert_null(queue_pop(&q));
    assert_int_equal(q.n, 0);
    assert_int_equal(q.bytes, 0);
    queue_fini(&q);
}

static void test_bound(void **state)
{
    struct queue q;
    struct request *r = make("apply_request", "1", 0);
    queue_init(&q, 2 * request_bytes(r));
    assert_int_equal(queue_push(&q, r), 0);
    assert_int_equal(queue_push(&q, make("apply_request", "2", 0)), 0);
    r = make("apply_request", "3", 0);
    assert_int_equal(queue_push(&q, r), ERSA_EFULL);
    request_free(r);
    while ((r = queue_pop(&q)))
        request_free(r);
    assert_int_equal(q.bytes, 0);
    queue_fini(&q);
}

static bool may_go(void *ctx, const struct request *r)
{
    return !slice_is(r->msg_id, ctx);
}

static void expect_ids(struct list *l, const char *const *ids)
{
    for (; *ids; ids++) {
        struct list *it = list_pop_front(l);
        assert_non_null(it);
        struct request *r = container_of(it, struct request, link);
        assert_true(slice_is(r->msg_id, *ids));
        request_free(r);
    }
    assert_true(list_is_empty(l));
}

/* By the queue's order whatever the order of asking; not what is elsewhere, must stay, or is
 * aborted. */
static void test_give_back(void **state)
{
    static const char *const names[] = {"6", "2", "4", "no such", "1", "5"};
    struct queue q;
    struct map ids;
    struct list given;
    char id[16];
    queue_init(&q, SIZE_MAX);
    map_init(&ids);
    list_init(&given);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof(id), "%d", i);
        const char *type = i == 6 ? "execute_request" : "apply_request";
        assert_int_equal(queue_push(&q, make(type, id, i)), 0);
    }
    request_free(queue_pop(&q)); /* it runs */
    request_free(queue_pop(&q)); /* this one ran */
    queue_abort(&q, text("4"), 0);
    queue_abort_executes(&q, 6);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(map_put(&ids, names[i], strlen(names[i]), &ids), 0);
    queue_give_back(&q, &ids, may_go, "5", &given);
    expect_ids(&given, (const char *const[]){"2", NULL});
    queue_give_back(&q, &ids, may_go, "", &given);
    expect_ids(&given, (const char *const[]){"5", NULL});
    assert_int_equal(q.n, 4);
    expect_ids(&q.waiting, (const char *const[]){"3", "4", "6", "7", NULL});
    map_fini(&ids);
    queue_fini(&q);
}

/* One that is larger than the bound is taken when nothing else waits: else it never could. */
static void test_one_is_always_taken(void **state)
{
    struct queue q;
    queue_init(&q, 1);
    assert_int_equal(queue_push(&q, make("apply_request", "1", 0)), 0);
    queue_fini(&q);
}

static bool is_aborted(struct queue *q, const char *type, const char *id, int64_t arrived_ns)
{
    struct request *r = make(type, id, arrived_ns);
    bool is = queue_is_aborted(q, r);
    request_free(r);
    return is;
}

static void test_abort_of_ids(void **state)
{
    struct queue q;
    queue_init(&q, SIZE_MAX);
    assert_int_equal(queue_abort(&q, text("a"), 0), 0); /* before its task comes */
    assert_int_equal(queue_abort(&q, text("a"), 1), 0);
    assert_false(is_aborted(&q, "apply_request", "b", 0));
    assert_true(is_aborted(&q, "apply_request", "a", 0));
    assert_false(is_aborted(&q, "apply_request", "a", 0)); /* the id has left the set */
    queue_fini(&q);
}

/* The client of a coalescing broadcast doesn't know the id that the engine got. */
static void test_abort_by_the_original_id(void **state)
{
    struct queue q;
    queue_init(&q, SIZE_MAX);
    queue_abort(&q, text("m\"1"), 0);
    for (int i = 0; i < 2; i++) {
        struct request *r = make_with("apply_request", "m_u", 0,
                                      "{\"original_msg_id\": \"m\\\"1\", \"label\": null}");
        assert_int_equal(queue_is_aborted(&q, r), i == 0);
        request_free(r);
    }
    queue_fini(&q);
}

static void test_aborted_ids_are_bounded(void **state)
{
    struct queue q;
    char id[16];
    queue_init(&q, SIZE_MAX);
    for (unsigned i = 0; i <= ABORT_IDS_MAX; i++) {
        snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(queue_abort(&q, text(id), 0), 0);
    }
    assert_int_equal(map_size(&q.aborted), ABORT_IDS_MAX);
    assert_false(is_aborted(&q, "apply_request", "0", 0)); /* the oldest */
    assert_true(is_aborted(&q, "apply_request", "1", 0));
    assert_true(is_aborted(&q, "apply_request", id, 0));
    queue_fini(&q);
}

static void test_aborted_ids_age(void **state)
{
    struct queue q;
    queue_init(&q, SIZE_MAX);
    queue_abort(&q, text("old"), 0);
    queue_abort(&q, text("new"), MS_TO_NS(ABORT_AGE_MS) + 1);
    assert_false(is_aborted(&q, "apply_request", "old", 0));
    assert_true(is_aborted(&q, "apply_request", "new", 0));
    queue_fini(&q);
}

static void test_abort_of_executes(void **state)
{
    struct queue q;
    queue_init(&q, SIZE_MAX);
    assert_false(is_aborted(&q, "execute_request", "1", 100));
    queue_abort_executes(&q, 100);
    assert_true(is_aborted(&q, "execute_request", "2", 99));
    assert_true(is_aborted(&q, "execute_request", "3", 100));
    assert_false(is_aborted(&q, "execute_request", "4", 101));
    assert_false(is_aborted(&q, "apply_request", "5", 99));
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_request_stands_alone),
        cmocka_unit_test(test_ids_with_escapes),
        cmocka_unit_test(test_what_is_no_request),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_give_back),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_one_is_always_taken),
        cmocka_unit_test(test_abort_of_ids),
        cmocka_unit_test(test_abort_by_the_original_id),
        cmocka_unit_test(test_aborted_ids_are_bounded),
        cmocka_unit_test(test_aborted_ids_age),
        cmocka_unit_test(test_abort_of_executes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
