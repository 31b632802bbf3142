/* SPDX-License-Identifier: BSD-3-Clause */
/* One suite for every store: a row of `stores` says how to open it and whether it keeps
 * anything. What only the bounded store in memory does follows behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/query.h"
#include "store/store.h"
#include "util/clock.h"
#include "wire/json.h"

static int open_none(struct store **ret)
{
    return store_none_open(ret, NULL);
}

static int open_memory(struct store **ret)
{
    struct store_limits limits = {.records = 1000, .bytes = 1 << 20, .cull = 0.1};
    return store_memory_open(ret, &limits, NULL);
}

static char folder[] = "/tmp/ersa-store-XXXXXX", sqlite_path[sizeof(folder) + 16];

static void remove_database(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 4; i++) {
        char path[sizeof(sqlite_path) + 16];
        snprintf(path, sizeof(path), "%s%s", sqlite_path, ends[i]);
        unlink(path);
    }
}

static int open_sqlite(struct store **ret)
{
    struct store_sqlite_config cfg = {.path = sqlite_path, .table = "ipython-tasks"};
    remove_database();
    return store_sqlite_open(ret, &cfg, NULL);
}

/* A server for tests: mongodb://... */
#define MONGODB "ERSA_TEST_MONGODB"

static int open_mongo(struct store **ret)
{
    static int n;
    char database[64];
    snprintf(database, sizeof(database), "test_%d_%d", (int)getpid(), n++);
    struct store_mongo_config cfg = {.uri = getenv(MONGODB), .database = database};
    return store_mongo_open(ret, &cfg, NULL);
}

static const struct seat {
    const char *name;
    int (*open)(struct store **ret);
    bool keeps;
    const char *needs; /* a variable of the environment */
} stores[] = {
    {"none", open_none, false, NULL},
    {"memory", open_memory, true, NULL},
    {"sqlite", open_sqlite, true, NULL},
    {"mongodb", open_mongo, true, MONGODB},
};
#define N_STORES (sizeof(stores) / sizeof(stores[0]))

static struct slice s(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void set_text(struct store_record *r, enum store_field f, const char *text)
{
    r->set |= 1u << f;
    r->v[f].text = s(text);
}

static void set_date(struct store_record *r, enum store_field f, int64_t date)
{
    r->set |= 1u << f;
    r->v[f].date = date;
}

static struct store_record request(const char *id, int64_t submitted)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_header, "{\"msg_id\": 1}");
    set_text(&r, F_content, "{}");
    set_text(&r, F_queue, "task");
    set_date(&r, F_submitted, submitted);
    return r;
}

static void put(struct store *st, const struct store_record *r)
{
    struct ersa_error err = {0};
    if (st->ops->put(st, r, &err) < 0)
        fail_msg("%s: %s", st->ops->name, err.text);
}

static struct store_record get(struct store *st, const char *id)
{
    struct store_record r;
    assert_int_equal(st->ops->get(st, s(id), STORE_ALL, &r, NULL), 0);
    return r;
}

static void assert_text(const struct store_record *r, enum store_field f, const char *want)
{
    assert_false(store_is_null(r, f));
    assert_int_equal(r->v[f].text.len, strlen(want));
    assert_memory_equal(r->v[f].text.data, want, strlen(want));
}

struct names {
    char text[4096];
};

static void add_name(void *ctx, struct slice id)
{
    struct names *n = ctx;
    size_t len = strlen(n->text);
    snprintf(n->text + len, sizeof(n->text) - len, "%.*s ", SLICE_FMT(id));
}

static int add_record_name(void *ctx, const struct store_record *r)
{
    add_name(ctx, r->v[F_msg_id].text);
    return 0;
}

static void assert_history(struct store *st, const char *want)
{
    struct names n = {""};
    assert_int_equal(st->ops->history(st, add_name, &n, NULL), 0);
    assert_string_equal(n.text, want);
}

