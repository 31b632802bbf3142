/* SPDX-License-Identifier: BSD-3-Clause */
/* Equality, and lists of operands. A list is sorted by a hash of what its elements equal in the
 * field that they are compared with (text, date, JSON tree, null), so a record costs one look
 * whatever the length of the list. The hash is seeded: who asks can't make elements collide. */
#include <stdlib.h>

#include "store/query_impl.h"
#include "util/clock.h"
#include "util/map.h"
#include "wire/json.h"

/* Nobody's, and null's; all others have this bit. */
#define HASH_NEVER 0
#define HASH_NULL 1
#define HASH_SOME 2

struct operand query_operand(json_t *j)
{
    struct operand x = {.j = j};
    if (json_is_string(j))
        x.is_date = clock_parse_iso(json_string_value(j), json_string_length(j), &x.date) == 0;
    return x;
}

/* Equality */

static const json_t *tree_of(struct value *v)
{
    if (!v->tree)
        v->tree = json_parse(query_text(v), NULL);
    return v->tree;
}

bool query_equals(struct value *v, const struct operand *x)
{
    if (query_is_null(v) || json_is_null(x->j))
        return query_is_null(v) && json_is_null(x->j);
    switch (query_kind(v)) {
    case 't':
        return json_is_string(x->j) && slice_eq(query_text(v), query_string(x->j));
    case 'd':
        return x->is_date && v->record->v[v->field].date == x->date;
    case 'j':
        return tree_of(v) && json_equal(tree_of(v), x->j);
    default:
        return false; /* binaries have no form in JSON */
    }
}

/* Hashes: what is equal has the same. */

static uint64_t hash_number(char type, const void *number, size_t len)
{
    char octets[1 + sizeof(json_int_t)] = {type};
    memcpy(octets + 1, number, len);
    return map_hash(octets, 1 + len);
}

static uint64_t hash_pair(uint64_t a, uint64_t b)
{
    uint64_t both[2] = {a, b};
    return map_hash(both, sizeof(both));
}

/* Members of an object have no order, so theirs are added. */
static uint64_t hash_tree(const json_t *j)
{
    uint64_t sum = (uint64_t)json_typeof(j);
    json_int_t n = json_integer_value(j);
    double real = json_real_value(j) + 0.0; /* of the two zeros, one */
    const char *key;
    json_t *item;
    size_t i;
    switch (json_typeof(j)) {
    case JSON_STRING:
        return map_hash(json_string_value(j), json_string_length(j));
    case JSON_INTEGER:
        return hash_number('i', &n, sizeof(n));
    case JSON_REAL:
        return hash_number('r', &real, sizeof(real));
    case JSON_ARRAY:
        json_array_foreach(j, i, item) sum = hash_pair(sum, hash_tree(item));
        return sum;
    case JSON_OBJECT:
        json_object_foreach((json_t *)j, key, item) sum +=
            hash_pair(map_hash(key, strlen(key)), hash_tree(item));
        return sum;
    default:
        return sum;
    }
}

static uint64_t hash_operand(const struct operand *x, enum store_field field)
{
    if (json_is_null(x->j))
        return HASH_NULL;
    switch (field == F_MAX ? 0 : store_fields[field].kind) {
    case 't':
        return json_is_string(x->j) ? hash_tree(x->j) | HASH_SOME : HASH_NEVER;
    case 'd':
        return x->is_date ? hash_number('d', &x->date, sizeof(x->date)) | HASH_SOME
                          : HASH_NEVER;
    case 'j':
        return hash_tree(x->j) | HASH_SOME;
    default:
        return HASH_NEVER;
    }
}

static uint64_t hash_value(struct value *v)
{
    if (query_is_null(v))
        return HASH_NULL;
    switch (query_kind(v)) {
    case 't':
        return map_hash(query_text(v).data, query_text(v).len) | HASH_SOME;
    case 'd':
        return hash_number('d', &v->record->v[v->field].date, sizeof(int64_t)) | HASH_SOME;
    case 'j':
        return tree_of(v) ? hash_tree(tree_of(v)) | HASH_SOME : HASH_NEVER;
    default:
        return HASH_NEVER;
    }
}

/* Lists */

static int by_hash(const void *a, const void *b)
{
    const struct operand *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

int query_list_read(struct operand_list *ret, const json_t *array, enum store_field field,
                    bool nested)
{
    size_t i;
    json_t *item;
    ret->items = calloc(json_array_size(array) + 1, sizeof(*ret->items));
    if (!ret->items)
        return ERSA_ENOMEM;
    json_array_foreach(array, i, item)
    {
        struct operand *x = &ret->items[ret->n++];
        *x = query_operand(item);
        x->hash = hash_operand(x, field);
        if (nested && json_is_array(item) &&
            query_list_read(&x->inside, item, field, false) < 0)
            return ERSA_ENOMEM;
    }
    qsort(ret->items, ret->n, sizeof(*ret->items), by_hash);
    return 0;
}

void query_list_fini(struct operand_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        query_list_fini(&l->items[i].inside);
    free(l->items);
    *l = (struct operand_list){NULL, 0};
}

bool query_list_has(const struct operand_list *l, struct value *v)
{
    uint64_t hash = l->n ? hash_value(v) : HASH_NEVER;
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (l->items[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < l->n && l->items[low].hash == hash && hash != HASH_NEVER; low++)
        if (query_equals(v, &l->items[low]))
            return true;
    return false;
}
