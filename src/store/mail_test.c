/* SPDX-License-Identifier: BSD-3-Clause */
/* Mails: what is in them, and pages of them that another thread frees (run under ASan, which
 * sees what is left, and under TSan). */
#include "store/mail.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/ring.h"

#define MANY 20000

static struct letter letter_of(const char *id, struct frame *frames, unsigned n)
{
    return (struct letter){.type = MAIL_RESULT,
                           .queue = 't',
                           .msg_id = {id, strlen(id)},
                           .peer = SLICE_LIT("peer"),
                           .frames = frames,
                           .n = n};
}

static void check(const struct mail *m, const char *id, size_t len)
{
    assert_non_null(m);
    assert_int_equal(m->type, MAIL_RESULT);
    assert_int_equal(m->queue, 't');
    assert_true(slice_is(m->msg_id, id));
    assert_null(m->engine.data);
    assert_true(slice_is(m->peer, "peer"));
    assert_int_equal(m->msg->n, 2);
    assert_true(slice_is(frame_slice(&m->msg->frames[0]), "<IDS|MSG>"));
    assert_int_equal(m->msg->frames[1].len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(m->msg->frames[1].data[i], 'x');
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 8000, 8192, 9000, 60000};
    struct mail_pages pages = {0};
    struct mail *mails[7];
    for (int i = 0; i < 7; i++) {
        char *text = malloc(sizes[i] + 1);
        memset(text, 'x', sizes[i]);
        struct frame f[] = {FRAME_LIT("<IDS|MSG>"), {(uint8_t *)text, sizes[i], NULL}};
        struct letter l = letter_of("an id of any length", f, 2);
        mails[i] = mail_new(i % 2 ? NULL : &pages, &l);
        free(text);
    }
    mail_pages_fini(&pages);
    for (int i = 0; i < 7; i++) {
        check(mails[i], "an id of any length", sizes[i]);
        mail_free(mails[i]);
    }
    mail_free(NULL);
}

static void test_without_frames(void **state)
{
    struct mail_pages pages = {0};
    struct letter l = {
        .type = MAIL_ASSIGNED, .msg_id = SLICE_LIT("t"), .engine = SLICE_LIT("e")};
    struct mail *m = mail_new(&pages, &l);
    assert_null(m->msg);
    assert_true(slice_is(m->engine, "e"));
    assert_null(m->peer.data);
    mail_free(m);
    mail_pages_fini(&pages);
}

static void test_block(void **state)
{
    struct block_pool *pool = block_pool_new(0, false);
    struct block *b = block_get(pool, 70000);
    memset(b->data, 'x', 70000);
    struct frame f[] = {FRAME_LIT("<IDS|MSG>"), {b->data, 70000, b}};
    struct mail_pages pages = {0};
    struct letter l = letter_of("t", f, 2);
    struct mail *m = mail_new(&pages, &l);
    block_unref(b);
    check(m, "t", 70000);
    assert_ptr_equal(m->msg->frames[1].block, b);
    mail_free(m);
    assert_int_equal(block_pool_used(pool), 0);
    mail_pages_fini(&pages);
    block_pool_free(pool);
}

static void *read_all(void *arg)
{
    for (unsigned n = 0; n < MANY;) {
        struct mail *m = ring_pop(arg);
        if (!m)
            continue;
        char id[32];
        snprintf(id, sizeof(id), "t%u", n++);
        check(m, id, n % 300);
        mail_free(m);
    }
    return NULL;
}

static void test_freed_by_another_thread(void **state)
{
    char text[300];
    memset(text, 'x', sizeof(text));
    struct mail_pages pages = {0};
    struct ring *ring = ring_new(64);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, ring), 0);
    for (unsigned i = 0; i < MANY; i++) {
        char id[32];
        snprintf(id, sizeof(id), "t%u", i);
        struct frame f[] = {FRAME_LIT("<IDS|MSG>"), {(uint8_t *)text, (i + 1) % 300, NULL}};
        struct letter l = letter_of(id, f, 2);
        struct mail *m = mail_new(&pages, &l);
        assert_non_null(m);
        while (ring_push(ring, m) < 0)
            sched_yield();
    }
    mail_pages_fini(&pages); /* before the last of them is read, perhaps */
    pthread_join(reader, NULL);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_without_frames),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_freed_by_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
