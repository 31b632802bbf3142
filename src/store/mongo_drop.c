/* SPDX-License-Identifier: BSD-3-Clause */
/* Records that are dropped because somebody asks for it: from the server and from what waits.
 * Many go by a few commands, since the records thread waits for each. */
#include "store/mongo_impl.h"
#include "util/err.h"

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

int mongo_drop_many(struct store *st, const struct slice *ids, size_t n, struct ersa_error *err)
{
    struct mongo_store *s = (struct mongo_store *)st;
    bson_error_t error;
    keep_free(&s->kept);
    if (n && !mongo_writer_wait(s->writer, MONGO_ANSWER_MS))
        return err_set(err, ERSA_ETIMEDOUT, "MongoDB does not answer");
    while (n) {
        bson_t filter = BSON_INITIALIZER;
        size_t some = mongo_ids(&filter, ids, n);
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
