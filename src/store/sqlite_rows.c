/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows in and out. Statements are made for the set of columns that they deal with, and kept: in
 * a steady flow of tasks there are a handful. Parameters are numbered by field. */
#include <stdlib.h>
#include <string.h>

#include "store/keep.h"
#include "store/pickle.h"
#include "store/query_sql.h"
#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "wire/jscan.h"

#define STREAMS (STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr))
#define BLOB_KEEP ((size_t)1 << 20)

/* Bits of a statement's key above the fields. */
#define KEY_UPSERT ((uint64_t)1 << 32)
#define KEY_UPDATE ((uint64_t)1 << 33)
#define KEY_SELECT ((uint64_t)1 << 34)
#define KEY_ROW ((uint64_t)1 << 37) /* by its number: one search less */
#define KEY_INSERT ((uint64_t)1 << 38)
#define ROW_PARAMETER (STORE_COLUMNS + 1)
#define KEY_SUFFIX(i) ((uint64_t)1 << (35 + (i)))

/* Statements */

void sqlite_finalize(struct sqlite_store *s)
{
    for (int i = 0; i < STATEMENTS_MAX; i++) {
        sqlite3_finalize(s->statements[i].stmt);
        s->statements[i] = (struct statement){.key = 0};
    }
}

static sqlite3_stmt *prepare(struct sqlite_store *s, uint64_t key, struct buf *sql)
{
    sqlite3_stmt *stmt = NULL;
    const char *text = buf_cstr(sql);
    if (!text || sqlite3_prepare_v3(s->db, text, (int)sql->len + 1, SQLITE_PREPARE_PERSISTENT,
                                    &stmt, NULL) != SQLITE_OK)
        return NULL;
    struct statement *slot = &s->statements[s->next_statement++ % STATEMENTS_MAX];
    sqlite3_finalize(slot->stmt);
    *slot = (struct statement){key, stmt};
    return stmt;
}

static int put_stream_change(struct buf *b, uint64_t key, unsigned i)
{
    const char *name = store_fields[F_stdout + i].name;
    if (key & STORE_FIELD(F_stdout + i))
        return buf_printf(b, "%s=?%u,", name, F_stdout + i + 1);
    if (!(key & KEY_SUFFIX(i)))
        return 0;
    return buf_printf(b,
                      "%s=CASE WHEN length(CAST(coalesce(%s,'') AS BLOB))<%zu"
                      " THEN coalesce(%s,'')||?%u ELSE %s END,",
                      name, name, PENDING_STREAM_MAX, name, F_stdout + i + 1, name);
}

/* name=?, ... and a comma behind each; nothing when nothing changes. */
static int put_changes(struct buf *b, uint64_t key)
{
    int rc = 0;
    for (unsigned f = 0; f < STORE_COLUMNS && rc == 0; f++)
        if (f != F_msg_id && (key & STORE_FIELD(f) & ~STREAMS))
            rc = buf_printf(b, "%s=?%u,", store_fields[f].name, f + 1);
    for (unsigned i = 0; i < 2 && rc == 0; i++)
        rc = put_stream_change(b, key, i);
    return rc;
}

static int put_update(struct buf *b, const struct sqlite_store *s, uint64_t key)
{
    int rc = buf_printf(b, "UPDATE %s SET ", s->table);
    if (rc == 0)
        rc = put_changes(b, key);
    if (rc < 0)
        return rc;
    if (b->data[b->len - 1] == ',')
        b->len--;
    else
        rc = buf_puts(b, "msg_id=msg_id");
    if (rc == 0 && key & KEY_ROW)
        rc = buf_printf(b, " WHERE rowid=?%u AND", ROW_PARAMETER);
    else if (rc == 0)
        rc = buf_puts(b, " WHERE");
    return rc < 0 ? rc : buf_printf(b, " msg_id=?%u", F_msg_id + 1);
}

static int put_insert(struct buf *b, const struct sqlite_store *s, uint64_t key)
{
    uint32_t fields = (uint32_t)key | STORE_FIELD(F_msg_id) | STREAMS;
    int rc = buf_printf(b, "INSERT INTO %s(", s->table);
    if (rc == 0)
        rc = sqlite_put_columns(b, fields);
    if (rc == 0)
        rc = buf_puts(b, ") VALUES(");
    for (unsigned f = 0; f < STORE_COLUMNS && rc == 0; f++)
        if (fields & STORE_FIELD(f))
            rc = buf_printf(b, "%s?%u", f ? "," : "", f + 1);
    if (rc == 0)
        rc = buf_putc(b, ')');
    if (rc < 0 || key & KEY_INSERT)
        return rc;
    rc = buf_puts(b, " ON CONFLICT(msg_id) DO ");
    size_t before = b->len;
    if (rc == 0)
        rc = buf_puts(b, "UPDATE SET ");
    if (rc == 0)
        rc = put_changes(b, key);
    if (rc < 0)
        return rc;
    if (b->data[b->len - 1] == ',') {
        b->len--;
        return 0;
    }
    b->len = before;
    return buf_puts(b, "NOTHING");
}

