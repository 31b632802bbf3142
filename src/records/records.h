/* SPDX-License-Identifier: BSD-3-Clause */
/* The records thread: owns the store, hears of every task through a ring, and answers the
 * queries that need records. The router mails what happened before it sends the reply, and this
 * thread drains its ring before each query: a client never asks about what records has not
 * heard of; where that can't be, because the store is full, it is told so. */
#ifndef ERSA_RECORDS_RECORDS_H
#define ERSA_RECORDS_RECORDS_H

#include "loop/loop.h"
#include "loop/ring.h"
#include "stats/desk.h"
#include "store/mail.h"
#include "store/store.h"

struct records;

/* `in` carries router's mail (struct mail), `aside` the queries that come while `in` is
 * stalled, `out` answers. */
struct records_rings {
    struct ring *in, *aside, *out;
};

/* Starts the thread. Takes the store. The rings are borrowed, and so is `stats` (NULL: nobody
 * asks for figures). */
int records_start(struct records **ret, struct store *st, const struct records_rings *rings,
                  struct stats_desk *stats, struct ersa_error *err);
/* Drains what was mailed, closes the store, joins the thread. */
void records_stop(struct records *r);

#endif
