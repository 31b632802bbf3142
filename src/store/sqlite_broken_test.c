/* SPDX-License-Identifier: BSD-3-Clause */
/* A database that takes no more: a disk that fails, a file that is damaged or gone, and what is
 * kept, lost and said meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "store/store_rig.h"
#include "util/log.h"

#define ROWS "SELECT count(*) FROM 'ipython-tasks'"
#define DEADLINE_MS 30000

/* What the system says to SQLite when it writes; 0: it does write. */
static atomic_int disk_errno;
static atomic_bool only_database; /* and not to its log */
static char log_path[] = "/tmp/ersa-store-log-XXXXXX";
static ssize_t (*do_write)(int fd, const void *data, size_t n, off_t at);

static bool is_database(int fd)
{
    char link[64], path[sizeof(sqlite_path) + 8];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = 0;
    return strcmp(path, sqlite_path) == 0;
}

static ssize_t write_or_fail(int fd, const void *data, size_t n, off_t at)
{
    int code = disk_errno;
    if (!code || (only_database && !is_database(fd)))
        return do_write(fd, data, n, at);
    errno = code;
    return -1;
}

static int end_well(void **state)
{
    disk_errno = 0;
    only_database = false;
    return 0;
}

static int watch_disk(void **state)
{
    static const char *const names[] = {"pwrite64", "pwrite"};
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    do_write = pwrite;
    for (int i = 0; i < 2; i++)
        vfs->xSetSystemCall(vfs, names[i], (sqlite3_syscall_ptr)write_or_fail);
    return make_folder(state);
}

/* Ticks until the store is broken, or is not. */
static void await(struct store *st, bool is_broken)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    while (st->is_broken != is_broken) {
        (void)st->ops->tick(st, NULL);
        assert_true(clock_mono_ms() < until);
    }
}

static void put_large(struct store *st, int number)
{
    static char data[256 << 10];
    char id[16];
    struct slice buffer = {data, sizeof(data)};
    snprintf(id, sizeof(id), "%d", number);
    struct store_record r = request(id, number);
    r.set |= STORE_FIELD(F_buffers);
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    set_date(&r, F_completed, 1);
    put(st, &r);
}

static void assert_broken(struct store *st, const char *why)
{
    struct ersa_error err = {0};
    struct names n = {""};
    assert_int_equal(st->ops->history(st, add_name, &n, &err), ERSA_EIO);
    assert_non_null(strstr(err.text, sqlite_path));
    if (!strstr(err.text, why))
        fail_msg("%s", err.text);
    assert_int_equal(st->ops->drop(st, s("old"), &err), ERSA_EIO);
}

static struct store *open_with_one(void)
{
    struct store *st = NULL;
    assert_int_equal(open_sqlite(&st), 0);
    put_number(st, 0, 8, true);
    assert_int_equal(st->ops->tick(st, NULL), 0);
    return st;
}

/* Nobody is held back, the newest are kept, and all goes on by itself. */
static void test_a_disk_that_fails(void **state)
{
    struct store *st = open_with_one();
    disk_errno = EIO;
    put_number(st, 1, 8, true);
    await(st, true);
    for (int i = 2; i < 200; i++) {
        put_large(st, i);
        assert_false(st->is_full);
        assert_int_equal(st->ops->tick(st, NULL), 1);
    }
    uint64_t lost = st->counts.lost;
    assert_in_range(lost, 100, 190);
    struct store_record got = get(st, "199");
    assert_int_equal(got.v[F_buffers].binary.n, 1);
    assert_int_equal(st->ops->get(st, s("1"), STORE_ALL, &got, NULL), ERSA_EIO);
    disk_errno = 0;
    await(st, false);
    assert_int_equal(count(st), 200 - lost);
    got = get(st, "0");
    assert_text(&got, F_queue, "task");
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), (int)(200 - lost));
}

/* These are other words for a disk that is full: nothing is lost. */
static void test_a_disk_that_is_full(void **state)
{
    static const int full[] = {ENOSPC, EDQUOT, EFBIG};
    for (int i = 0; i < 3; i++) {
        struct store *st = open_with_one();
        disk_errno = full[i];
        for (int n = 1; !st->is_full; n++) {
            put_large(st, n);
            (void)st->ops->tick(st, NULL);
            assert_true(n < 200);
        }
        assert_false(st->is_broken);
        assert_int_equal(st->counts.lost, 0);
        disk_errno = 0;
        st->ops->close(st);
    }
}

