/* SPDX-License-Identifier: BSD-3-Clause */
/* Many new rows by one statement. Half of what a small INSERT costs is its beginning and its
 * end, so new records are handed to SQLite as a table of ours, `ersa_rows`, that it reads as
 * it writes:
 *
 *     INSERT INTO tasks SELECT * FROM ersa_rows ON CONFLICT DO NOTHING
 *
 * What is in the table already, from an earlier life, is left to statements of its own. */
#include <stdlib.h>
#include <string.h>

#include "store/pickle.h"
#include "store/query_sql.h"
#include "store/sqlite_impl.h"

/* The table, one a connection; and a reader of it. */
struct rows {
    sqlite3_vtab base;
    struct sqlite_feed *feed; /* borrowed */
};

struct reader {
    sqlite3_vtab_cursor base;
    struct sqlite_feed *feed;
};

static int on_connect(sqlite3 *db, void *ctx, int argc, const char *const *argv,
                      sqlite3_vtab **ret, char **err)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    int rc = buf_puts(&sql, "CREATE TABLE ersa_rows(");
    if (rc == 0)
        rc = sqlite_put_columns(&sql, SQL_ALL);
    if (rc == 0)
        rc = buf_putc(&sql, ')');
    const char *text = rc == 0 ? buf_cstr(&sql) : NULL;
    int code = text ? sqlite3_declare_vtab(db, text) : SQLITE_NOMEM;
    buf_fini(&sql);
    struct rows *rows = code == SQLITE_OK ? sqlite3_malloc(sizeof(*rows)) : NULL;
    if (!rows)
        return code == SQLITE_OK ? SQLITE_NOMEM : code;
    *rows = (struct rows){.feed = ctx};
    *ret = &rows->base;
    return SQLITE_OK;
}

static int on_disconnect(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

/* There is one way to read it. */
static int on_plan(sqlite3_vtab *table, sqlite3_index_info *plan)
{
    return SQLITE_OK;
}

static int on_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret)
{
    struct reader *r = sqlite3_malloc(sizeof(*r));
    if (!r)
        return SQLITE_NOMEM;
    *r = (struct reader){.feed = ((struct rows *)(void *)table)->feed};
    *ret = &r->base;
    return SQLITE_OK;
}

static int on_close(sqlite3_vtab_cursor *c)
{
    sqlite3_free(c);
    return SQLITE_OK;
}

static struct sqlite_feed *feed_of(sqlite3_vtab_cursor *c)
{
    return ((struct reader *)(void *)c)->feed;
}

static int open_row(struct sqlite_feed *feed)
{
    if (feed->at == feed->to)
        return SQLITE_OK;
    if (!feed->packed.data) {
        feed->row = &feed->entries[feed->at]->rec;
        return SQLITE_OK;
    }
    int64_t size = pack_get(feed->left, &feed->items, &feed->unpacked);
    if (size < 0)
        return size == ERSA_ENOMEM ? SQLITE_NOMEM : SQLITE_ERROR;
    feed->left.data += size;
    feed->left.len -= (size_t)size;
    feed->row = &feed->unpacked;
    return SQLITE_OK;
}

static int on_filter(sqlite3_vtab_cursor *c, int plan, const char *name, int argc,
                     sqlite3_value **argv)
{
    struct sqlite_feed *feed = feed_of(c);
    feed->at = feed->from;
    feed->left = feed->packed;
    return open_row(feed);
}

static int on_next(sqlite3_vtab_cursor *c)
{
    feed_of(c)->at++;
    return open_row(feed_of(c));
}

static int on_eof(sqlite3_vtab_cursor *c)
{
    return feed_of(c)->at == feed_of(c)->to;
}

static int on_rowid(sqlite3_vtab_cursor *c, sqlite3_int64 *ret)
{
    *ret = feed_of(c)->at;
    return SQLITE_OK;
}

