/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in MongoDB. Changes wait in memory, merged by record (mongo_queue.c), and go in
 * batches to the thread that writes (mongo_writer.c); while it is behind, records lose their
 * payload and say so, but never their accounts. Reading waits for what was written before, and
 * fails at once while the server doesn't answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/mongo_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define WAITING_MAX ((size_t)64 << 20) /* accounts of 300,000 tasks */
#define TIMEOUT_MS 5000

static struct mongo_store *mongo_of(struct store *st)
{
    return (struct mongo_store *)st;
}

/* Writing */

static int on_tick(struct store *st, struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    struct ersa_error reason;
    int more = mongo_queue_tick(s);
    s->base.counts.lost += mongo_writer_lost(s->writer, &reason);
    return reason.code < 0 ? err_set(err, reason.code, "%s", reason.text) : more;
}

static int on_put(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    struct slice id = r->v[F_msg_id].text;
    keep_free(&s->kept);
    seen_set(&s->known, id, SEEN_OPEN);
    return mongo_queue_merge(s, r, true, err);
}

/* Reading */

/* There is such a record, written or not. */
static int find_record(struct mongo_store *s, struct slice id, struct ersa_error *err)
{
    struct store_record rec;
    keep_free(&s->kept);
    if (seen_get(&s->known, id) != SEEN_NEVER || pending_find(&s->pending, id) ||
        accounts_find(&s->accounts, id))
        return 0;
    int rc = mongo_fetch(s, id, 0, &rec, err);
    if (rc == 0)
        seen_set(&s->known, id, SEEN_OPEN);
    return rc;
}

static int on_update(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    int rc = find_record(s, r->v[F_msg_id].text, err);
    return rc < 0 ? rc : mongo_queue_merge(s, r, false, err);
}

/* A document's streams are written whole: what is there is fetched first. */
static int fetch_streams(struct mongo_store *s, struct slice id, struct pending_entry **ret,
                         struct ersa_error *err)
{
    uint32_t streams = STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    struct store_record rec = {.set = 0};
    int rc = mongo_fetch(s, id, streams, &rec, err);
    if (rc < 0)
        return rc;
    *ret = pending_entry(&s->pending, id, false);
    rec.set &= streams;
    return *ret && pending_merge(&s->pending, *ret, &rec) == 0
               ? 0
               : err_set(err, ERSA_ENOMEM, "out of memory");
}

static int on_append(struct store *st, struct slice msg_id, enum store_field f,
                     struct slice text, struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    uint32_t streams = STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    if (f != F_stdout && f != F_stderr)
        return err_set(err, ERSA_EINVAL, "not a stream");
    keep_free(&s->kept);
    if (accounts_find(&s->accounts, msg_id))
        return 0; /* output is payload */
    struct pending_entry *e = pending_find(&s->pending, msg_id);
    int rc = 0;
    if (!e || (!e->creates && (e->rec.set & streams) != streams))
        rc = fetch_streams(s, msg_id, &e, err);
    if (rc == 0)
        rc = pending_append(&s->pending, e, f, text);
    if (rc < 0)
        return rc == ERSA_EFULL
                   ? err_set(err, rc, "output was not added: %s", ersa_strerror(rc))
                   : rc;
    mongo_queue_bound(s);
    return 0;
}

static int on_history(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                      struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    const bson_t *doc;
    bson_iter_t it;
    if (mongo_queue_write(s, err) < 0)
        return ERSA_ETIMEDOUT;
    bson_t *filter = BCON_NEW("submitted", "{", "$ne", BCON_NULL, "}");
    bson_t *opts = BCON_NEW("sort", "{", "submitted", BCON_INT32(1), MONGO_FINE ".submitted",
                            BCON_INT32(1), "_id", BCON_INT32(1), "}", "projection", "{",
                            "msg_id", BCON_INT32(1), "_id", BCON_INT32(0), "}");
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(s->collection, filter, opts, NULL);
    while (mongoc_cursor_next(cursor, &doc)) {
        uint32_t len;
        if (bson_iter_init_find(&it, doc, "msg_id") && BSON_ITER_HOLDS_UTF8(&it)) {
            const char *id = bson_iter_utf8(&it, &len);
            fn(ctx, (struct slice){id, len});
        }
    }
    bson_destroy(filter);
    bson_destroy(opts);
    return mongo_end_cursor(cursor, 0, err);
}

static int on_find(struct store *st, const struct store_query *q, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err)
{
    struct mongo_store *s = mongo_of(st);
    bson_t filter = BSON_INITIALIZER, *opts;
    int rc = mongo_queue_write(s, err);
    if (rc == 0 && !query_bson(&filter, q))
        rc = err_set(err, ERSA_EFULL, "the query is too large");
    if (rc < 0) {
        bson_destroy(&filter);
        return rc;
    }
    opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    mongo_projection(opts, fields | store_query_fields(q));
    rc = mongo_walk(s, &filter, opts, fields, q, fn, ctx, err);
    bson_destroy(&filter);
    bson_destroy(opts);
    return rc;
}

