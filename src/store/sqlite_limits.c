/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes when a database holds too many records, too many octets or records that are too
 * old: a few hundred rows a statement, and no more than DROP_BUDGET_MS a tick, so that what is
 * to be written does not wait for it. Rows have the order in which they were written. */
#include "store/query_sql.h"
#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"

#define AGE_PERIOD_MS 1000
#define DROP_ROWS 512     /* in one statement */
#define DROP_BUDGET_MS 50 /* in one tick */

static int64_t pragma(struct sqlite_store *s, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    int64_t n = 0;
    if (sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        n = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static uint64_t bytes_used(struct sqlite_store *s)
{
    int64_t pages = pragma(s, "PRAGMA page_count") - pragma(s, "PRAGMA freelist_count");
    return (uint64_t)(pages > 0 ? pages * s->page_bytes : 0);
}

/* Deletes up to `n` rows; returns how many, or a negative ERSA_E*. */
static int64_t delete_rows(struct sqlite_store *s, const char *where, const char *date,
                           uint64_t n, struct ersa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t gone = 0;
    int code = SQLITE_ERROR, rc = sqlite_begin(s, err);
    if (rc < 0)
        return rc;
    char *sql = sqlite3_mprintf("DELETE FROM %s WHERE rowid IN (SELECT rowid FROM %s WHERE %s "
                                "LIMIT ?1) RETURNING msg_id",
                                s->table, s->table, where);
    if (sql && sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(stmt, 1, (int64_t)n) == SQLITE_OK &&
        (!date || sqlite3_bind_text(stmt, 2, date, -1, SQLITE_STATIC) == SQLITE_OK))
        for (; (code = sqlite3_step(stmt)) == SQLITE_ROW; gone++) {
            struct slice id = {(const char *)sqlite3_column_text(stmt, 0),
                               (size_t)sqlite3_column_bytes(stmt, 0)};
            seen_set(&s->known, id, SEEN_NEVER);
            backlog_spoil(s, id);
        }
    rc = code == SQLITE_DONE ? 0 : sqlite_error(s, err, "old task records are not dropped");
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    if (rc < 0) {
        sqlite_roll_back(s);
        return rc;
    }
    rc = backlog_settle_spoiled(s, err);
    return rc < 0 ? rc : gone;
}

/* What is done first, but never the newest. */
static int64_t delete_oldest(struct sqlite_store *s, uint64_t n, struct ersa_error *err)
{
    static const char *const kinds[] = {"(completed IS NOT NULL OR submitted IS NULL)", "1"};
    int64_t gone = 0;
    for (int i = 0; i < 2 && gone == 0; i++) {
        char *where = sqlite3_mprintf("%s AND rowid<(SELECT max(rowid) FROM %s) ORDER BY rowid",
                                      kinds[i], s->table);
        gone = where ? delete_rows(s, where, NULL, n, err)
                     : err_set(err, ERSA_ENOMEM, "out of memory");
        sqlite3_free(where);
    }
    return gone;
}

/* Records without a date are as old as the next one that has one. */
static int64_t delete_aged(struct sqlite_store *s, struct ersa_error *err)
{
    char date[SQL_DATE_MAX];
    sql_date(clock_utc_us() - s->limits.max_age_s * 1000000, date);
    int64_t gone = delete_rows(s, "submitted<?2", date, DROP_ROWS, err);
    if (gone)
        return gone;
    char *where = sqlite3_mprintf("submitted IS NULL AND rowid<(SELECT rowid FROM %s WHERE "
                                  "submitted>=?2 ORDER BY submitted LIMIT 1)",
                                  s->table);
    gone = where ? delete_rows(s, where, date, DROP_ROWS, err) : 0;
    sqlite3_free(where);
    return gone;
}

struct share {
    uint64_t limit, left; /* what may be there, what is left when more is */
};

static struct share share_of(uint64_t limit, double cull)
{
    double drop = cull * (double)limit;
    return (struct share){limit, limit - (drop >= 1 ? (uint64_t)drop : limit > 0)};
}

/* How many rows to drop next, when so many freed so much and this is too much still. */
static uint64_t next_step(int64_t rows, uint64_t freed, uint64_t too_much)
{
    uint64_t n = freed ? too_much * (uint64_t)rows / freed : DROP_ROWS / 8;
    return n < 1 ? 1 : n < DROP_ROWS / 8 ? n : DROP_ROWS / 8;
}

/* 1: more is to be dropped than there was time for. */
int sqlite_keep_limits(struct sqlite_store *s, struct ersa_error *err)
{
    int64_t until = clock_mono_ms() + DROP_BUDGET_MS, gone = 1;
    struct share rows = share_of(s->limits.records, s->limits.cull),
                 bytes = share_of(s->limits.bytes, s->limits.cull);
    uint64_t used = bytes.limit ? bytes_used(s) : 0, step = 1;
    bool too_many = rows.limit && (uint64_t)s->n_rows > rows.limit,
         too_large = bytes.limit && used > bytes.limit,
         too_old = s->limits.max_age_s && clock_mono_ms() >= s->aged_ms;
    while (gone > 0 && (too_many || too_large || too_old) && clock_mono_ms() < until) {
        if (too_many) {
            uint64_t n = (uint64_t)s->n_rows - rows.left;
            gone = delete_oldest(s, n < DROP_ROWS ? n : DROP_ROWS, err);
            too_many = (uint64_t)s->n_rows > rows.left;
        } else if (too_large) {
            gone = delete_oldest(s, step, err);
            uint64_t before = used;
            used = bytes_used(s);
            too_large = used > bytes.left;
            if (too_large)
                step = next_step(gone, before > used ? before - used : 0, used - bytes.left);
        } else {
            gone = delete_aged(s, err);
            too_old = gone > 0;
        }
    }
    if (!too_old)
        s->aged_ms = clock_mono_ms() + AGE_PERIOD_MS;
    if (gone < 0)
        return (int)gone;
    int rc = sqlite_commit(s, err);
    return rc < 0 ? rc : gone > 0 && (too_many || too_large || too_old);
}
