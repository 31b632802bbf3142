/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the MongoDB store: query_bson.c (queries), mongo_docs.c (records and
 * documents), mongo_get.c (reading), mongo_queue.c (what waits), mongo_writer.c (the thread
 * that writes) and mongo_write.c (how), mongo_drop.c and mongo_limits.c (what is dropped),
 * store_mongo.c (the seam). */
#ifndef ERSA_STORE_MONGO_IMPL_H
#define ERSA_STORE_MONGO_IMPL_H

#include <mongoc/mongoc.h>
#include <pthread.h>

#include "store/accounts.h"
#include "store/keep.h"
#include "store/pending.h"
#include "store/query.h"
#include "store/store.h"
#include "wire/seen.h"

#define MONGO_COLLECTION "task_records"
/* Of our dates what is finer than MongoDB's milliseconds: {field: microseconds}. */
#define MONGO_FINE "ersa_us"
#define MONGO_DOCUMENT_MAX ((size_t)15 << 20) /* the server takes 16 MiB */
#define MONGO_ANSWER_MS 5000

struct mongo_store {
    struct store base;
    mongoc_client_t *client;
    mongoc_collection_t *collection;
    struct mongo_writer *writer;
    struct pending pending;
    struct accounts accounts; /* of what is older and did not fit there; never both of an id */
    size_t accounts_max;
    struct seen known; /* ids that have a document, as far as this life knows */
    struct keep *kept; /* what was given out */
};

/* query_bson.c: a filter that finds all that the query matches, and perhaps more. False: too
 * large. */
bool query_bson(bson_t *ret, const struct store_query *q);

/* mongo_docs.c */

/* One change as the server takes it: {"msg_id": ...} and {"$set": ..., "$setOnInsert": ...}. */
struct mongo_change {
    bson_t *selector, *update; /* owned */
    bool creates;
    bool is_open; /* mongo_write.c: not taken yet */
};
/* False: out of memory, or too large. */
bool mongo_change(struct mongo_change *ret, const struct pending_entry *e);
void mongo_change_free(struct mongo_change *c);
/* Reads a document; everything is kept in `keep`. 0, ERSA_ENOENT (it has no id, so it is no
 * record) or ERSA_ENOMEM. */
int mongo_read(struct keep **keep, const bson_t *doc, struct store_record *ret);
/* What is to be read for these fields: {"projection": {...}}. */
void mongo_projection(bson_t *opts, uint32_t fields);

/* mongo_queue.c */

/* Merges into what waits, or begins something that does. */
int mongo_queue_merge(struct mongo_store *s, const struct store_record *r, bool creates,
                      struct ersa_error *err);
/* After a change of `pending`. */
void mongo_queue_bound(struct mongo_store *s);
/* Writes what is due; 1: more waits. */
int mongo_queue_tick(struct mongo_store *s);
/* Everything is written, or ERSA_ETIMEDOUT after MONGO_ANSWER_MS. */
int mongo_queue_write(struct mongo_store *s, struct ersa_error *err);
/* The same at the end: as long as the server takes something. How many records are left. */
size_t mongo_queue_end(struct mongo_store *s);
/* False: nothing waited for that id. */
bool mongo_queue_drop(struct mongo_store *s, struct slice id);

/* mongo_write.c */

struct mongo_target {
    mongoc_client_t *client; /* all owned by the writer */
    mongoc_collection_t *collection;
    char *database;
    unsigned tries; /* of a batch that the server answers and does not take */
};
/* How many of the changes were refused for good, or found no record any more; -1: the server
 * has not answered, or is out of order, and the whole batch is to be tried again. */
int64_t mongo_write(struct mongo_target *to, struct mongo_change *batch, size_t n,
                    bson_error_t *error);

/* mongo_writer.c: changes go in batches to a thread of their own, which tries until the server
 * has taken them; limits are kept there too. */

/* mongo_get.c */

/* As store_ops has them; mongo_fetch() asks the server in any case. */
int mongo_get(struct store *st, struct slice msg_id, uint32_t fields, struct store_record *ret,
              struct ersa_error *err);
int mongo_get_many(struct store *st, const struct slice *ids, size_t n, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err);
int mongo_fetch(struct mongo_store *s, struct slice id, uint32_t fields,
                struct store_record *ret, struct ersa_error *err);
/* The next of these ids, as many as one command takes, as {"msg_id": {"$in": [...]}}; returns
 * how many. */
size_t mongo_ids(bson_t *filter, const struct slice *ids, size_t n);
/* Records of the documents that the filter finds and the query (NULL: every one) matches, as
 * long as fn returns 0. */
int mongo_walk(struct mongo_store *s, const bson_t *filter, const bson_t *opts, uint32_t fields,
               const struct store_query *q, int (*fn)(void *ctx, const struct store_record *r),
               void *ctx, struct ersa_error *err);
/* Frees it; `rc`, or what went wrong with the server. */
int mongo_end_cursor(mongoc_cursor_t *cursor, int rc, struct ersa_error *err);

/* mongo_drop.c */
int mongo_drop(struct store *st, struct slice msg_id, struct ersa_error *err);
int mongo_drop_many(struct store *st, const struct slice *ids, size_t n,
                    struct ersa_error *err);

/* mongo_limits.c: in the writer's thread, now and then. */
void mongo_keep_limits(mongoc_collection_t *c, const struct store_limits *l);

struct mongo_writer;

int mongo_writer_start(struct mongo_writer **ret, const mongoc_uri_t *uri, const char *database,
                       const struct store_limits *limits, struct ersa_error *err);
/* Waits a little for what is on its way. */
void mongo_writer_stop(struct mongo_writer *w);
bool mongo_writer_is_idle(struct mongo_writer *w);
/* Takes the array and what is in it; only when idle. */
void mongo_writer_give(struct mongo_writer *w, struct mongo_change *changes, size_t n);
/* True: idle. False: not in that time, or at once while the server doesn't answer. */
bool mongo_writer_wait(struct mongo_writer *w, int ms);
/* The number of changes that were refused since it was asked last, and the newest reason to
 * complain. */
uint64_t mongo_writer_lost(struct mongo_writer *w, struct ersa_error *err);

#endif
