/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the SQLite store: sqlite_open.c (file and table), sqlite_rows.c (statements,
 * rows in and out), sqlite_due.c (transactions), sqlite_limits.c (what is dropped),
 * sqlite_feed.c (many new rows at once), sqlite_backlog.c, sqlite_slots.c and sqlite_settle.c
 * (requests that wait for long), sqlite_ended.c (their results), sqlite_checkpoint.c (the log),
 * sqlite_broken.c (a file that takes no more), sqlite_get.c (one record), store_sqlite.c (the
 * seam). */
#ifndef ERSA_STORE_SQLITE_IMPL_H
#define ERSA_STORE_SQLITE_IMPL_H

#include <sys/types.h>

#include <sqlite3.h>

#include "store/keep.h"
#include "store/pack.h"
#include "store/pending.h"
#include "store/query_sql.h"
#include "store/store.h"
#include "wire/seen.h"

#define SQLITE_LOG_MAX 67108864 /* octets; what the log keeps when it begins anew */
#define STATEMENTS_MAX 32
#define SQL_MAX ((size_t)64 << 10)
#define SQL_ALL (STORE_FIELD(STORE_COLUMNS) - 1)
#define BLOB_MAX ((size_t)1 << 31)
#define FEED_MAX 1024

struct statement {
    uint64_t key; /* 0: free */
    sqlite3_stmt *stmt;
};

/* New records for one statement (sqlite_feed.c): entries, or packed ones. */
struct sqlite_feed {
    sqlite3_stmt *stmt; /* owned; NULL until it is needed */
    struct pending_entry *entries[FEED_MAX];
    struct slice packed;   /* borrowed; data NULL: entries */
    bool is_in[FEED_MAX];  /* it was new indeed, and is written */
    unsigned from, to, at; /* those that are read */
    bool is_running;
    const struct store_record *row; /* at hand: of an entry, or this one: */
    struct store_record unpacked;
    struct pack_items items;
    struct slice left;                       /* of `packed`, behind the row at hand */
    char dates[STORE_COLUMNS][SQL_DATE_MAX]; /* of the row at hand, as the lists in `blobs` */
    struct buf blobs[2];
};

struct ended_batch;

/* Records that are complete, packed, until the transaction that writes them is committed
 * (sqlite_ended.c). */
struct ended {
    struct ended_batch *open;           /* owned; not written yet, NULL: none */
    struct ended_batch *written, *idle; /* owned lists */
    unsigned n_idle;
    size_t bytes; /* of those that are open or written */
    struct pack_items items;
};

struct sqlite_store {
    struct store base;
    sqlite3 *db;                    /* NULL while it is broken */
    struct store_sqlite_config cfg; /* its texts are owned */
    char *table;                    /* quoted */
    bool has_log;                   /* a write-ahead log */
    dev_t dev;                      /* the file that was opened, */
    ino_t ino;
    int fd; /* of it, -1: none. Closed after `db`: with any descriptor of a file all locks that
               the process has there go */
    struct checkpointer *checkpointer;
    struct store_limits limits; /* those of cfg */
    struct pending pending;
    struct seen known; /* ids that this life has written: they need not be looked up */
    bool in_transaction;
    struct sqlite_feed *feed; /* owned */
    struct backlog *backlog;  /* owned */
    struct ended ended;
    struct statement statements[STATEMENTS_MAX];
    unsigned next_statement;
    struct buf blobs[2]; /* scratch: pickled lists */
    struct keep *kept;   /* what was given out */
    int64_t n_rows, page_bytes;
    int64_t retry_ms, aged_ms; /* when to write again after a failure; when age was looked at */
    int64_t locked_ms, say_ms; /* since when others hold the lock, 0: they don't; when it is
                                  said again */
    bool is_failing, has_said; /* and it was said */
    unsigned n_changes;        /* since the last tick */
    unsigned n_quiet;          /* ticks with hardly any, one after the other */
    size_t aside_bytes;        /* when so much waits, requests are set aside */
    int failure;               /* SQLite's last one */
    bool is_open;              /* it was opened once, so failures are told by who writes */
    bool is_spoiled;           /* `db` has failed, and is to be closed */
    bool needs_other;          /* what is damaged is the file, so it must be another one */
    int64_t mend_ms;           /* when to try again */
    struct ersa_error broken;  /* why, and what to do */
};

