/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of conditions, each a row of the table of operators with its operand: one value, or a
 * list. Operands that have the shape of a date are read once. Nulls equal each other and have
 * no order. */
#include "store/query.h"

#include <stdlib.h>

#include "store/glob.h"
#include "store/query_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/map.h"
#include "wire/json.h"

#define SET_MIN 8 /* a list of more strings than this is looked up, not walked */

/* What a condition looks at. */
struct value {
    const struct store_record *record;
    enum store_field field;
    json_t *tree; /* owned; of a JSON member, made when first needed */
};

enum operand_kind { ANY, LIST, PAIR, TEXT };

struct query_op {
    const char *name;
    enum query_operator id;
    enum operand_kind operand;
    bool (*holds)(const struct condition *c, struct value *v);
};

/* Values */

static bool is_null(const struct value *v)
{
    return v->field == F_MAX || store_is_null(v->record, v->field);
}

static char kind_of(const struct value *v)
{
    return store_fields[v->field].kind;
}

static struct slice text_of(const struct value *v)
{
    return v->record->v[v->field].text;
}

static struct slice string_of(const json_t *j)
{
    return (struct slice){json_string_value(j), json_string_length(j)};
}

static bool tree_equals(struct value *v, const json_t *want)
{
    if (!v->tree)
        v->tree = json_parse(text_of(v), NULL);
    return v->tree && json_equal(v->tree, want);
}

static bool equals(struct value *v, const struct operand *x)
{
    if (is_null(v) || json_is_null(x->j))
        return is_null(v) && json_is_null(x->j);
    switch (kind_of(v)) {
    case 't':
        return json_is_string(x->j) && slice_eq(text_of(v), string_of(x->j));
    case 'd':
        return x->is_date && v->record->v[v->field].date == x->date;
    case 'j':
        return tree_equals(v, x->j);
    default:
        return false; /* binaries have no form in JSON */
    }
}

static int compare_text(struct slice a, struct slice b)
{
    int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* False when there is no order between the two. */
static bool compare(const struct value *v, const struct operand *x, int *ret)
{
    if (is_null(v))
        return false;
    if (kind_of(v) == 't' && json_is_string(x->j)) {
        *ret = compare_text(text_of(v), string_of(x->j));
        return true;
    }
    if (kind_of(v) == 'd' && x->is_date) {
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
    return equals(v, &c->value);
}

static bool op_ne(const struct condition *c, struct value *v)
{
    return !equals(v, &c->value);
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
    if (c->has_strings && !is_null(v) && kind_of(v) == 't')
        return map_get(&c->strings, text_of(v).data, text_of(v).len);
    for (size_t i = 0; i < c->n_list; i++)
        if (equals(v, &c->list[i]))
            return true;
    return false;
}

static bool op_nin(const struct condition *c, struct value *v)
{
    return !op_in(c, v);
}

static bool op_exists(const struct condition *c, struct value *v)
{
    return query_is_true(c->value.j) != is_null(v);
}

/* No field of a record is a number. */
static bool op_mod(const struct condition *c, struct value *v)
{
    return false;
}

/* The value is in one element: equal to one of a list, part of a text, key of an object. */
static bool is_inside(struct value *v, json_t *container)
{
    size_t i;
    json_t *item;
    if (json_is_array(container)) {
        json_array_foreach(container, i, item)
        {
            struct operand x = {.j = item};
            if (json_is_string(item))
                x.is_date = clock_parse_iso(json_string_value(item), json_string_length(item),
                                            &x.date) == 0;
            if (equals(v, &x))
                return true;
        }
        return false;
    }
    if (is_null(v) || kind_of(v) != 't')
        return false;
    struct slice text = text_of(v);
    if (json_is_string(container))
        return memmem(json_string_value(container), json_string_length(container), text.data,
                      text.len);
    const char *key;
    json_object_foreach(container, key, item)
    {
        if (slice_is(text, key))
            return true;
    }
    return false;
}

static bool op_all(const struct condition *c, struct value *v)
{
    for (size_t i = 0; i < c->n_list; i++)
        if (!is_inside(v, c->list[i].j))
            return false;
    return true;
}

static bool op_glob(const struct condition *c, struct value *v)
{
    return !is_null(v) && kind_of(v) == 't' && glob_match(string_of(c->value.j), text_of(v));
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

static struct operand read_operand(json_t *j)
{
    struct operand x = {.j = j};
    if (json_is_string(j))
        x.is_date = clock_parse_iso(json_string_value(j), json_string_length(j), &x.date) == 0;
    return x;
}

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

static int read_list(struct condition *c, const json_t *x)
{
    size_t i, n_strings = 0;
    json_t *item;
    c->list = calloc(json_array_size(x) + 1, sizeof(*c->list));
    if (!c->list)
        return ERSA_ENOMEM;
    json_array_foreach(x, i, item)
    {
        c->list[c->n_list++] = read_operand(item);
        n_strings += json_is_string(item);
    }
    if (n_strings < SET_MIN)
        return 0;
    c->has_strings = true;
    json_array_foreach(x, i, item)
    {
        int rc = json_is_string(item) ? map_put(&c->strings, json_string_value(item),
                                                json_string_length(item), item)
                                      : 0;
        if (rc < 0 && rc != ERSA_EEXIST)
            return rc;
    }
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
    map_init(&c->strings);
    q->n++;
    c->value = read_operand(x);
    if (op->operand == LIST && read_list(c, x) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    return 0;
}

static int read_field(struct store_query *q, const char *field, json_t *x,
                      struct ersa_error *err)
{
    const char *name;
    json_t *operand;
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
    for (size_t i = 0; i < q->n; i++) {
        map_fini(&q->conditions[i].strings);
        free(q->conditions[i].list);
    }
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
        *ret_msg_id = string_of(c->value.j);
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
