/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel between an engine and its runtime, with a runtime that is nothing but the other
 * end of the socketpair. Only tests of the channel include it. */
#ifndef ERSA_ENGINE_RTCHANNEL_RIG_H
#define ERSA_ENGINE_RTCHANNEL_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/rtchannel.h"
#include "engine/rtfds.h"
#include "ersa/error.h"
#include "util/clock.h"

#define WAIT_MS 10000
#define LARGE 100000u

struct fixture {
    struct loop *loop;
    struct block_pool *pool;
    struct rtchannel channel;
    int fd;          /* the runtime's end */
    int received_fd; /* the last descriptor that came to it */
    unsigned n_messages, n_closed;
    char why[128]; /* "" : end of file */
    uint32_t type;
    unsigned n_parts;
    uint8_t first[16]; /* front of the first part */
    size_t first_len;
    struct block *kept; /* reference to the block of the last part, if asked */
    bool keep;
};

static inline void on_message(void *ctx, uint32_t type, const struct frame *parts, unsigned n)
{
    struct fixture *f = ctx;
    f->n_messages++;
    f->type = type;
    f->n_parts = n;
    if (n) {
        f->first_len = parts[0].len;
        memcpy(f->first, parts[0].data,
               f->first_len < sizeof(f->first) ? f->first_len : sizeof(f->first));
    }
    if (f->keep && n && parts[n - 1].block)
        f->kept = block_ref(parts[n - 1].block);
}

static inline void on_closed(void *ctx, const char *why)
{
    struct fixture *f = ctx;
    f->n_closed++;
    snprintf(f->why, sizeof(f->why), "%s", why ? why : "");
}

static const struct rtchannel_ops ops = {.message = on_message, .closed = on_closed};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f->loop = loop_new();
    f->pool = block_pool_new(64 << 20, true);
    f->fd = fds[1];
    f->received_fd = -1;
    assert_int_equal(rtchannel_open(&f->channel, f->loop, fds[0], f->pool, &ops, f), 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    block_unref(f->kept);
    rtchannel_fini(&f->channel);
    block_pool_free(f->pool);
    loop_free(f->loop);
    if (f->fd >= 0)
        close(f->fd);
    if (f->received_fd >= 0)
        close(f->received_fd);
    free(f);
    return 0;
}

/* The runtime's side */

static inline bool readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

/* Reads exactly `len` octets, running the engine's loop meanwhile. */
static inline void fake_read(struct fixture *f, void *out, size_t len)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    for (size_t got = 0; got < len;) {
        if (!readable(f->fd)) {
            assert_true(clock_mono_ms() < deadline);
            loop_turn(f->loop, 10);
            continue;
        }
        struct rtfds beside;
        ssize_t n = rtfds_receive(f->fd, (uint8_t *)out + got, len - got, 0, &beside);
        assert_true(n > 0);
        if (beside.n) {
            assert_int_equal(beside.n, 1);
            if (f->received_fd >= 0)
                close(f->received_fd);
            f->received_fd = beside.fds[0];
        }
        got += (size_t)n;
    }
}

static inline void fake_send(struct fixture *f, const void *data, size_t len, int fd)
{
    assert_int_equal(rtfds_send(f->fd, data, len, fd, 0), (ssize_t)len);
}

struct message {
    uint8_t octets[512];
    size_t len;
};

static inline void fake_say(struct fixture *f, const struct message *m, int fd)
{
    fake_send(f, m->octets, m->len, fd);
}

static inline void put(struct message *m, const void *data, size_t len)
{
    memcpy(m->octets + m->len, data, len);
    m->len += len;
}

static inline struct message with_head(uint32_t type, uint32_t n, uint64_t inline_bytes)
{
    struct message m = {.len = 0};
    struct rt_head head = {type, n, inline_bytes};
    put(&m, &head, sizeof(head));
    return m;
}

static inline void put_part(struct message *m, uint64_t len, uint32_t block)
{
    struct rt_part part = {len, block, 0};
    put(m, &part, sizeof(part));
}

static inline struct message block_message(uint32_t id, uint64_t cap)
{
    struct message m = with_head(RT_BLOCK, 1, 12);
    put_part(&m, 12, 0);
    put(&m, &id, sizeof(id));
    put(&m, &cap, sizeof(cap));
    return m;
}

static inline struct message release_message(uint32_t id)
{
    struct message m = with_head(RT_RELEASE, 1, 4);
    put_part(&m, 4, 0);
    put(&m, &id, sizeof(id));
    return m;
}

static inline int make_memory(size_t size, char fill)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, &fill, 1, 0), 1);
    return fd;
}

static inline void announce(struct fixture *f, uint32_t id, size_t cap, char fill)
{
    struct message m = block_message(id, cap);
    int fd = make_memory(cap, fill);
    fake_say(f, &m, fd);
    close(fd);
}

static inline void wait_for(struct fixture *f, const unsigned *counter, unsigned n)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (*counter < n && clock_mono_ms() < deadline)
        loop_turn(f->loop, 10);
    assert_int_equal(*counter, n);
}

static inline struct message reply_in_block(uint32_t block, uint64_t len)
{
    struct message m = with_head(RT_REPLY, 2, 2);
    put_part(&m, 2, 0);
    put_part(&m, len, block);
    put(&m, "id", 2);
    return m;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
