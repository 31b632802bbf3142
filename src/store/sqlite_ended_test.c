/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of requests that were set aside: complete records that wait to be written without
 * being pending. Whoever asks finds them, changes of them come behind them, and none is lost
 * when they can't be written. */
#include "store/backlog_rig.h"

static struct store *open_deep(void)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    return st;
}

static void finish_many(struct store *st, int from, int to)
{
    for (int i = from; i < to; i++)
        finish(st, i);
}

static void set_label(struct store *st, const char *id, const char *label)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_label, label);
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
}

static void test_waits_and_is_written(void **state)
{
    struct store *st = open_deep();
    size_t n = n_pending(st);
    finish_many(st, 0, 1000);
    assert_int_equal(n_pending(st), n);
    assert_int_equal(rows("1"), 0);
    tick(st);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL AND stdout=''"), 1000);
    assert_whole(st, 999);
    finish_many(st, 1000, MANY);
    tick(st);
    assert_int_equal(rows("completed IS NOT NULL AND buffers IS NOT NULL"), MANY);
    assert_int_equal(n_aside(), 0);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

static void test_is_found(void **state)
{
    struct store *st = open_deep();
    finish_many(st, 0, 10);
    assert_whole(st, 3);
    finish(st, 20);
    struct store_record r = get(st, "t20");
    assert_text(&r, F_result_content, "{\"status\": \"ok\"}");
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    assert_int_equal(r.v[F_completed].date, 1767323045678901);
    finish(st, 21);
    assert_int_equal(st->ops->get(st, s("t21"), 0, &r, NULL), 0);
    assert_found(st, "{\"completed\": {\"$ne\": null}}",
                 "t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t20 t21 ");
    assert_int_equal(count(st), MANY);
    st->ops->close(st);
    assert_int_equal(rows("completed IS NOT NULL"), 12);
}

/* In the same tick and later: the row has all of it. */
static void test_is_changed(void **state)
{
    struct store *st = open_deep();
    finish_many(st, 0, 600); /* some are written, but not committed */
    for (int i = 0; i < 600; i += 50) {
        char id[16];
        name(i, id);
        set_label(st, id, "changed");
        assert_int_equal(st->ops->append(st, s(id), F_stdout, s("late"), NULL), 0);
    }
    finish(st, 50); /* again */
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, "t100");
    set_text(&r, F_queue, "mux");
    put(st, &r);
    r = get(st, "t100");
    assert_text(&r, F_queue, "mux");
    assert_text(&r, F_label, "changed");
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    tick(st);
    assert_int_equal(rows("1"), 600);
    st->ops->close(st);
    assert_int_equal(rows("label='changed' AND stdout='late' AND completed IS NOT NULL AND "
                          "header IS NOT NULL"),
                     12);
    assert_int_equal(rows("1"), MANY);
}

