/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits for the thread that writes, in three steps: whole records, merged (pending.h);
 * beyond lag_bytes() records without buffers; beyond records_max() the oldest ones as accounts
 * (accounts.h). With more than `accounts_max` of these the store says that it is full, so that
 * nobody makes more. Then everything is written when the server is back.
 *
 * Records reads no more while the store is full, but for the controller's own end: beyond twice
 * that bound changes are lost and counted. */
#include <stdlib.h>

#include "store/mongo_impl.h"
#include "util/clock.h"
#include "util/err.h"

#define BATCH_MAX 5000
#define LAST_MS 30000 /* at the end, as long as the server takes something every ANSWER_MS */

static size_t records_max(const struct mongo_store *s)
{
    return s->accounts_max / 2;
}

static size_t lag_bytes(const struct mongo_store *s)
{
    return s->accounts_max / 4;
}

static bool is_empty(const struct mongo_store *s)
{
    return map_size(&s->pending.by_id) == 0 && map_size(&s->accounts.by_id) == 0;
}

static void count_accounts(struct mongo_store *s)
{
    s->base.n_accounts = map_size(&s->accounts.by_id);
    s->base.account_bytes = s->accounts.bytes;
    if (s->base.account_bytes > s->accounts_max)
        s->base.is_full = true;
    else if (s->base.account_bytes <= s->accounts_max / 4 * 3)
        s->base.is_full = false; /* not for a batch's worth of room only */
}

/* Batches */

static void count_stripped(struct mongo_store *s, struct pending_entry *e)
{
    s->base.counts.stripped += !e->stripped;
    e->stripped = true;
}

static size_t take_accounts(struct mongo_store *s, struct mongo_change *batch)
{
    struct account *row;
    struct pending_entry e;
    size_t n = 0;
    while (n < BATCH_MAX && (row = accounts_first(&s->accounts))) {
        accounts_show(row, &e);
        bool ok = mongo_change(&batch[n], &e);
        n += ok;
        s->base.counts.lost += !ok;
        accounts_drop(&s->accounts, row);
    }
    count_accounts(s);
    return n;
}

static size_t take_records(struct mongo_store *s, struct mongo_change *batch, size_t n,
                           int64_t now, bool all)
{
    struct pending_entry *e;
    while (n < BATCH_MAX && (e = pending_due(&s->pending, now, all))) {
        bool ok = mongo_change(&batch[n], e);
        if (!ok) {
            pending_strip(&e->rec);
            count_stripped(s, e);
            ok = mongo_change(&batch[n], e);
        }
        n += ok;
        s->base.counts.lost += !ok;
        pending_drop(&s->pending, e);
    }
    return n;
}

/* Hands the writer the next batch, if it is idle: the accounts are what is oldest. */
static void give_batch(struct mongo_store *s, bool all)
{
    int64_t now = clock_mono_ms();
    if (!mongo_writer_is_idle(s->writer) ||
        (!accounts_first(&s->accounts) && !pending_due(&s->pending, now, all)))
        return;
    struct mongo_change *batch = calloc(BATCH_MAX, sizeof(*batch));
    if (!batch)
        return;
    size_t n = take_accounts(s, batch);
    n = take_records(s, batch, n, now, all);
    if (n)
        mongo_writer_give(s->writer, batch, n);
    else
        free(batch);
}

int mongo_queue_write(struct mongo_store *s, struct ersa_error *err)
{
    int64_t until = clock_mono_ms() + MONGO_ANSWER_MS;
    do {
        if (!mongo_writer_wait(s->writer, (int)(until - clock_mono_ms())))
            return err_set(err, ERSA_ETIMEDOUT, "MongoDB does not answer");
        give_batch(s, true);
    } while (!is_empty(s) || !mongo_writer_is_idle(s->writer));
    return 0;
}

size_t mongo_queue_end(struct mongo_store *s)
{
    int64_t until = clock_mono_ms() + LAST_MS;
    while (mongo_writer_wait(s->writer, MONGO_ANSWER_MS) && !is_empty(s) &&
           clock_mono_ms() < until)
        give_batch(s, true);
    return map_size(&s->pending.by_id) + map_size(&s->accounts.by_id);
}

int mongo_queue_tick(struct mongo_store *s)
{
    give_batch(s, false);
    return !is_empty(s) || !mongo_writer_is_idle(s->writer);
}

/* Bounds */

/* The oldest record becomes its accounts. */
static void reduce(struct mongo_store *s, struct pending_entry *e)
{
    if (s->accounts.bytes > 2 * s->accounts_max || !accounts_add(&s->accounts, e))
        s->base.counts.lost++;
    else
        count_stripped(s, e);
    pending_drop(&s->pending, e);
}

void mongo_queue_bound(struct mongo_store *s)
{
    struct pending_entry *e;
    if (s->pending.bytes > lag_bytes(s) / 2)
        give_batch(s, s->pending.bytes > records_max(s));
    while (s->pending.bytes > records_max(s) && (e = pending_due(&s->pending, 0, true)))
        reduce(s, e);
    count_accounts(s);
}

static int merge_record(struct mongo_store *s, struct pending_entry *e,
                        const struct store_record *r)
{
    struct store_record copy = *r;
    if (s->pending.bytes > lag_bytes(s) && r->set & STORE_BUFFERS) {
        pending_strip(&copy);
        count_stripped(s, e);
    }
    return pending_merge(&s->pending, e, &copy);
}

int mongo_queue_merge(struct mongo_store *s, const struct store_record *r, bool creates,
                      struct ersa_error *err)
{
    struct slice id = r->v[F_msg_id].text;
    struct account *row = accounts_find(&s->accounts, id);
    struct pending_entry *e = row ? NULL : pending_entry(&s->pending, id, creates);
    int rc = ERSA_ENOMEM;
    if (row)
        rc = accounts_merge(&s->accounts, row, r, creates);
    else if (e)
        rc = merge_record(s, e, r);
    mongo_queue_bound(s);
    return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

bool mongo_queue_drop(struct mongo_store *s, struct slice id)
{
    struct account *row = accounts_find(&s->accounts, id);
    struct pending_entry *e = pending_find(&s->pending, id);
    if (row)
        accounts_drop(&s->accounts, row);
    if (e)
        pending_drop(&s->pending, e);
    count_accounts(s);
    return row || e;
}