static void give(sqlite3_context *ctx, struct slice text)
{
    sqlite3_result_text64(ctx, text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

static void give_list(sqlite3_context *ctx, struct buf *b, const struct store_binary *list)
{
    if (list->n == 0)
        return;
    buf_reset(b);
    int rc = pickle_put(b, list);
    if (rc == 0)
        sqlite3_result_blob64(ctx, b->data, b->len, SQLITE_STATIC);
    else if (rc == ERSA_EFULL)
        sqlite3_result_error_toobig(ctx);
    else
        sqlite3_result_error_nomem(ctx);
}

/* What is not given is null. What is given stays where it is until the next row. */
static int on_column(sqlite3_vtab_cursor *c, sqlite3_context *ctx, int column)
{
    struct sqlite_feed *feed = feed_of(c);
    unsigned f = (unsigned)column;
    uint32_t bit = STORE_FIELD(f);
    const union store_value *v = &feed->row->v[f];
    if (bit & STORE_STREAMS)
        give(ctx, feed->packed.data
                      ? SLICE_LIT("")
                      : pending_suffix(feed->entries[feed->at], (int)(f - F_stdout)));
    else if (!(feed->row->set & bit))
        return SQLITE_OK;
    else if (bit & STORE_BUFFERS)
        give_list(ctx, &feed->blobs[f == F_result_buffers], &v->binary);
    else if (bit & STORE_DATES)
        give(ctx, (struct slice){feed->dates[f], sql_date(v->date, feed->dates[f])});
    else if (sqlite_is_sound(f, v->text))
        give(ctx, v->text);
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = on_connect, /* and no xCreate: it is there without being made */
    .xBestIndex = on_plan,
    .xDisconnect = on_disconnect,
    .xDestroy = on_disconnect,
    .xOpen = on_open,
    .xClose = on_close,
    .xFilter = on_filter,
    .xNext = on_next,
    .xEof = on_eof,
    .xColumn = on_column,
    .xRowid = on_rowid,
};

/* The statement is made when it is needed first, since the table is not chosen yet. */
int feed_open(struct sqlite_feed **ret)
{
    struct sqlite_feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return ERSA_ENOMEM;
    for (int i = 0; i < 2; i++)
        buf_init(&feed->blobs[i], BLOB_MAX);
    *ret = feed;
    return 0;
}

int feed_attach(struct sqlite_feed *feed, sqlite3 *db)
{
    return sqlite3_create_module(db, "ersa_rows", &module, feed) == SQLITE_OK ? 0 : ERSA_ENOMEM;
}

void feed_detach(struct sqlite_feed *feed)
{
    if (!feed)
        return;
    sqlite3_finalize(feed->stmt);
    feed->stmt = NULL;
}

void feed_close(struct sqlite_feed *feed)
{
    if (!feed)
        return;
    feed_detach(feed);
    buf_fini(&feed->blobs[0]);
    buf_fini(&feed->blobs[1]);
    pack_items_fini(&feed->items);
    free(feed);
}

static int prepare(struct sqlite_store *s)
{
    struct buf sql;
    buf_init(&sql, SQL_MAX);
    int rc = buf_printf(&sql, "INSERT INTO %s(", s->table);
    if (rc == 0)
        rc = sqlite_put_columns(&sql, SQL_ALL);
    if (rc == 0)
        rc = buf_puts(&sql, ") SELECT * FROM ersa_rows WHERE 1 ON CONFLICT(msg_id) DO NOTHING");
    const char *text = rc == 0 ? buf_cstr(&sql) : NULL;
    int code = text ? sqlite3_prepare_v3(s->db, text, (int)sql.len + 1,
                                         SQLITE_PREPARE_PERSISTENT, &s->feed->stmt, NULL)
                    : SQLITE_NOMEM;
    buf_fini(&sql);
    return code;
}

static int run(struct sqlite_store *s)
{
    struct sqlite_feed *feed = s->feed;
    int code = feed->stmt ? SQLITE_OK : prepare(s);
    if (code != SQLITE_OK)
        return code;
    memset(feed->is_in + feed->from, 0, (feed->to - feed->from) * sizeof(*feed->is_in));
    feed->is_running = true;
    code = sqlite3_step(feed->stmt);
    feed->is_running = false;
    sqlite3_reset(feed->stmt);
    for (int i = 0; i < 2; i++)
        sqlite_let_go(&feed->blobs[i]);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int feed_write(struct sqlite_store *s)
{
    s->feed->packed.data = NULL;
    return run(s);
}

int feed_write_packed(struct sqlite_store *s, struct slice packed, unsigned n)
{
    struct sqlite_feed *feed = s->feed;
    unsigned from = feed->from, to = feed->to;
    feed->from = 0;
    feed->to = n;
    feed->packed = packed;
    int code = run(s);
    feed->packed.data = NULL;
    feed->from = from;
    feed->to = to;
    return code;
}
