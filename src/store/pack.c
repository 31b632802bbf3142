/* SPDX-License-Identifier: BSD-3-Clause */
/* Lengths are 32 bits, dates 64, nothing is aligned. What is read has been in a file, so each
 * length is checked against what is left. */
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>

#define PACKED \
    ((STORE_FIELD(STORE_COLUMNS) - 1) & ~(STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr)))

void pack_items_fini(struct pack_items *p)
{
    free(p->items);
    *p = (struct pack_items){NULL, 0};
}

/* Writing */

static int put_number(struct buf *b, size_t n)
{
    uint32_t number = (uint32_t)n;
    return n > UINT32_MAX ? ERSA_EFULL : buf_append(b, &number, sizeof(number));
}

static int put_text(struct buf *b, struct slice text)
{
    int rc = put_number(b, text.len);
    return rc < 0 || text.len == 0 ? rc : buf_append(b, text.data, text.len);
}

static int put_list(struct buf *b, const struct store_binary *list)
{
    int rc = put_number(b, list->n);
    for (unsigned i = 0; i < list->n && rc == 0; i++)
        rc = put_text(b, list->items[i]);
    return rc;
}

static int put_value(struct buf *b, unsigned f, const union store_value *v)
{
    switch (store_fields[f].kind) {
    case 'b':
        return put_list(b, &v->binary);
    case 'd':
        return buf_append(b, &v->date, sizeof(v->date));
    default:
        return put_text(b, v->text);
    }
}

int pack_put(struct buf *b, const struct store_record *r)
{
    size_t start = b->len;
    uint32_t set = r->set & PACKED;
    int rc = put_number(b, 0);
    if (rc == 0)
        rc = put_number(b, set);
    for (uint32_t left = set; left && rc == 0; left &= left - 1) {
        unsigned f = (unsigned)__builtin_ctz(left);
        rc = put_value(b, f, &r->v[f]);
    }
    size_t size = b->len - start;
    if (rc == 0 && size > UINT32_MAX)
        rc = ERSA_EFULL;
    if (rc < 0) {
        b->len = start;
        return rc;
    }
    uint32_t number = (uint32_t)size;
    memcpy(b->data + start, &number, sizeof(number));
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
    int rc;
    switch (store_fields[f].kind) {
    case 'b':
        v->binary.items = NULL;
        rc = take_list(left, p, *used, &v->binary.n);
        *used += rc == 0 ? v->binary.n : 0;
        return rc;
    case 'd':
        return take(left, &v->date, sizeof(v->date)) ? 0 : ERSA_EPARSE;
    default:
        return take_text(left, &v->text) ? 0 : ERSA_EPARSE;
    }
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
    for (uint32_t fields = set; fields; fields &= fields - 1) {
        unsigned f = (unsigned)__builtin_ctz(fields);
        int rc = take_value(&left, f, items, &used, &ret->v[f]);
        if (rc < 0)
            return rc;
    }
    if (left.len)
        return ERSA_EPARSE;
    used = 0;
    for (uint32_t lists = set & STORE_BUFFERS; lists; lists &= lists - 1) {
        struct store_binary *list = &ret->v[__builtin_ctz(lists)].binary;
        list->items = items->items ? items->items + used : NULL;
        used += list->n;
    }
    return size;
}
