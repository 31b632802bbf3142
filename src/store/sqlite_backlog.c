/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait in a deep queue. Each must be in the file soon, and as a row would be
 * written twice: now and with its result. So they are set aside instead, 64 KiB of them as one
 * cell of a table of ours (`<table>_waiting`), come back into memory when something is heard of
 * them, and become rows once. A batch is deleted by the transaction that writes the last row
 * of its requests.
 *
 *     open for long -> set aside -> taken back -> done -> row        (the batch ends)
 *
 * Rows are made of all of them before a search, when it is quiet, and at the end; of a batch
 * before any of its records is dropped. What a life that was killed has left is made rows by
 * the next one. */
#include <stdlib.h>
#include <string.h>

#include "store/backlog_index.h"
#include "store/pack.h"
#include "store/sqlite_impl.h"
#include "util/err.h"
#include "util/log.h"
#include "util/rand.h"

#define BATCH_BYTES ((size_t)60 << 10)
#define REQUEST_MAX ((size_t)8 << 10) /* a larger one is a row at once */
#define REQUESTS_MAX ((size_t)3 << 18)
#define CACHED 16

struct batch {
    unsigned open;         /* requests that are no rows yet */
    unsigned wrote;        /* of them, by the transaction at hand */
    bool is_made, is_gone; /* by the transaction at hand */
    bool is_touched;
    size_t bytes;
};

struct cached {
    uint32_t number;
    bool is_used;
    struct buf octets;
};

struct backlog {
    struct batch *batches; /* owned; number `first` and the following ones */
    uint32_t first;
    size_t n, cap;
    int64_t base;            /* of the rows' numbers: nobody else's are the same */
    size_t n_open, n_bytes;  /* of all batches */
    uint32_t *touched;       /* owned; by the transaction at hand */
    size_t n_touched, cap_touched;
    struct backlog_index index;
    struct cached cached[CACHED];
    unsigned next_cached;
    struct pack_items items;
    struct buf octets; /* scratch: the batch that is made */
    char *table;       /* quoted */
    bool has_table, is_unusable;
    sqlite3_stmt *insert, *select, *erase;
};

/* Batches */

static struct batch *batch_of(struct backlog *b, uint32_t number)
{
    uint32_t at = number - b->first;
    return at < b->n && b->batches[at].open ? &b->batches[at] : NULL;
}

static bool is_alive(void *ctx, uint32_t number)
{
    return batch_of(ctx, number);
}

static void forget_batch(struct backlog *b, struct batch *batch)
{
    b->n_open -= batch->open;
    b->n_bytes -= batch->bytes;
    *batch = (struct batch){0};
    size_t gone = 0;
    while (gone < b->n && b->batches[gone].open == 0)
        gone++;
    if (gone < b->n && gone < b->n / 2 + 64)
        return;
    b->n -= gone;
    b->first += (uint32_t)gone;
    memmove(b->batches, b->batches + gone, b->n * sizeof(*b->batches));
    if (b->n == 0)
        backlog_index_fini(&b->index);
}

static int touch(struct backlog *b, uint32_t number)
{
    struct batch *batch = batch_of(b, number);
    if (batch->is_touched)
        return 0;
    if (b->n_touched == b->cap_touched) {
        size_t cap = b->cap_touched ? 2 * b->cap_touched : 64;
        uint32_t *grown = reallocarray(b->touched, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        b->touched = grown;
        b->cap_touched = cap;
    }
    b->touched[b->n_touched++] = number;
    batch->is_touched = true;
    return 0;
}

/* Statements */

static sqlite3_stmt *prepared(struct sqlite_store *s, sqlite3_stmt **at, const char *format)
{
    if (*at)
        return *at;
    char *sql = sqlite3_mprintf(format, s->backlog->table);
    if (sql)
        sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, at, NULL);
    sqlite3_free(sql);
    return *at;
}

