/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets in, messages out. A message is looked at when all of it is there: head, table, inline
 * parts. Sizes are checked against the bounds of the protocol before they are used for
 * anything. */
#include "chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rtfds.h"

#define READ_SIZE 65536u

static int broken(struct chan *c, const char *why)
{
    c->rx.why = why;
    return -1;
}

/* Reading */

static void take_fds(struct rx *rx, const struct rtfds *got)
{
    for (unsigned i = 0; i < got->n; i++)
        if (rx->n_fds < RX_FDS_MAX)
            rx->fds[rx->n_fds++] = got->fds[i];
        else
            close(got->fds[i]); /* its BLOCK will be found without */
}

ssize_t rx_read(struct chan *c, bool is_waiting)
{
    struct rx *rx = &c->rx;
    if (c->fd < 0) {
        errno = EBADF;
        return -1;
    }
    if (rx->at == rx->in.len)
        rx->in.len = rx->at = 0;
    size_t have = rx->in.len - rx->at;
    size_t want = rx->need > have + READ_SIZE ? rx->need - have : READ_SIZE;
    if (rx->at && rx->in.cap - rx->in.len < want) {
        memmove(rx->in.data, rx->in.data + rx->at, have);
        rx->in.len = have;
        rx->at = 0;
    }
    octets_shrink(&rx->in);
    if (octets_reserve(&rx->in, want) < 0) {
        errno = ENOMEM;
        return -1;
    }
    struct rtfds got;
    ssize_t n = rtfds_receive(c->fd, rx->in.data + rx->in.len, rx->in.cap - rx->in.len,
                              is_waiting ? 0 : MSG_DONTWAIT, &got);
    if (n <= 0)
        return n;
    take_fds(rx, &got);
    rx->in.len += (size_t)n;
    return n;
}

/* Parsing */

static const char *check_head(const struct rt_head *head)
{
    const char *direction = NULL;
    switch (head->type) {
#define X(name, value, way, parts) \
    case RT_##name:                \
        direction = way;           \
        break;
        RT_TYPES(X)
#undef X
    default:
        break;
    }
    if (!direction || direction[0] == 'r')
        return "an unknown type of message";
    if (head->n_parts > RT_PARTS_MAX || head->inline_bytes > RT_INLINE_MAX)
        return "a message over the bounds";
    return NULL;
}

static const char *check_table(const struct chan *c, const struct rt_head *head,
                               const uint8_t *table)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        struct rt_part p;
        memcpy(&p, table + i * sizeof(p), sizeof(p));
        if (p.reserved)
            return "a part with a reserved field that is not 0";
        if (!p.block) {
            if (p.len >= RT_SHM_MIN)
                return "a large part that is not in a block";
            sum += p.len;
            continue;
        }
        const struct mapping *m = borrow_find(&c->borrowed, p.block);
        if (!m || m->is_used || p.len > m->cap)
            return "a part in a block that is unknown, too small or in use";
    }
    return sum == head->inline_bytes ? NULL : "a wrong sum of inline octets";
}

static const char *on_block(struct chan *c, const struct rx_message *m)
{
    struct rx *rx = &c->rx;
    struct rt_part p;
    uint32_t id;
    uint64_t cap;
    if (m->n != 1)
        return "a malformed BLOCK";
    memcpy(&p, m->table, sizeof(p));
    if (p.block || p.len != sizeof(id) + sizeof(cap))
        return "a malformed BLOCK";
    if (rx->n_fds == 0)
        return "a BLOCK without its descriptor";
    int fd = rx->fds[0];
    memmove(rx->fds, rx->fds + 1, --rx->n_fds * sizeof(fd));
    memcpy(&id, m->octets, sizeof(id));
    memcpy(&cap, m->octets + sizeof(id), sizeof(cap));
    return borrow_announce(&c->borrowed, id, cap, fd);
}

static const char *on_release(struct chan *c, const struct rx_message *m)
{
    size_t at = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        struct rt_part p;
        memcpy(&p, m->table + i * sizeof(p), sizeof(p));
        if (p.block || p.len % sizeof(uint32_t))
            return "a malformed RELEASE";
        for (size_t end = at + p.len; at < end; at += sizeof(uint32_t)) {
            uint32_t id;
            memcpy(&id, m->octets + at, sizeof(id));
            if (lend_back(&c->pool, id) < 0)
                return "a RELEASE of what it does not have";
        }
    }
    return NULL;
}

int rx_next(struct chan *c, struct rx_message *m)
{
    struct rx *rx = &c->rx;
    for (;;) {
        const uint8_t *data = rx->in.data + rx->at;
        size_t have = rx->in.len - rx->at;
        struct rt_head head;
        rx->need = sizeof(head);
        if (have < sizeof(head))
            return 0;
        memcpy(&head, data, sizeof(head));
        const char *why = check_head(&head);
        if (why)
            return broken(c, why);
        size_t table_size = head.n_parts * sizeof(struct rt_part);
        rx->need = sizeof(head) + table_size + head.inline_bytes;
        if (have < rx->need)
            return 0;
        const uint8_t *table = data + sizeof(head);
        *m = (struct rx_message){head.type, head.n_parts, table, table + table_size};
        why = check_table(c, &head, table);
        if (!why && head.type == RT_BLOCK)
            why = on_block(c, m);
        if (!why && head.type == RT_RELEASE)
            why = on_release(c, m);
        if (why)
            return broken(c, why);
        if (head.type != RT_BLOCK && head.type != RT_RELEASE)
            return 1;
        rx_done(c);
    }
}

int rx_part(struct chan *c, const struct rx_message *m, uint32_t i, size_t *at,
            struct rx_part *ret_part)
{
    struct rt_part p;
    memcpy(&p, m->table + i * sizeof(p), sizeof(p));
    struct mapping *map = p.block ? borrow_find(&c->borrowed, p.block) : NULL;
    if (map && map->is_used)
        return broken(c, "a message that names a block twice");
    *ret_part = (struct rx_part){map ? map->data : m->octets + *at, p.len, map};
    *at += map ? 0 : p.len;
    return 0;
}

void rx_done(struct chan *c)
{
    c->rx.at += c->rx.need;
    c->rx.need = sizeof(struct rt_head);
}