static void test_is_dropped(void **state)
{
    struct store *st = open_deep();
    struct store_record r;
    finish_many(st, 0, 600);
    assert_int_equal(st->ops->drop(st, s("t2"), NULL), 0);
    finish(st, 700);
    assert_int_equal(st->ops->drop(st, s("t700"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("t700"), NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->get(st, s("t700"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    assert_int_equal(count(st), MANY - 2);
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY - 2);
    assert_int_equal(rows("msg_id IN ('t2', 't700')"), 0);
}

/* A large result goes the usual way. */
static void test_large(void **state)
{
    static char data[20000];
    struct slice buffer = {data, sizeof(data)};
    struct store *st = open_deep();
    struct store_record r = {.set = STORE_FIELD(F_result_buffers)};
    r.v[F_result_buffers].binary = (struct store_binary){&buffer, 1};
    set_text(&r, F_msg_id, "t7");
    set_date(&r, F_completed, 5);
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
    r = get(st, "t7");
    assert_int_equal(r.v[F_result_buffers].binary.items[0].len, sizeof(data));
    assert_whole(st, 7);
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY);
}

/* Such an id was in the table already: what is not said anew stays. */
static void test_rows_of_an_earlier_life(void **state)
{
    struct store *st = open_new(NULL);
    struct store_record r = request("t7990", 1);
    set_text(&r, F_label, "earlier");
    put(st, &r);
    set_text(&r, F_msg_id, "t4000");
    put(st, &r);
    st->ops->close(st);
    st = reopen_sqlite(NULL, 0);
    put_many(st, 0, MANY);
    finish_many(st, 0, MANY);
    r = get(st, "t7990");
    assert_text(&r, F_label, "earlier");
    assert_whole(st, 7990);
    assert_whole(st, 4000);
    tick(st);
    assert_int_equal(rows("completed IS NOT NULL"), MANY);
    assert_int_equal(rows("label='earlier' AND completed IS NOT NULL"), 2);
    assert_int_equal(n_aside(), 0);
    st->ops->close(st);
}

/* The database takes no more: they wait as others do, and nothing is lost. */
static void test_no_room(void **state)
{
    struct store *st = open_deep();
    int64_t until = clock_mono_ms() + 20000;
    finish_many(st, 0, 2000);
    set_label(st, "t5", "changed");
    limit_files(1);
    assert_true(st->ops->tick(st, NULL) < 0);
    finish_many(st, 2000, 2100);
    set_label(st, "t6", "changed");
    struct store_record r = get(st, "t6");
    assert_text(&r, F_result_content, "{\"status\": \"ok\"}");
    limit_files(0);
    assert_int_equal(st->counts.lost, 0);
    while (rows("completed IS NOT NULL") < 2100 && clock_mono_ms() < until)
        tick(st);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL"), 2100);
    assert_int_equal(rows("label='changed' AND completed IS NOT NULL"), 2);
    finish_many(st, 2100, MANY);
    st->ops->close(st);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL"), MANY);
    assert_int_equal(n_files(), 0);
}

/* While somebody else holds the lock they are found as they will be, and then written. */
static void test_locked(void **state)
{
    sqlite3 *other = NULL;
    struct store *st = open_deep();
    int64_t until = clock_mono_ms() + 20000;
    assert_int_equal(sqlite3_open(sqlite_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    finish_many(st, 0, 100);
    assert_true(st->ops->tick(st, NULL) > 0);
    finish_many(st, 100, 1500);
    set_label(st, "t150", "changed");
    struct store_record r = get(st, "t150");
    assert_text(&r, F_label, "changed");
    assert_text(&r, F_result_content, "{\"status\": \"ok\"}");
    assert_whole(st, 1400);
    assert_whole(st, 20);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    while (rows("completed IS NOT NULL") < 1500 && clock_mono_ms() < until)
        tick(st);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL"), 1500);
    assert_int_equal(st->counts.lost, 0);
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY);
    assert_int_equal(rows("label='changed'"), 1);
    assert_int_equal(n_files(), 0);
}

static void finish_some(struct store *st)
{
    put_many(st, 0, MANY);
    int64_t until = clock_mono_ms() + PENDING_OPEN_MS + 40;
    finish_many(st, 0, 1000);
    while (clock_mono_ms() < until) {
        usleep(20000);
        finish_many(st, 0, 100);
        tick(st);
    }
    finish_many(st, 1000, 1600); /* not committed */
}

/* What was not committed is there as a request. */
static void test_killed(void **state)
{
    remove_database();
    in_a_life_that_is_killed(finish_some);
    assert_int_equal(rows("1"), 1000);
    struct store *st = reopen_sqlite(NULL, 0);
    assert_int_equal(rows("1"), MANY);
    assert_int_equal(rows("completed IS NOT NULL"), 1000);
    assert_whole(st, 1001);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_and_is_written),
        cmocka_unit_test(test_is_found),
        cmocka_unit_test(test_is_changed),
        cmocka_unit_test(test_is_dropped),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_rows_of_an_earlier_life),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
