/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages out. Large parts are copied into blocks first, and what the engine has to be told
 * about them goes ahead; then head, table and inline parts leave in one piece. */
#include "chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/rtfds.h"

#define RELEASES_AT_ONCE 8192u /* ids of one RELEASE, well under RT_SHM_MIN octets */
#define NUMBERS_ON_STACK 64u

static int put(struct octets *o, const void *data, size_t len)
{
    if (octets_reserve(o, len) < 0)
        return ENOMEM;
    if (len)
        memcpy(o->data + o->len, data, len);
    o->len += len;
    return 0;
}

static int put_head(struct octets *o, uint32_t type, uint32_t n, uint64_t inline_bytes)
{
    struct rt_head head = {type, n, inline_bytes};
    return put(o, &head, sizeof(head));
}

static int put_part(struct octets *o, uint64_t len, uint32_t block)
{
    struct rt_part part = {len, block, 0};
    return put(o, &part, sizeof(part));
}

/* Writes what is assembled, `fd` with its first octet. */
static int write_out(struct chan *c, int fd)
{
    struct octets *o = &c->tx.out;
    size_t sent = 0;
    while (sent < o->len) {
        ssize_t n = rtfds_send(c->fd, o->data + sent, o->len - sent, fd, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        sent += (size_t)n;
        fd = -1;
    }
    o->len = 0;
    return 0;
}

static int put_returned(struct octets *o, const uint32_t *ids, size_t n)
{
    int rc = 0;
    while (n && rc == 0) {
        size_t k = n < RELEASES_AT_ONCE ? n : RELEASES_AT_ONCE;
        rc = put_head(o, RT_RELEASE, 1, k * sizeof(*ids));
        if (rc == 0)
            rc = put_part(o, k * sizeof(*ids), 0);
        if (rc == 0)
            rc = put(o, ids, k * sizeof(*ids));
        ids += k;
        n -= k;
    }
    return rc;
}

static int announce(struct chan *c, uint32_t id, uint64_t cap, int fd)
{
    struct octets *o = &c->tx.out;
    size_t size = sizeof(id) + sizeof(cap);
    int rc = o->len ? write_out(c, -1) : 0; /* a descriptor goes with the first octet */
    if (rc == 0)
        rc = put_head(o, RT_BLOCK, 1, size);
    if (rc == 0)
        rc = put_part(o, size, 0);
    if (rc == 0)
        rc = put(o, &id, sizeof(id));
    if (rc == 0)
        rc = put(o, &cap, sizeof(cap));
    if (rc == 0)
        rc = write_out(c, fd);
    return rc;
}

/* Which parts travel inline: the small ones, as far as the bound goes. `numbers` gets the
 * blocks of the others, filled and announced. */
static int lend_large(struct chan *c, const struct tx_part *parts, size_t n, uint32_t *numbers,
                      uint64_t *ret_inline)
{
    *ret_inline = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len < RT_SHM_MIN && *ret_inline + parts[i].len <= RT_INLINE_MAX) {
            *ret_inline += parts[i].len;
            continue;
        }
        uint8_t *data;
        size_t cap;
        int fd;
        numbers[i] = lend_take(&c->pool, parts[i].len, &data, &cap, &fd);
        if (numbers[i] == 0)
            return ENOMEM;
        int rc = fd >= 0 ? announce(c, numbers[i], cap, fd) : 0;
        if (fd >= 0)
            close(fd);
        if (rc)
            return rc;
        memcpy(data, parts[i].data, parts[i].len);
    }
    return 0;
}

static int put_message(struct octets *o, uint32_t type, const struct tx_part *parts, size_t n,
                       const uint32_t *numbers, uint64_t inline_bytes)
{
    int rc = put_head(o, type, (uint32_t)n, inline_bytes);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put_part(o, parts[i].len, numbers[i]);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!numbers[i])
            rc = put(o, parts[i].data, parts[i].len);
    return rc;
}

static int send_locked(struct chan *c, uint32_t type, const struct tx_part *parts, size_t n,
                       uint32_t *numbers, const uint32_t *returned, size_t n_returned)
{
    struct octets *o = &c->tx.out;
    uint64_t inline_bytes = 0;
    if (c->fd < 0)
        return EBADF;
    o->len = 0;
    int rc = put_returned(o, returned, n_returned);
    if (rc == 0 && type)
        rc = lend_large(c, parts, n, numbers, &inline_bytes);
    if (rc == 0 && type)
        rc = put_message(o, type, parts, n, numbers, inline_bytes);
    if (rc == 0)
        rc = write_out(c, -1);
    for (size_t i = 0; i < n && rc; i++)
        if (numbers[i])
            lend_back(&c->pool, numbers[i]);
    o->len = 0;
    octets_shrink(o);
    return rc;
}

int tx_send(struct chan *c, uint32_t type, const struct tx_part *parts, size_t n,
            const uint32_t *returned, size_t n_returned)
{
    if (n > RT_PARTS_MAX)
        return EMSGSIZE;
    uint32_t few[NUMBERS_ON_STACK] = {0};
    uint32_t *numbers = n <= NUMBERS_ON_STACK ? few : calloc(n, sizeof(*numbers));
    if (!numbers)
        return ENOMEM;
    pthread_mutex_lock(&c->tx.lock);
    int rc = send_locked(c, type, parts, n, numbers, returned, n_returned);
    pthread_mutex_unlock(&c->tx.lock);
    if (numbers != few)
        free(numbers);
    return rc;
}