/* Opening and closing */

static void free_store(struct mongo_store *s)
{
    mongo_writer_stop(s->writer);
    keep_free(&s->kept);
    pending_fini(&s->pending);
    accounts_fini(&s->accounts);
    seen_fini(&s->known);
    mongoc_collection_destroy(s->collection);
    mongoc_client_destroy(s->client);
    free(s);
}

static void on_close(struct store *st)
{
    struct mongo_store *s = mongo_of(st);
    size_t n = mongo_queue_end(s);
    if (n)
        log_error("records::%zu task records are lost: MongoDB does not answer", n);
    free_store(s);
}

static const struct store_ops ops = {
    .name = "mongodb",
    .close = on_close,
    .put = on_put,
    .update = on_update,
    .append = on_append,
    .get = mongo_get,
    .get_many = mongo_get_many,
    .drop = mongo_drop,
    .drop_many = mongo_drop_many,
    .history = on_history,
    .find = on_find,
    .tick = on_tick,
};

/* The first contact: whether there is a server, and the indexes. */
static int make_indexes(struct mongo_store *s, const char *database, struct ersa_error *err)
{
    bson_t *command =
        BCON_NEW("createIndexes", BCON_UTF8(MONGO_COLLECTION), "indexes", "[", "{", "key", "{",
                 "msg_id", BCON_INT32(1), "}", "name", BCON_UTF8("msg_id_1"), "unique",
                 BCON_BOOL(true), "}", "{", "key", "{", "submitted", BCON_INT32(1), "}", "name",
                 BCON_UTF8("submitted_1"), "}", "]");
    bson_error_t error;
    bool ok =
        mongoc_client_write_command_with_opts(s->client, database, command, NULL, NULL, &error);
    bson_destroy(command);
    return ok ? 0 : err_set(err, ERSA_EIO, "MongoDB: %s", error.message);
}

static void limit_waiting(mongoc_uri_t *uri)
{
    static const char *const names[] = {MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                        MONGOC_URI_CONNECTTIMEOUTMS,
                                        MONGOC_URI_SOCKETTIMEOUTMS};
    for (int i = 0; i < 3; i++)
        if (!mongoc_uri_has_option(uri, names[i]))
            mongoc_uri_set_option_as_int32(uri, names[i], TIMEOUT_MS);
}

/* The library shows its counters in shared memory from the moment it is loaded, whatever the
 * store is. Nobody looks at ours, and a process that is killed would leave the name behind. */
__attribute__((constructor)) static void hide_counters(void)
{
    char name[32];
    snprintf(name, sizeof(name), "/mongoc-%d", (int)getpid());
    shm_unlink(name);
}

/* It can't be started again once it was cleaned up. */
static pthread_once_t library = PTHREAD_ONCE_INIT;

/* What the library has to say goes to our log. */
static void on_log(mongoc_log_level_t level, const char *domain, const char *message, void *ctx)
{
    if (level <= MONGOC_LOG_LEVEL_WARNING)
        log_warn("records::MongoDB: %s", message);
    else
        log_debug("records::MongoDB: %s: %s", domain, message);
}

static void start_library(void)
{
    mongoc_log_set_handler(on_log, NULL);
    mongoc_init();
    atexit(mongoc_cleanup);
}

int store_mongo_open(struct store **ret, const struct store_mongo_config *cfg,
                     struct ersa_error *err)
{
    bson_error_t error;
    struct mongo_store *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    pthread_once(&library, start_library);
    s->base.ops = &ops;
    s->base.pending = &s->pending;
    s->accounts_max = cfg->waiting_max ? (size_t)cfg->waiting_max : WAITING_MAX;
    pending_init(&s->pending);
    accounts_init(&s->accounts);
    seen_init(&s->known);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(cfg->uri, &error);
    int rc = uri ? 0 : err_set(err, ERSA_EINVAL, "MongoDB: %s", error.message);
    if (rc == 0) {
        limit_waiting(uri);
        s->client = mongoc_client_new_from_uri(uri);
        rc = s->client ? make_indexes(s, cfg->database, err)
                       : err_set(err, ERSA_EINVAL, "MongoDB: the address can't be used");
    }
    if (rc == 0) {
        s->collection =
            mongoc_client_get_collection(s->client, cfg->database, MONGO_COLLECTION);
        rc = mongo_writer_start(&s->writer, uri, cfg->database, &cfg->limits, err);
    }
    if (uri)
        mongoc_uri_destroy(uri);
    if (rc < 0) {
        free_store(s);
        return rc;
    }
    *ret = &s->base;
    return 0;
}
