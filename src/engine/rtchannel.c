/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages from the runtime to its engine, and the channel's life. Messages are parsed from
 * whole octets in one buffer: head, table, inline parts. Descriptors of BLOCK messages come in
 * the order of those messages, so they wait in a list of their own. */
#include "engine/rtchannel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rtchannel_impl.h"
#include "engine/rtfds.h"
#include "ersa/error.h"

#define MESSAGE_MAX \
    (sizeof(struct rt_head) + (size_t)RT_PARTS_MAX * sizeof(struct rt_part) + RT_INLINE_MAX)
#define TX_MAX (2 * MESSAGE_MAX)
#define READ_SIZE 65536u
#define KEEP_BYTES 262144u  /* of a buffer that was large once */
#define TURN_BYTES 4194304u /* read in one turn */
#define FDS_MAX 1024        /* of BLOCK messages under way */

void rtchannel_watch(struct rtchannel *c)
{
    unsigned events = (c->is_held ? 0 : LOOP_READ) | (c->tx.len > c->tx_sent ? LOOP_WRITE : 0);
    if (events != c->watch.events)
        loop_rewatch(c->loop, &c->watch, events);
}

void rtchannel_shrink(struct buf *b)
{
    size_t max = b->max;
    if (b->len || b->cap <= KEEP_BYTES)
        return;
    buf_fini(b);
    buf_init(b, max);
}

/* Receiving */

static void close_with(struct rtchannel *c, const char *why)
{
    if (!c->is_open)
        return;
    rtchannel_close(c);
    c->ops->closed(c->ctx, why);
}

static bool is_from_runtime(uint32_t type)
{
    switch (type) {
#define X(name, value, direction, parts) \
    case RT_##name:                      \
        return direction[0] != 'e';
        RT_TYPES(X)
#undef X
    default:
        return false;
    }
}

static bool make_room(struct rtchannel *c, unsigned n)
{
    if (n <= c->parts_cap)
        return true;
    struct frame *parts = reallocarray(c->parts, n, sizeof(*parts));
    if (!parts)
        return false;
    c->parts = parts;
    c->parts_cap = n;
    return true;
}

static const char *on_block(struct rtchannel *c, const struct frame *parts, unsigned n)
{
    uint32_t id;
    uint64_t cap;
    const struct rtmark *m = rtmarks_front(&c->in);
    if (n != 1 || parts[0].len != sizeof(id) + sizeof(cap))
        return "a malformed BLOCK";
    if (!m)
        return "a BLOCK without its descriptor";
    int fd = m->fd;
    rtmarks_pop(&c->in);
    memcpy(&id, parts[0].data, sizeof(id));
    memcpy(&cap, parts[0].data + sizeof(id), sizeof(cap));
    return borrower_announce(&c->borrower, id, cap, fd) < 0 ? "a BLOCK that can't be used"
                                                            : NULL;
}

static const char *on_released(struct rtchannel *c, const struct frame *parts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].block || parts[i].len % sizeof(uint32_t))
            return "a malformed RELEASE";
        for (size_t at = 0; at < parts[i].len; at += sizeof(uint32_t)) {
            uint32_t number;
            memcpy(&number, parts[i].data + at, sizeof(number));
            if (lender_back(&c->lender, number) < 0)
                return "a RELEASE of what it does not have";
        }
    }
    return NULL;
}

static const char *deliver(struct rtchannel *c, uint32_t type, unsigned n)
{
    if (type == RT_BLOCK)
        return on_block(c, c->parts, n);
    if (type == RT_RELEASE)
        return on_released(c, c->parts, n);
    c->ops->message(c->ctx, type, c->parts, n);
    return NULL;
}

