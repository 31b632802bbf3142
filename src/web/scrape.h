/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the desks on behalf of requests. Whoever joins gets figures that are newer than its
 * joining; those that come together share them, and between two questions are SCRAPE_GAP_MS,
 * so that no number of requests can keep the threads busy. A thread that does not answer in
 * SCRAPE_PATIENCE_MS is not waited for. */
#ifndef ERSA_WEB_SCRAPE_H
#define ERSA_WEB_SCRAPE_H

#include <stdbool.h>

#include "loop/loop.h"
#include "stats/desk.h"
#include "util/list.h"

#define SCRAPE_GAP_MS 10
#define SCRAPE_PATIENCE_MS 1000

struct scrape {
    struct loop *loop;               /* borrowed */
    struct stats_desk *const *desks; /* borrowed */
    unsigned n_desks;
    struct list joined; /* wait for the next question */
    struct list asked;  /* wait for the answers to this one */
    bool is_asking;
    int64_t asked_ns;
    struct timer gap, late;
    void (*done)(void *ctx); /* all of `asked` are to be served, and taken out */
    void *ctx;
};

/* ERSA_EIO, ERSA_ENOMEM. */
int scrape_init(struct scrape *s, struct loop *l, struct stats_desk *const *desks, unsigned n,
                void (*done)(void *ctx), void *ctx);
void scrape_fini(struct scrape *s); /* nobody must wait any more */
/* `waiter` is in one of the two lists from now on. */
void scrape_join(struct scrape *s, struct list *waiter);
/* In done(): the first thread that has not answered the question; NULL: all have. */
const struct stats_desk *scrape_missing(const struct scrape *s);

#endif
