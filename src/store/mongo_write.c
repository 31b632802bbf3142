/* SPDX-License-Identifier: BSD-3-Clause */
/* A batch of changes is written, as one command; one that the server refuses as a whole change
 * by change. Given up is what it refuses while it takes others, never what it refuses because
 * it is out of order: the two are told apart by what it takes before and after. */
#include <string.h>

#include "store/mongo_impl.h"

#define PROBES \
    16 /* changes that are tried one by one before it is believed that none is taken */
#define TRIES 10
#define PROBE_COLLECTION "ersa_probe"

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

/* Codes of a server that is out of order, where others are of a change that is. */
static bool is_of_server(int64_t code)
{
    static const int16_t codes[] = {
        13,    /* Unauthorized */
        91,    /* ShutdownInProgress */
        189,   /* PrimarySteppedDown */
        10107, /* NotWritablePrimary */
        11600, /* InterruptedAtShutdown */
        11602, /* InterruptedDueToReplStateChange */
        14031, /* OutOfDiskSpace */
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (code == codes[i])
            return true;
    return false;
}

/* How many were refused; -1: the server has not answered, or is out of order. */
static int64_t count_refused(const bson_t *reply)
{
    bson_iter_t it, inner, code;
    int64_t n = 0;
    if (!bson_iter_init_find(&it, reply, "writeErrors") || !bson_iter_recurse(&it, &inner))
        return -1;
    for (; bson_iter_next(&inner); n++)
        if (bson_iter_recurse(&inner, &code) && bson_iter_find(&code, "code") &&
            is_of_server(bson_iter_as_int64(&code)))
            return -1;
    return n ? n : -1;
}

/* How many were refused, or found no record any more; -1: the server has not answered, or not
 * for each. */
static int64_t write_batch(struct mongo_target *to, const struct mongo_change *batch, size_t n,
                           bson_error_t *error)
{
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false)), reply;
    /* The library would refuse empty keys, which servers take. */
    bson_t *update = BCON_NEW("validate", BCON_BOOL(false));
    bson_t *upsert = BCON_NEW("upsert", BCON_BOOL(true), "validate", BCON_BOOL(false));
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(to->collection, opts);
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
static bool takes_changes(struct mongo_target *to)
{
    mongoc_collection_t *beside =
        mongoc_client_get_collection(to->client, to->database, PROBE_COLLECTION);
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

/* Each change of the batch that is open is tried alone. Those that are taken are open no more;
 * how many are, or -1: the server has not answered, or takes none and is not known to be in
 * order. */
static int64_t try_each(struct mongo_target *to, struct mongo_change *batch, size_t n,
                        bool is_in_order, bson_error_t *error)
{
    size_t first = (size_t)to->tries * PROBES % n;
    int64_t open = 0;
    for (size_t i = 0; i < n; i++) {
        struct mongo_change *c = &batch[(first + i) % n];
        bson_error_t reason = {0};
        if (!c->is_open)
            continue;
        int64_t one = write_batch(to, c, 1, &reason);
        if (one)
            *error = reason;
        if (one < 0 && !is_answer(&reason))
            return -1;
        c->is_open = one != 0;
        is_in_order |= one >= 0;
        open += c->is_open;
        if (!is_in_order && i + 1 == PROBES)
            return -1;
    }
    return is_in_order ? open : -1;
}

/* By something that it has taken before, if there is any: a user may have no right to more. */
static bool is_still_in_order(struct mongo_target *to, const struct mongo_change *batch,
                              size_t n)
{
    bson_error_t error;
    for (size_t i = 0; i < n; i++)
        if (!batch[i].is_open)
            return write_batch(to, &batch[i], 1, &error) == 0;
    return takes_changes(to);
}

/* Where it takes none it may be out of order: next time it is others that are tried first, and
 * after TRIES all of them, if it takes something else by then. What it refused may have come
 * before it was in order again, so that is tried once more, and counts if it takes others even
 * after that. */
static int64_t write_singly(struct mongo_target *to, struct mongo_change *batch, size_t n,
                            bson_error_t *error)
{
    bool is_in_order = to->tries >= TRIES && takes_changes(to);
    for (size_t i = 0; i < n; i++)
        batch[i].is_open = true;
    int64_t open = try_each(to, batch, n, is_in_order, error);
    if (open > 0)
        open = try_each(to, batch, n, true, error);
    if (open > 0 && !is_still_in_order(to, batch, n))
        open = -1;
    to->tries++;
    return open;
}

int64_t mongo_write(struct mongo_target *to, struct mongo_change *batch, size_t n,
                    bson_error_t *error)
{
    int64_t refused = write_batch(to, batch, n, error);
    if (refused < 0 && is_answer(error))
        refused = write_singly(to, batch, n, error);
    if (refused >= 0)
        to->tries = 0;
    return refused;
}
