/* SPDX-License-Identifier: BSD-3-Clause */
/* Queries and files while the store is full: then the ring is not read, but who asks gets an
 * answer at once, and files are written, which may be on another disk. What is in the ring
 * already is looked through at each tick, queries that come later are sent aside. Nothing of
 * the ring has been heard of, so only what this life's tables and the store know for certain is
 * answered (query.c); the rest is told why, and to ask again. */
#include "records/hold.h"

#include "records/query.h"

void hold_answer(struct records *r)
{
    struct mail *m;
    if (!r->is_held || r->stopping)
        return;
    for (; r->n_stuck == 0 && (m = ring_at(r->in, r->n_looked)); r->n_looked++) {
        if (m->type != MAIL_QUERY && m->type != MAIL_FILE)
            continue;
        if (m->type == MAIL_QUERY)
            query_on_mail(r, m);
        else
            file_on_mail(r, m);
        m->type = MAIL_DONE;
    }
}

/* What was sent aside may come when the ring is read again, before what it was to come after:
 * it is answered as if the store were full still. */
void hold_on_aside(void *ctx, void *item)
{
    struct records *r = ctx;
    bool is_held = r->is_held;
    r->is_held = true;
    query_on_mail(r, item);
    r->is_held = is_held;
    mail_free(item);
}
