/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes that wait to be written to a database, merged by record: request, assignment and
 * result of a short task become one row. What is done is written at the next tick, what is not
 * PENDING_OPEN_MS after its first change.
 *
 *     pending_put/merge/append -> dirty -> (the store writes it: pending_wrote) -> written
 *     written -> (committed) freed          written -> (rolled back) dirty again */
#ifndef ERSA_STORE_PENDING_H
#define ERSA_STORE_PENDING_H

#include "store/store.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"

#define PENDING_OPEN_MS 2000
#define PENDING_STREAM_MAX ((size_t)16 << 20)

struct pending_chunk;

struct pending_entry {
    struct list all;         /* of pending.open, .done or .written; by first change */
    struct store_record rec; /* what changed; texts of streams are below */
    uint32_t dirty;          /* of rec.set: not written yet */
    int64_t row;             /* the database's number for it; 0: not known */
    bool creates, is_new;    /* the record is made where there is none; there is likely none */
    bool is_written, stripped;
    bool was_aside;        /* it has been in the backlog (sqlite_backlog.c), */
    uint32_t batch;        /* and that batch is to be told when it is a row; 0: none */
    struct buf streams[2]; /* of stdout, stderr: to be added, or, if `rec` has it set, all */
    size_t stream_written[2];
    struct pending_chunk *chunks; /* owned; what rec points into */
    size_t bytes;
    int64_t since_ms;
    size_t id_len;
    char id[];
};

struct pending {
    struct map by_id;
    struct list open, done, written;
    size_t bytes;     /* of all */
    struct list idle; /* entries and chunks to be used again */
    struct pending_chunk *idle_chunks;
    unsigned n_idle, n_idle_chunks;
};

void pending_init(struct pending *p);
void pending_fini(struct pending *p);

struct pending_entry *pending_find(const struct pending *p, struct slice id);
/* The one that waits, or a new one; NULL when out of memory. */
struct pending_entry *pending_entry(struct pending *p, struct slice id, bool creates);
/* Copies what is set. */
int pending_merge(struct pending *p, struct pending_entry *e, const struct store_record *r);
/* ERSA_EFULL: more than PENDING_STREAM_MAX waits. */
int pending_append(struct pending *p, struct pending_entry *e, enum store_field f,
                   struct slice text);
/* Leaves out buffers, of a result also its content, and says so in the record. */
void pending_strip(struct store_record *r);
void pending_drop(struct pending *p, struct pending_entry *e);

/* The next that is due, those that are done first; NULL: none. `all`: due or not. */
struct pending_entry *pending_due(struct pending *p, int64_t now_ms, bool all);
/* The first of those that are not done; NULL: none. */
struct pending_entry *pending_oldest(const struct pending *p);
/* How many from `first` on are due and new records, at most `max`; they stay where they are. */
unsigned pending_new(const struct pending *p, struct pending_entry *first, int64_t now_ms,
                     bool all, struct pending_entry **ret, unsigned max);
/* The rows are those of another database now. */
void pending_forget_rows(struct pending *p);
bool pending_is_dirty(const struct pending_entry *e);
struct slice pending_suffix(const struct pending_entry *e, int stream);
void pending_wrote(struct pending *p, struct pending_entry *e);
/* What was written is safe: forgotten, or dirty with what has changed since. */
void pending_committed(struct pending *p);
void pending_rolled_back(struct pending *p);

static inline struct slice pending_id(const struct pending_entry *e)
{
    return (struct slice){e->id, e->id_len};
}

#endif
