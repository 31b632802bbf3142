/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids known, in every form that they come in, and what they cost. */
#include "wire/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct slice text(const char *s)
{
    return (struct slice){s, strlen(s)};
}

static int setup(void **state)
{
    static struct seen s;
    seen_init(&s);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    seen_fini(*state);
    return 0;
}

static void test_forms_are_kept_apart(void **state)
{
    static const char *const ids[] = {
        "86a3d698-2d5a709829f830b446ba5572_4242_0",
        "86a3d698-2d5a709829f830b446ba5572_4242_00",
        "86a3d698-2d5a709829f830b446ba5572_4243_0",
        "86a3d698-2d5a709829f830b446ba5572_4242_1",
        "86a3d698-2d5a709829f830b446ba5572_4242_-1",
        "a_223",
        "a_224",
        "a_448",
        "b_224",
        "_7",
        "7",
        "",
        "a_",
        "a_99999999999999999999",
        "a_999999999999999999",
        "a_0999",
        "a_999",
        "a_999 ",
        "a_1_u-0",
        "a_1_u-1",
    };
    enum { N = sizeof(ids) / sizeof(ids[0]) };
    struct seen *s = *state;
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(seen_get(s, text(ids[i])), SEEN_NEVER);
        assert_int_equal(seen_set(s, text(ids[i]), SEEN_OPEN), 0);
        for (size_t j = 0; j < N; j++)
            assert_int_equal(seen_get(s, text(ids[j])), j <= i ? SEEN_OPEN : SEEN_NEVER);
    }
}

static void test_states_change_in_place(void **state)
{
    static const char *const ids[] = {"s_1_41", "s_1_42", "s_1_43", "odd one"};
    struct seen *s = *state;
    for (size_t i = 0; i < 4; i++)
        seen_set(s, text(ids[i]), SEEN_OPEN);
    seen_set(s, text("s_1_42"), SEEN_FAILED);
    seen_set(s, text("odd one"), SEEN_OK);
    assert_int_equal(seen_get(s, text("s_1_41")), SEEN_OPEN);
    assert_int_equal(seen_get(s, text("s_1_42")), SEEN_FAILED);
    assert_int_equal(seen_get(s, text("s_1_43")), SEEN_OPEN);
    assert_int_equal(seen_get(s, text("odd one")), SEEN_OK);
    seen_set(s, text("s_1_42"), SEEN_OK);
    assert_int_equal(seen_get(s, text("s_1_42")), SEEN_OK);
    assert_int_equal(s->n_runs, 1);
    assert_int_equal(s->n_others, 1);
}

/* design.md 7: ten million tasks under 10 MB. */
static void test_ten_million(void **state)
{
    enum { SESSIONS = 100, EACH = 100000 };
    struct seen *s = *state;
    char id[80];
    for (unsigned n = 0; n < EACH; n++) {
        for (unsigned session = 0; session < SESSIONS; session++) {
            int len =
                snprintf(id, sizeof(id), "%08x-2d5a709829f830b446ba5572_4242_%u", session, n);
            seen_set(s, (struct slice){id, (size_t)len}, n % 3 ? SEEN_OK : SEEN_FAILED);
        }
    }
    assert_true(seen_bytes(s) < 10000000);
    for (unsigned n = 0; n < EACH + 100; n += 77) {
        int len =
            snprintf(id, sizeof(id), "%08x-2d5a709829f830b446ba5572_4242_%u", n % SESSIONS, n);
        enum seen_state want = n >= EACH ? SEEN_NEVER : n % 3 ? SEEN_OK : SEEN_FAILED;
        assert_int_equal(seen_get(s, (struct slice){id, (size_t)len}), want);
    }
}

static void test_many_of_other_forms(void **state)
{
    struct seen *s = *state;
    char id[40];
    for (unsigned n = 0; n < 100000; n++) {
        int len = snprintf(id, sizeof(id), "%u-task", n);
        assert_int_equal(seen_get(s, (struct slice){id, (size_t)len}), SEEN_NEVER);
        assert_int_equal(seen_set(s, (struct slice){id, (size_t)len}, SEEN_OPEN), 0);
    }
    assert_int_equal(seen_get(s, text("99999-task")), SEEN_OPEN);
    assert_true(seen_bytes(s) * 35 <= 100000 * 8 * 100);
}

static void test_closed_ones_are_forgotten(void **state)
{
    struct seen *s = *state;
    char id[16];
    for (unsigned n = 0; n < 2000; n++) {
        int len = n % 2 ? snprintf(id, sizeof(id), "%u-b", n / 2)
                        : snprintf(id, sizeof(id), "a_%u", n / 2);
        assert_int_equal(seen_set(s, (struct slice){id, (size_t)len}, SEEN_OPEN + n / 2 % 3),
                         0);
    }
    seen_forget_closed(s);
    for (unsigned n = 0; n < 2000; n++) {
        int len = n % 2 ? snprintf(id, sizeof(id), "%u-b", n / 2)
                        : snprintf(id, sizeof(id), "a_%u", n / 2);
        assert_int_equal(seen_get(s, (struct slice){id, (size_t)len}),
                         n / 2 % 3 ? SEEN_NEVER : SEEN_OPEN);
    }
    assert_int_equal(seen_set(s, text("0-b"), SEEN_OK), 0);
    assert_int_equal(seen_get(s, text("0-b")), SEEN_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_forms_are_kept_apart), T(test_states_change_in_place),    T(test_ten_million),
        T(test_many_of_other_forms),  T(test_closed_ones_are_forgotten),
    };
    return cmocka_run_group_tests_name("wire/seen", tests, NULL, NULL);
}
