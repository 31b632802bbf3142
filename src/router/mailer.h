/* SPDX-License-Identifier: BSD-3-Clause */
/* Mail to the records thread (store/mail.h). When its ring is full, mail waits here in order,
 * and whoever caused it is not read until there is room again: nothing is lost and nothing
 * grows. Who submits is held back from half of the ring on, so that engines go on with what
 * there is. Queries don't wait where records takes nothing: they go aside. */
#ifndef ERSA_ROUTER_MAILER_H
#define ERSA_ROUTER_MAILER_H

#include "loop/loop.h"
#include "loop/ring.h"
#include "store/mail.h"
#include "util/list.h"

struct router;
struct link;

struct mailer {
    struct ring *ring;  /* borrowed */
    struct ring *aside; /* borrowed; for queries while `ring` is stalled; NULL: they wait */
    struct defer flush;
    struct timer nudge;
    size_t low_room;       /* with less, the reader is woken at once */
    struct mail **waiting; /* owned array of owned mail, from `first` on */
    size_t first, n, cap;
    size_t n_queries; /* of those that wait */
    struct timer retry;
    struct list paused, submitters; /* links that wait for room, and for more of it */
    struct mail_pages pages;
    uint64_t posted;
    uint64_t lost; /* for want of memory */
};

void mailer_start(struct router *r, struct ring *to_records, struct ring *aside);
void mailer_stop(struct router *r);

/* Copies small frames, refers to large ones. `source` (may be NULL) is held back while records
 * is behind. 0 or ERSA_ENOMEM: lost and counted. */
int mailer_post(struct router *r, const struct letter *letter, struct link *source);
#endif
