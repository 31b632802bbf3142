/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in an SQLite database. Changes wait in memory, merged by record (pending.h), and are
 * written by one transaction a tick (sqlite_due.c); then what is past the limits goes
 * (sqlite_limits.c). Reading writes first what it could miss. */
#include <stdlib.h>
#include <string.h>

#include "store/query_sql.h"
#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

/* So many ticks with fewer changes: then requests that were set aside become rows, so many
 * batches at a tick. */
#define QUIET_TICKS 40
#define QUIET_CHANGES 64
#define QUIET_BATCHES 16
#define IDLE_TICKS (60000 / STORE_TICK_MS)
#define LAST_MS 10000 /* for a lock, at the end */

static struct sqlite_store *sqlite_of(struct store *st)
{
    return (struct sqlite_store *)st;
}

static int on_tick(struct store *st, struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    sqlite_mend(s);
    s->n_quiet = s->n_changes < QUIET_CHANGES ? s->n_quiet + 1 : 0;
    s->n_changes = 0;
    int rc = sqlite_write_due(s, err);
    if (rc == 0)
        rc = sqlite_commit(s, err);
    if (rc == 0 && s->n_quiet >= QUIET_TICKS)
        rc = backlog_settle(s, QUIET_BATCHES, err);
    if (s->n_quiet >= IDLE_TICKS)
        backlog_release(s);
    sqlite_look_for_room(s);
    int more = rc == 0 ? sqlite_keep_limits(s, err) : rc;
    if (s->base.is_broken)
        return 1; /* which has been said */
    if (more == ERSA_EAGAIN)
        more = sqlite_say_locked(s, err);
    return more < 0 ? more : more || map_size(&s->pending.by_id) || backlog_has_file(s);
}

