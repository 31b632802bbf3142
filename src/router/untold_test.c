/* SPDX-License-Identifier: BSD-3-Clause */
/* Which tasks records hears of while they are at an engine: those that stay, all when it is
 * asked, and never one that has ended. */
#include "router/sched_rig.h"
#include "router/untold.h"

static const struct sched_config unlimited = {
    .scheme = "leastload", .hwm = 0, .grace_report_ms = 200, .grace_lost_ms = 5000};

static int setup(void **state)
{
    *state = rig_new(&unlimited);
    return 0;
}

/* What was told since the last call: "id:uuid id:uuid". */
static const char *told(struct rig *r)
{
    static char text[4096];
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->notes[i].kind == EVENT && r->notes[i].event == TASK_ASSIGNED)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s:%s", len ? " " : "",
                                    r->notes[i].id, r->notes[i].first);
    r->n = r->read = 0;
    return text;
}

static void test_who_stays_is_told_of(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "long", "{}");
    rig_pass_ms(r, TELL_AFTER_MS - 5);
    rig_submit(r, "longer", "{}");
    rig_submit(r, "short", "{}");
    assert_string_equal(told(r), "");
    rig_pass_ms(r, 6);
    assert_string_equal(told(r), "long:U0");
    rig_reply(r, 0, "short", RIG_OK);
    rig_pass_ms(r, TELL_AFTER_MS);
    assert_string_equal(told(r), "longer:U0");
    rig_reply(r, 0, "long", RIG_OK);
    rig_pass_ms(r, 2 * TELL_AFTER_MS);
    assert_string_equal(told(r), "");
}

static void test_all_is_told_to_who_asks(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_submit(r, "b", "{}");
    rig_reply(r, 0, "a", RIG_OK);
    sched_tell(r->s);
    assert_string_equal(told(r), "b:U0");
    sched_tell(r->s);
    rig_pass_ms(r, 2 * TELL_AFTER_MS);
    assert_string_equal(told(r), "");
}

/* It is told where it is, not where it was. */
static void test_who_moves_is_told_of_once(void **state)
{
    struct rig *r = *state;
    rig_add(r, 0);
    rig_submit(r, "a", "{}");
    rig_gone(r, 0, true, NULL);
    rig_add(r, 1);
    rig_pass_ms(r, 201);
    rig_pass_ms(r, TELL_AFTER_MS);
    assert_string_equal(told(r), "a:U0 a:U1");
    rig_submit(r, "b", "{}");
    rig_gone(r, 1, true, NULL);
    sched_tell(r->s);
    assert_string_equal(told(r), "b:U1");
}

/* Answered by an engine that had it before: where it is now matters to nobody. */
static void test_who_is_answered_elsewhere_is_not_told_of(void **state)
{
    struct rig *r = *state;
    rig_add_stock(r, 0);
    rig_submit(r, "a", "{\"retries\": 1}");
    rig_gone(r, 0, false, NULL);
    rig_add_stock(r, 1);
    rig_pass_ms(r, 5001);
    assert_string_equal(told(r), "a:U0");
    rig_add_stock(r, 0); /* its heart beats again */
    rig_reply(r, 0, "a", RIG_OK);
    assert_int_equal(sched_counts(r->s)->done, 1);
    sched_tell(r->s);
    assert_string_equal(told(r), "");
}

static void test_many_at_once(void **state)
{
    struct rig *r = *state;
    char id[16];
    rig_add(r, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            snprintf(id, sizeof(id), "t_%d_%d", round, i);
            rig_submit(r, id, "{}");
        }
        for (int i = 0; i < 500; i++) {
            snprintf(id, sizeof(id), "t_%d_%d", round, i);
            if (i % 100)
                rig_reply(r, 0, id, RIG_OK);
        }
        sched_tell(r->s);
        snprintf(id, sizeof(id), "t_%d_0", round);
        const char *text = told(r);
        int n = 1;
        for (const char *at = text; (at = strchr(at, ' ')); at++)
            n++;
        assert_int_equal(n, 5);
        assert_memory_equal(text, id, strlen(id));
        sched_trim(r->s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_stays_is_told_of, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_all_is_told_to_who_asks, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_who_moves_is_told_of_once, setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_who_is_answered_elsewhere_is_not_told_of, setup,
                                        rig_teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once, setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
