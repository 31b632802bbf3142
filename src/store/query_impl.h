/* SPDX-License-Identifier: BSD-3-Clause */
/* A parsed query from the inside, for the files that evaluate or translate it: query.c and
 * query_list.c (the one meaning), query_sql.c and query_bson.c (what a database can tell
 * beforehand). */
#ifndef ERSA_STORE_QUERY_IMPL_H
#define ERSA_STORE_QUERY_IMPL_H

#include "store/query.h"
#include "wire/jscan.h"

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

struct operand;

/* By hash, so that a value is looked up and not compared with each. */
struct operand_list {
    struct operand *items; /* owned */
    size_t n;
};

struct operand {
    json_t *j; /* borrowed from the query */
    bool is_date;
    int64_t date;
    uint64_t hash;              /* of what it equals in its condition's field */
    struct operand_list inside; /* the elements of a list in a list of $all */
};

struct condition {
    enum store_field field;    /* F_MAX: unknown, so null */
    const struct query_op *op; /* query.c alone */
    enum query_operator id;
    struct operand value;
    struct operand_list list; /* the elements of a list operand */
};

struct store_query {
    json_t *root;                 /* owned reference */
    struct condition *conditions; /* owned */
    size_t n;
};

/* What a condition looks at. */
struct value {
    const struct store_record *record;
    enum store_field field;
    json_t *tree; /* owned; of a JSON member, made when first needed */
};

static inline char query_kind(const struct value *v)
{
    return store_fields[v->field].kind;
}

static inline struct slice query_text(const struct value *v)
{
    return v->record->v[v->field].text;
}

/* As a reply has it, and a table: a list of no buffers too, and JSON that is no object. */
static inline bool query_is_null(const struct value *v)
{
    if (v->field == F_MAX || store_is_null(v->record, v->field))
        return true;
    return query_kind(v) == 'b'   ? v->record->v[v->field].binary.n == 0
           : query_kind(v) == 'j' ? jscan(query_text(v), NULL, 0) < 0
                                  : false;
}

static inline struct slice query_string(const json_t *j)
{
    return (struct slice){json_string_value(j), json_string_length(j)};
}

bool query_is_true(const json_t *x);

/* query_list.c */

struct operand query_operand(json_t *j);
bool query_equals(struct value *v, const struct operand *x);
/* `nested`: of lists in it, the elements as well. 0 or ERSA_ENOMEM; query_list_fini() in any
 * case. */
int query_list_read(struct operand_list *ret, const json_t *array, enum store_field field,
                    bool nested);
void query_list_fini(struct operand_list *l);
bool query_list_has(const struct operand_list *l, struct value *v);

#endif
