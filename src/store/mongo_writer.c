/* SPDX-License-Identifier: BSD-3-Clause */
/* One thread with a connection of its own. A batch is tried until the server has taken or
 * refused each of its changes; they say what a record shall be, so that doing one twice does no
 * harm. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/mongo_impl.h"
#include "util/background.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define RETRY_MS 1000
#define LIMITS_MS 5000
#define END_MS 5000 /* for what is left at the end */

struct mongo_writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct mongo_target to;
    struct store_limits limits;
    int64_t limits_ms; /* when they are looked at next */

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

/* Batches */

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
    int64_t refused = mongo_write(&w->to, batch, n, &error);
    if (refused >= 0)
        free_batch(batch, n);
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
    background("mongodb");
    pthread_mutex_lock(&w->lock);
    while (!w->stop || (w->batch && !w->is_failing)) {
        if (w->batch) {
            serve_batch(w);
        } else if (clock_mono_ms() >= w->limits_ms) {
            pthread_mutex_unlock(&w->lock);
            mongo_keep_limits(w->to.collection, &w->limits);
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
    w->to.database = strdup(database);
    w->to.client = w->to.database ? mongoc_client_new_from_uri(uri) : NULL;
    w->to.collection =
        w->to.client ? mongoc_client_get_collection(w->to.client, database, MONGO_COLLECTION)
                     : NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!w->to.collection || pthread_create(&w->thread, NULL, run, w) != 0) {
        mongoc_collection_destroy(w->to.collection);
        mongoc_client_destroy(w->to.client);
        free(w->to.database);
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
    mongoc_collection_destroy(w->to.collection);
    mongoc_client_destroy(w->to.client);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->to.database);
    free(w);
}