static void assert_found(struct store *st, const char *query, const char *want)
{
    json_t *j = json_parse(s(query), NULL);
    struct store_query *q = NULL;
    struct names n = {""};
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    json_decref(j);
    assert_int_equal(st->ops->find(st, q, STORE_ALL, add_record_name, &n, NULL), 0);
    assert_string_equal(n.text, want);
    store_query_free(q);
}

/* Every store */

static void check_writing(struct store *st)
{
    struct store_record r = request("a", 1);
    put(st, &r);
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("x"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("a"), NULL), 0);
}

static void check_that_nothing_is_kept(struct store *st)
{
    struct store_record r = request("a", 1);
    struct names n = {""};
    struct ersa_error err = {0};
    struct store_query *q = NULL;
    json_t *j = json_object();
    put(st, &r);
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &r, &err), ERSA_EUNSUPPORTED);
    assert_string_equal(err.text, "NoDB backend doesn't store any data. ");
    assert_int_equal(st->ops->history(st, add_name, &n, &err), ERSA_EUNSUPPORTED);
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    assert_int_equal(st->ops->find(st, q, STORE_ALL, add_record_name, &n, &err),
                     ERSA_EUNSUPPORTED);
    store_query_free(q);
    json_decref(j);
}

static void check_new_record(struct store *st)
{
    struct store_record r = request("a", 5), got;
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &got, NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("x"), NULL), ERSA_ENOENT);
    put(st, &r);
    got = get(st, "a");
    assert_text(&got, F_msg_id, "a");
    assert_text(&got, F_header, "{\"msg_id\": 1}");
    assert_text(&got, F_stdout, "");
    assert_text(&got, F_stderr, "");
    assert_int_equal(got.v[F_submitted].date, 5);
    assert_true(store_is_null(&got, F_completed));
    assert_true(store_is_null(&got, F_buffers));
    assert_true(store_is_null(&got, F_label));
}

static void check_merging(struct store *st)
{
    struct slice buffers[] = {s("one"), s(""), s("three")}, results[] = {s("r")};
    struct store_record r = {.set = 0}, got;
    set_text(&r, F_msg_id, "a"); /* output came first */
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("out"), NULL), 0);
    r = request("a", 5);
    r.set |= 1u << F_buffers;
    r.v[F_buffers].binary = (struct store_binary){buffers, 3};
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_result_content, "{\"status\": \"ok\"}");
    set_date(&r, F_completed, 9);
    r.set |= 1u << F_result_buffers;
    r.v[F_result_buffers].binary = (struct store_binary){results, 1};
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_metadata, "{\"label\": \"l\"}"); /* of the request's group, written later */
    set_text(&r, F_engine_uuid, "e0");
    put(st, &r);
    set_text(&r, F_engine_uuid, "e1");
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, s("put"), NULL), 0);
    assert_int_equal(st->ops->append(st, s("a"), F_stderr, s("err"), NULL), 0);
    got = get(st, "a");
    assert_text(&got, F_stdout, "output");
    assert_text(&got, F_stderr, "err");
    assert_text(&got, F_content, "{}");
    assert_text(&got, F_metadata, "{\"label\": \"l\"}");
    assert_text(&got, F_engine_uuid, "e1");
    assert_text(&got, F_result_content, "{\"status\": \"ok\"}");
    assert_int_equal(got.v[F_buffers].binary.n, 3);
    assert_true(slice_is(got.v[F_buffers].binary.items[0], "one"));
    assert_int_equal(got.v[F_buffers].binary.items[1].len, 0);
    assert_true(slice_is(got.v[F_buffers].binary.items[2], "three"));
    assert_int_equal(got.v[F_result_buffers].binary.n, 1);
    assert_true(slice_is(got.v[F_result_buffers].binary.items[0], "r"));
    assert_int_equal(got.v[F_submitted].date, 5);
    assert_int_equal(got.v[F_completed].date, 9);
}

