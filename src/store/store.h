/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam for task records (db.md): one record per recorded request, kept by `none`, `memory`,
 * `sqlite` or `mongodb`. All calls come from the records thread.
 *
 * JSON members are kept as the octets that were received; dates are microseconds UTC
 * (INT64_MIN: unset); absent text has data NULL. What is passed in is borrowed for the call.
 * What get() gives, and the buffers of what find() gives, are there for as long as the store is
 * not changed; the rest of what find() gives for the call of `fn`. */
#ifndef ERSA_STORE_STORE_H
#define ERSA_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "ersa/error.h"
#include "util/str.h"

#define STORE_DATE_UNSET INT64_MIN

/* X(name, kind): the 23 fields in their order, and one that tables have no column for. `t`
 * text, `j` JSON, `d` date, `b` list of binary. */
/* clang-format off */
#define STORE_FIELDS(X)                                                                     \
    X(msg_id, t) X(header, j) X(metadata, j) X(content, j) X(buffers, b) X(submitted, d)    \
    X(client_uuid, t) X(engine_uuid, t) X(started, d) X(completed, d) X(resubmitted, t)     \
    X(received, d) X(result_header, j) X(result_metadata, j) X(result_content, j)           \
    X(result_buffers, b) X(queue, t) X(execute_input, t) X(execute_result, j) X(error, j)   \
    X(stdout, t) X(stderr, t) X(label, t)         \
    X(display_data, j)
/* clang-format on */

enum store_field {
#define X(name, kind) F_##name,
    STORE_FIELDS(X)
#undef X
        F_MAX,
    STORE_COLUMNS = F_display_data, /* of a table, and of what is told when no keys are named */
};

struct store_binary {
    const struct slice *items;
    unsigned n;
};

union store_value {
    struct slice text;          /* kinds t and j */
    int64_t date;               /* kind d */
    struct store_binary binary; /* kind b */
};

/* A record, or the part of one that `set` says (bit 1 << F_x). */
struct store_record {
    uint32_t set;
    union store_value v[F_MAX];
};

/* Null in a reply and in queries: not set, or text that is absent. */
static inline bool store_is_null(const struct store_record *r, enum store_field f)
{
    return !(r->set >> f & 1);
}

#define STORE_FIELD(f) ((uint32_t)1 << (f))
#define STORE_ALL (STORE_FIELD(F_MAX) - 1)
/* Those of kind b, those of kind d, and those that texts are added to. */
#define STORE_BUFFERS (STORE_FIELD(F_buffers) | STORE_FIELD(F_result_buffers))
#define STORE_DATES                                                                 \
    (STORE_FIELD(F_submitted) | STORE_FIELD(F_started) | STORE_FIELD(F_completed) | \
     STORE_FIELD(F_received))
#define STORE_STREAMS (STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr))

struct store_field_def {
    const char *name;
    char kind; /* of STORE_FIELDS */
};
extern const struct store_field_def store_fields[F_MAX];
/* F_MAX when there is no such field. */
enum store_field store_field_find(struct slice name);

struct store;
struct store_query; /* store/query.h */

