/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions, and what is due in them. Too many changes that wait are written at once, which
 * holds back whoever makes them.
 *
 * When writing fails (the disk is full) the transaction is rolled back, its changes wait again,
 * and it is tried once a second; while somebody else holds the lock, at each tick. From
 * PENDING_FULL on the store says that it is full, so that nobody makes more; beyond
 * PENDING_LOSE the oldest are lost, and counted; beyond PENDING_FULL where it is broken, so
 * that waiting would not help (sqlite_broken.c). */
#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define PENDING_MAX ((size_t)32 << 20)
#define PENDING_FULL (PENDING_MAX / 2)
#define PENDING_LOSE (2 * PENDING_MAX)
#define ENDED_MAX (PENDING_MAX / 2)
#define ASIDE_MIN (PENDING_MAX / 4)  /* of waiting changes: then requests are set aside, and */
#define ASIDE_STEP (PENDING_MAX / 8) /* again after so many more */
#define RETRY_MS 1000
#define LOCK_MS 20 /* so long a lock is waited for, */
#define ASKED_MS \
    2000 /* by who was asked for something, or where locks are taken for each read */
#define LOCKED_MS 10000 /* and then it is a failure */
#define FEED_MIN 4      /* below it a statement each is cheaper */

int sqlite_error(struct sqlite_store *s, struct ersa_error *err, const char *what)
{
    int code = s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM;
    int rc = code == SQLITE_NOMEM ? ERSA_ENOMEM : code == SQLITE_FULL ? ERSA_EFULL : ERSA_EIO;
    s->failure = s->db ? sqlite3_extended_errcode(s->db) : code;
    return err_set(err, rc, "%s: %s", what, s->db ? sqlite3_errmsg(s->db) : "out of memory");
}

int sqlite_run(struct sqlite_store *s, const char *sql, struct ersa_error *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : sqlite_error(s, err, "the database of task records");
}

/* Transactions */

int sqlite_begin(struct sqlite_store *s, struct ersa_error *err)
{
    if (s->in_transaction)
        return 0;
    if (!s->db)
        return sqlite_fail_broken(s, err);
    int rc = sqlite_run(s, "BEGIN IMMEDIATE", err);
    s->in_transaction = rc == 0;
    bool is_locked = rc < 0 && (sqlite3_errcode(s->db) & 0xff) == SQLITE_BUSY;
    if (!is_locked) {
        s->locked_ms = 0;
        if (rc < 0)
            sqlite_roll_back(s);
        return rc;
    }
    int64_t now = clock_mono_ms();
    if (!s->locked_ms)
        s->locked_ms = now;
    s->is_failing = true;
    s->retry_ms = now + STORE_TICK_MS;
    return ERSA_EAGAIN;
}

static bool is_locked_for_long(const struct sqlite_store *s)
{
    return s->locked_ms && clock_mono_ms() >= s->locked_ms + LOCKED_MS;
}

void sqlite_be_patient(struct sqlite_store *s, bool is_asked)
{
    bool waits = !s->has_log || (is_asked && !is_locked_for_long(s));
    if (!s->db)
        return;
    sqlite3_busy_timeout(s->db, waits ? ASKED_MS : LOCK_MS);
    if (is_asked && waits && s->locked_ms)
        s->retry_ms = 0;
}

int sqlite_say_locked(struct sqlite_store *s, struct ersa_error *err)
{
    int64_t now = clock_mono_ms();
    if (!s->locked_ms || now < s->say_ms || !(s->base.is_full || is_locked_for_long(s)))
        return 0;
    s->say_ms = now + RETRY_MS;
    s->has_said = true;
    return err_set(err, ERSA_EIO, "the database of task records is locked by somebody else");
}