static void check_what_is_passed_in_is_copied(struct store *st)
{
    char id[] = "a", header[] = "{}", stream[] = "x";
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_header, header);
    put(st, &r);
    st->ops->append(st, s(id), F_stdout, s(stream), NULL);
    id[0] = header[0] = stream[0] = '#';
    r = get(st, "a");
    assert_text(&r, F_msg_id, "a");
    assert_text(&r, F_header, "{}");
    assert_text(&r, F_stdout, "x");
}

static void check_update(struct store *st)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_engine_uuid, "e0");
    assert_int_equal(st->ops->update(st, &r, NULL), ERSA_ENOENT);
    assert_int_equal(st->ops->get(st, s("a"), STORE_ALL, &r, NULL), ERSA_ENOENT);
    r = request("a", 1);
    put(st, &r);
    r = (struct store_record){.set = 0};
    set_text(&r, F_msg_id, "a");
    set_text(&r, F_engine_uuid, "e0");
    assert_int_equal(st->ops->update(st, &r, NULL), 0);
    r = get(st, "a");
    assert_text(&r, F_engine_uuid, "e0");
    assert_text(&r, F_queue, "task");
}

static void check_history_and_drop(struct store *st)
{
    static const struct {
        const char *id;
        int64_t date;
    } rows[] = {{"c", 30}, {"a", 10}, {"b", 20}, {"b2", 20}};
    for (size_t i = 0; i < 4; i++) {
        struct store_record r = request(rows[i].id, rows[i].date);
        put(st, &r);
    }
    struct store_record skeleton = {.set = 0};
    set_text(&skeleton, F_msg_id, "s");
    put(st, &skeleton);
    assert_history(st, "a b b2 c ");
    assert_found(st, "{}", "c a b b2 s ");
    assert_int_equal(st->ops->drop(st, s("b"), NULL), 0);
    assert_int_equal(st->ops->drop(st, s("b"), NULL), ERSA_ENOENT);
    assert_history(st, "a b2 c ");
}

static int stop_at_second(void *ctx, const struct store_record *r)
{
    return ++*(int *)ctx == 2 ? ERSA_EFULL : 0;
}

static void check_finding(struct store *st)
{
    for (int i = 0; i < 4; i++) {
        char id[2] = {(char)('a' + i)};
        struct store_record r = request(id, i);
        set_text(&r, F_engine_uuid, i % 2 ? "e1" : "e0");
        put(st, &r);
    }
    assert_found(st, "{\"engine_uuid\": \"e1\", \"queue\": \"task\"}", "b d ");
    assert_found(st, "{\"msg_id\": \"c\"}", "c ");
    assert_found(st, "{\"msg_id\": \"c\", \"engine_uuid\": \"e1\"}", "");
    assert_found(st, "{\"msg_id\": \"x\"}", "");
    assert_found(st, "{\"msg_id\": {\"$in\": []}}", "");
    int n = 0;
    json_t *j = json_object();
    struct store_query *q = NULL;
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    assert_int_equal(st->ops->find(st, q, STORE_ALL, stop_at_second, &n, NULL), ERSA_EFULL);
    assert_int_equal(n, 2);
    store_query_free(q);
    json_decref(j);
}

static void run_on(bool keeps, void (*check)(struct store *st))
{
    for (size_t i = 0; i < N_STORES; i++) {
        struct store *st = NULL;
        if (stores[i].keeps != keeps || (stores[i].needs && !getenv(stores[i].needs)))
            continue;
        assert_int_equal(stores[i].open(&st), 0);
        assert_string_equal(st->ops->name, stores[i].name);
        check(st);
        st->ops->close(st);
    }
}

static void test_writing_succeeds(void **state)
{
    run_on(true, check_writing);
    run_on(false, check_writing);
}

static void test_stores_that_keep_nothing(void **state)
{
    run_on(false, check_that_nothing_is_kept);
}

static void test_stores_that_keep(void **state)
{
    run_on(true, check_new_record);
    run_on(true, check_merging);
    run_on(true, check_what_is_passed_in_is_copied);
    run_on(true, check_update);
    run_on(true, check_history_and_drop);
    run_on(true, check_finding);
}

