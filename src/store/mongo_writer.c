/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread with a connection of its own. A batch is tried until the server has taken or
 * refused each of its changes; they say what a record shall be, so that doing one twice does no
 * harm. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/mongo_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define RETRY_MS 1000
#define LIMITS_MS 5000
#define END_MS 5000 /* for what is left at the end */
#define PROBES \
    16 /* changes that are tried one by one before it is believed that none is taken */
#define TRIES 10
#define PROBE_COLLECTION "ersa_probe"

struct mongo_writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    mongoc_client_t *client;
    mongoc_collection_t *collection;
    char *database; /* owned */
    struct store_limits limits;
    int64_t limits_ms; /* when they are looked at next */
    unsigned tries;    /* of this batch, which the server answers and does not take */

    /* under the lock */
    struct mongo_change *batch; /* owned; NULL: idle */
    size_t n;
    bool stop, is_failing;
    uint64_t lost;
    struct ersa_error err;
};

static void wait_until_ms(struct mongo_writer *w, int64_t until)
{
    struct timespec t = {until / 1000, until % 1000 * 1000000};
    pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

/* Writing */

/* How many of so many found their record, or made it. */
static int64_t count_found(const bson_t *reply)
{
    static const char *const names[] = {"nMatched", "nUpserted"};
    bson_iter_t it;
    int64_t n = 0;
    for (int i = 0; i < 2; i++)
        if (bson_iter_init_find(&it, reply, names[i]))
            n += bson_iter_as_int64(&it);
    return n;
}

/* How many were refused; -1: the server has not answered. */
static int64_t count_refused(const bson_t *reply)
{
    bson_iter_t it, inner;
    int64_t n = 0;
    if (!bson_iter_init_find(&it, reply, "writeErrors") || !bson_iter_recurse(&it, &inner))
        return -1;
    while (bson_iter_next(&inner))
        n++;
    return n ? n : -1;
}

/* How many were refused, or found no record any more; -1: the server has not answered. */
static int64_t write_batch(struct mongo_writer *w, const struct mongo_change *batch, size_t n,
                           bson_error_t *error)
{
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false)), reply;
    /* The library would refuse empty keys, which servers take. */
    bson_t *update = BCON_NEW("validate", BCON_BOOL(false));
    bson_t *upsert = BCON_NEW("upsert", BCON_BOOL(true), "validate", BCON_BOOL(false));
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(w->collection, opts);
    int64_t refused = 0;
    for (size_t i = 0; i < n; i++)
        if (!mongoc_bulk_operation_update_one_with_opts(
                bulk, batch[i].selector, batch[i].update, batch[i].creates ? upsert : update,
                error))
            refused++;
    if (refused < (int64_t)n) {
        bool ok = mongoc_bulk_operation_execute(bulk, &reply, error);
        int64_t more = ok ? 0 : count_refused(&reply);
        int64_t gone = (int64_t)n - refused - more - count_found(&reply);
        if (more == 0 && gone > 0)
            bson_set_error(error, MONGOC_ERROR_COLLECTION,
                           MONGOC_ERROR_COLLECTION_UPDATE_FAILED,
                           "%lld changed records are gone from the server", (long long)gone);
        refused = more < 0 ? -1 : refused + more + (gone > 0 ? gone : 0);
        bson_destroy(&reply);
    }
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(update);
    bson_destroy(upsert);
    bson_destroy(opts);
    return refused;
}

/* The server has answered: trying again alone won't help. */
static bool is_answer(const bson_error_t *error)
{
    return error->domain != MONGOC_ERROR_STREAM &&
           error->domain != MONGOC_ERROR_SERVER_SELECTION;
}

/* Whether it takes anything: a document of a collection beside. One that is out of room, or
 * whose user may only read, refuses that as well. */
static bool takes_changes(struct mongo_writer *w)
{
    mongoc_collection_t *beside =
        mongoc_client_get_collection(w->client, w->database, PROBE_COLLECTION);
    bson_t *selector = BCON_NEW("_id", BCON_INT32(0));
    bson_t *update = BCON_NEW("$inc", "{", "tried", BCON_INT32(1), "}");
    bson_t *upsert = BCON_NEW("upsert", BCON_BOOL(true));
    bool ok = mongoc_collection_update_one(beside, selector, update, upsert, NULL, NULL);
    if (ok)
        mongoc_collection_delete_one(beside, selector, NULL, NULL, NULL);
    mongoc_collection_destroy(beside);
    bson_destroy(selector);
    bson_destroy(update);
    bson_destroy(upsert);
    return ok;
}

/* The server refuses a batch as a whole, so each change is tried alone: those that it refuses
 * while it takes others must not keep the rest waiting. Where it takes none it may be out of
 * order: next time it is others that are tried first, and after TRIES all of them, if it takes
 * something else by then. */
