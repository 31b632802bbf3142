/* SPDX-License-Identifier: BSD-3-Clause */
/* Straight-line: a table of opcodes with the size of their argument, one stack that can hold
 * the list and the strings behind it, one memo of strings. */
#include "store/pickle.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX ((size_t)1 << 24)

/* Writing */

static void put_le(unsigned char *out, uint64_t n, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++)
        out[i] = (unsigned char)(n >> (8 * i));
}

static int put_bytes(struct buf *b, struct slice s)
{
    unsigned char head[9];
    unsigned octets = s.len < 256 ? 1 : s.len <= UINT32_MAX ? 4 : 8;
    head[0] = octets == 1 ? 0x43 : octets == 4 ? 0x42 : 0x8e;
    put_le(head + 1, s.len, octets);
    int rc = buf_append(b, head, 1 + octets);
    return rc < 0 ? rc : buf_append(b, s.data, s.len);
}

int pickle_put(struct buf *b, const struct store_binary *list)
{
    unsigned char head[] = {0x80, 3, 0x5d, 0x28};
    for (unsigned i = 0; i < list->n; i++)
        if (list->items[i].len > UINT32_MAX)
            head[1] = 4;
    int rc = buf_append(b, head, sizeof(head));
    for (unsigned i = 0; i < list->n && rc == 0; i++)
        rc = put_bytes(b, list->items[i]);
    return rc < 0 ? rc : buf_append(b, "e.", 2);
}

/* Reading */

struct strings {
    struct slice *items; /* owned */
    size_t n, cap;
};

struct reader {
    struct slice text;
    size_t at;
    bool has_list;
    struct strings list, stack, memo; /* a memo entry without data is the list */
    size_t mark;                      /* in the stack, while `is_marked` */
    bool is_marked, is_done;
};

static int push(struct strings *s, struct slice item)
{
    if (s->n == ITEMS_MAX)
        return ERSA_EPARSE;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        struct slice *grown = reallocarray(s->items, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        s->items = grown;
        s->cap = cap;
    }
    s->items[s->n++] = item;
    return 0;
}

static int on_nothing(struct reader *r, uint64_t arg)
{
    return 0;
}

static int on_list(struct reader *r, uint64_t arg)
{
    if (r->has_list)
        return ERSA_EPARSE;
    r->has_list = true;
    return 0;
}

static int on_mark(struct reader *r, uint64_t arg)
{
    if (r->is_marked || !r->has_list)
        return ERSA_EPARSE;
    r->is_marked = true;
    r->mark = r->stack.n;
    return 0;
}

static int on_bytes(struct reader *r, uint64_t len)
{
    if (len > r->text.len - r->at)
        return ERSA_EPARSE;
    struct slice item = {r->text.data + r->at, (size_t)len};
    r->at += (size_t)len;
    return push(&r->stack, item);
}

/* What is on top: a string, or the list. */
static int on_memoize(struct reader *r, uint64_t arg)
{
    struct slice top = {NULL, 0};
    if (r->stack.n)
        top = r->stack.items[r->stack.n - 1];
    return push(&r->memo, top);
}

/* Python numbers them one after the other. */
static int on_put(struct reader *r, uint64_t index)
{
    return index == r->memo.n ? on_memoize(r, 0) : ERSA_EPARSE;
}

static int on_get(struct reader *r, uint64_t index)
{
    if (index >= r->memo.n || !r->memo.items[index].data)
        return ERSA_EPARSE;
    return push(&r->stack, r->memo.items[index]);
}

static int on_append(struct reader *r, uint64_t arg)
{
    if (r->is_marked || r->stack.n != 1)
        return ERSA_EPARSE;
    return push(&r->list, r->stack.items[--r->stack.n]);
}

static int on_appends(struct reader *r, uint64_t arg)
{
    int rc = r->is_marked && r->mark == 0 ? 0 : ERSA_EPARSE;
    for (size_t i = 0; i < r->stack.n && rc == 0; i++)
        rc = push(&r->list, r->stack.items[i]);
    r->stack.n = 0;
    r->is_marked = false;
    return rc;
}

static int on_stop(struct reader *r, uint64_t arg)
{
    r->is_done = true;
    return r->has_list && !r->is_marked && r->stack.n == 0 ? 0 : ERSA_EPARSE;
}

static const struct opcode {
    unsigned char code, arg_octets;
    int (*run)(struct reader *r, uint64_t arg);
} opcodes[] = {
    {0x80, 1, on_nothing}, /* protocol */
    {0x95, 8, on_nothing}, /* frame */
    {0x5d, 0, on_list},    {0x28, 0, on_mark},    {0x43, 1, on_bytes},  {0x42, 4, on_bytes},
    {0x8e, 8, on_bytes},   {0x94, 0, on_memoize}, {0x71, 1, on_put},    {0x72, 4, on_put},
    {0x68, 1, on_get},     {0x6a, 4, on_get},     {0x61, 0, on_append}, {0x65, 0, on_appends},
    {0x2e, 0, on_stop},
};

static const struct opcode *find_opcode(unsigned char code)
{
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++)
        if (opcodes[i].code == code)
            return &opcodes[i];
    return NULL;
}

static int step(struct reader *r)
{
    const unsigned char *u = (const unsigned char *)r->text.data;
    const struct opcode *op = r->at < r->text.len ? find_opcode(u[r->at++]) : NULL;
    uint64_t arg = 0;
    if (!op || op->arg_octets > r->text.len - r->at)
        return ERSA_EPARSE;
    for (unsigned i = 0; i < op->arg_octets; i++)
        arg |= (uint64_t)u[r->at + i] << (8 * i);
    r->at += op->arg_octets;
    return op->run(r, arg);
}

int pickle_get(struct slice text, struct slice **ret_items, unsigned *ret_n)
{
    struct reader r = {.text = text};
    int rc = 0;
    while (rc == 0 && !r.is_done)
        rc = step(&r);
    free(r.stack.items);
    free(r.memo.items);
    if (rc < 0) {
        free(r.list.items);
        return rc;
    }
    *ret_items = r.list.items;
    *ret_n = (unsigned)r.list.n;
    return 0;
}