/* Bounds of the store in memory (db.md 5.2) */

static struct store *open_bounded(uint64_t records, uint64_t bytes, double cull)
{
    struct store_limits limits = {records, bytes, cull};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    return st;
}

static void count_one(void *ctx, struct slice id)
{
    ++*(size_t *)ctx;
}

static size_t count(struct store *st)
{
    size_t n = 0;
    assert_int_equal(st->ops->history(st, count_one, &n, NULL), 0);
    return n;
}

static void put_number(struct store *st, int number, size_t octets, bool is_done)
{
    char id[16], data[64] = {0};
    struct slice buffer = {data, octets};
    snprintf(id, sizeof(id), "%d", number);
    struct store_record r = request(id, number);
    r.set |= 1u << F_buffers;
    r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
    if (is_done)
        set_date(&r, F_completed, 1);
    put(st, &r);
}

static void test_number_of_records(void **state)
{
    struct store *st = open_bounded(20, 1 << 20, 0.2);
    for (int i = 0; i < 20; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 20);
    put_number(st, 20, 1, false);
    assert_int_equal(count(st), 17);
    for (int i = 21; i < 24; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 20);
    put_number(st, 24, 1, false);
    assert_int_equal(count(st), 17);
    st->ops->close(st);
}

static struct store *fill_to_1000(void)
{
    struct store *st = open_bounded(1000, 1000, 0.2);
    for (int i = 0; i < 100; i++)
        put_number(st, i, 10, false);
    put_number(st, 100, 0, false);
    assert_int_equal(count(st), 101);
    return st;
}

static void test_octets_of_buffers(void **state)
{
    struct store *st = fill_to_1000();
    put_number(st, 101, 1, false);
    assert_int_equal(count(st), 81);
    st->ops->close(st);

    st = open_bounded(1000, 1000, 0.2);
    for (int i = 0; i < 100; i++)
        put_number(st, i, 10, false);
    put_number(st, 99, 11, false); /* replaced: only the difference counts */
    assert_int_equal(count(st), 79);
    st->ops->close(st);

    st = fill_to_1000();
    assert_int_equal(st->ops->drop(st, s("0"), NULL), 0);
    put_number(st, 101, 10, false);
    assert_int_equal(count(st), 101);
    st->ops->close(st);
}

static void test_the_newest_stays(void **state)
{
    struct store *st = open_bounded(1000, 8, 0.5);
    put_number(st, 0, 1, false);
    put_number(st, 1, 60, false);
    assert_history(st, "1 ");
    put_number(st, 2, 1, false);
    assert_history(st, "2 ");
    st->ops->close(st);
    st = open_bounded(3, 1000, 0.1); /* a share below one drops one */
    for (int i = 0; i < 10; i++)
        put_number(st, i, 1, false);
    assert_int_equal(count(st), 3);
    st->ops->close(st);
}

static void test_what_is_done_goes_first(void **state)
{
    struct store *st = open_bounded(4, 1000, 0.5);
    put_number(st, 0, 1, false);
    put_number(st, 1, 1, true);
    put_number(st, 2, 1, false);
    put_number(st, 3, 1, true);
    put_number(st, 4, 1, false);
    assert_history(st, "0 2 4 ");
    struct store_record r = {.set = 0}; /* never requested: output of a broadcast */
    set_text(&r, F_msg_id, "s");
    put(st, &r);
    put_number(st, 5, 1, false);
    assert_found(st, "{}", "2 4 5 ");
    st->ops->close(st);
}

