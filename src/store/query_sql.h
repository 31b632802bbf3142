/* SPDX-License-Identifier: BSD-3-Clause */
/* A parsed query as the WHERE of an SQL statement. What it finds is all that the query matches
 * and perhaps more: what SQL can't say is left to store_query_matches(). */
#ifndef ERSA_STORE_QUERY_SQL_H
#define ERSA_STORE_QUERY_SQL_H

#include <sqlite3.h>

#include "store/query.h"
#include "util/buf.h"

/* "YYYY-MM-DDTHH:MM:SS[.ffffff]+00:00", as dates stand in cells; returns its length. */
#define SQL_DATE_MAX 40
size_t sql_date(int64_t utc_us, char out[SQL_DATE_MAX]);

/* Appends the condition ("1" when there is none). */
int query_sql_put(struct buf *b, const struct store_query *q);
/* Binds its parameters, numbered from 1 on. 0 or a negative ERSA_E*. */
int query_sql_bind(sqlite3_stmt *s, const struct store_query *q);

#endif