static void finalize(struct backlog *b)
{
    sqlite3_stmt **all[] = {&b->insert, &b->select, &b->erase};
    for (int i = 0; i < 3; i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

/* The result is SQLite's. */
static int make_table(struct sqlite_store *s)
{
    struct backlog *b = s->backlog;
    if (b->has_table)
        return SQLITE_OK;
    char *sql = sqlite3_mprintf(
        "CREATE TABLE IF NOT EXISTS %s (batch INTEGER PRIMARY KEY, requests BLOB)", b->table);
    int code = sql ? sqlite3_exec(s->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    if (code == SQLITE_OK && !prepared(s, &b->insert, "INSERT INTO %s(batch,requests) VALUES(?1,?2)"))
        code = SQLITE_ERROR; /* somebody else's table */
    b->is_unusable = code == SQLITE_ERROR;
    b->has_table = code == SQLITE_OK;
    return code;
}

static int erase(struct sqlite_store *s, int64_t row)
{
    sqlite3_stmt *stmt = prepared(s, &s->backlog->erase, "DELETE FROM %s WHERE batch=?1");
    if (!stmt)
        return SQLITE_ERROR;
    sqlite3_bind_int64(stmt, 1, row);
    int code = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int end_batch(struct sqlite_store *s, uint32_t number)
{
    struct backlog *b = s->backlog;
    if (touch(b, number) < 0)
        return SQLITE_NOMEM;
    batch_of(b, number)->is_gone = true;
    return erase(s, b->base + number);
}

/* Setting aside */

unsigned backlog_wants(const struct sqlite_store *s, struct pending_entry *const *entries,
                       unsigned n)
{
    const struct backlog *b = s->backlog;
    if (b->is_unusable || map_size(&s->pending.by_id) < BACKLOG_MIN ||
        b->n_open + n > REQUESTS_MAX ||
        (s->limits.records && (uint64_t)s->n_rows + b->n_open >= s->limits.records) ||
        (s->limits.bytes && b->n_bytes >= s->limits.bytes / 4))
        return 0;
    for (unsigned i = 0; i < n; i++) {
        const struct pending_entry *e = entries[i];
        if (e->was_aside || e->bytes > REQUEST_MAX || e->streams[0].len || e->streams[1].len ||
            e->rec.set & (STORE_FIELD(F_completed) | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr)))
            return i;
    }
    return n;
}

static int new_batch(struct backlog *b, uint32_t *ret)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 64;
        struct batch *grown = reallocarray(b->batches, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        b->batches = grown;
        b->cap = cap;
    }
    *ret = b->first + (uint32_t)b->n;
    b->batches[b->n++] = (struct batch){.is_made = true};
    return 0;
}

static int insert_batch(struct sqlite_store *s, uint32_t number)
{
    struct backlog *b = s->backlog;
    struct batch *batch = batch_of(b, number);
    sqlite3_bind_int64(b->insert, 1, b->base + number);
    sqlite3_bind_blob64(b->insert, 2, b->octets.data, b->octets.len, SQLITE_STATIC);
    int code = sqlite3_step(b->insert);
    sqlite3_reset(b->insert);
    batch->bytes = b->octets.len;
    b->n_bytes += batch->bytes;
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* The batch is touched once it has a request. */
static int add_request(struct backlog *b, uint32_t number, const struct pending_entry *e)
{
    uint32_t at = (uint32_t)b->octets.len;
    b->batches[number - b->first].open++;
    b->n_open++;
    int rc = touch(b, number);
    if (rc == 0)
        rc = pack_put(&b->octets, &e->rec);
    return rc < 0 ? rc : backlog_index_add(&b->index, pending_id(e), number, at, is_alive, b);
}

int backlog_put(struct sqlite_store *s, struct pending_entry *const *entries, unsigned n)
{
    struct backlog *b = s->backlog;
    uint32_t number = 0;
    int code = make_table(s);
    buf_reset(&b->octets);
    for (unsigned i = 0; i < n && code == SQLITE_OK; i++) {
        int rc = b->octets.len ? 0 : new_batch(b, &number);
        if (rc == 0)
            rc = add_request(b, number, entries[i]);
        if (rc < 0)
            return SQLITE_NOMEM;
        if (b->octets.len < BATCH_BYTES && i + 1 < n)
            continue;
        code = insert_batch(s, number);
        buf_reset(&b->octets);
    }
    return code;
}

/* Taking back */

/* 1: its octets; 0: it isn't there any more (another controller has met it), or negative. */
static int load(struct sqlite_store *s, uint32_t number, struct slice *ret, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct cached *c = NULL;
    for (int i = 0; i < CACHED && !c; i++)
        if (b->cached[i].is_used && b->cached[i].number == number)
            c = &b->cached[i];
    if (!c) {
        (void)sqlite_begin(s, NULL);
        sqlite3_stmt *stmt = prepared(s, &b->select, "SELECT requests FROM %s WHERE batch=?1");
        int code = stmt ? sqlite3_bind_int64(stmt, 1, b->base + number) : SQLITE_ERROR;
        code = code == SQLITE_OK ? sqlite3_step(stmt) : code;
        int rc = code == SQLITE_DONE ? 0 : code == SQLITE_ROW ? 1 : sqlite_error(s, err, "waiting task records are not read");
        if (rc == 1) {
            c = &b->cached[b->next_cached++ % CACHED];
            buf_reset(&c->octets);
            c->number = number;
            c->is_used = buf_append(&c->octets, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)) == 0;
            if (!c->is_used)
                rc = err_set(err, ERSA_ENOMEM, "out of memory");
        }
        sqlite3_reset(stmt);
        if (rc <= 0)
            return rc;
    }
    *ret = (struct slice){(const char *)c->octets.data, c->octets.len};
    return 1;
}

static int bring_back(struct sqlite_store *s, struct place *p, const struct store_record *r,
                      struct pending_entry **ret, struct ersa_error *err)
{
    struct pending_entry *e = pending_entry(&s->pending, r->v[F_msg_id].text, true);
    if (!e || pending_merge(&s->pending, e, r) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    e->is_new = e->was_aside = true;
    e->batch = p->batch;
    p->at |= PLACE_TAKEN;
    if (ret)
        *ret = e;
    return 0;
}

int backlog_take(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                 struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct store_record r;
    struct slice octets;
    struct place *p = NULL;
    *ret = NULL;
    while (b->n_open && (p = backlog_index_find(&b->index, id, p))) {
        if (p->at & PLACE_TAKEN || !is_alive(b, p->batch))
            continue;
        int rc = load(s, p->batch, &octets, err);
        if (rc < 0)
            return rc;
        if (rc == 0 || p->at > octets.len)
            continue;
        octets = (struct slice){octets.data + p->at, octets.len - p->at};
        if (pack_get(octets, &b->items, &r) < 0 || !slice_eq(r.v[F_msg_id].text, id))
            continue;
        return bring_back(s, p, &r, ret, err);
    }
    return 0;
}

static struct place *place_of(struct backlog *b, struct slice id, uint32_t number, size_t at)
{
    struct place *p = NULL;
    while ((p = backlog_index_find(&b->index, id, p)))
        if (p->batch == number && p->at == at)
            return p;
    return NULL;
}

static int take_all(struct sqlite_store *s, uint32_t number, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct store_record r;
    struct slice octets;
    size_t at = 0;
    int rc = load(s, number, &octets, err);
    while (rc == 1 && at < octets.len) {
        int64_t size = pack_get((struct slice){octets.data + at, octets.len - at}, &b->items, &r);
        if (size <= 0)
            break;
        struct place *p = place_of(b, r.v[F_msg_id].text, number, at);
        if (p && bring_back(s, p, &r, NULL, err) < 0)
            rc = ERSA_ENOMEM;
        at += (size_t)size;
    }
    return rc < 0 ? rc : 0;
}

/* Settling */

void backlog_wrote(struct sqlite_store *s, struct pending_entry *e)
{
    struct batch *batch = e->batch ? batch_of(s->backlog, e->batch) : NULL;
    uint32_t number = e->batch;
    e->batch = 0;
    if (!batch || batch->is_gone || touch(s->backlog, number) < 0)
        return;
    batch->wrote++;
    if (batch->wrote == batch->open)
        (void)end_batch(s, number); /* otherwise it is met again when it is quiet */
}

/* Batches `from` up to `to` have no requests left that are not rows. */
static int end_batches(struct sqlite_store *s, uint32_t from, uint32_t to, bool spoiled_only,
                       struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    int rc = sqlite_write_rows(s, err);
    for (uint32_t number = from; number != to && rc == 0; number++) {
        struct batch *batch = batch_of(b, number);
        if (!batch || batch->is_gone || (spoiled_only && !batch->is_spoiled))
            continue;
        rc = sqlite_begin(s, err);
        if (rc == 0 && end_batch(s, number) != SQLITE_OK) {
            rc = sqlite_error(s, err, "waiting task records are not written");
            sqlite_roll_back(s);
        }
    }
    return rc;
}

static int settle(struct sqlite_store *s, unsigned max, bool spoiled_only, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    uint32_t from = b->first, number = from, end = b->first + (uint32_t)b->n;
    int rc = 0;
    for (unsigned n = 0; number != end && n < max && rc == 0; number++) {
        struct batch *batch = batch_of(b, number);
        if (!batch || batch->is_gone || (spoiled_only && !batch->is_spoiled))
            continue;
        rc = take_all(s, number, err);
        if (rc < 0 || ++n % SETTLE_BATCHES)
            continue;
        rc = end_batches(s, from, number + 1, spoiled_only, err);
        if (rc == 0)
            rc = sqlite_commit(s, err);
        from = number + 1;
    }
    return rc < 0 ? rc : end_batches(s, from, number, spoiled_only, err);
}

int backlog_settle(struct sqlite_store *s, unsigned max, struct ersa_error *err)
{
    return s->backlog->n_open ? settle(s, max, false, err) : 0;
}

void backlog_spoil(struct sqlite_store *s, struct slice id)
{
    struct backlog *b = s->backlog;
    struct place *p = NULL;
    while (b->n_open && (p = backlog_index_find(&b->index, id, p)))
        if (is_alive(b, p->batch)) {
            batch_of(b, p->batch)->is_spoiled = true;
            b->is_spoiled = true;
        }
}

int backlog_settle_spoiled(struct sqlite_store *s, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    if (!b->is_spoiled)
        return 0;
    int rc = settle(s, UINT32_MAX, true, err);
    b->is_spoiled = rc < 0;
    return rc;
}

/* The end of a transaction */

void backlog_committed(struct sqlite_store *s)
{
    struct backlog *b = s->backlog;
    for (size_t i = 0; i < b->n_touched; i++) {
        struct batch *batch = batch_of(b, b->touched[i]);
        if (batch->is_gone) {
            forget_batch(b, batch);
            continue;
        }
        b->n_open -= batch->wrote;
        batch->open -= batch->wrote;
        batch->wrote = 0;
        batch->is_made = batch->is_touched = false;
    }
    b->n_touched = 0;
}

void backlog_rolled_back(struct sqlite_store *s)
{
    struct backlog *b = s->backlog;
    finalize(b);
    b->has_table = false;
    for (size_t i = 0; i < b->n_touched; i++) {
        struct batch *batch = batch_of(b, b->touched[i]);
        if (batch->is_made) {
            forget_batch(b, batch);
            continue;
        }
        batch->wrote = 0;
        batch->is_gone = batch->is_touched = false;
    }
    b->n_touched = 0;
}
