/* SPDX-License-Identifier: BSD-3-Clause */
/* Records that are dropped because somebody asks for it: from the server and from what waits.
 * Many go by a few commands, since the records thread waits for each. */
#include "store/mongo_impl.h"
#include "util/err.h"

/* Octets of ids in one command, well below what a document may have. */
#define DROP_BYTES ((size_t)1 << 20)
#define DROP_IDS 1000

int mongo_drop(struct store *st, struct slice msg_id, struct ersa_error *err)
{
    struct mongo_store *s = (struct mongo_store *)st;
    bson_t filter = BSON_INITIALIZER, reply;
    bson_error_t error;
    bson_iter_t it;
    keep_free(&s->kept);
    if (!mongo_writer_wait(s->writer, MONGO_ANSWER_MS))
        return err_set(err, ERSA_ETIMEDOUT, "MongoDB does not answer");
    bson_append_utf8(&filter, "msg_id", -1, msg_id.data, (int)msg_id.len);
    bool ok = mongoc_collection_delete_one(s->collection, &filter, NULL, &reply, &error);
    bool found =
        bson_iter_init_find(&it, &reply, "deletedCount") && bson_iter_as_int64(&it) > 0;
    bson_destroy(&reply);
    bson_destroy(&filter);
    if (!ok)
        return err_set(err, ERSA_EIO, "MongoDB: %s", error.message);
    found |= mongo_queue_drop(s, msg_id);
    seen_set(&s->known, msg_id, SEEN_NEVER);
    return found ? 0 : err_set(err, ERSA_ENOENT, "no such record");
}

/* The next ids, as {"msg_id": {"$in": [...]}}; returns how many. */
static size_t put_ids(bson_t *filter, const struct slice *ids, size_t n)
{
    bson_t in, list;
    char key[16];
    const char *k;
    size_t i = 0, bytes = 0;
    bson_append_document_begin(filter, "msg_id", -1, &in);
    bson_append_array_begin(&in, "$in", -1, &list);
    for (; i < n && i < DROP_IDS && bytes < DROP_BYTES; i++) {
        bson_uint32_to_string((uint32_t)i, &k, key, sizeof(key));
        bson_append_utf8(&list, k, -1, ids[i].data, (int)ids[i].len);
        bytes += ids[i].len;
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(filter, &in);
    return i;
}

int mongo_drop_many(struct store *st, const struct slice *ids, size_t n, struct ersa_error *err)
{
    struct mongo_store *s = (struct mongo_store *)st;
    bson_error_t error;
    keep_free(&s->kept);
    if (n && !mongo_writer_wait(s->writer, MONGO_ANSWER_MS))
        return err_set(err, ERSA_ETIMEDOUT, "MongoDB does not answer");
    while (n) {
        bson_t filter = BSON_INITIALIZER;
        size_t some = put_ids(&filter, ids, n);
        bool ok = mongoc_collection_delete_many(s->collection, &filter, NULL, NULL, &error);
        bson_destroy(&filter);
        if (!ok)
            return err_set(err, ERSA_EIO, "MongoDB: %s", error.message);
        for (size_t i = 0; i < some; i++) {
            mongo_queue_drop(s, ids[i]);
            seen_set(&s->known, ids[i], SEEN_NEVER);
        }
        ids += some;
        n -= some;
    }
    return 0;
}