static int put_select(struct buf *b, const struct sqlite_store *s, uint64_t key)
{
    int rc = buf_puts(b, key & KEY_ROW ? "SELECT rowid" : "SELECT ");
    if (rc == 0)
        rc = sqlite_put_columns(b, (uint32_t)key);
    return rc < 0 ? rc : buf_printf(b, " FROM %s WHERE msg_id=?1", s->table);
}

static sqlite3_stmt *statement(struct sqlite_store *s, uint64_t key)
{
    for (int i = 0; i < STATEMENTS_MAX; i++)
        if (s->statements[i].key == key)
            return s->statements[i].stmt;
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    int rc = (key & (KEY_INSERT | KEY_UPSERT)) ? put_insert(&sql, s, key)
             : (key & KEY_UPDATE)              ? put_update(&sql, s, key)
                                               : put_select(&sql, s, key);
    sqlite3_stmt *stmt = rc == 0 ? prepare(s, key, &sql) : NULL;
    buf_fini(&sql);
    return stmt;
}

int sqlite_put_columns(struct buf *b, uint32_t fields)
{
    int rc = 0;
    bool is_first = true;
    for (unsigned f = 0; f < STORE_COLUMNS && rc == 0; f++) {
        if (!(fields & STORE_FIELD(f)))
            continue;
        rc = buf_printf(b, "%s%s", is_first ? "" : ",", store_fields[f].name);
        is_first = false;
    }
    return rc;
}

/* Writing */

