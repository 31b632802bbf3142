/* SPDX-License-Identifier: BSD-3-Clause */
/* What only a database does: transactions, earlier lives, tables, limits, a full disk. */
#include <sys/stat.h>

#include "store/store_rig.h"

#define ROWS "SELECT count(*) FROM 'ipython-tasks'"

static void finish(struct store *st, const char *id)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 1767323045678901);
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
}

static void test_a_group_is_one_transaction(void **state)
{
    struct store *st = NULL;
    assert_int_equal(open_sqlite(&st), 0);
    struct store_record r = request("a", 1767323045000000), open = request("b", 2);
    put(st, &r);
    put(st, &open);
    finish(st, "a");
    assert_int_equal(seen_outside(ROWS), 0);
    assert_int_equal(st->ops->tick(st, NULL), 1); /* what is not done waits a little */
    assert_int_equal(seen_outside(ROWS), 1);
    assert_int_equal(
        seen_outside(ROWS " WHERE submitted='2026-01-02T03:04:05+00:00' AND "
                          "completed='2026-01-02T03:04:05.678901+00:00' AND stdout='' AND "
                          "buffers IS NULL AND typeof(header)='text'"),
        1);
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), 2);
    struct stat sb;
    assert_int_equal(stat(sqlite_path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
}

static void test_records_of_an_earlier_life(void **state)
{
    struct slice buffer = s("data");
    struct store *st = NULL;
    assert_int_equal(open_sqlite(&st), 0);
    struct store_record r = request("a", 5), got;
    r.set |= STORE_FIELD(F_buffers);
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("out"), NULL), 0);
    st->ops->close(st);

    st = reopen_sqlite(NULL, 0);
    finish(st, "a");
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("put"), NULL), 0);
    got = get(st, "a");
    assert_text(&got, F_stdout, "output");
    assert_text(&got, F_queue, "task");
    assert_text(&got, F_result_content, "{\"status\": \"ok\"}");
    assert_true(slice_is(got.v[F_buffers].binary.items[0], "data"));
    r = request("a", 6); /* again, as when a client submits it anew */
    put(st, &r);
    got = get(st, "a");
    assert_text(&got, F_stdout, "output");
    assert_int_equal(got.v[F_submitted].date, 6);
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), 1);
}

/* The first table with our columns, whatever stands before it. */
static void test_tables(void **state)
{
    sqlite3 *db = NULL;
    remove_database();
    assert_int_equal(sqlite3_open(sqlite_path, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE 'ipython-tasks' (msg_id TEXT, other INT)", 0, 0, 0);
    sqlite3_close(db);
    struct store *st = reopen_sqlite(NULL, 0);
    struct store_record r = request("a", 1);
    put(st, &r);
    st->ops->close(st);
    st = reopen_sqlite(NULL, 0);
    r = get(st, "a");
    assert_text(&r, F_queue, "task");
    st->ops->close(st);
    assert_int_equal(seen_outside("SELECT count(*) FROM 'ipython-tasks_1'"), 1);
}

static void tick_all(struct store *st)
{
    struct ersa_error err = {0};
    int rc;
    do
        rc = st->ops->tick(st, &err);
    while (rc > 0);
    if (rc < 0)
        fail_msg("%s", err.text);
}

static void test_limits_of_a_database(void **state)
{
    static char data[4000];
    struct slice buffer = {data, sizeof(data)};
    struct store_limits limits = {.records = 100, .cull = 0.2};
    remove_database();
    struct store *st = reopen_sqlite(&limits, 0);
    for (int i = 0; i < 101; i++)
        put_number(st, 1000 + i, 1, i >= 10);
    assert_int_equal(count(st), 101);
    tick_all(st);
    assert_int_equal(count(st), 80); /* as many as in memory would be left after a while */
    struct store_record r = get(st, "1000"); /* not done */
    r = get(st, "1031");
    assert_int_equal(st->ops->get(st, s("1030"), 0, &r, NULL), ERSA_ENOENT);
    st->ops->close(st);

    limits = (struct store_limits){.bytes = 1 << 20, .cull = 0.2};
    remove_database();
    st = reopen_sqlite(&limits, 0);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        r = request(id, i);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
        set_date(&r, F_completed, i);
        put(st, &r);
    }
    tick_all(st);
    assert_in_range(count(st), 100, 240);
    r = get(st, "999");
    st->ops->close(st);
}

/* Large records: no more of them go than have to, and never the newest. */
static void test_limit_of_large_records(void **state)
{
    size_t n = 500000;
    char *data = calloc(1, 40 * n);
    struct slice buffer = {data, n};
    struct store_limits limits = {.bytes = 8 << 20, .cull = 0.2};
    remove_database();
    struct store *st = reopen_sqlite(&limits, 0);
    for (int i = 0; i < 30; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        struct store_record r = request(id, i);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
        set_date(&r, F_completed, i);
        put(st, &r);
        tick_all(st);
        assert_in_range(count(st), i < 12 ? i + 1 : 10, 17);
    }
    buffer.len = 40 * n;
    struct store_record r = request("large", 40);
    r.set |= STORE_FIELD(F_buffers);
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    set_date(&r, F_completed, 40);
    put(st, &r);
    tick_all(st);
    r = get(st, "large");
    assert_int_equal(r.v[F_buffers].binary.items[0].len, 40 * n);
    assert_int_equal(count(st), 1);
    put_number(st, 41, 8, true);
    tick_all(st);
    assert_history(st, "41 ");
    st->ops->close(st);
    free(data);
}

static void test_age(void **state)
{
    struct store_limits limits = {.max_age_s = 3600};
    int64_t now = clock_utc_us();
    remove_database();
    struct store *st = reopen_sqlite(&limits, 0);
    struct store_record skeleton = {.set = 0}, r = request("old", now - 7200 * 1000000ll);
    set_text(&skeleton, F_msg_id, "skeleton");
    put(st, &skeleton);
    put(st, &r);
    r = request("new", now);
    put(st, &r);
    assert_history(st, "old new "); /* written by that */
    tick_all(st);
    assert_found(st, "{}", "new ");
    st->ops->close(st);
}

/* Nothing more fits: what can't be written waits and is tried again; the database stays sound.
 */
static void test_full_disk(void **state)
{
    static char data[100000];
    struct slice buffer = {data, sizeof(data)};
    struct ersa_error err = {0};
    remove_database();
    struct store *st = reopen_sqlite(NULL, 16);
    int rc = 0, n = 0;
    for (; rc >= 0 && n < 1000; n++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", n);
        struct store_record r = request(id, n);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
        set_date(&r, F_completed, n);
        put(st, &r);
        rc = st->ops->tick(st, &err);
    }
    assert_int_equal(rc, ERSA_EFULL);
    assert_in_range(n, 2, 4);
    char last[16];
    snprintf(last, sizeof(last), "%d", n - 1);
    struct store_record r = get(st, last); /* from memory */
    assert_int_equal(r.v[F_buffers].binary.n, 1);
    assert_int_equal(st->ops->tick(st, &err), 1); /* not yet again */
    assert_false(st->is_full);
    for (int i = 0; i < 2000;
         i++) { /* nothing is lost before it says so; what waits is bounded */
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        r = request(id, n);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
        st->ops->put(st, &r, NULL);
        assert_true(st->is_full || st->counts.lost == 0);
        if (i == 200)
            assert_true(st->is_full && st->counts.lost == 0);
    }
    assert_in_range(st->counts.lost, 1200, 1800);
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), n - 1);
}

