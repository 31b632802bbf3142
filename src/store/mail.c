/* SPDX-License-Identifier: BSD-3-Clause */
/* One piece of memory a mail: the mail, its texts, its message. A page counts from far above
 * zero while it is open, so that giving a mail away needs no atomic operation, and what is
 * counted down meanwhile can't end it. */
#include "store/mail.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 65536u
#define LARGEST (PAGE_SIZE / 8) /* a mail in a page */
#define OPEN 0x40000000u

struct mail_page {
    atomic_uint left; /* mails that are not freed */
    unsigned used;
    alignas(64) uint8_t data[PAGE_SIZE]; /* not in the line that the other thread writes */
};

static void let_go(struct mail_page *p, unsigned n)
{
    if (atomic_fetch_sub_explicit(&p->left, n, memory_order_acq_rel) == n)
        free(p);
}

static void close_page(struct mail_pages *p)
{
    if (p->open)
        let_go(p->open, OPEN - p->given);
    *p = (struct mail_pages){0};
}

void mail_pages_fini(struct mail_pages *p)
{
    close_page(p);
}

static struct mail *room_in_page(struct mail_pages *p, size_t size)
{
    if (!p->open || PAGE_SIZE - p->open->used < size) {
        close_page(p);
        p->open = aligned_alloc(alignof(struct mail_page), sizeof(*p->open));
        if (!p->open)
            return NULL;
        atomic_init(&p->open->left, OPEN);
        p->open->used = 0;
    }
    struct mail *m = (struct mail *)(p->open->data + p->open->used);
    m->page = p->open;
    p->open->used += (unsigned)size;
    p->given++;
    return m;
}

/* Copies `s` to *at and moves that on; absent stays absent. */
static struct slice put_text(char **at, struct slice s)
{
    if (!s.data)
        return s;
    struct slice copy = {*at, s.len};
    memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static size_t aligned(size_t n)
{
    return (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

struct mail *mail_new(struct mail_pages *pages, const struct letter *l)
{
    size_t texts = aligned(sizeof(struct mail) + l->msg_id.len + l->engine.len + l->peer.len);
    size_t size = aligned(texts + (l->n ? held_size(l->frames, l->n) : 0));
    bool in_page = pages && size <= LARGEST;
    struct mail *m = in_page ? room_in_page(pages, size) : malloc(size);
    if (!m)
        return NULL;
    char *at = m->rest;
    *m =
        (struct mail){.type = l->type, .queue = l->queue, .page = in_page ? pages->open : NULL};
    m->msg_id = put_text(&at, l->msg_id);
    m->engine = put_text(&at, l->engine);
    m->peer = put_text(&at, l->peer);
    if (l->n)
        m->msg = held_fill((char *)m + texts, l->frames, l->n);
    return m;
}

void mail_free(struct mail *m)
{
    if (!m)
        return;
    if (m->msg)
        held_fini(m->msg);
    if (m->page)
        let_go(m->page, 1);
    else
        free(m);
}

size_t mail_weight(const struct mail *m)
{
    return m->msg && m->msg->bytes > MAIL_LIGHT ? m->msg->bytes : 0;
}