struct store_ops {
    const char *name;
    uint32_t without; /* fields (of STORE_FIELD) that it does not keep */
    void (*close)(struct store *st);
    /* Creates the record, or merges into what is there (db.md 1.1): F_msg_id must be set. The
     * streams of a new record are empty, everything else that is not set is null. */
    int (*put)(struct store *st, const struct store_record *r, struct ersa_error *err);
    /* Merges into a record that is there; ERSA_ENOENT: it is not. */
    int (*update)(struct store *st, const struct store_record *r, struct ersa_error *err);
    /* Adds text to a stream field (F_stdout, F_stderr) of a record. ERSA_ENOENT: no such
     * record; ERSA_EFULL: the stream has reached its bound, nothing was added. */
    int (*append)(struct store *st, struct slice msg_id, enum store_field f, struct slice text,
                  struct ersa_error *err);
    /* `fields` (of STORE_FIELD) are those that the caller looks at; others may be left out.
     * ERSA_ENOENT: no such record. A store that keeps nothing answers get, history and find
     * with ERSA_EUNSUPPORTED. */
    int (*get)(struct store *st, struct slice msg_id, uint32_t fields, struct store_record *ret,
               struct ersa_error *err);
    /* Many at once: calls fn for each that is there, in the order of `ids`, which ascend, as
     * find() does. NULL: get() one by one does as well. */
    int (*get_many)(struct store *st, const struct slice *ids, size_t n, uint32_t fields,
                    int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                    struct ersa_error *err);
    int (*drop)(struct store *st, struct slice msg_id, struct ersa_error *err);
    /* Many at once; those that are not there are no failure. NULL: drop() does as well. */
    int (*drop_many)(struct store *st, const struct slice *ids, size_t n,
                     struct ersa_error *err);
    /* Ids by `submitted`, oldest first; records without that date are left out. */
    int (*history)(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                   struct ersa_error *err);
    /* Calls fn for each record that the query matches, in the order in which they were created
     * (a database: written), as long as it returns 0; what it returned last is the result. It
     * must not change the store. */
    int (*find)(struct store *st, const struct store_query *q, uint32_t fields,
                int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                struct ersa_error *err);
    /* Writes what has waited long enough, in one transaction, and drops what is past the
     * limits. Called STORE_TICK_MS after a change, and as long as it returns 1: more waits.
     * NULL: nothing to do. */
    int (*tick)(struct store *st, struct ersa_error *err);
};

#define STORE_TICK_MS 50

/* Written by the records thread alone. */
struct store_counts {
    uint64_t lost;     /* changes that were not kept: no room, no connection */
    uint64_t stripped; /* records without their payload, for want of room */
};

struct pending; /* store/pending.h */

struct store {
    const struct store_ops *ops;
    struct store_counts counts;
    const struct pending *pending; /* borrowed: changes not written yet; NULL: there are none */
    size_t n_accounts, account_bytes; /* records that wait without their payload (accounts.h) */
    bool is_full; /* further changes would be lost: none is to be made until ticks made room */
    bool is_broken; /* and waiting would not help: changes are taken, kept while there is room
                       in memory, and then lost; errors say what is to be done */
};

/* Dropped is what is done first (and what was never requested: output of a broadcast), then
 * what was created first; never the record just written. 0: no limit. */
struct store_limits {
    uint64_t records;  /* record_limit */
    uint64_t bytes;    /* size_limit: memory counts buffers; databases all that they hold */
    double cull;       /* share dropped when a limit is passed, at least one */
    int64_t max_age_s; /* since it was submitted */
};

/* What the result_content of a record becomes when its payload was dropped (design.md 9). */
#define STORE_STRIPPED_ENAME "ResultDropped"
extern const struct slice store_stripped_content;

int store_none_open(struct store **ret, struct ersa_error *err);

/* Text (JSON members, streams) has a limit of its own: `bytes`, or 64 MiB if that is more; one
 * stream may fill a sixteenth of it. Beyond either limit records lose payload and stay; they go
 * when there are too many, or when their short texts alone are too much. */
int store_memory_open(struct store **ret, const struct store_limits *limits,
                      struct ersa_error *err);

/* `path` of the database file; made (0600) when it isn't there. `table`: the first of it, it_1,
 * it_2, ... that has our columns, or is free. */
struct store_sqlite_config {
    const char *path, *table;
    struct store_limits limits;
    uint64_t max_pages; /* of the file; 0: as many as the disk takes */
};
int store_sqlite_open(struct store **ret, const struct store_sqlite_config *cfg,
                      struct ersa_error *err);

/* ERSA_EUNSUPPORTED: built without libmongoc. */
struct store_mongo_config {
    const char *uri, *database;
    struct store_limits limits;
    uint64_t waiting_max; /* octets that may wait as accounts (accounts.h), half as much as
                             records, half of that with their payload; 0: 64 MiB */
};
int store_mongo_open(struct store **ret, const struct store_mongo_config *cfg,
                     struct ersa_error *err);

#endif
