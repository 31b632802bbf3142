/* SPDX-License-Identifier: BSD-3-Clause */
/* Each condition is a document of its own in one "$and". Dates stand there in milliseconds,
 * rounded down, so that comparisons are widened to the whole millisecond; store_query_matches()
 * tells the rest. */
#include "store/mongo_impl.h"
#include "store/query_impl.h"

#define PREFIX_MAX 512

struct target {
    bson_t *list; /* of the "$and" */
    unsigned n;
};

static int64_t ms_of(int64_t us)
{
    return us >= 0 ? us / 1000 : -((-us + 999) / 1000);
}

static bool put_value(bson_t *b, const char *key, const struct condition *c,
                      const struct operand *x)
{
    if (json_is_null(x->j))
        return bson_append_null(b, key, -1);
    if (store_fields[c->field].kind == 'd')
        return bson_append_date_time(b, key, -1, ms_of(x->date));
    return bson_append_utf8(b, key, -1, json_string_value(x->j), (int)json_string_length(x->j));
}

static bool can_be_said(const struct condition *c, const struct operand *x)
{
    char kind = store_fields[c->field].kind;
    return json_is_null(x->j) || (kind == 't' && json_is_string(x->j)) ||
           (kind == 'd' && x->is_date);
}

/* {field: {operator: operand}} */
static bool put_operator(bson_t *one, const struct condition *c, const char *operator_name)
{
    bson_t inner;
    return bson_append_document_begin(one, store_fields[c->field].name, -1, &inner) &&
           put_value(&inner, operator_name, c, &c->value) &&
           bson_append_document_end(one, &inner);
}

static bool put_null(bson_t *one, const struct condition *c, const char *operator_name)
{
    bson_t inner;
    return bson_append_document_begin(one, store_fields[c->field].name, -1, &inner) &&
           bson_append_null(&inner, operator_name, -1) && bson_append_document_end(one, &inner);
}

static bool put_list(bson_t *one, const struct condition *c, const char *operator_name)
{
    bson_t inner, list;
    char key[16];
    const char *k;
    bool ok = bson_append_document_begin(one, store_fields[c->field].name, -1, &inner) &&
              bson_append_array_begin(&inner, operator_name, -1, &list);
    uint32_t n = 0;
    for (size_t i = 0; i < c->list.n && ok; i++) {
        if (!can_be_said(c, &c->list.items[i]))
            continue; /* equals no text */
        bson_uint32_to_string(n++, &k, key, sizeof(key));
        ok = put_value(&list, k, c, &c->list.items[i]);
    }
    return ok && bson_append_array_end(&inner, &list) && bson_append_document_end(one, &inner);
}

/* The pattern's beginning up to what is special, whole characters of it. */
static bool put_prefix(bson_t *one, const struct condition *c)
{
    const char *pattern = json_string_value(c->value.j);
    char regex[2 * PREFIX_MAX + 2] = "^";
    size_t n = 1, len = strcspn(pattern, "*?[");
    if (len > PREFIX_MAX)
        for (len = PREFIX_MAX; len && ((unsigned char)pattern[len] & 0xC0) == 0x80;)
            len--;
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\.^$|()+{}]/-", pattern[i]))
            regex[n++] = '\\';
        regex[n++] = pattern[i];
    }
    regex[n] = 0;
    return bson_append_regex(one, store_fields[c->field].name, -1, regex, "");
}

static bool asks_for_null(const struct condition *c)
{
    return c->id == OP_EXISTS ? !query_is_true(c->value.j)
                              : c->id == OP_EQ && json_is_null(c->value.j);
}

/* Adds what can be said of a condition; nothing is always right. */
static bool put_condition(bson_t *one, const struct condition *c)
{
    static const char *const names[OP_MAX] = {
        [OP_EQ] = "$eq", [OP_NE] = "$ne",   [OP_LT] = "$lt", [OP_LTE] = "$lte",
        [OP_GT] = "$gt", [OP_GTE] = "$gte", [OP_IN] = "$in", [OP_NIN] = "$nin",
    };
    char kind = store_fields[c->field].kind;
    if (kind == 'b' || (kind == 'j' && asks_for_null(c)))
        return true; /* null to us is also an empty list, and JSON that is no object */
    switch (c->id) {
    case OP_EXISTS:
        return put_null(one, c, query_is_true(c->value.j) ? "$ne" : "$eq");
    case OP_GLOB:
        return kind != 't' || put_prefix(one, c);
    case OP_IN:
    case OP_NIN:
        return kind != 't' || put_list(one, c, names[c->id]);
    case OP_EQ:
        return !can_be_said(c, &c->value) || put_operator(one, c, "$eq");
    case OP_NE:
        return !can_be_said(c, &c->value) || (kind == 'd' && !json_is_null(c->value.j)) ||
               put_operator(one, c, "$ne");
    case OP_LT:
    case OP_LTE:
    case OP_GT:
    case OP_GTE:
        if (json_is_null(c->value.j) || !can_be_said(c, &c->value))
            return true;
        if (kind == 'd')
            return put_operator(one, c, c->id == OP_LT || c->id == OP_LTE ? "$lte" : "$gte");
        return put_operator(one, c, names[c->id]);
    default:
        return true;
    }
}

bool query_bson(bson_t *ret, const struct store_query *q)
{
    bson_t list, one;
    char key[16];
    const char *k;
    uint32_t n = 0;
    bool ok = bson_append_array_begin(ret, "$and", -1, &list);
    /* never empty, which the server would refuse */
    bson_t anything = BSON_INITIALIZER;
    ok = ok && bson_append_document(&list, "0", -1, &anything);
    bson_destroy(&anything);
    for (size_t i = 0; i < q->n && ok; i++) {
        if (q->conditions[i].field == F_MAX)
            continue;
        bson_uint32_to_string(++n, &k, key, sizeof(key));
        ok = bson_append_document_begin(&list, k, -1, &one) &&
             put_condition(&one, &q->conditions[i]) && bson_append_document_end(&list, &one);
    }
    return ok && bson_append_array_end(ret, &list);
}
