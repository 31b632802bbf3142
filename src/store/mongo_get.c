/* SPDX-License-Identifier: BSD-3-Clause */
/* Documents are read: one by its id, many by a few commands, since the records thread waits for
 * each of them, or those of a query. */
#include "store/mongo_impl.h"
#include "util/err.h"

/* Octets of ids in one command, well below what a document may have. */
#define IDS_BYTES ((size_t)1 << 20)
#define IDS_MAX 1000

int mongo_end_cursor(mongoc_cursor_t *cursor, int rc, struct ersa_error *err)
{
    bson_error_t error;
    if (rc == 0 && mongoc_cursor_error(cursor, &error))
        rc = err_set(err, ERSA_EIO, "MongoDB: %s", error.message);
    mongoc_cursor_destroy(cursor);
    return rc;
}

int mongo_walk(struct mongo_store *s, const bson_t *filter, const bson_t *opts, uint32_t fields,
               const struct store_query *q, int (*fn)(void *ctx, const struct store_record *r),
               void *ctx, struct ersa_error *err)
{
    const bson_t *doc;
    struct store_record rec;
    int rc = 0;
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(s->collection, filter, opts, NULL);
    while (rc == 0 && mongoc_cursor_next(cursor, &doc)) {
        struct keep *row = NULL, **keep = fields & STORE_BUFFERS ? &s->kept : &row;
        rc = mongo_read(keep, doc, &rec);
        if (rc == ERSA_ENOENT)
            rc = 0;
        else if (rc < 0)
            err_set(err, rc, "out of memory");
        else if (!q || store_query_matches(q, &rec))
            rc = fn(ctx, &rec);
        keep_free(&row);
    }
    return mongo_end_cursor(cursor, rc, err);
}

int mongo_fetch(struct mongo_store *s, struct slice id, uint32_t fields,
                struct store_record *ret, struct ersa_error *err)
{
    bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;
    const bson_t *doc;
    bson_error_t error;
    if (mongo_queue_write(s, err) < 0)
        return ERSA_ETIMEDOUT;
    bson_append_utf8(&filter, "msg_id", -1, id.data, (int)id.len);
    bson_append_int64(&opts, "limit", -1, 1);
    mongo_projection(&opts, fields);
    mongoc_cursor_t *cursor =
        mongoc_collection_find_with_opts(s->collection, &filter, &opts, NULL);
    int rc = mongoc_cursor_next(cursor, &doc) ? mongo_read(&s->kept, doc, ret) : ERSA_ENOENT;
    if (rc == ERSA_ENOENT)
        rc = mongoc_cursor_error(cursor, &error)
                 ? err_set(err, ERSA_EIO, "MongoDB: %s", error.message)
                 : err_set(err, ERSA_ENOENT, "no such record");
    mongoc_cursor_destroy(cursor);
    bson_destroy(&filter);
    bson_destroy(&opts);
    return rc;
}

int mongo_get(struct store *st, struct slice msg_id, uint32_t fields, struct store_record *ret,
              struct ersa_error *err)
{
    struct mongo_store *s = (struct mongo_store *)st;
    const struct pending_entry *e = pending_find(&s->pending, msg_id);
    uint32_t streams = STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    if (e && !(fields & streams) && !(fields & ~e->rec.set)) {
        *ret = e->rec;
        return 0;
    }
    if (fields == 0 && seen_get(&s->known, msg_id) != SEEN_NEVER) {
        *ret = (struct store_record){.set = 0};
        return 0;
    }
    return mongo_fetch(s, msg_id, fields, ret, err);
}

size_t mongo_ids(bson_t *filter, const struct slice *ids, size_t n)
{
    bson_t in, list;
    char key[16];
    const char *k;
    size_t i = 0, bytes = 0;
    bson_append_document_begin(filter, "msg_id", -1, &in);
    bson_append_array_begin(&in, "$in", -1, &list);
    for (; i < n && i < IDS_MAX && bytes < IDS_BYTES; i++) {
        bson_uint32_to_string((uint32_t)i, &k, key, sizeof(key));
        bson_append_utf8(&list, k, -1, ids[i].data, (int)ids[i].len);
        bytes += ids[i].len;
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(filter, &in);
    return i;
}

int mongo_get_many(struct store *st, const struct slice *ids, size_t n, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err)
{
    struct mongo_store *s = (struct mongo_store *)st;
    int rc = n ? mongo_queue_write(s, err) : 0;
    while (n && rc == 0) {
        bson_t filter = BSON_INITIALIZER;
        size_t some = mongo_ids(&filter, ids, n);
        bson_t *opts = BCON_NEW("sort", "{", "msg_id", BCON_INT32(1), "}", "batchSize",
                                BCON_INT32((int32_t)some));
        mongo_projection(opts, fields);
        rc = mongo_walk(s, &filter, opts, fields, NULL, fn, ctx, err);
        bson_destroy(&filter);
        bson_destroy(opts);
        ids += some;
        n -= some;
    }
    return rc;
}
