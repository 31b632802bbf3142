/* SPDX-License-Identifier: BSD-3-Clause */
/* What a waiting task costs beyond its own octets, measured on this process (the bench key
 * queued_task_overhead_bytes measures the whole controller), that ended ones leave nothing, and
 * that tasks of all sizes come and go. */
#include "router/sched_rig.h"

#include "util/resident_rig.h"

#define FIRST 10000 /* until then the rig notes down what it sees, and that is memory too */
#define N 100000
#define OVERHEAD_MAX 320 /* it is about 220; the map of ids has just been doubled */

/* Submits one with a buffer of that size; returns the octets of its frames. */
static size_t submit(struct rig *r, size_t number, size_t buffer_len)
{
    static uint8_t buffer[100000];
    char id[32];
    struct frame frames[SESSION_FRAMES + 1];
    snprintf(id, sizeof(id), "client-session_%zu", number);
    struct outgoing o = {.msg_type = "apply_request", .msg_id = id};
    assert_int_equal(session_frames(r->session, &o, &r->scratch, frames), 0);
    memset(buffer, (int)(number % 251), buffer_len);
    frames[SESSION_FRAMES] = (struct frame){buffer, buffer_len, NULL};
    struct msg m = {frames, SESSION_FRAMES + 1};
    assert_int_equal(sched_submit(r->s, SLICE_LIT("C"), &m), 0);
    size_t own = 0;
    for (unsigned i = 0; i < m.n; i++)
        own += frames[i].len;
    return own;
}

static void abort_all(struct rig *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char id[40];
        snprintf(id, sizeof(id), "client-session_%zu", i);
        struct slice slice = {id, strlen(id)};
        sched_abort(r->s, &slice, 1);
    }
}

static void test_overhead(void **state)
{
    static const struct sched_config cfg = {.scheme = "leastload", .hwm = 1};
    struct rig *r = rig_new(&cfg);
    size_t number = 0, own = 0;
    while (number < FIRST)
        submit(r, number++, 600);
    size_t before = resident_bytes();
    for (size_t i = 0; i < N; i++)
        own += submit(r, number++, 600);
    size_t grown = resident_bytes() - before;
    assert_int_equal(sched_counts(r->s)->waiting, FIRST + N);
    if (IS_MEASURABLE)
        assert_in_range(grown, own, own + (size_t)N * OVERHEAD_MAX);
    abort_all(r, number);
    while (sched_counts(r->s)->waiting)
        loop_turn(r->loop, 0);
    sched_trim(r->s);
    if (IS_MEASURABLE)
        assert_true(resident_bytes() < before + grown / 10);
    rig_free(r);
}

/* In a slab and too large for one, with lengths of two octets and longer ones. */
static void test_all_sizes(void **state)
{
    static const size_t sizes[] = {0,    1,    600,  2000,  3600,  3700,
                                   4000, 4096, 5000, 65534, 65535, 99999};
    static const struct sched_config cfg = {.scheme = "leastload", .hwm = 0};
    struct rig *r = rig_new(&cfg);
    size_t n = sizeof(sizes) / sizeof(sizes[0]);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++)
            submit(r, (size_t)round * n + i, sizes[i]);
        assert_int_equal(sched_counts(r->s)->waiting, n);
        abort_all(r, 2 * n);
        assert_int_equal(sched_counts(r->s)->waiting, 0);
        sched_trim(r->s);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overhead),
        cmocka_unit_test(test_all_sizes),
    };
    return cmocka_run_group_tests_name("router/task_memory", tests, NULL, NULL);
}
