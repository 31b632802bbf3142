/* SPDX-License-Identifier: BSD-3-Clause */
/* Lengths are 32 bits, dates 64, nothing is aligned. What is read has been in a file, so each
 * length is checked against what is left. */
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>

#define PACKED ((STORE_FIELD(STORE_COLUMNS) - 1) & ~STORE_STREAMS)

void pack_items_fini(struct pack_items *p)
{
    free(p->items);
    *p = (struct pack_items){NULL, 0};
}

/* The lowest field of a set that is not empty, which is taken from it. */
static unsigned take_field(uint32_t *set)
{
    unsigned f = (unsigned)__builtin_ctz(*set);
    *set &= *set - 1;
    return f;
}

/* Writing */

static size_t list_size(const struct store_binary *list)
{
    size_t n = sizeof(uint32_t) * (1 + (size_t)list->n);
    for (unsigned i = 0; i < list->n; i++)
        n += list->items[i].len;
    return n;
}

size_t pack_size(const struct store_record *r)
{
    uint32_t set = r->set & PACKED;
    size_t n = 2 * sizeof(uint32_t);
    n += (size_t)__builtin_popcount(set & STORE_DATES) * sizeof(int64_t);
    for (uint32_t lists = set & STORE_BUFFERS; lists;)
        n += list_size(&r->v[take_field(&lists)].binary);
    for (uint32_t texts = set & ~(STORE_BUFFERS | STORE_DATES); texts;)
        n += sizeof(uint32_t) + r->v[take_field(&texts)].text.len;
    return n;
}

static uint8_t *put(uint8_t *at, const void *data, size_t n)
{
    memcpy(at, data, n);
    return at + n;
}

static uint8_t *put_number(uint8_t *at, size_t n)
{
    uint32_t number = (uint32_t)n;
    return put(at, &number, sizeof(number));
}

static uint8_t *put_text(uint8_t *at, struct slice text)
{
    at = put_number(at, text.len);
    return text.len ? put(at, text.data, text.len) : at;
}

static uint8_t *put_list(uint8_t *at, const struct store_binary *list)
{
    at = put_number(at, list->n);
    for (unsigned i = 0; i < list->n; i++)
        at = put_text(at, list->items[i]);
    return at;
}

int pack_put(struct buf *b, const struct store_record *r)
{
    size_t size = pack_size(r);
    int rc = size > UINT32_MAX ? ERSA_EFULL : buf_reserve(b, size);
    if (rc < 0)
        return rc;
    uint8_t *at = put_number(b->data + b->len, size);
    at = put_number(at, r->set & PACKED);
    for (uint32_t left = r->set & PACKED; left;) {
        unsigned f = take_field(&left);
        if (STORE_FIELD(f) & STORE_BUFFERS)
            at = put_list(at, &r->v[f].binary);
        else if (STORE_FIELD(f) & STORE_DATES)
            at = put(at, &r->v[f].date, sizeof(r->v[f].date));
        else
            at = put_text(at, r->v[f].text);
    }
    b->len += size;
    return 0;
}

/* Reading */

static bool take(struct slice *left, void *to, size_t n)
{
    if (left->len < n)
        return false;
    memcpy(to, left->data, n);
    *left = (struct slice){left->data + n, left->len - n};
    return true;
}

static bool take_text(struct slice *left, struct slice *ret)
{
    uint32_t n;
    if (!take(left, &n, sizeof(n)) || left->len < n)
        return false;
    *ret = (struct slice){left->data, n};
    *left = (struct slice){left->data + n, left->len - n};
    return true;
}

/* Items `from` on; where they lie is known only when all are read. */
static int take_list(struct slice *left, struct pack_items *p, size_t from, unsigned *ret)
{
    uint32_t n;
    if (!take(left, &n, sizeof(n)) || n > left->len / sizeof(uint32_t))
        return ERSA_EPARSE;
    if (from + n > p->cap || !p->items) {
        struct slice *grown = reallocarray(p->items, from + n + 8, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        p->items = grown;
        p->cap = from + n + 8;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!take_text(left, &p->items[from + i]))
            return ERSA_EPARSE;
    *ret = n;
    return 0;
}

static int take_value(struct slice *left, unsigned f, struct pack_items *p, size_t *used,
                      union store_value *v)
{
    if (STORE_FIELD(f) & STORE_DATES)
        return take(left, &v->date, sizeof(v->date)) ? 0 : ERSA_EPARSE;
    if (!(STORE_FIELD(f) & STORE_BUFFERS))
        return take_text(left, &v->text) ? 0 : ERSA_EPARSE;
    v->binary.items = NULL;
    int rc = take_list(left, p, *used, &v->binary.n);
    *used += rc == 0 ? v->binary.n : 0;
    return rc;
}

int64_t pack_get(struct slice octets, struct pack_items *items, struct store_record *ret)
{
    uint32_t size, set;
    struct slice left = octets;
    size_t used = 0;
    if (!take(&left, &size, sizeof(size)) || !take(&left, &set, sizeof(set)) ||
        size > octets.len || size < 2 * sizeof(uint32_t) || set & ~PACKED ||
        !(set & STORE_FIELD(F_msg_id)))
        return ERSA_EPARSE;
    left.len = size - 2 * sizeof(uint32_t);
    ret->set = set;
    for (uint32_t fields = set; fields;) {
        unsigned f = take_field(&fields);
        int rc = take_value(&left, f, items, &used, &ret->v[f]);
        if (rc < 0)
            return rc;
    }
    if (left.len)
        return ERSA_EPARSE;
    used = 0;
    for (uint32_t lists = set & STORE_BUFFERS; lists;) {
        struct store_binary *list = &ret->v[take_field(&lists)].binary;
        list->items = items->items ? items->items + used : NULL;
        used += list->n;
    }
    return size;
}
