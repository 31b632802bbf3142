/* SPDX-License-Identifier: BSD-3-Clause */
/* A parsed query from the inside, for the files that evaluate or translate it: query.c (the one
 * meaning), query_sql.c and query_bson.c (what a database can tell beforehand). */
#ifndef ERSA_STORE_QUERY_IMPL_H
#define ERSA_STORE_QUERY_IMPL_H

#include "store/query.h"
#include "util/map.h"

enum query_operator {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LTE,
    OP_GT,
    OP_GTE,
    OP_IN,
    OP_NIN,
    OP_ALL,
    OP_MOD,
    OP_EXISTS,
    OP_GLOB,
    OP_MAX,
};

struct query_op;

struct operand {
    json_t *j; /* borrowed from the query */
    bool is_date;
    int64_t date;
};

struct condition {
    enum store_field field;    /* F_MAX: unknown, so null */
    const struct query_op *op; /* query.c alone */
    enum query_operator id;
    struct operand value;
    struct operand *list; /* owned; the elements of a list operand */
    size_t n_list;
    struct map strings; /* the list's strings, when `has_strings` */
    bool has_strings;
};

struct store_query {
    json_t *root;                 /* owned reference */
    struct condition *conditions; /* owned */
    size_t n;
};

bool query_is_true(const json_t *x);

#endif
