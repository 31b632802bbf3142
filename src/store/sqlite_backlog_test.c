/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait in a deep queue: set aside in a file of their own, found by whoever asks,
 * rows once they are done, and there again after a life that was killed. */
#include "store/backlog_rig.h"

/* In whatever order they end, each is one row, and nothing of the file is left. */
static void test_each_becomes_a_row(void **state)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    assert_int_equal(n_files(), 1);
    assert_true(n_aside() > 4);
    assert_int_equal(rows("1"), 0); /* none has been written twice */
    for (int i = 0; i < MANY; i++) {
        finish(st, i * 4813 % MANY); /* coprime */
        if (i % 1000 == 0)
            tick(st);
    }
    tick(st);
    assert_int_equal(n_aside(), 0);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL AND stdout=''"), MANY);
    for (int i = 0; i < MANY; i += 97)
        assert_whole(st, i);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
    assert_int_equal(rows("1"), MANY);
}

/* What a burst took of the disk is given back, but not between two bursts. */
static void test_the_file_goes_after_a_while(void **state)
{
    struct store *st = open_new(NULL);
    for (int burst = 0; burst < 2; burst++) {
        put_many(st, burst * MANY, (burst + 1) * MANY);
        for (int i = 0; i < MANY; i++)
            finish(st, burst * MANY + i);
        for (int i = 0; i < 50000 / STORE_TICK_MS; i++)
            tick(st);
        assert_int_equal(n_files(), 1);
        assert_int_equal(st->ops->tick(st, NULL), 1);
        for (int i = 0; i < 20000 / STORE_TICK_MS; i++)
            tick(st);
        assert_int_equal(n_files(), 0);
        assert_int_equal(st->ops->tick(st, NULL), 0);
    }
    assert_int_equal(rows("completed IS NOT NULL"), 2 * MANY);
    st->ops->close(st);
}

static void test_whoever_asks_finds_them(void **state)
{
    struct store *st = open_new(NULL);
    struct store_record r;
    put_many(st, 0, MANY);
    assert_true(n_aside() > 4);
    for (int i = 0; i < MANY; i += 211)
        assert_whole(st, i);
    assert_int_equal(st->ops->get(st, s("t8000"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->append(st, s("t5"), F_stdout, s("out"), NULL), 0);
    r = get(st, "t5");
    assert_text(&r, F_stdout, "out");
    assert_found(st, "{\"msg_id\": {\"$in\": [\"t1\", \"t7\"]}, \"completed\": null}",
                 "t1 t7 ");
    assert_int_equal(count(st), MANY);
    assert_int_equal(n_aside(), 0); /* a search makes rows of them */
    finish(st, 1);
    r = get(st, "t1");
    assert_text(&r, F_result_content, "{\"status\": \"ok\"}");
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

/* A request with the id of one that was set aside changes that one. */
static void test_again(void **state)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, "t3");
    set_text(&r, F_label, "twice");
    put(st, &r);
    r = get(st, "t3");
    assert_text(&r, F_label, "twice");
    assert_whole(st, 3);
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY);
}

static void test_quiet(void **state)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    int64_t until = clock_mono_ms() + 20000;
    assert_int_equal(rows("1"), 0);
    while (rows("1") < MANY && clock_mono_ms() < until)
        tick(st);
    assert_int_equal(rows("completed IS NULL"), MANY); /* whoever reads the file finds them */
    assert_int_equal(n_aside(), 0);
    st->ops->close(st);
}

/* Until each that is open has been for long enough; it is never quiet. */
static void put_and_wait(struct store *st)
{
    put_many(st, 0, MANY);
    int64_t until = clock_mono_ms() + PENDING_OPEN_MS + 1;
    do {
        usleep(20000);
        for (int i = 0; i < 100; i++)
            finish(st, i);
        tick(st);
    } while (clock_mono_ms() < until + 40);
}

static void drop_some(struct store *st)
{
    put_and_wait(st);
    for (int i = 500; i < 510; i++) {
        char id[16];
        name(i, id);
        if (st->ops->drop(st, s(id), NULL) < 0)
            abort();
    }
    for (int i = 0; i < 100; i++)
        finish(st, i);
    tick(st);
}

