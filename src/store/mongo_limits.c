/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes when a collection holds too many records, too many octets or records that are too
 * old. Records have the order of their `_id`s: what is done goes first (and what was never
 * requested), then the oldest, never the newest. */
#include "store/mongo_impl.h"
#include "util/clock.h"
#include "util/log.h"

#define OID_TIME_OCTETS 4

/* Takes the selector; how many went. */
static int64_t delete_where(mongoc_collection_t *c, bson_t *selector)
{
    bson_error_t error;
    bson_t reply;
    bson_iter_t it;
    int64_t n = 0;
    if (!mongoc_collection_delete_many(c, selector, NULL, &reply, &error))
        log_debug("records::old task records are not dropped: %s", error.message);
    else if (bson_iter_init_find(&it, &reply, "deletedCount"))
        n = bson_iter_as_int64(&it);
    bson_destroy(&reply);
    bson_destroy(selector);
    return n;
}

/* The id of the record that has `skip` older ones of its kind, or with -1 of the newest; false:
 * none. */
static bool find_boundary(mongoc_collection_t *c, const bson_t *kind, int64_t skip,
                          bson_oid_t *ret)
{
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(skip < 0 ? -1 : 1), "}", "skip",
                            BCON_INT64(skip < 0 ? 0 : skip), "limit", BCON_INT64(1),
                            "projection", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, kind, opts, NULL);
    const bson_t *doc;
    bson_iter_t it;
    bool found = mongoc_cursor_next(cursor, &doc) && bson_iter_init_find(&it, doc, "_id") &&
                 BSON_ITER_HOLDS_OID(&it);
    if (found)
        bson_oid_copy(bson_iter_oid(&it), ret);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    return found;
}

/* Up to `n` of this kind, but not the newest record of all. */
static int64_t delete_oldest(mongoc_collection_t *c, const bson_t *kind, int64_t n)
{
    bson_t all = BSON_INITIALIZER;
    bson_oid_t boundary;
    if (n < 1 ||
        (!find_boundary(c, kind, n, &boundary) && !find_boundary(c, &all, -1, &boundary)))
        return 0;
    bson_t *selector = bson_copy(kind);
    bson_t *below = BCON_NEW("$lt", BCON_OID(&boundary));
    bson_append_document(selector, "_id", -1, below);
    bson_destroy(below);
    return delete_where(c, selector);
}

/* Octets of all documents, and how many there are. */
static bool measure(mongoc_collection_t *c, double *ret_bytes, double *ret_n)
{
    bson_t *command = BCON_NEW("collStats", BCON_UTF8(MONGO_COLLECTION)), reply;
    bson_iter_t it;
    bson_error_t error;
    bool ok = mongoc_collection_command_simple(c, command, NULL, &reply, &error);
    *ret_bytes = *ret_n = 0;
    if (ok && bson_iter_init_find(&it, &reply, "size"))
        *ret_bytes = (double)bson_iter_as_int64(&it);
    if (ok && bson_iter_init_find(&it, &reply, "count"))
        *ret_n = (double)bson_iter_as_int64(&it);
    bson_destroy(&reply);
    bson_destroy(command);
    return ok;
}

/* What has no date was never requested, and is as old as its id. */
static void delete_aged(mongoc_collection_t *c, int64_t max_age_s)
{
    int64_t since_ms = clock_utc_us() / 1000 - max_age_s * 1000;
    uint8_t octets[12] = {0};
    bson_oid_t id;
    for (int i = 0; i < OID_TIME_OCTETS; i++)
        octets[i] = (uint8_t)(since_ms / 1000 >> 8 * (OID_TIME_OCTETS - 1 - i));
    bson_oid_init_from_data(&id, octets);
    delete_where(c, BCON_NEW("submitted", "{", "$lt", BCON_DATE_TIME(since_ms), "}"));
    delete_where(c, BCON_NEW("submitted", BCON_NULL, "_id", "{", "$lt", BCON_OID(&id), "}"));
}

void mongo_keep_limits(mongoc_collection_t *c, const struct store_limits *l)
{
    double bytes, n, kept = 1 - l->cull, drop = 0;
    if (l->max_age_s)
        delete_aged(c, l->max_age_s);
    if ((!l->records && !l->bytes) || !measure(c, &bytes, &n))
        return;
    if (l->records && n > (double)l->records)
        drop = n - kept * (double)l->records;
    if (l->bytes && bytes > (double)l->bytes &&
        n * (1 - kept * (double)l->bytes / bytes) > drop)
        drop = n * (1 - kept * (double)l->bytes / bytes);
    if (drop < 1)
        return;
    bson_t any = BSON_INITIALIZER;
    bson_t *done = BCON_NEW("$or", "[", "{", "completed", "{", "$ne", BCON_NULL, "}", "}", "{",
                            "submitted", BCON_NULL, "}", "]");
    int64_t gone = delete_oldest(c, done, (int64_t)drop);
    delete_oldest(c, &any, (int64_t)drop - gone);
    bson_destroy(done);
}
