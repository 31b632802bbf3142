/* SPDX-License-Identifier: BSD-3-Clause */
/* The query language of db_request (db.md 2): field: value, or field: {"$op": operand}, all of
 * which must hold. Evaluated here alone, so that every store means the same by it: a database
 * that translates a query (query_sql.h, query_bson.h) may find too much, and asks
 * store_query_matches() about each. */
#ifndef ERSA_STORE_QUERY_H
#define ERSA_STORE_QUERY_H

#include <jansson.h>
#include <stdbool.h>

#include "ersa/error.h"
#include "store/store.h"

struct store_query;

/* Keeps a reference to `query`. ERSA_ENOENT: an unknown operator (err->text is its name);
 * ERSA_EINVAL: no object, or an operand of the wrong type; ERSA_ENOMEM. A field that doesn't
 * exist is null in every record. */
int store_query_parse(struct store_query **ret, json_t *query, struct ersa_error *err);
void store_query_free(struct store_query *q); /* accepts NULL */

bool store_query_matches(const struct store_query *q, const struct store_record *r);
/* Tells whether only the record of one id can match, and which. */
bool store_query_id(const struct store_query *q, struct slice *ret_msg_id);
/* The fields that it looks at (STORE_FIELD). */
uint32_t store_query_fields(const struct store_query *q);

#endif