/* Checks the table against the head; `ret_size` is the size of the whole message. */
static const char *check_table(const struct rt_head *head, const uint8_t *table)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        struct rt_part p;
        memcpy(&p, table + i * sizeof(p), sizeof(p));
        if (p.reserved)
            return "a part with a reserved field that is not 0";
        if (p.block)
            continue;
        if (p.len >= RT_SHM_MIN)
            return "a large part that is not in a block";
        sum += p.len;
    }
    return sum == head->inline_bytes ? NULL : "a wrong sum of inline octets";
}

static const char *take_parts(struct rtchannel *c, const struct rt_head *head,
                              const uint8_t *table, unsigned *ret_n)
{
    const uint8_t *at = table + head->n_parts * sizeof(struct rt_part);
    for (uint32_t i = 0; i < head->n_parts; i++) {
        struct rt_part p;
        memcpy(&p, table + i * sizeof(p), sizeof(p));
        struct frame *f = &c->parts[i];
        if (!p.block) {
            *f = (struct frame){at, p.len, NULL};
            at += p.len;
        } else {
            struct block *b = borrower_use(&c->borrower, p.block, p.len);
            if (!b)
                return "a part in a block that is unknown, too small or in use";
            /* Small ones may come in blocks too; they are passed on like any small frame. */
            *f = (struct frame){b->data, p.len, b};
        }
        *ret_n = i + 1;
    }
    return NULL;
}

static void drop_parts(struct rtchannel *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct block *b = c->parts[i].block;
        c->parts[i].block = NULL;
        block_unref(b);
    }
}

/* One message from the front of the buffer. 1: done, 0: more octets needed (c->need in all),
 * -1: the channel is closed. */
static int parse_one(struct rtchannel *c)
{
    const uint8_t *data = c->rx.data + c->rx_read;
    size_t have = c->rx.len - c->rx_read;
    struct rt_head head;
    c->need = sizeof(head);
    if (have < sizeof(head))
        return 0;
    memcpy(&head, data, sizeof(head));
    const char *why = NULL;
    if (!is_from_runtime(head.type))
        why = "an unknown type of message";
    else if (head.n_parts > RT_PARTS_MAX || head.inline_bytes > RT_INLINE_MAX)
        why = "a message over the bounds";
    size_t table_end = sizeof(head) + head.n_parts * sizeof(struct rt_part);
    size_t size = table_end + head.inline_bytes;
    if (!why && have >= table_end)
        why = check_table(&head, data + sizeof(head));
    if (!why && have < size) {
        c->need = size;
        return 0;
    }
    if (!why && !make_room(c, head.n_parts))
        why = "more parts than there is memory for";
    unsigned n = 0;
    if (!why)
        why = take_parts(c, &head, data + sizeof(head), &n);
    if (!why)
        why = deliver(c, head.type, n);
    drop_parts(c, n);
    if (why)
        close_with(c, why);
    if (!c->is_open)
        return -1;
    c->rx_read += size;
    return 1;
}

/* 0, or ERSA_ECLOSED: stop. */
static int parse_all(struct rtchannel *c)
{
    int rc = 0;
    while (c->rx.len - c->rx_read >= c->need && (rc = parse_one(c)) > 0)
        ;
    if (rc < 0)
        return ERSA_ECLOSED;
    buf_consume(&c->rx, c->rx_read);
    c->rx_read = 0;
    return 0;
}

static int take_fds(struct rtchannel *c, const struct rtfds *got)
{
    int rc = got->is_cut ? ERSA_EFULL : 0;
    for (unsigned i = 0; i < got->n; i++) {
        if (rc == 0 && c->in.n - c->in.first >= FDS_MAX)
            rc = ERSA_EFULL;
        if (rc == 0)
            rc = rtmarks_push(&c->in, 0, got->fds[i]);
        if (rc < 0)
            close(got->fds[i]);
    }
    return rc;
}