/* What is in the log file so far. */
static char *said(void)
{
    static char octets[65536];
    FILE *f = fopen(log_path, "re");
    size_t n = f ? fread(octets, 1, sizeof(octets) - 1, f) : 0;
    octets[n] = 0;
    if (f)
        fclose(f);
    return octets;
}

/* Rows until the log has to be carried over, and it has been tried. */
static void write_until_said(struct store *st, const char *words)
{
    int64_t until = clock_mono_ms() + DEADLINE_MS;
    for (int i = 1000; !strstr(said(), words); i++) {
        put_large(st, i);
        assert_int_equal(st->ops->tick(st, NULL), 0);
        assert_true(clock_mono_ms() < until);
    }
}

/* The log takes all: nobody is held back, nothing is lost, and somebody hears of it. */
static void test_a_log_that_is_not_carried_over(void **state)
{
    int level = log_level();
    int fd = mkstemp(log_path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_open_file(log_path), 0);
    log_set_level(LOG_INFO);
    struct store *st = open_with_one();
    only_database = true;
    disk_errno = EIO;
    write_until_said(st, "not carried over");
    assert_false(st->is_broken);
    disk_errno = 0;
    write_until_said(st, "carried over again");
    st->ops->close(st);
    log_set_level(level);
    unlink(log_path);
}

/* What others wrote makes SQLite read again what it has in memory. */
static void damage(void)
{
    static char octets[200000];
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(sqlite_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x); PRAGMA wal_checkpoint(TRUNCATE)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    int fd = open(sqlite_path, O_WRONLY);
    memset(octets, '?', sizeof(octets));
    assert_int_equal(pwrite(fd, octets, sizeof(octets), 100), sizeof(octets));
    close(fd);
}

/* It is left alone until another one is in its place. */
static void test_a_damaged_file(void **state)
{
    char away[sizeof(sqlite_path) + 8];
    snprintf(away, sizeof(away), "%s-away", sqlite_path);
    struct store *st = open_with_one();
    damage();
    put_number(st, 1, 8, true);
    await(st, true);
    assert_broken(st, "move it away");
    assert_int_equal(st->ops->append(st, s("0"), F_stdout, s("late"), NULL), 0);
    assert_int_equal(st->ops->append(st, s("nobody's"), F_stdout, s("x"), NULL), 0);
    struct store_record r = request("2", 2);
    put(st, &r);
    for (int64_t until = clock_mono_ms() + 1500; clock_mono_ms() < until;)
        assert_int_equal(st->ops->tick(st, NULL), 1);
    assert_true(st->is_broken);
    assert_int_equal(rename(sqlite_path, away), 0);
    await(st, false);
    assert_history(st, "1 2 ");
    r = get(st, "2");
    assert_text(&r, F_stdout, "");
    assert_int_equal(st->counts.lost, 0);
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), 2);
    unlink(away);
}

/* A row of the old one has another number in the new one. */
static void test_a_file_that_is_deleted(void **state)
{
    struct store *st = open_with_one();
    struct store_record r = request("open", 5);
    put(st, &r);
    assert_history(st, "0 open ");
    assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(st->ops->append(st, s("open"), F_stdout, s("out"), NULL), 0);
    remove_database();
    put_number(st, 6, 8, true);
    put_number(st, 7, 8, true);
    (void)st->ops->tick(st, NULL);
    assert_int_equal(seen_outside(ROWS), 2);
    assert_history(st, "6 7 ");
    r = get(st, "7");
    assert_text(&r, F_stdout, "");
    assert_false(st->is_broken);
    st->ops->close(st);
    assert_int_equal(seen_outside(ROWS), 2);
}

static void test_the_end_of_a_broken_one(void **state)
{
    struct store *st = open_with_one();
    damage();
    put_number(st, 1, 8, true);
    await(st, true);
    (void)st->ops->tick(st, NULL);
    st->ops->close(st);
    remove_database();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_disk_that_fails, end_well),
        cmocka_unit_test_teardown(test_a_disk_that_is_full, end_well),
        cmocka_unit_test_teardown(test_a_damaged_file, end_well),
        cmocka_unit_test_teardown(test_a_file_that_is_deleted, end_well),
        cmocka_unit_test_teardown(test_the_end_of_a_broken_one, end_well),
        cmocka_unit_test_teardown(test_a_log_that_is_not_carried_over,
                                  end_well), /* last: the log stays its file */
    };
    return cmocka_run_group_tests(tests, watch_disk, remove_folder);
}