static void test_streams_are_bounded(void **state)
{
    struct store *st = open_bounded(10, 1000, 0.1); /* 64 MiB of text, 4 of a stream */
    size_t n = 3 << 20;
    char *text = calloc(1, n);
    struct store_record r = request("a", 1);
    put(st, &r);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, (struct slice){text, n}, NULL), 0);
    assert_int_equal(st->ops->append(st, s("a"), F_stdout, (struct slice){text, n}, NULL),
                     ERSA_EFULL);
    r = get(st, "a");
    assert_int_equal(r.v[F_stdout].text.len, n);
    st->ops->close(st);

    st = open_bounded(1000, 1000, 0.1);
    for (int i = 0; i < 40; i++) {
        char id[8];
        snprintf(id, sizeof(id), "%d", i);
        r = request(id, i);
        put(st, &r);
        assert_int_equal(st->ops->append(st, s(id), F_stdout, (struct slice){text, n}, NULL),
                         0);
    }
    assert_in_range(count(st), 5, 21);
    r = get(st, "39");
    assert_int_equal(r.v[F_stdout].text.len, n);
    st->ops->close(st);
    free(text);
}

/* What only the database does */

static struct store *open_again(const struct store_limits *limits, uint64_t max_pages)
{
    struct store_sqlite_config cfg = {
        .path = sqlite_path, .table = "ipython-tasks", .max_pages = max_pages};
    struct store *st = NULL;
    struct ersa_error err = {0};
    if (limits)
        cfg.limits = *limits;
    if (store_sqlite_open(&st, &cfg, &err) < 0)
        fail_msg("%s", err.text);
    return st;
}

/* What another process sees: one number. */
static int seen_outside(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(sqlite_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int n = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

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

    st = open_again(NULL, 0);
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
    struct store *st = open_again(NULL, 0);
    struct store_record r = request("a", 1);
    put(st, &r);
    st->ops->close(st);
    st = open_again(NULL, 0);
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
    struct store *st = open_again(&limits, 0);
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
    st = open_again(&limits, 0);
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

static void test_age(void **state)
{
    struct store_limits limits = {.max_age_s = 3600};
    int64_t now = clock_utc_us();
    remove_database();
    struct store *st = open_again(&limits, 0);
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
    struct store *st = open_again(NULL, 24);
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
    for (int i = 0; i < 2000; i++) {              /* what waits is bounded */
        char id[16];
        snprintf(id, sizeof(id), "m%d", i);
        r = request(id, n);
        r.set |= STORE_FIELD(F_buffers);
        r.v[F_buffers].binary = (struct store_binary){&buffer, 1};
        st->ops->put(st, &r, NULL);
    }
    assert_in_range(st->counts.lost, 1500, 2000);
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

static void test_age_in_memory(void **state)
{
    struct store_limits limits = {.records = 100, .max_age_s = 1};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), 0);
    int64_t until = clock_mono_ms() + 10000;
    struct store_record r = request("a", 1);
    put(st, &r);
    assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(count(st), 1);
    while (count(st) && clock_mono_ms() < until)
        assert_int_equal(st->ops->tick(st, NULL), 0);
    assert_int_equal(count(st), 0);
    st->ops->close(st);
}

static void test_limits_are_checked(void **state)
{
    struct store_limits limits = {10, 10, 1.5};
    struct store *st = NULL;
    assert_int_equal(store_memory_open(&st, &limits, NULL), ERSA_EINVAL);
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(sqlite_path, sizeof(sqlite_path), "%s/tasks.db", folder);
    return 0;
}

static int remove_folder(void **state)
{
    remove_database();
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing_succeeds),
        cmocka_unit_test(test_stores_that_keep_nothing),
        cmocka_unit_test(test_stores_that_keep),
        cmocka_unit_test(test_number_of_records),
        cmocka_unit_test(test_octets_of_buffers),
        cmocka_unit_test(test_the_newest_stays),
        cmocka_unit_test(test_what_is_done_goes_first),
        cmocka_unit_test(test_streams_are_bounded),
        cmocka_unit_test(test_age_in_memory),
        cmocka_unit_test(test_limits_are_checked),
        cmocka_unit_test(test_a_group_is_one_transaction),
        cmocka_unit_test(test_records_of_an_earlier_life),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_limits_of_a_database),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_unusable_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
