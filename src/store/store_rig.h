/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of stores share: records to write, what is found of them as text, and a folder
 * for databases. Only tests include it. */
#ifndef ERSA_STORE_STORE_RIG_H
#define ERSA_STORE_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "ersa/error.h"
#include "store/query.h"
#include "store/store.h"
#include "util/clock.h"
#include "wire/json.h"

static char folder[] = "/tmp/ersa-store-XXXXXX", sqlite_path[sizeof(folder) + 16];

static inline void remove_database(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (int i = 0; i < 4; i++) {
        char path[sizeof(sqlite_path) + 16];
        snprintf(path, sizeof(path), "%s%s", sqlite_path, ends[i]);
        unlink(path);
    }
}

static inline int open_sqlite(struct store **ret)
{
    struct store_sqlite_config cfg = {.path = sqlite_path, .table = "ipython-tasks"};
    remove_database();
    return store_sqlite_open(ret, &cfg, NULL);
}

/* The database as it is; `limits` may be NULL. */
static inline struct store *reopen_sqlite(const struct store_limits *limits, uint64_t max_pages)
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

/* What another process sees of it: one number. */
static inline int seen_outside(const char *sql)
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

static inline struct slice s(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline void set_text(struct store_record *r, enum store_field f, const char *text)
{
    r->set |= 1u << f;
    r->v[f].text = s(text);
}

static inline void set_date(struct store_record *r, enum store_field f, int64_t date)
{
    r->set |= 1u << f;
    r->v[f].date = date;
}

static inline struct store_record request(const char *id, int64_t submitted)
{
    struct store_record r = {.set = 0};
    set_text(&r, F_msg_id, id);
    set_text(&r, F_header, "{\"msg_id\": 1}");
    set_text(&r, F_content, "{}");
    set_text(&r, F_queue, "task");
    set_date(&r, F_submitted, submitted);
    return r;
}

static inline void put(struct store *st, const struct store_record *r)
{
    struct ersa_error err = {0};
    if (st->ops->put(st, r, &err) < 0)
        fail_msg("%s: %s", st->ops->name, err.text);
}

/* What a question comes to. A server on a busy machine may not have taken in time what waits
 * for it: who asks again gets the answer. */
#define ANSWER(question)                                                         \
    ({                                                                           \
        int64_t until_ = clock_mono_ms() + 60000;                                \
        int rc_;                                                                 \
        while ((rc_ = (question)) == ERSA_ETIMEDOUT && clock_mono_ms() < until_) \
            usleep(20000);                                                       \
        rc_;                                                                     \
    })

static inline struct store_record get(struct store *st, const char *id)
{
    struct store_record r;
    assert_int_equal(ANSWER(st->ops->get(st, s(id), STORE_ALL, &r, NULL)), 0);
    return r;
}

static inline void assert_text(const struct store_record *r, enum store_field f,
                               const char *want)
{
    assert_false(store_is_null(r, f));
    assert_int_equal(r->v[f].text.len, strlen(want));
    assert_memory_equal(r->v[f].text.data, want, strlen(want));
}

struct names {
    char text[4096];
};

static inline void add_name(void *ctx, struct slice id)
{
    struct names *n = ctx;
    size_t len = strlen(n->text);
    snprintf(n->text + len, sizeof(n->text) - len, "%.*s ", SLICE_FMT(id));
}

static inline int add_record_name(void *ctx, const struct store_record *r)
{
    add_name(ctx, r->v[F_msg_id].text);
    return 0;
}

static inline void assert_history(struct store *st, const char *want)
{
    struct names n = {""};
    assert_int_equal(ANSWER(st->ops->history(st, add_name, &n, NULL)), 0);
    assert_string_equal(n.text, want);
}

static inline void assert_found(struct store *st, const char *query, const char *want)
{
    json_t *j = json_parse(s(query), NULL);
    struct store_query *q = NULL;
    struct names n = {""};
    assert_int_equal(store_query_parse(&q, j, NULL), 0);
    json_decref(j);
    assert_int_equal(ANSWER(st->ops->find(st, q, STORE_ALL, add_record_name, &n, NULL)), 0);
    assert_string_equal(n.text, want);
    store_query_free(q);
}

static inline void count_one(void *ctx, struct slice id)
{
    ++*(size_t *)ctx;
}

static inline size_t count(struct store *st)
{
    size_t n = 0;
    assert_int_equal(ANSWER(st->ops->history(st, count_one, &n, NULL)), 0);
    return n;
}

static inline void put_number(struct store *st, int number, size_t octets, bool is_done)
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

static inline int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(sqlite_path, sizeof(sqlite_path), "%s/tasks.db", folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    remove_database();
    return rmdir(folder);
}

#endif
