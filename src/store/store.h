/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam for task records (db.md): one record per recorded request, kept by `none` or `memory` now,
 * SQLite and MongoDB later. All calls come from the records thread.
 *
 * JSON members are kept as the octets that were received; dates are microseconds UTC (INT64_MIN:
 * unset); absent text has data NULL. What is passed in is borrowed for the call, what comes out
 * for as long as the store is not changed. */
#ifndef ERSA_STORE_STORE_H
#define ERSA_STORE_STORE_H

#include <stdint.h>

#include "ersa/error.h"
#include "util/str.h"

#define STORE_DATE_UNSET INT64_MIN

/* X(name, kind): the 23 fields in their order. `t` text, `j` JSON, `d` date, `b` list of binary. */
#define STORE_FIELDS(X)                                                                            \
    X(msg_id, t) X(header, j) X(metadata, j) X(content, j) X(buffers, b) X(submitted, d)           \
    X(client_uuid, t) X(engine_uuid, t) X(started, d) X(completed, d) X(resubmitted, t)            \
    X(received, d) X(result_header, j) X(result_metadata, j) X(result_content, j)                  \
    X(result_buffers, b) X(queue, t) X(execute_input, t) X(execute_result, j) X(error, j)          \
    X(stdout, t) X(stderr, t) X(label, t)

enum store_field {
#define X(name, kind) F_##name,
    STORE_FIELDS(X)
#undef X
    F_MAX,
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

struct store;

struct store_ops {
    const char *name;
    void (*close)(struct store *st);
    /* Creates the record, or merges into what is there (db.md 1.1): F_msg_id must be set. */
    int (*put)(struct store *st, const struct store_record *r, struct ersa_error *err);
    /* Adds text to a stream field (F_stdout, F_stderr). */
    int (*append)(struct store *st, struct slice msg_id, enum store_field f, struct slice text,
                  struct ersa_error *err);
    /* ERSA_ENOENT: no such record. */
    int (*get)(struct store *st, struct slice msg_id, struct store_record *ret,
               struct ersa_error *err);
    int (*drop)(struct store *st, struct slice msg_id, struct ersa_error *err);
    /* Ids by `submitted`, oldest first; records without that date are left out. */
    int (*history)(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                   struct ersa_error *err);
};

struct store {
    const struct store_ops *ops;
};

struct store_limits {
    uint64_t records; /* DictDB.record_limit */
    uint64_t bytes;   /* DictDB.size_limit: of buffers */
    double cull;      /* share dropped when a limit is passed */
};

int store_none_open(struct store **ret, struct ersa_error *err);
int store_memory_open(struct store **ret, const struct store_limits *limits, struct ersa_error *err);

#endif