static int bind_text(sqlite3_stmt *stmt, int at, struct slice text)
{
    return sqlite3_bind_text64(stmt, at, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_list(struct sqlite_store *s, sqlite3_stmt *stmt, unsigned f,
                     const struct store_binary *list)
{
    struct buf *b = &s->blobs[f == F_result_buffers];
    if (list->n == 0)
        return sqlite3_bind_null(stmt, (int)f + 1);
    buf_reset(b);
    int rc = pickle_put(b, list);
    if (rc < 0)
        return rc == ERSA_EFULL ? SQLITE_TOOBIG : SQLITE_NOMEM;
    return sqlite3_bind_blob64(stmt, (int)f + 1, b->data, b->len, SQLITE_STATIC);
}

bool sqlite_is_sound(unsigned f, struct slice text)
{
    static const uint32_t checked = STORE_FIELD(F_header) | STORE_FIELD(F_metadata) |
                                    STORE_FIELD(F_result_header) |
                                    STORE_FIELD(F_result_metadata);
    return store_fields[f].kind != 'j' || checked & STORE_FIELD(f) || jscan(text, NULL, 0) == 0;
}

/* What is bound stays where it is until the statement is run: dates in `dates`. */
static int bind_field(struct sqlite_store *s, sqlite3_stmt *stmt, unsigned f,
                      const union store_value *v, char date[SQL_DATE_MAX])
{
    switch (store_fields[f].kind) {
    case 'b':
        return bind_list(s, stmt, f, &v->binary);
    case 'd':
        return bind_text(stmt, (int)f + 1, (struct slice){date, sql_date(v->date, date)});
    default:
        return sqlite_is_sound(f, v->text) ? bind_text(stmt, (int)f + 1, v->text)
                                           : sqlite3_bind_null(stmt, (int)f + 1);
    }
}

void sqlite_let_go(struct buf *b)
{
    if (b->cap <= BLOB_KEEP)
        return;
    buf_fini(b);
    buf_init(b, BLOB_MAX);
}

/* Every parameter of the statement is bound anew each time, so none needs to be cleared. */
static int write_with(struct sqlite_store *s, const struct pending_entry *e, uint64_t key)
{
    char dates[4][SQL_DATE_MAX];
    unsigned n_dates = 0;
    sqlite3_stmt *stmt = statement(s, key);
    if (!stmt)
        return SQLITE_ERROR;
    int rc = bind_text(stmt, F_msg_id + 1, pending_id(e));
    if (rc == SQLITE_OK && key & KEY_ROW)
        rc = sqlite3_bind_int64(stmt, ROW_PARAMETER, e->row);
    uint32_t fields = (uint32_t)key & SQL_ALL & ~STREAMS;
    for (unsigned f = 0; f < STORE_COLUMNS && rc == SQLITE_OK; f++) {
        if (!(fields & STORE_FIELD(f)))
            continue;
        rc = bind_field(s, stmt, f, &e->rec.v[f], dates[n_dates]);
        n_dates += store_fields[f].kind == 'd';
    }
    for (int i = 0; i < 2 && rc == SQLITE_OK; i++)
        if (e->creates || key & (KEY_SUFFIX(i) | STORE_FIELD(F_stdout + i)))
            rc = bind_text(stmt, F_stdout + i + 1, pending_suffix(e, i));
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What this life has not written is most likely new, and a plain INSERT needs one search less;
 * where it is in the table already, from an earlier life, it merges. */
int sqlite_write(struct sqlite_store *s, const struct pending_entry *e)
{
    uint64_t key = e->dirty & SQL_ALL & ~STORE_FIELD(F_msg_id);
    for (int i = 0; i < 2; i++)
        if (pending_suffix(e, i).len)
            key |= KEY_SUFFIX(i);
    int rc = SQLITE_CONSTRAINT;
    if (e->creates && e->is_new)
        rc = write_with(s, e, (key & SQL_ALL) | KEY_INSERT);
    if (rc == SQLITE_CONSTRAINT)
        rc = write_with(s, e,
                        key | (e->creates ? KEY_UPSERT
                               : e->row   ? KEY_UPDATE | KEY_ROW
                                          : KEY_UPDATE));
    sqlite_let_go(&s->blobs[0]);
    sqlite_let_go(&s->blobs[1]);
    return rc;
}

/* Reading */

sqlite3_stmt *sqlite_select_one(struct sqlite_store *s, struct slice id, uint32_t fields)
{
    sqlite3_stmt *stmt = statement(s, fields | STORE_FIELD(F_msg_id) | KEY_SELECT);
    if (stmt && bind_text(stmt, 1, id) != SQLITE_OK)
        return NULL;
    return stmt;
}

sqlite3_stmt *sqlite_select_row(struct sqlite_store *s, struct slice id)
{
    sqlite3_stmt *stmt = statement(s, KEY_ROW | KEY_SELECT);
    if (stmt && bind_text(stmt, 1, id) != SQLITE_OK)
        return NULL;
    return stmt;
}

static int read_list(struct sqlite_store *s, struct slice blob, struct store_binary *ret)
{
    struct slice *items = NULL;
    unsigned n = 0;
    char *octets = keep_octets(&s->kept, blob.len);
    if (!octets)
        return ERSA_ENOMEM;
    memcpy(octets, blob.data, blob.len);
    int rc = pickle_get((struct slice){octets, blob.len}, &items, &n);
    struct slice *list = rc == 0 ? keep_octets(&s->kept, n * sizeof(*list)) : NULL;
    if (list && n)
        memcpy(list, items, n * sizeof(*list));
    free(items);
    if (rc < 0)
        return rc;
    if (!list)
        return ERSA_ENOMEM;
    *ret = (struct store_binary){list, n};
    return 0;
}

/* 1: there is a value, 0: null, or nothing that we know. */
static int read_value(struct sqlite_store *s, unsigned f, struct slice cell, bool keep,
                      union store_value *ret)
{
    int rc;
    switch (store_fields[f].kind) {
    case 'b':
        rc = read_list(s, cell, &ret->binary);
        return rc == ERSA_EPARSE ? 0 : rc < 0 ? rc : 1;
    case 'd':
        return clock_parse_iso(cell.data, cell.len, &ret->date) == 0;
    default:
        ret->text = cell;
        if (!keep)
            return 1;
        char *octets = keep_octets(&s->kept, cell.len);
        if (!octets)
            return ERSA_ENOMEM;
        memcpy(octets, cell.data, cell.len);
        ret->text.data = octets;
        return 1;
    }
}

int sqlite_read(struct sqlite_store *s, sqlite3_stmt *stmt, uint32_t fields, bool keep,
                struct store_record *ret)
{
    int column = 0;
    ret->set = 0;
    for (unsigned f = 0; f < STORE_COLUMNS; f++) {
        if (!(fields & STORE_FIELD(f)))
            continue;
        int at = column++;
        if (sqlite3_column_type(stmt, at) == SQLITE_NULL)
            continue;
        const char *data = sqlite3_column_blob(stmt, at);
        struct slice cell = {data ? data : "", (size_t)sqlite3_column_bytes(stmt, at)};
        int rc = read_value(s, f, cell, keep, &ret->v[f]);
        if (rc < 0)
            return rc;
        if (rc)
            ret->set |= STORE_FIELD(f);
    }
    return 0;
}
