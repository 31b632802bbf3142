/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of conditions, each a row of the table of operators with its operand: one value, or a
 * list (query_list.c). Operands that have the shape of a date are read once. Nulls equal each
 * other and have no order. */
#include "store/query.h"

#include <stdlib.h>

#include "store/glob.h"
#include "store/query_impl.h"
#include "util/err.h"
#include "wire/json.h"

enum operand_kind { ANY, LIST, PAIR, TEXT };

struct query_op {
    const char *name;
    enum query_operator id;
    enum operand_kind operand;
    bool (*holds)(const struct condition *c, struct value *v);
};

/* Order */

static int compare_text(struct slice a, struct slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* False when there is no order between the two. */
static bool compare(const struct value *v, const struct operand *x, int *ret)
{
    if (query_is_null(v))
        return false;
    if (query_kind(v) == 't' && json_is_string(x->j)) {
        *ret = compare_text(query_text(v), query_string(x->j));
        return true;
    }
    if (query_kind(v) == 'd' && x->is_date) {
        int64_t date = v->record->v[v->field].date;
        *ret = (date > x->date) - (date < x->date);
        return true;
    }
    return false;
}

/* As Python has it. */
bool query_is_true(const json_t *x)
{
    return !(json_is_null(x) || json_is_false(x) ||
             (json_is_number(x) && json_number_value(x) == 0) ||
             (json_is_string(x) && json_string_length(x) == 0) ||
             (json_is_array(x) && json_array_size(x) == 0) ||
             (json_is_object(x) && json_object_size(x) == 0));
}

/* Operators */

static bool op_eq(const struct condition *c, struct value *v)
{
    return query_equals(v, &c->value);
}

static bool op_ne(const struct condition *c, struct value *v)
{
    return !query_equals(v, &c->value);
}

static bool op_lt(const struct condition *c, struct value *v)
{
    int order;
    return compare(v, &c->value, &order) && order < 0;
}

static bool op_lte(const struct condition *c, struct value *v)
{
    int order;
    return compare(v, &c->value, &order) && order <= 0;
}

static bool op_gt(const struct condition *c, struct value *v)
{
    int order;
    return compare(v, &c->value, &order) && order > 0;
}

static bool op_gte(const struct condition *c, struct value *v)
{
    int order;
    return compare(v, &c->value, &order) && order >= 0;
}

static bool op_in(const struct condition *c, struct value *v)
{
    return query_list_has(&c->list, v);
}

static bool op_nin(const struct condition *c, struct value *v)
{
    return !op_in(c, v);
}

static bool op_exists(const struct condition *c, struct value *v)
{
    return query_is_true(c->value.j) != query_is_null(v);
}

/* No field of a record is a number. */
static bool op_mod(const struct condition *c, struct value *v)
{
    return false;
}

/* The value is in one element: equal to one of a list, part of a text, key of an object. */
static bool is_inside(struct value *v, const struct operand *x)
{
    const char *key;
    json_t *item;
    if (json_is_array(x->j))
        return query_list_has(&x->inside, v);
    if (query_is_null(v) || query_kind(v) != 't')
        return false;
    struct slice text = query_text(v);
    if (json_is_string(x->j))
        return memmem(json_string_value(x->j), json_string_length(x->j), text.data, text.len);
    json_object_foreach(x->j, key, item)
    {
        if (slice_is(text, key))
            return true;
    }
    return false;
}

static bool op_all(const struct condition *c, struct value *v)
{
    for (size_t i = 0; i < c->list.n; i++)
        if (!is_inside(v, &c->list.items[i]))
            return false;
    return true;
}

static bool op_glob(const struct condition *c, struct value *v)
{
    return !query_is_null(v) && query_kind(v) == 't' &&
           glob_match(query_string(c->value.j), query_text(v));
}

/* The first row is what a plain value means. */
static const struct query_op operators[] = {
    {"$eq", OP_EQ, ANY, op_eq},
    {"$ne", OP_NE, ANY, op_ne},
    {"$lt", OP_LT, ANY, op_lt},
    {"$lte", OP_LTE, ANY, op_lte},
    {"$le", OP_LTE, ANY, op_lte},
    {"$gt", OP_GT, ANY, op_gt},
    {"$gte", OP_GTE, ANY, op_gte},
    {"$ge", OP_GTE, ANY, op_gte},
    {"$in", OP_IN, LIST, op_in},
    {"$nin", OP_NIN, LIST, op_nin},
    {"$all", OP_ALL, LIST, op_all},
    {"$mod", OP_MOD, PAIR, op_mod},
    {"$exists", OP_EXISTS, ANY, op_exists},
    {"$glob", OP_GLOB, TEXT, op_glob},
};

static const struct query_op *find_op(const char *name)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
        if (strcmp(operators[i].name, name) == 0)
            return &operators[i];
    return NULL;
}