static void test_unusable_file(void **state)
{
    struct store_sqlite_config cfg = {.path = folder, .table = "t"};
    struct store *st = NULL;
    struct ersa_error err = {0};
    assert_int_equal(store_sqlite_open(&st, &cfg, &err), ERSA_EIO);
    assert_non_null(strstr(err.text, folder));
    FILE *f = fopen(sqlite_path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", f);
    fclose(f);
    cfg.path = sqlite_path;
    assert_true(store_sqlite_open(&st, &cfg, &err) < 0);
    remove_database();
}

/* Somebody else holds the lock: nobody waits for it but who asks for a search, and not for
 * long; who asks for one record gets all that is known of it. */
static void test_locked_by_somebody_else(void **state)
{
    sqlite3 *other = NULL;
    struct store *st = NULL;
    struct ersa_error err = {0};
    struct names n = {""};
    assert_int_equal(open_sqlite(&st), 0);
    struct store_record r = request("old", 1);
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("old"), F_stdout, s("out"), NULL), 0);
    assert_history(st, "old "); /* it is written */
    assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(sqlite3_open(sqlite_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);

    int64_t begun = clock_mono_ms();
    finish(st, "old");
    assert_int_equal(st->ops->append(st, s("old"), F_stdout, s("put"), NULL), 0);
    for (int i = 0; i < 30; i++) {
        put_number(st, i, 8, true);
        assert_int_equal(st->ops->tick(st, &err), 1); /* nothing to complain about yet */
    }
    struct store_record got = get(st, "old");
    assert_text(&got, F_result_content, "{\"status\": \"ok\"}");
    assert_text(&got, F_stdout, "output");
    assert_text(&got, F_queue, "task");
    got = get(st, "7");
    assert_int_equal(got.v[F_buffers].binary.n, 1);
    assert_int_equal(st->ops->history(st, add_name, &n, &err), ERSA_EAGAIN);
    assert_non_null(strstr(err.text, "locked by somebody else"));
    assert_int_equal(st->ops->drop(st, s("old"), &err), ERSA_EAGAIN);
    assert_true(clock_mono_ms() < begun + 60000); /* it was ten seconds for each */
    assert_int_equal(seen_outside(ROWS), 1);

    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(count(st), 31);
    got = get(st, "old");
    assert_text(&got, F_stdout, "output");
    assert_int_equal(st->counts.lost, 0);
    st->ops->close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_is_one_transaction),
        cmocka_unit_test(test_records_of_an_earlier_life),
        cmocka_unit_test(test_locked_by_somebody_else),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_limits_of_a_database),
        cmocka_unit_test(test_limit_of_large_records),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_unusable_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