int sqlite_error(struct sqlite_store *s, struct ersa_error *err, const char *what);
/* Runs statements without parameters. */
int sqlite_run(struct sqlite_store *s, const char *sql, struct ersa_error *err);

/* sqlite_due.c */

/* ERSA_EAGAIN: somebody else holds the lock. */
int sqlite_begin(struct sqlite_store *s, struct ersa_error *err);
/* Who asks would rather wait for a lock than hear of it, unless it has been there for long;
 * nobody else waits for it. */
void sqlite_be_patient(struct sqlite_store *s, bool is_asked);
/* When writing waits for a lock: 0, or an error when it is time to say so. */
int sqlite_say_locked(struct sqlite_store *s, struct ersa_error *err);
int sqlite_commit(struct sqlite_store *s, struct ersa_error *err);
/* What was written since sqlite_begin() waits again. */
void sqlite_roll_back(struct sqlite_store *s);
int sqlite_write_entry(struct sqlite_store *s, struct pending_entry *e, struct ersa_error *err);
/* What is due; requests may be set aside. ERSA_EAGAIN: writing has failed, and it is too early
 * to try again. */
int sqlite_write_due(struct sqlite_store *s, struct ersa_error *err);
/* Rows of all that waits in memory. */
int sqlite_write_rows(struct sqlite_store *s, struct ersa_error *err);
/* After a change: what waits is bounded. */
int sqlite_bound(struct sqlite_store *s, struct ersa_error *err);
void sqlite_look_for_room(struct sqlite_store *s);
/* The update hook, and where its counting begins. */
void sqlite_on_row(void *ctx, int op, const char *database, const char *table,
                   sqlite3_int64 rowid);
void sqlite_count_rows(struct sqlite_store *s);

/* sqlite_limits.c: after a commit. 1: more is to be dropped than there was time for. */
int sqlite_keep_limits(struct sqlite_store *s, struct ersa_error *err);

/* sqlite_open.c */

/* File and table of s->cfg, and everything that belongs to a connection. After a failure
 * nothing is open. */
int sqlite_connect(struct sqlite_store *s, struct ersa_error *err);
void sqlite_disconnect(struct sqlite_store *s);
/* What can be done about a result of SQLite, when opening, or while it runs; NULL: nothing. */
const char *sqlite_advice(int code, bool is_open);

/* sqlite_broken.c */

/* Writing has failed: whether for a reason that waiting does not mend. */
void sqlite_look_for_damage(struct sqlite_store *s);
/* At a tick: a broken database, or one that is not where it was, is opened anew. */
void sqlite_mend(struct sqlite_store *s);
/* A transaction is committed, so it is not broken (any more). */
void sqlite_mended(struct sqlite_store *s);
int sqlite_fail_broken(const struct sqlite_store *s, struct ersa_error *err);

/* sqlite_checkpoint.c; for a database with a write-ahead log. */
struct checkpointer;
int checkpointer_start(struct checkpointer **ret, struct sqlite_store *s, const char *path,
                       struct ersa_error *err);
void checkpointer_stop(struct checkpointer *c);

/* sqlite_rows.c */

/* What has changed since it was written; the result is SQLite's. */
int sqlite_write(struct sqlite_store *s, const struct pending_entry *e);
/* The columns of `fields`, in their order, for a SELECT. */
int sqlite_put_columns(struct buf *b, uint32_t fields);
/* Reads such a row. With `keep` what it points at lives until the next change, otherwise until
 * the next step, but for buffers. */
int sqlite_read(struct sqlite_store *s, sqlite3_stmt *stmt, uint32_t fields, bool keep,
                struct store_record *ret);