static int on_put(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    keep_free(&s->kept);
    struct slice id = r->v[F_msg_id].text;
    struct pending_entry *e = NULL;
    bool is_known = seen_get(&s->known, id) != SEEN_NEVER;
    if (!is_known && backlog_add(s, r)) {
        seen_set(&s->known, id, SEEN_OPEN);
        return sqlite_bound(s, err);
    }
    int rc = is_known ? sqlite_find_waiting(s, id, &e, err) : 0;
    if (rc < 0)
        return rc;
    e = pending_entry(&s->pending, id, true);
    if (!e || pending_merge(&s->pending, e, r) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (!is_known) {
        e->is_new = true;
        seen_set(&s->known, id, SEEN_OPEN);
    }
    return sqlite_bound(s, err);
}

#define ROW_UNKNOWN INT64_MAX

/* The row's number, 0 or a negative ERSA_E*. A change follows, so the transaction is begun:
 * outside of one each look takes and drops locks. */
static int64_t find_row(struct sqlite_store *s, struct slice id, struct ersa_error *err)
{
    if (!s->db || s->is_spoiled)
        return ROW_UNKNOWN;
    if (!s->is_failing)
        (void)sqlite_begin(s, NULL);
    sqlite3_stmt *stmt = sqlite_select_row(s, id);
    int rc = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;
    int64_t row = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return row;
    if (rc == SQLITE_BUSY)
        return ROW_UNKNOWN; /* a change of what isn't there changes nothing */
    return sqlite_error(s, err, "task records are not read");
}

/* The entry for a change of what is there. */
static int find_entry(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                      struct ersa_error *err)
{
    keep_free(&s->kept);
    int64_t row = 0;
    int rc = sqlite_find_waiting(s, id, ret, err);
    if (rc < 0 || *ret)
        return rc;
    if (seen_get(&s->known, id) == SEEN_NEVER) {
        row = find_row(s, id, err);
        if (row <= 0)
            return row < 0 ? (int)row : err_set(err, ERSA_ENOENT, "no such record");
    }
    *ret = pending_entry(&s->pending, id, false);
    if (!*ret)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    (*ret)->row = row == ROW_UNKNOWN ? 0 : row;
    return 0;
}

static int on_update(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    struct pending_entry *e;
    keep_free(&s->kept);
    int rc = ended_add(s, r, err);
    if (rc)
        return rc < 0 ? rc : sqlite_bound(s, err);
    rc = find_entry(s, r->v[F_msg_id].text, &e, err);
    if (rc < 0)
        return rc;
    if (pending_merge(&s->pending, e, r) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return sqlite_bound(s, err);
}

static int on_append(struct store *st, struct slice msg_id, enum store_field f,
                     struct slice text, struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    struct pending_entry *e;
    if (f != F_stdout && f != F_stderr)
        return err_set(err, ERSA_EINVAL, "not a stream");
    int rc = find_entry(s, msg_id, &e, err);
    if (rc < 0)
        return rc;
    rc = pending_append(&s->pending, e, f, text);
    if (rc < 0)
        return err_set(err, rc, "output was not added: %s", ersa_strerror(rc));
    return sqlite_bound(s, err);
}

static int on_drop(struct store *st, struct slice msg_id, struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    sqlite3_stmt *stmt = NULL;
    keep_free(&s->kept);
    if (!s->db)
        return sqlite_fail_broken(s, err);
    backlog_spoil(s, msg_id);
    sqlite_be_patient(s, true);
    int rc = ended_write(s, err);
    if (rc == 0)
        rc = backlog_settle_spoiled(s, err);
    struct pending_entry *e = pending_find(&s->pending, msg_id);
    if (rc == 0)
        rc = sqlite_begin(s, err);
    sqlite_be_patient(s, false);
    if (rc < 0)
        return rc;
    char *sql = sqlite3_mprintf("DELETE FROM %s WHERE msg_id=?1", s->table);
    bool ok = sql && sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_bind_text64(stmt, 1, msg_id.data, msg_id.len, SQLITE_STATIC,
                                  SQLITE_UTF8) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_DONE;
    rc = ok ? 0 : sqlite_error(s, err, "a task record is not dropped");
    int changes = sqlite3_changes(s->db);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    if (rc < 0) {
        sqlite_roll_back(s);
        return rc;
    }
    seen_set(&s->known, msg_id, SEEN_NEVER);
    bool was_pending = e;
    if (e)
        pending_drop(&s->pending, e);
    return changes || was_pending ? 0 : err_set(err, ERSA_ENOENT, "no such record");
}

static int prepare_text(struct sqlite_store *s, struct buf *sql, sqlite3_stmt **ret)
{
    const char *text = buf_cstr(sql);
    return text && sqlite3_prepare_v2(s->db, text, (int)sql->len + 1, ret, NULL) == SQLITE_OK
               ? 0
               : ERSA_EIO;
}

/* Before a search, which would miss what waits: better none than one that looks complete. */
static int write_all(struct sqlite_store *s, struct ersa_error *err)
{
    if (!s->db)
        return sqlite_fail_broken(s, err);
    sqlite_be_patient(s, true);
    int rc = map_size(&s->pending.by_id) || !ended_is_empty(s) ? sqlite_write_rows(s, err) : 0;
    if (rc == 0)
        rc = backlog_settle(s, BACKLOG_ALL, err);
    sqlite_be_patient(s, false);
    if (rc < 0 && s->base.is_broken)
        return sqlite_fail_broken(s, err);
    if (rc != ERSA_EAGAIN)
        return rc;
    return err_set(err, rc, "task records wait to be written, and would be missing%s",
                   s->locked_ms ? ": the database is locked by somebody else; ask again" : "");
}

static int on_history(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                      struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    sqlite3_stmt *stmt = NULL;
    struct buf sql;
    int rc = write_all(s, err);
    if (rc < 0)
        return rc;
    buf_init(&sql, SQL_MAX);
    int code = SQLITE_ERROR;
    if (buf_printf(&sql,
                   "SELECT msg_id FROM %s WHERE submitted IS NOT NULL AND msg_id IS NOT NULL"
                   " ORDER BY submitted, rowid",
                   s->table) == 0 &&
        prepare_text(s, &sql, &stmt) == 0)
        while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
            fn(ctx, (struct slice){(const char *)sqlite3_column_text(stmt, 0),
                                   (size_t)sqlite3_column_bytes(stmt, 0)});
    rc = code == SQLITE_DONE ? 0 : sqlite_error(s, err, "task records are not read");
    sqlite3_finalize(stmt);
    buf_fini(&sql);
    return rc;
}

/* A row without an id, which others may have written, is no record. */
static int find_rows(struct sqlite_store *s, sqlite3_stmt *stmt, const struct store_query *q,
                     uint32_t fields, int (*fn)(void *ctx, const struct store_record *r),
                     void *ctx, struct ersa_error *err)
{
    struct store_record rec;
    int code, rc = 0;
    while (rc == 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = sqlite_read(s, stmt, fields, false, &rec);
        if (rc < 0)
            return err_set(err, rc, "task records are not read: %s", ersa_strerror(rc));
        if (!store_is_null(&rec, F_msg_id) && store_query_matches(q, &rec))
            rc = fn(ctx, &rec);
    }
    if (rc == 0 && code != SQLITE_DONE)
        return sqlite_error(s, err, "task records are not read");
    return rc;
}

static int on_find(struct store *st, const struct store_query *q, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err)
{
    struct sqlite_store *s = sqlite_of(st);
    sqlite3_stmt *stmt = NULL;
    struct buf sql;
    int rc = write_all(s, err);
    if (rc < 0)
        return rc;
    fields |= store_query_fields(q) | STORE_FIELD(F_msg_id);
    buf_init(&sql, SQL_MAX);
    rc = buf_puts(&sql, "SELECT ");
    if (rc == 0)
        rc = sqlite_put_columns(&sql, fields);
    if (rc == 0)
        rc = buf_printf(&sql, " FROM %s WHERE ", s->table);
    if (rc == 0)
        rc = query_sql_put(&sql, q);
    if (rc == 0)
        rc = buf_puts(&sql, " ORDER BY rowid");
    if (rc < 0)
        rc = err_set(err, rc, "the query is too large");
    else if (prepare_text(s, &sql, &stmt) < 0 || query_sql_bind(stmt, q) < 0)
        rc = sqlite_error(s, err, "task records are not read");
    else
        rc = find_rows(s, stmt, q, fields, fn, ctx, err);
    sqlite3_finalize(stmt);
    buf_fini(&sql);
    return rc;
}

static void free_store(struct sqlite_store *s)
{
    keep_free(&s->kept);
    pending_fini(&s->pending);
    ended_fini(&s->ended);
    seen_fini(&s->known);
    sqlite_disconnect(s);
    feed_close(s->feed);
    backlog_close(s->backlog);
    sqlite3_free(s->table);
    sqlite3_free((char *)s->cfg.path);
    sqlite3_free((char *)s->cfg.table);
    buf_fini(&s->blobs[0]);
    buf_fini(&s->blobs[1]);
    free(s);
}

static void on_close(struct store *st)
{
    struct sqlite_store *s = sqlite_of(st);
    struct ersa_error err = {0};
    s->is_failing = false;
    s->locked_ms = s->mend_ms = 0;
    sqlite_mend(s);
    if (s->db)
        sqlite3_busy_timeout(s->db, LAST_MS);
    int rc = sqlite_write_rows(s, &err);
    if (rc == 0)
        rc = backlog_settle(s, BACKLOG_ALL, &err);
    if (rc == 0)
        rc = sqlite_commit(s, &err);
    if (rc < 0)
        log_error("records::%zu task records are lost: %s", map_size(&s->pending.by_id),
                  s->db ? err.text : s->broken.text);
    free_store(s);
}

static const struct store_ops ops = {
    .name = "sqlite",
    .without = STORE_FIELD(F_display_data),
    .close = on_close,
    .put = on_put,
    .update = on_update,
    .append = on_append,
    .get = sqlite_get,
    .drop = on_drop,
    .history = on_history,
    .find = on_find,
    .tick = on_tick,
};

int store_sqlite_open(struct store **ret, const struct store_sqlite_config *cfg,
                      struct ersa_error *err)
{
    if (!(cfg->limits.cull >= 0 && cfg->limits.cull <= 1))
        return err_set(err, ERSA_EINVAL, "the share to drop must be between 0 and 1");
    struct sqlite_store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock for each allocation saved */
    s->fd = -1;
    s->base.ops = &ops;
    s->base.pending = &s->pending;
    s->cfg = *cfg;
    s->cfg.path = sqlite3_mprintf("%s", cfg->path);
    s->cfg.table = sqlite3_mprintf("%s", cfg->table);
    s->limits = cfg->limits;
    pending_init(&s->pending);
    seen_init(&s->known);
    buf_init(&s->blobs[0], BLOB_MAX);
    buf_init(&s->blobs[1], BLOB_MAX);
    int rc = s->cfg.path && s->cfg.table && feed_open(&s->feed) == 0 &&
                     backlog_open(&s->backlog, s->cfg.path) == 0
                 ? sqlite_connect(s, err)
                 : err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0 && backlog_recover(s, s->cfg.path) < 0)
        rc = err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc < 0) {
        free_store(s);
        return rc;
    }
    s->is_open = true;
    *ret = &s->base;
    return 0;
}
