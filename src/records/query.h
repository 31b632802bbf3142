/* SPDX-License-Identifier: BSD-3-Clause */
/* One hub request while it is answered (controller.md 14). A handler writes the content of the
 * reply into `body`, or calls one of the query_fail functions; either way there is one answer.
 */
#ifndef ERSA_RECORDS_QUERY_H
#define ERSA_RECORDS_QUERY_H

#include <jansson.h>

#include "records/core.h"
#include "store/query.h"

struct query {
    struct records *r;
    const struct mail *mail;
    struct parts parts;
    json_t *content; /* owned; an object */
    const char *reply_type;
    struct buf body;       /* JSON text */
    struct slice *buffers; /* owned list of slices that the store owns */
    unsigned n_buffers, cap_buffers;
    size_t buffer_bytes;
    size_t n_items; /* records or ids in it */
    json_t *error;  /* owned; the content in place of `body` */
};

/* A query that came by mail: it is answered (query.c). */
void query_on_mail(struct records *r, const struct mail *m);

/* The handlers (query_result.c, query_db.c, query_purge.c, query_resubmit.c). A negative return
 * without an error set is answered as an error of that code. */
int query_result(struct query *q);
int query_history(struct query *q);
int query_db(struct query *q);
int query_purge(struct query *q);
int query_resubmit(struct query *q);

/* The error to answer; the first one stays. They return a negative code. */
int query_fail(struct query *q, const char *ename, const char *evalue);
int query_fail_key(struct query *q, const char *message); /* KeyError */
/* As a hub_error instead of the request's own reply. */
int query_fail_hub(struct query *q, const char *ename, const char *evalue);
int query_fail_missing(struct query *q, const char *key); /* hub_error KeyError */
/* It can't be answered while the store is full. */
int query_fail_full(struct query *q);
/* What store and its query language return. */
int query_fail_store(struct query *q, int rc, const struct ersa_error *err);

/* After each record or id that was added: ERSA_EFULL when more than one are too large together,
 * as they take memory several times until they are sent. */
int query_count_item(struct query *q);
/* Adds a buffer that lives in the store. 0, ERSA_ENOMEM, ERSA_EFULL. */
int query_add_buffer(struct query *q, struct slice buffer);
int query_add_binary(struct query *q, const struct store_record *rec, enum store_field f);

/* Appends a field as JSON (not of kind `b`): text, an object as it was received, an ISO date,
 * or null. */
int render_field(struct buf *b, const struct store_record *rec, enum store_field f);
/* The same for a JSON member that must be an object: {} when it is null. */
int render_object(struct buf *b, const struct store_record *rec, enum store_field f);

#endif
