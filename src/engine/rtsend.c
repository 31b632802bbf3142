/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages from the engine to its runtime. Large parts are lent as they are, or copied into a
 * block that can be; a block that the runtime doesn't know is announced first, its descriptor
 * beside the first octet of the announcement, so writing stops in front of each of those. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rtchannel_impl.h"
#include "engine/rtfds.h"
#include "ersa/error.h"

#define NUMBERS_ON_STACK 64

/* Up to the next descriptor, then with it. */
void rtchannel_flush(struct rtchannel *c)
{
    while (c->tx_sent < c->tx.len) {
        const struct rtmark *next = rtmarks_front(&c->out);
        int fd = next && next->at == c->tx_sent ? next->fd : -1;
        if (fd >= 0 && c->out.first + 1 < c->out.n)
            next++;
        else if (fd >= 0)
            next = NULL;
        size_t until = next ? next->at : c->tx.len;
        ssize_t n = rtfds_send(c->watch.fd, c->tx.data + c->tx_sent, until - c->tx_sent, fd,
                               MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (fd >= 0)
            rtmarks_pop(&c->out);
        c->tx_sent += (size_t)n;
    }
    if (c->tx_sent == c->tx.len) {
        buf_reset(&c->tx);
        c->tx_sent = 0;
        rtchannel_shrink(&c->tx);
    }
    rtchannel_watch(c);
}

static int put_head(struct rtchannel *c, uint32_t type, unsigned n_parts, uint64_t inline_bytes)
{
    struct rt_head head = {type, n_parts, inline_bytes};
    return buf_append(&c->tx, &head, sizeof(head));
}

static int put_part(struct rtchannel *c, uint64_t len, uint32_t block)
{
    struct rt_part part = {len, block, 0};
    return buf_append(&c->tx, &part, sizeof(part));
}

/* All of it or nothing. */
static int put_announcement(struct rtchannel *c, uint32_t number, const struct block *b)
{
    uint64_t cap = b->cap;
    size_t at = c->tx.len, size = sizeof(number) + sizeof(cap);
    int rc = buf_reserve(&c->tx, sizeof(struct rt_head) + sizeof(struct rt_part) + size);
    if (rc == 0)
        rc = rtmarks_push(&c->out, at, b->fd);
    if (rc < 0)
        return rc;
    put_head(c, RT_BLOCK, 1, size);
    put_part(c, size, 0);
    buf_append(&c->tx, &number, sizeof(number));
    return buf_append(&c->tx, &cap, sizeof(cap));
}

void rtchannel_give_back(void *ctx, uint32_t id)
{
    struct rtchannel *c = ctx;
    if (!c->is_open)
        return;
    size_t before = c->tx.len;
    int rc = put_head(c, RT_RELEASE, 1, sizeof(id));
    if (rc == 0)
        rc = put_part(c, sizeof(id), 0);
    if (rc == 0)
        rc = buf_append(&c->tx, &id, sizeof(id));
    if (rc < 0)
        c->tx.len = before;
    rtchannel_flush(c);
}

/* The block to lend for a frame, with a reference: its own where it can be shared. */
static struct block *shareable(struct rtchannel *c, const struct frame *f)
{
    if (f->block && f->block->fd >= 0 && f->data == f->block->data)
        return block_ref(f->block);
    struct block *b = block_get(c->pool, f->len);
    if (b && b->fd < 0) {
        block_unref(b);
        return NULL;
    }
    if (b)
        memcpy(b->data, f->data, f->len);
    return b;
}

static int lend(struct rtchannel *c, const struct frame *f, uint32_t *ret_number)
{
    bool announce = false;
    struct block *b = shareable(c, f);
    uint32_t number = b ? lender_lend(&c->lender, b, &announce) : 0;
    if (b && number == 0 && b == f->block) { /* lent already: a copy */
        block_unref(b);
        struct frame copy = {f->data, f->len, NULL};
        b = shareable(c, &copy);
        number = b ? lender_lend(&c->lender, b, &announce) : 0;
    }
    int rc = number ? 0 : ERSA_ENOMEM;
    if (rc == 0 && announce)
        rc = put_announcement(c, number, b);
    if (rc < 0 && number)
        lender_undo(&c->lender, number, false);
    block_unref(b);
    *ret_number = rc == 0 ? number : 0;
    return rc;
}

/* Which parts travel inline: the small ones, as far as the bound goes. `numbers` gets the
 * blocks of the others, announced. */
static int lend_large(struct rtchannel *c, const struct frame *parts, unsigned n,
                      uint32_t *numbers, uint64_t *ret_inline)
{
    *ret_inline = 0;
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].len < RT_SHM_MIN && *ret_inline + parts[i].len <= RT_INLINE_MAX) {
            *ret_inline += parts[i].len;
            continue;
        }
        int rc = lend(c, &parts[i], &numbers[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int put_message(struct rtchannel *c, uint32_t type, const struct frame *parts,
                       unsigned n, const uint32_t *numbers, uint64_t inline_bytes)
{
    int rc = put_head(c, type, n, inline_bytes);
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = put_part(c, parts[i].len, numbers[i]);
    for (unsigned i = 0; i < n && rc == 0; i++)
        if (!numbers[i])
            rc = buf_append(&c->tx, parts[i].data, parts[i].len);
    return rc;
}

int rtchannel_send(struct rtchannel *c, uint32_t type, const struct frame *parts, unsigned n)
{
    if (!c->is_open)
        return ERSA_ECLOSED;
    if (n > RT_PARTS_MAX)
        return ERSA_EFULL;
    uint32_t few[NUMBERS_ON_STACK] = {0};
    uint32_t *numbers = n <= NUMBERS_ON_STACK ? few : calloc(n, sizeof(*numbers));
    if (!numbers)
        return ERSA_ENOMEM;
    uint64_t inline_bytes;
    int rc = lend_large(c, parts, n, numbers, &inline_bytes);
    if (rc == 0)
        rc = buf_reserve(&c->tx,
                         sizeof(struct rt_head) + n * sizeof(struct rt_part) + inline_bytes);
    if (rc == 0)
        rc = put_message(c, type, parts, n, numbers, inline_bytes);
    else /* what was announced stays announced; only the uses are taken back */
        for (unsigned i = 0; i < n; i++)
            if (numbers[i])
                lender_undo(&c->lender, numbers[i], true);
    if (numbers != few)
        free(numbers);
    rtchannel_flush(c);
    return rc;
}