static int64_t write_singly(struct mongo_writer *w, const struct mongo_change *batch, size_t n,
                            bson_error_t *error)
{
    size_t first = (size_t)w->tries * PROBES % n;
    int64_t refused = 0;
    bool takes = w->tries >= TRIES && takes_changes(w);
    w->tries++;
    for (size_t i = 0; i < n; i++) {
        bson_error_t reason = {0};
        int64_t one = write_batch(w, &batch[(first + i) % n], 1, &reason);
        if (one)
            *error = reason;
        if (one < 0 && !is_answer(&reason))
            return -1;
        takes |= one >= 0;
        refused += one != 0;
        if (!takes && i + 1 == PROBES)
            return -1;
    }
    return takes ? refused : -1;
}

static void free_batch(struct mongo_change *batch, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mongo_change_free(&batch[i]);
    free(batch);
}

/* With the lock; returns with it. */
static void serve_batch(struct mongo_writer *w)
{
    struct mongo_change *batch = w->batch;
    size_t n = w->n;
    bson_error_t error = {0};
    pthread_mutex_unlock(&w->lock);
    int64_t refused = write_batch(w, batch, n, &error);
    if (refused < 0 && is_answer(&error))
        refused = write_singly(w, batch, n, &error);
    if (refused >= 0) {
        free_batch(batch, n);
        w->tries = 0;
    }
    pthread_mutex_lock(&w->lock);
    if (refused)
        err_set(&w->err, ERSA_EIO, "MongoDB: %s", error.message);
    if (refused < 0) {
        w->is_failing = true;
        pthread_cond_broadcast(&w->changed);
        wait_until_ms(w, clock_mono_ms() + RETRY_MS);
        return;
    }
    if (w->is_failing)
        log_info("records::task records are written again");
    w->is_failing = false;
    w->lost += (uint64_t)refused;
    w->batch = NULL;
    pthread_cond_broadcast(&w->changed);
}

/* The thread */

static void *run(void *arg)
{
    struct mongo_writer *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stop || (w->batch && !w->is_failing)) {
        if (w->batch) {
            serve_batch(w);
        } else if (clock_mono_ms() >= w->limits_ms) {
            pthread_mutex_unlock(&w->lock);
            mongo_keep_limits(w->collection, &w->limits);
            pthread_mutex_lock(&w->lock);
            w->limits_ms = clock_mono_ms() + LIMITS_MS;
        } else {
            wait_until_ms(w, w->limits_ms);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

bool mongo_writer_is_idle(struct mongo_writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool idle = !w->batch;
    pthread_mutex_unlock(&w->lock);
    return idle;
}

void mongo_writer_give(struct mongo_writer *w, struct mongo_change *changes, size_t n)
{
    pthread_mutex_lock(&w->lock);
    w->batch = changes;
    w->n = n;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

bool mongo_writer_wait(struct mongo_writer *w, int ms)
{
    int64_t until = clock_mono_ms() + ms;
    pthread_mutex_lock(&w->lock);
    while (w->batch && !w->is_failing && clock_mono_ms() < until)
        wait_until_ms(w, until);
    bool idle = !w->batch;
    pthread_mutex_unlock(&w->lock);
    return idle;
}

uint64_t mongo_writer_lost(struct mongo_writer *w, struct ersa_error *err)
{
    pthread_mutex_lock(&w->lock);
    uint64_t lost = w->lost;
    w->lost = 0;
    *err = w->err;
    w->err.code = 0;
    pthread_mutex_unlock(&w->lock);
    return lost;
}

int mongo_writer_start(struct mongo_writer **ret, const mongoc_uri_t *uri, const char *database,
                       const struct store_limits *limits, struct ersa_error *err)
{
    struct mongo_writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;
    if (!w)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    w->limits = *limits;
    w->database = strdup(database);
    w->client = w->database ? mongoc_client_new_from_uri(uri) : NULL;
    w->collection =
        w->client ? mongoc_client_get_collection(w->client, database, MONGO_COLLECTION) : NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!w->collection || pthread_create(&w->thread, NULL, run, w) != 0) {
        mongoc_collection_destroy(w->collection);
        mongoc_client_destroy(w->client);
        free(w->database);
        free(w);
        return err_set(err, ERSA_EIO, "the thread that writes to MongoDB was not started");
    }
    *ret = w;
    return 0;
}

void mongo_writer_stop(struct mongo_writer *w)
{
    if (!w)
        return;
    mongo_writer_wait(w, END_MS);
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    if (w->batch) {
        log_error("records::%zu task records are lost: %s", w->n, w->err.text);
        free_batch(w->batch, w->n);
    }
    mongoc_collection_destroy(w->collection);
    mongoc_client_destroy(w->client);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->database);
    free(w);
}