void sqlite_count_rows(struct sqlite_store *s)
{
    sqlite3_stmt *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM %s", s->table);
    if (sql && sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        s->n_rows = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
}

void sqlite_on_row(void *ctx, int op, const char *database, const char *table,
                   sqlite3_int64 rowid)
{
    struct sqlite_store *s = ctx;
    s->n_rows += (op == SQLITE_INSERT) - (op == SQLITE_DELETE);
    if (s->feed->is_running && s->feed->at < s->feed->to)
        s->feed->is_in[s->feed->at] = true;
}

void sqlite_roll_back(struct sqlite_store *s)
{
    sqlite_look_for_damage(s);
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    s->in_transaction = false;
    s->is_failing = s->has_said = true;
    s->retry_ms = clock_mono_ms() + RETRY_MS;
    pending_rolled_back(&s->pending);
    ended_rolled_back(s);
    backlog_rolled_back(s);
    if (s->limits.records)
        sqlite_count_rows(s);
}

int sqlite_commit(struct sqlite_store *s, struct ersa_error *err)
{
    if (!s->in_transaction)
        return 0;
    int rc = sqlite_run(s, "COMMIT", err);
    if (rc < 0) {
        sqlite_roll_back(s);
        return rc;
    }
    s->in_transaction = false;
    pending_committed(&s->pending);
    ended_committed(s);
    backlog_committed(s);
    if (s->base.is_broken)
        sqlite_mended(s);
    else if (s->has_said)
        log_info("records::task records are written again");
    s->is_failing = s->has_said = false;
    return 0;
}

static void wrote(struct sqlite_store *s, struct pending_entry *e)
{
    backlog_wrote(s, e->batch);
    e->batch = 0;
}

/* A row that SQLite finds too large loses its payload; one that it refuses is left out. */
int sqlite_write_entry(struct sqlite_store *s, struct pending_entry *e, struct ersa_error *err)
{
    int rc = sqlite_begin(s, err);
    if (rc < 0)
        return rc;
    int code = sqlite_write(s, e);
    if (code == SQLITE_TOOBIG) {
        pending_strip(&e->rec);
        e->dirty &= e->rec.set | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
        e->dirty |= e->rec.set & STORE_FIELD(F_result_content);
        s->base.counts.stripped++;
        code = sqlite_write(s, e);
    }
    if (code == SQLITE_TOOBIG || code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH) {
        s->base.counts.lost++;
        wrote(s, e);
        pending_drop(&s->pending, e);
        return 0;
    }
    if (code != SQLITE_OK) {
        rc = sqlite_error(s, err, "task records are not written");
        sqlite_roll_back(s);
        return rc;
    }
    wrote(s, e);
    pending_wrote(&s->pending, e);
    return 0;
}

/* New records by one statement; what it could not write, one by one. */
static int write_feed(struct sqlite_store *s, struct ersa_error *err)
{
    struct sqlite_feed *feed = s->feed;
    int rc = sqlite_begin(s, err);
    bool all_in = rc == 0 && feed_write(s) == SQLITE_OK;
    for (unsigned i = feed->from; i < feed->to && rc == 0; i++)
        if (all_in && feed->is_in[i]) {
            wrote(s, feed->entries[i]);
            pending_wrote(&s->pending, feed->entries[i]);
        } else {
            rc = sqlite_write_entry(s, feed->entries[i], err);
        }
    return rc;
}

/* Returns how many were. */
static unsigned set_aside(struct sqlite_store *s)
{
    struct sqlite_feed *feed = s->feed;
    struct pending_entry **entries = feed->entries + feed->from;
    unsigned n = backlog_put(s, entries, feed->to - feed->from);
    for (unsigned i = 0; i < n; i++)
        pending_drop(&s->pending, entries[i]);
    return n;
}

static void set_aside_later(struct sqlite_store *s)
{
    size_t next = s->pending.bytes + ASIDE_STEP;
    s->aside_bytes = next > ASIDE_MIN ? next : ASIDE_MIN;
}

/* The next entries of `n` that go the same way, from the feed's last one on; true: they are set
 * aside. */
static bool next_run(struct sqlite_store *s, unsigned n, bool rows_only)
{
    struct sqlite_feed *feed = s->feed;
    unsigned to = feed->from = feed->to;
    bool is_open = !rows_only && backlog_is_open(s);
    bool aside = is_open && backlog_suits(feed->entries[to]);
    while (++to < n && aside == (is_open && backlog_suits(feed->entries[to])))
        ;
    feed->to = to;
    return aside;
}

static int write_new(struct sqlite_store *s, unsigned n, bool rows_only, struct ersa_error *err)
{
    struct sqlite_feed *feed = s->feed;
    int rc = 0;
    for (feed->to = 0; feed->to < n && rc == 0;) {
        if (next_run(s, n, rows_only))
            feed->from += set_aside(s); /* whatever can't be becomes rows */
        if (feed->to - feed->from >= FEED_MIN)
            rc = write_feed(s, err);
        for (; feed->to - feed->from < FEED_MIN && feed->from < feed->to && rc == 0;
             feed->from++)
            rc = sqlite_write_entry(s, feed->entries[feed->from], err);
    }
    return rc;
}

static int write_some(struct sqlite_store *s, bool all, bool rows_only, struct ersa_error *err)
{
    struct pending_entry *e;
    int64_t now = clock_mono_ms();
    int rc = 0;
    if (!s->db || (s->is_failing && now < s->retry_ms))
        return ERSA_EAGAIN;
    rc = ended_write(s, err);
    while (rc == 0 && (e = pending_due(&s->pending, now, all))) {
        unsigned n = pending_new(&s->pending, e, now, all, s->feed->entries, FEED_MAX);
        rc = n ? write_new(s, n, rows_only, err) : sqlite_write_entry(s, e, err);
    }
    return rc;
}

int sqlite_write_due(struct sqlite_store *s, struct ersa_error *err)
{
    int rc = write_some(s, false, false, err);
    if (rc == 0)
        rc = backlog_store_due(s, err);
    set_aside_later(s);
    return rc;
}

int sqlite_write_rows(struct sqlite_store *s, struct ersa_error *err)
{
    return write_some(s, true, true, err);
}

static void lose_oldest(struct sqlite_store *s, size_t most)
{
    struct pending_entry *e;
    while (s->pending.bytes > most && (e = pending_due(&s->pending, 0, true))) {
        pending_drop(&s->pending, e);
        s->base.counts.lost++;
    }
}

void sqlite_look_for_room(struct sqlite_store *s)
{
    s->base.is_full = s->is_failing && !s->base.is_broken && s->pending.bytes > PENDING_FULL;
}

/* What is in fast memory is set aside cheaply, and its memory used again. */
static void set_aside_some(struct sqlite_store *s)
{
    struct pending_entry *e;
    bool more = true;
    while (more && (e = pending_oldest(&s->pending))) {
        unsigned n = pending_new(&s->pending, e, 0, true, s->feed->entries, FEED_MAX);
        s->feed->to = 0;
        more = n && next_run(s, n, false) && set_aside(s) == s->feed->to;
    }
    set_aside_later(s);
}

/* After a change. */
int sqlite_bound(struct sqlite_store *s, struct ersa_error *err)
{
    int rc = 0;
    s->n_changes++;
    if (s->pending.bytes > s->aside_bytes)
        set_aside_some(s);
    if (s->pending.bytes > PENDING_MAX || s->ended.bytes > ENDED_MAX) {
        rc = write_some(s, true, false, err);
        if (rc == 0)
            rc = sqlite_commit(s, err);
    }
    if (s->base.is_broken)
        lose_oldest(s, PENDING_FULL);
    else if (s->pending.bytes > PENDING_LOSE)
        lose_oldest(s, PENDING_MAX);
    sqlite_look_for_room(s);
    return rc == ERSA_EAGAIN || s->base.is_broken ? 0 : rc;
}
