/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait in a deep queue: set aside in a file of their own, found by whoever asks,
 * rows once they are done, and there again after a life that was killed. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store/pending.h"
#include "store/store_rig.h"

enum { MANY = 8000 }; /* so many are more than may wait in memory */

static struct store *open_new(const struct store_limits *limits)
{
    remove_database();
    return reopen_sqlite(limits, 0);
}

/* What another process sees in the table. */
static int rows(const char *where)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM 'ipython-tasks' WHERE %s", where);
    return seen_outside(sql);
}

/* Files of what waits; the path of the last one in `path`. */
static int files(char *path, size_t cap)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        if (strncmp(e->d_name, "tasks.db-waiting-", 17) == 0) {
            snprintf(path, cap, "%s/%s", folder, e->d_name);
            n++;
        }
    closedir(dir);
    return n;
}

static int n_files(void)
{
    char path[512];
    return files(path, sizeof(path));
}

/* Requests that are in the file, or have been since their slot was written. */
static int n_aside(void)
{
    char path[512], head[16];
    int n = 0;
    if (!files(path, sizeof(path)))
        return 0;
    int fd = open(path, O_RDONLY);
    for (off_t at = 0; pread(fd, head, sizeof(head), at) == sizeof(head); at += 65536)
        n += memcmp(head, "ersa-bl1", 8) == 0;
    close(fd);
    return n;
}

static void name(int i, char ret[16])
{
    snprintf(ret, 16, "t%d", i);
}

static void put_many(struct store *st, int from, int to)
{
    static const struct slice buffers[] = {{"some", 4}, {"", 0}, {"data", 4}};
    for (int i = from; i < to; i++) {
        char id[16];
        name(i, id);
        struct store_record r = request(id, 1000 + i);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){buffers, 3};
        put(st, &r);
    }
}

static void finish(struct store *st, int i)
{
    char id[16];
    name(i, id);
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 1767323045678901);
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
}

static void tick(struct store *st)
{
    struct ersa_error err = {0};
    if (st->ops->tick(st, &err) < 0)
        fail_msg("%s", err.text);
}

static void assert_whole(struct store *st, int i)
{
    char id[16];
    name(i, id);
    struct store_record r = get(st, id);
    assert_text(&r, F_header, "{\"msg_id\": 1}");
    assert_text(&r, F_queue, "task");
    assert_text(&r, F_stdout, "");
    assert_int_equal(r.v[F_submitted].date, 1000 + i);
    assert_int_equal(r.v[F_buffers].binary.n, 3);
    assert_true(slice_is(r.v[F_buffers].binary.items[2], "data"));
}

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

/* In a process that ends at once. */
static void in_a_life_that_is_killed(void (*scene)(struct store *st))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        scene(reopen_sqlite(NULL, 0));
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
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
    struct rlimit before, small;
    struct store *st = open_new(NULL);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_FSIZE, &small);
    put_many(st, 0, MANY);
    setrlimit(RLIMIT_FSIZE, &before);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_becomes_a_row),
        cmocka_unit_test(test_whoever_asks_finds_them),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_files_of_others),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
