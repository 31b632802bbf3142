/* SPDX-License-Identifier: BSD-3-Clause */
/* What the records thread tells about itself when it is asked (stats/desk.h). */
#include "records/core.h"
#include "stats/sheet.h"
#include "store/pending.h"
#include "util/clock.h"

/* The age of what is heard of next. */
static double lag(const struct records *r)
{
    const struct mail *next = ring_peek(r->in);
    int64_t us = next ? clock_utc_us() - next->now_us : 0;
    return us > 0 ? (double)us / 1e6 : 0;
}

void report_fill(void *ctx, struct stats_sheet *s)
{
    const struct records *r = ctx;
    const struct pending *p = r->st->pending;
    stats_put_label(s, STATS_STORE, r->st->ops->name, 1);
    stats_put(s, STATS_STORE_EVENTS, (double)r->n_heard);
    stats_put(s, STATS_STORE_LAG, lag(r));
    stats_put(s, STATS_STORE_PENDING,
              (double)((p ? map_size(&p->by_id) : 0) + r->st->n_accounts));
    stats_put(s, STATS_STORE_PENDING_BYTES,
              (double)((p ? p->bytes : 0) + r->st->account_bytes));
    stats_put(s, STATS_STORE_ACCOUNTS, (double)r->st->n_accounts);
    stats_put(s, STATS_STORE_FULL, r->st->is_full);
    stats_put(s, STATS_STORE_BROKEN, r->st->is_broken);
    stats_put(s, STATS_STORE_FAILED, (double)r->unstored);
    stats_put(s, STATS_STORE_LOST, (double)r->st->counts.lost);
    stats_put(s, STATS_STORE_STRIPPED, (double)r->st->counts.stripped);
    stats_put_thread(s, "records");
}