/* A statement for the record of an id, bound; NULL on failure. */
sqlite3_stmt *sqlite_select_one(struct sqlite_store *s, struct slice id, uint32_t fields);
/* The same, of its row's number. */
sqlite3_stmt *sqlite_select_row(struct sqlite_store *s, struct slice id);
/* Text that the column may have: what is no JSON would spoil the whole answer of whoever reads
 * it. The router has looked at headers and metadata. */
bool sqlite_is_sound(unsigned field, struct slice text);
/* Scratch memory that has become large is given back. */
void sqlite_let_go(struct buf *b);
void sqlite_finalize(struct sqlite_store *s);

/* sqlite_get.c */

/* What waits in memory, or comes back there; *ret NULL: none. */
int sqlite_find_waiting(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                        struct ersa_error *err);
int sqlite_get(struct store *st, struct slice msg_id, uint32_t fields, struct store_record *ret,
               struct ersa_error *err);

/* sqlite_feed.c */

int feed_open(struct sqlite_feed **ret);
void feed_close(struct sqlite_feed *feed); /* accepts NULL */
/* To the connection, and before it is closed. */
int feed_attach(struct sqlite_feed *feed, sqlite3 *db);
void feed_detach(struct sqlite_feed *feed); /* accepts NULL */
/* Writes the feed's entries; the result is SQLite's. After a failure none is written. */
int feed_write(struct sqlite_store *s);
/* Writes `n` records, one behind the other; is_in[0] is of the first. */
int feed_write_packed(struct sqlite_store *s, struct slice packed, unsigned n);

/* sqlite_backlog.c: requests that wait in a deep queue are set aside. */

/* `database` is borrowed. */
int backlog_open(struct backlog **ret, const char *database);
void backlog_close(struct backlog *b); /* accepts NULL */
/* Something is set aside, or the file is there where it was. */
bool backlog_has_file(const struct sqlite_store *s);
/* The file goes, if nothing is in it. */
void backlog_release(struct sqlite_store *s);
/* The queue is deep, and there is room. */
bool backlog_is_open(const struct sqlite_store *s);
bool backlog_suits(const struct pending_entry *e);
/* Returns how many of the first were set aside. */
unsigned backlog_put(struct sqlite_store *s, struct pending_entry *const *entries, unsigned n);
/* Brings one back into memory; *ret NULL: it isn't there. */
int backlog_take(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                 struct ersa_error *err);
/* A new record, that nothing is known of but the request; false: it was not set aside. */
bool backlog_add(struct sqlite_store *s, const struct store_record *r);
/* What has been set aside for PENDING_OPEN_MS goes to the file. */
int backlog_store_due(struct sqlite_store *s, struct ersa_error *err);
/* One of a batch is written as a row (0: of none); the transaction is committed, or rolled
 * back. */
void backlog_wrote(struct sqlite_store *s, uint32_t number);
void backlog_committed(struct sqlite_store *s);
void backlog_rolled_back(struct sqlite_store *s);

/* sqlite_ended.c: requests that were set aside and have their results. */

/* `r` completes one that was set aside: 1: it waits here to be written, and the record is not
 * pending; 0: it was not set aside, or is nothing for here. */
int ended_add(struct sqlite_store *s, const struct store_record *r, struct ersa_error *err);
/* Writes them: before anything else is, since what is pending may be about one of them. After a
 * failure they are pending. */
int ended_write(struct sqlite_store *s, struct ersa_error *err);
bool ended_is_empty(const struct sqlite_store *s);
void ended_committed(struct sqlite_store *s);
void ended_rolled_back(struct sqlite_store *s);
void ended_fini(struct ended *e);

/* sqlite_settle.c */

/* Makes rows of what lies in up to `max` batches, and commits. */
int backlog_settle(struct sqlite_store *s, uint32_t max, struct ersa_error *err);
#define BACKLOG_ALL UINT32_MAX
/* A record is dropped, or about to be; and then the rest of its batch becomes rows. */
void backlog_spoil(struct sqlite_store *s, struct slice id);
int backlog_settle_spoiled(struct sqlite_store *s, struct ersa_error *err);
/* When a database is opened; what can't be written is logged, and left. */
int backlog_recover(struct sqlite_store *s, const char *database);

#endif