/* Octets read, 0: end of file, ERSA_EAGAIN, or another error. */
static ssize_t read_some(struct rtchannel *c, size_t want)
{
    struct rtfds got;
    int rc = buf_reserve(&c->rx, want);
    if (rc < 0)
        return rc;
    ssize_t n;
    do
        n = rtfds_receive(c->watch.fd, c->rx.data + c->rx.len, c->rx.cap - c->rx.len,
                          MSG_DONTWAIT, &got);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? ERSA_EAGAIN : errno == ECONNRESET ? 0 : ERSA_EIO;
    rc = take_fds(c, &got);
    c->rx.len += (size_t)n;
    return rc < 0 ? rc : n;
}

static const char *read_error(const struct rtchannel *c, ssize_t n)
{
    if (n < 0)
        return "more descriptors or octets than there is room for";
    return c->rx.len ? "half a message" : NULL;
}

/* Reads and delivers until there is nothing more (`to_end`: really nothing), the channel is
 * held or closed, or `budget` octets were read. */
static void serve(struct rtchannel *c, size_t budget, bool to_end)
{
    c->is_reading = true;
    while (c->is_open && !c->is_held) {
        size_t missing = c->need > c->rx.len ? c->need - c->rx.len : 0;
        ssize_t n = read_some(c, missing > READ_SIZE ? missing : READ_SIZE);
        if (n == ERSA_EAGAIN)
            break;
        if (n <= 0) {
            close_with(c, read_error(c, n));
            break;
        }
        bool is_all = c->rx.len < c->rx.cap;
        if (parse_all(c) < 0)
            break;
        rtchannel_shrink(&c->rx);
        if (!to_end && ((is_all && c->rx.len == 0) || (size_t)n >= budget))
            break;
        budget -= (size_t)n;
    }
    c->is_reading = false;
}

static void on_ready(struct watch *w, unsigned events)
{
    struct rtchannel *c = container_of(w, struct rtchannel, watch);
    if (events & LOOP_WRITE)
        rtchannel_flush(c);
    if (!(events & LOOP_READ) || c->is_reading)
        return;
    c->is_held = false; /* where it was, this is a hang-up: no more will come */
    serve(c, TURN_BYTES, false);
}

/* Life */

int rtchannel_open(struct rtchannel *c, struct loop *l, int fd, struct block_pool *pool,
                   const struct rtchannel_ops *ops, void *ctx)
{
    *c = (struct rtchannel){.loop = l,
                            .pool = pool,
                            .ops = ops,
                            .ctx = ctx,
                            .watch.fn = on_ready,
                            .need = sizeof(struct rt_head)};
    lender_init(&c->lender);
    borrower_init(&c->borrower, rtchannel_give_back, c);
    buf_init(&c->tx, TX_MAX);
    buf_init(&c->rx, MESSAGE_MAX + READ_SIZE);
    int flags = fcntl(fd, F_GETFL);
    int rc = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? ERSA_EIO : 0;
    if (rc == 0)
        rc = loop_watch(l, &c->watch, fd, LOOP_READ, LOOP_NORMAL);
    if (rc < 0) {
        close(fd);
        rtchannel_fini(c);
        return rc;
    }
    c->is_open = true;
    return 0;
}

void rtchannel_close(struct rtchannel *c)
{
    if (!c->is_open)
        return;
    c->is_open = false;
    loop_unwatch(c->loop, &c->watch);
    close(c->watch.fd);
}

void rtchannel_fini(struct rtchannel *c)
{
    rtchannel_close(c);
    lender_fini(&c->lender);
    borrower_fini(&c->borrower);
    buf_fini(&c->tx);
    buf_fini(&c->rx);
    rtmarks_fini(&c->out, false);
    rtmarks_fini(&c->in, true);
    free(c->parts);
    c->parts = NULL;
    c->parts_cap = 0;
}

void rtchannel_hold(struct rtchannel *c, bool on)
{
    c->is_held = on;
    if (c->is_open)
        rtchannel_watch(c);
}

void rtchannel_read_out(struct rtchannel *c)
{
    c->is_held = false;
    if (c->is_open && !c->is_reading)
        serve(c, SIZE_MAX, true);
    if (c->is_open)
        close_with(c, NULL);
}
