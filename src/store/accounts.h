/* SPDX-License-Identifier: BSD-3-Clause */
/* Records that wait for a database, reduced to their accounts: id, dates, who asked, which
 * engine, the outcome; no payload. One small row a record, into which later changes are merged;
 * texts that many rows have in common are kept once. A row of a short task takes about 200
 * octets, so that hundreds of thousands of tasks can wait where their records would not fit. */
#ifndef ERSA_STORE_ACCOUNTS_H
#define ERSA_STORE_ACCOUNTS_H

#include "store/pending.h"
#include "store/store.h"
#include "util/list.h"
#include "util/map.h"

#define ACCOUNTS_OUTCOME_MAX 1024

/* What stays of the content of a result: who succeeded has lost what it returned, who failed
 * keeps its name. It may point into `buf`, or be `content` itself. */
struct slice accounts_outcome(struct slice content, char buf[ACCOUNTS_OUTCOME_MAX]);

struct account;

struct accounts {
    struct map by_id, texts;
    struct list all; /* by creation */
    size_t bytes;    /* of rows and texts */
};

void accounts_init(struct accounts *a);
void accounts_fini(struct accounts *a);

struct account *accounts_find(const struct accounts *a, struct slice id);
/* A row for what waits there, which the caller drops then; NULL when out of memory. There must
 * be none of that id. */
struct account *accounts_add(struct accounts *a, const struct pending_entry *e);
/* What a row has no place for is left out; a result that said "ok" says from then on that it
 * was dropped. 0 or ERSA_ENOMEM. */
int accounts_merge(struct accounts *a, struct account *row, const struct store_record *r,
                   bool creates);
void accounts_drop(struct accounts *a, struct account *row);
/* The oldest; NULL: none. */
struct account *accounts_first(const struct accounts *a);
/* As a change to be written; what it points at is the row's. */
void accounts_show(const struct account *row, struct pending_entry *ret);

#endif