/* Parsing */

static int check_operand(const struct query_op *op, const json_t *x, struct ersa_error *err)
{
    if (op->operand == TEXT && !json_is_string(x))
        return err_set(err, ERSA_EINVAL, "%s needs a string", op->name);
    if ((op->operand == LIST || op->operand == PAIR) && !json_is_array(x))
        return err_set(err, ERSA_EINVAL, "%s needs a list", op->name);
    if (op->operand == PAIR &&
        (json_array_size(x) != 2 || !json_is_number(json_array_get(x, 0)) ||
         !json_is_number(json_array_get(x, 1))))
        return err_set(err, ERSA_EINVAL, "%s needs a list of two numbers", op->name);
    return 0;
}

static int add_condition(struct store_query *q, const char *field, const struct query_op *op,
                         json_t *x, struct ersa_error *err)
{
    int rc = check_operand(op, x, err);
    if (rc < 0)
        return rc;
    struct condition *c = &q->conditions[q->n];
    *c = (struct condition){.field = store_field_find((struct slice){field, strlen(field)}),
                            .op = op,
                            .id = op->id};
    q->n++;
    c->value = query_operand(x);
    if (op->operand == LIST && query_list_read(&c->list, x, c->field, op->id == OP_ALL) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return 0;
}

static int read_field(struct store_query *q, const char *field, json_t *x,
                      struct ersa_error *err)
{
    const char *name;
    json_t *operand;
    if (*field == '$') /* an operator of MongoDB's, which would find nothing */
        return err_set(err, ERSA_ENOENT, "%s", field);
    if (!json_is_object(x))
        return add_condition(q, field, &operators[0], x, err);
    json_object_foreach(x, name, operand)
    {
        const struct query_op *op = find_op(name);
        int rc = op ? add_condition(q, field, op, operand, err)
                    : err_set(err, ERSA_ENOENT, "%s", name);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static size_t count_conditions(json_t *query)
{
    size_t n = 0;
    const char *field;
    json_t *x;
    json_object_foreach(query, field, x) n += json_is_object(x) ? json_object_size(x) : 1;
    return n;
}

int store_query_parse(struct store_query **ret, json_t *query, struct ersa_error *err)
{
    const char *field;
    json_t *x;
    int rc = 0;
    if (!json_is_object(query))
        return err_set(err, ERSA_EINVAL, "the query must be an object");
    struct store_query *q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    q->root = json_incref(query);
    q->conditions = calloc(count_conditions(query) + 1, sizeof(*q->conditions));
    if (!q->conditions)
        rc = err_set(err, ERSA_ENOMEM, "out of memory");
    json_object_foreach(query, field, x)
    {
        if (rc == 0)
            rc = read_field(q, field, x, err);
    }
    if (rc < 0) {
        store_query_free(q);
        return rc;
    }
    *ret = q;
    return 0;
}

void store_query_free(struct store_query *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->n; i++)
        query_list_fini(&q->conditions[i].list);
    free(q->conditions);
    json_decref(q->root);
    free(q);
}

/* Evaluation */

bool store_query_matches(const struct store_query *q, const struct store_record *r)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct condition *c = &q->conditions[i];
        struct value v = {r, c->field, NULL};
        bool holds = c->op->holds(c, &v);
        json_decref(v.tree);
        if (!holds)
            return false;
    }
    return true;
}

bool store_query_id(const struct store_query *q, struct slice *ret_msg_id)
{
    for (size_t i = 0; i < q->n; i++) {
        const struct condition *c = &q->conditions[i];
        if (c->field != F_msg_id || c->op->holds != op_eq || !json_is_string(c->value.j))
            continue;
        *ret_msg_id = query_string(c->value.j);
        return true;
    }
    return false;
}

uint32_t store_query_fields(const struct store_query *q)
{
    uint32_t fields = 0;
    for (size_t i = 0; i < q->n; i++)
        if (q->conditions[i].field != F_MAX)
            fields |= STORE_FIELD(q->conditions[i].field);
    return fields;
}