static void test_killed(void **state)
{
    remove_database();
    in_a_life_that_is_killed(drop_some);
    assert_int_equal(n_files(), 1);
    assert_true(n_aside() > 4);
    assert_true(rows("1") < MANY / 2);
    struct store *st = reopen_sqlite(NULL, 0);
    assert_int_equal(n_files(), 0);
    assert_int_equal(rows("1"), MANY - 10);
    assert_int_equal(rows("completed IS NOT NULL"), 100);
    assert_int_equal(rows("msg_id IN ('t500', 't505', 't509')"), 0); /* nor come they back */
    assert_whole(st, 4000);
    assert_whole(st, 0);
    finish(st, 4000);
    st->ops->close(st);
    assert_int_equal(rows("completed IS NOT NULL"), 101);
}

/* What somebody else holds is his; what is no file of ours does no harm. */
static void test_files_of_others(void **state)
{
    struct store *st = open_new(NULL);
    char path[64], data[70000];
    put_many(st, 0, MANY);
    int n = n_aside();
    snprintf(path, sizeof(path), "%s/tasks.db-waiting-0", folder);
    memset(data, 7, sizeof(data));
    memcpy(data, "ersa-bl1\0\1\0\0\0\0\0\0", 16); /* 256 octets, they say */
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
    close(fd);
    struct store *other = reopen_sqlite(NULL, 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(n_aside(), n);
    assert_int_equal(count(other), 0);
    other->ops->close(other);
    assert_int_equal(count(st), MANY);
    st->ops->close(st);
}

static void test_limits(void **state)
{
    struct store_limits limits = {.records = 3000, .cull = 0.1};
    struct store *st = open_new(&limits);
    put_many(st, 0, MANY);
    for (int i = 0; i < MANY; i++)
        st->ops->tick(st, NULL);
    assert_int_equal(rows("1") <= 3000, 1);
    st->ops->close(st);
}

/* Neither the file nor the database takes more: nothing is lost, and all is written later. */
static void test_no_room(void **state)
{
    struct store *st = open_new(NULL);
    limit_files(1 << 20);
    put_many(st, 0, MANY);
    limit_files(0);
    assert_int_equal(st->counts.lost, 0);
    int64_t until = clock_mono_ms() + 20000;
    for (int i = 0; i < MANY; i++)
        finish(st, i);
    while (rows("completed IS NOT NULL") < MANY && clock_mono_ms() < until)
        tick(st);
    assert_int_equal(rows("completed IS NOT NULL"), MANY);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

/* Behind many that were set aside a new one is so at once: only the batch that is made holds
 * it, and it is found there. */
static void test_straight_aside(void **state)
{
    struct store *st = open_new(NULL);
    struct store_record r = {.set = 0};
    put_many(st, 0, MANY);
    size_t n = n_pending(st);
    int slots = n_aside();
    put_many(st, MANY, MANY + 10);
    assert_int_equal(n_pending(st), n);
    assert_int_equal(n_aside(), slots);
    assert_int_equal(rows("1"), 0);
    assert_whole(st, MANY + 4);
    assert_int_equal(st->ops->append(st, s("t8005"), F_stderr, s("err"), NULL), 0);
    set_text(&r, F_msg_id, "t8006");
    set_text(&r, F_label, "changed");
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
    set_text(&r, F_msg_id, "t8007");
    set_text(&r, F_label, "again");
    put(st, &r);
    finish(st, MANY + 8);
    assert_int_equal(st->ops->get(st, s("t8010"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    assert_found(st, "{\"label\": {\"$ne\": null}}", "t8006 t8007 ");
    assert_int_equal(n_aside(), 0);
    assert_int_equal(rows("msg_id='t8005' AND stderr='err' AND header IS NOT NULL"), 1);
    assert_int_equal(rows("msg_id='t8008' AND completed IS NOT NULL AND header IS NOT NULL"),
                     1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(st->ops->get(st, s("t8000"), STORE_ALL, &r, NULL), 0);
    assert_int_equal(count(st), MANY + 10);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
    assert_int_equal(rows("1"), MANY + 10);
}

/* What has a result, output or too much of a payload is none to be set aside. */
static void test_not_straight_aside(void **state)
{
    static char data[10000];
    struct slice buffer = {data, sizeof(data)};
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    size_t n = n_pending(st);
    struct store_record r = request("large", 1);
    r.set |= STORE_FIELD(F_buffers);
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    put(st, &r);
    r = request("done", 1);
    set_date(&r, F_completed, 2);
    put(st, &r);
    r = request("output", 1);
    set_text(&r, F_stdout, "text");
    put(st, &r);
    assert_int_equal(n_pending(st), n + 3);
    r = get(st, "output");
    assert_text(&r, F_stdout, "text");
    r = get(st, "large");
    assert_int_equal(r.v[F_buffers].binary.items[0].len, sizeof(data));
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY + 3);
}

/* It is gone, and the others of its batch are there, in this life and in the next. */
static void test_dropped_at_once(void **state)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY + 10);
    assert_int_equal(st->ops->drop(st, s("t8003"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("t8003"), NULL), ERSA_ENOENT);
    assert_whole(st, MANY + 4);
    put_many(st, MANY + 10, MANY + 20);
    assert_whole(st, MANY + 10);
    assert_int_equal(count(st), MANY + 19);
    st->ops->close(st);
    assert_int_equal(rows("1"), MANY + 19);
    assert_int_equal(rows("msg_id='t8003'"), 0);
}

/* The file takes no more: what was to go there becomes rows when it is old enough. */
static void test_no_room_for_the_last(void **state)
{
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    limit_files(1); /* of files that are longer only the end can't be written */
    put_many(st, MANY, MANY + 1000);
    limit_files(0);
    int64_t until = clock_mono_ms() + PENDING_OPEN_MS + 20000;
    limit_files(1);
    do {
        usleep(20000);
        for (int i = 0; i < 100; i++)
            finish(st, i);
        st->ops->tick(st, NULL);
    } while (n_pending(st) < 1000 && clock_mono_ms() < until);
    limit_files(0);
    assert_true(n_pending(st) >= 1000);
    assert_int_equal(st->counts.lost, 0);
    assert_whole(st, MANY + 999);
    for (int i = 0; i < MANY + 1000; i++)
        finish(st, i);
    while (rows("completed IS NOT NULL") < MANY + 1000 && clock_mono_ms() < until)
        tick(st);
    assert_int_equal(rows("completed IS NOT NULL AND header IS NOT NULL"), MANY + 1000);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

/* What is in a damaged file is lost, and said; nobody waits for it, and the rest is there. */
static void test_damaged_file(void **state)
{
    static char octets[(size_t)8 << 20];
    char path[512];
    struct store *st = open_new(NULL);
    put_many(st, 0, MANY);
    finish(st, 1);
    assert_true(files(path, sizeof(path)) == 1);
    int fd = open(path, O_WRONLY);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_in_range(size, 1, sizeof(octets));
    memset(octets, '?', sizeof(octets));
    assert_int_equal(pwrite(fd, octets, (size_t)size, 0), size);
    close(fd);
    size_t n = count(st);
    assert_in_range(n, 1, MANY - 1);
    assert_in_range(st->counts.lost, MANY - n - 1, MANY - n + 1);
    put_many(st, MANY, MANY + 10);
    assert_int_equal(count(st), n + 10);
    assert_int_equal(st->ops->drop(st, s("t8003"), NULL), 0);
    st->ops->close(st);
    assert_int_equal(n_files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_becomes_a_row),
        cmocka_unit_test(test_whoever_asks_finds_them),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_the_file_goes_after_a_while),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_files_of_others),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_straight_aside),
        cmocka_unit_test(test_not_straight_aside),
        cmocka_unit_test(test_dropped_at_once),
        cmocka_unit_test(test_no_room_for_the_last),
        cmocka_unit_test(test_damaged_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
