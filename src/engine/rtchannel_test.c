/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel against a runtime that is nothing but the other end of the socketpair. */
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

static void on_message(void *ctx, uint32_t type, const struct frame *parts, unsigned n)
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

static void on_closed(void *ctx, const char *why)
{
    struct fixture *f = ctx;
    f->n_closed++;
    snprintf(f->why, sizeof(f->why), "%s", why ? why : "");
}

static const struct rtchannel_ops ops = {.message = on_message, .closed = on_closed};

static int setup(void **state)
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

static int teardown(void **state)
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

static bool readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, 0) == 1;
}

/* Reads exactly `len` octets, running the engine's loop meanwhile. */
static void fake_read(struct fixture *f, void *out, size_t len)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    for (size_t got = 0; got < len;) {
        if (!readable(f->fd)) {
            assert_true(clock_mono_ms() < deadline);
            loop_turn(f->loop, 10);
            continue;
        }
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {(uint8_t *)out + got, len - got};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(f->fd, &m, MSG_CMSG_CLOEXEC);
        assert_true(n > 0);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        if (h) {
            if (f->received_fd >= 0)
                close(f->received_fd);
            memcpy(&f->received_fd, CMSG_DATA(h), sizeof(int));
        }
        got += (size_t)n;
    }
}

static void fake_send(struct fixture *f, const void *data, size_t len, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {(void *)data, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    assert_int_equal(sendmsg(f->fd, &m, MSG_NOSIGNAL), (ssize_t)len);
}

struct message {
    uint8_t octets[512];
    size_t len;
};

static void put(struct message *m, const void *data, size_t len)
{
    memcpy(m->octets + m->len, data, len);
    m->len += len;
}

static struct message with_head(uint32_t type, uint32_t n, uint64_t inline_bytes)
{
    struct message m = {.len = 0};
    struct rt_head head = {type, n, inline_bytes};
    put(&m, &head, sizeof(head));
    return m;
}

static void put_part(struct message *m, uint64_t len, uint32_t block)
{
    struct rt_part part = {len, block, 0};
    put(m, &part, sizeof(part));
}

static struct message block_message(uint32_t id, uint64_t cap)
{
    struct message m = with_head(RT_BLOCK, 1, 12);
    put_part(&m, 12, 0);
    put(&m, &id, sizeof(id));
    put(&m, &cap, sizeof(cap));
    return m;
}

static struct message release_message(uint32_t id)
{
    struct message m = with_head(RT_RELEASE, 1, 4);
    put_part(&m, 4, 0);
    put(&m, &id, sizeof(id));
    return m;
}

static int make_memory(size_t size, char fill)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, &fill, 1, 0), 1);
    return fd;
}

static void announce(struct fixture *f, uint32_t id, size_t cap, char fill)
{
    struct message m = block_message(id, cap);
    int fd = make_memory(cap, fill);
    fake_send(f, m.octets, m.len, fd);
    close(fd);
}

static void wait_for(struct fixture *f, const unsigned *counter, unsigned n)
{
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (*counter < n && clock_mono_ms() < deadline)
        loop_turn(f->loop, 10);
    assert_int_equal(*counter, n);
}

/* Tests */

static void test_small_message_as_it_travels(void **state)
{
    struct fixture *f = *state;
    const struct frame parts[] = {FRAME_LIT("apply_request"), FRAME_LIT(""), FRAME_LIT("xyz")};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, 3), 0);
    struct rt_head head;
    struct rt_part table[3];
    char text[17] = "";
    fake_read(f, &head, sizeof(head));
    fake_read(f, table, sizeof(table));
    fake_read(f, text, 16);
    assert_int_equal(head.type, RT_RUN);
    assert_int_equal(head.n_parts, 3);
    assert_int_equal(head.inline_bytes, 16);
    assert_int_equal(table[0].len, 13);
    assert_int_equal(table[1].len, 0);
    assert_int_equal(table[2].len, 3);
    assert_int_equal(table[0].block | table[1].block | table[2].block, 0);
    assert_string_equal(text, "apply_requestxyz");
}

static struct rt_part read_large(struct fixture *f, bool announced, uint32_t *ret_id)
{
    struct rt_head head;
    struct rt_part part;
    uint64_t cap;
    fake_read(f, &head, sizeof(head));
    assert_int_equal(head.type, announced ? RT_BLOCK : RT_RUN);
    if (announced) {
        fake_read(f, &part, sizeof(part));
        fake_read(f, ret_id, sizeof(*ret_id));
        fake_read(f, &cap, sizeof(cap));
        assert_true(cap >= LARGE);
        assert_true(f->received_fd >= 0);
        fake_read(f, &head, sizeof(head));
        assert_int_equal(head.type, RT_RUN);
    }
    assert_int_equal(head.inline_bytes, 0);
    fake_read(f, &part, sizeof(part));
    return part;
}

static void test_large_part_is_lent(void **state)
{
    struct fixture *f = *state;
    struct block *b = block_get(f->pool, LARGE);
    b->data[7] = 42;
    struct frame part = {b->data, LARGE, b};
    uint32_t id = 0;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    struct rt_part seen = read_large(f, true, &id);
    assert_int_equal(seen.len, LARGE);
    assert_int_equal(seen.block, id);
    uint8_t *mapped = mmap(NULL, LARGE, PROT_READ, MAP_SHARED, f->received_fd, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    assert_int_equal(mapped[7], 42);
    b->data[8] = 43; /* the same memory, not a copy */
    assert_int_equal(mapped[8], 43);
    munmap(mapped, LARGE);

    block_unref(b);
    assert_true(block_pool_used(f->pool) > 0); /* lent */
    struct message m = release_message(id);
    fake_send(f, m.octets, m.len, -1);
    int64_t deadline = clock_mono_ms() + WAIT_MS;
    while (block_pool_used(f->pool) && clock_mono_ms() < deadline)
        loop_turn(f->loop, 10);
    assert_int_equal(block_pool_used(f->pool), 0);

    struct block *again = block_get(f->pool, LARGE);
    assert_ptr_equal(again, b);
    part = (struct frame){again->data, LARGE, again};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    seen = read_large(f, false, NULL); /* it is known */
    assert_int_equal(seen.block, id);
    block_unref(again);
}

static void test_large_part_elsewhere_is_copied(void **state)
{
    struct fixture *f = *state;
    uint8_t *memory = malloc(LARGE);
    memset(memory, 9, LARGE);
    struct frame part = {memory, LARGE, NULL};
    uint32_t id;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, &part, 1), 0);
    read_large(f, true, &id);
    uint8_t last = 0;
    assert_int_equal(pread(f->received_fd, &last, 1, LARGE - 1), 1);
    assert_int_equal(last, 9);
    free(memory);
}

static void test_what_is_lent_is_lent_once(void **state)
{
    struct fixture *f = *state;
    struct block *b = block_get(f->pool, LARGE);
    struct frame parts[] = {{b->data, LARGE, b}, {b->data, LARGE, b}};
    b->data[0] = 5;
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, 2), 0);
    struct message first, second;
    fake_read(f, first.octets, sizeof(struct rt_head) + sizeof(struct rt_part) + 12);
    fake_read(f, second.octets, sizeof(struct rt_head) + sizeof(struct rt_part) + 12);
    struct rt_head head;
    struct rt_part table[2];
    fake_read(f, &head, sizeof(head));
    fake_read(f, table, sizeof(table));
    assert_int_not_equal(table[0].block, table[1].block);
    uint8_t copy = 0;
    assert_int_equal(pread(f->received_fd, &copy, 1, 0), 1);
    assert_int_equal(copy, 5);
    block_unref(b);
}

static void test_numbers_are_used_again(void **state)
{
    struct fixture *f = *state;
    struct lender l;
    struct block *blocks[2 * LEND_KEEP];
    bool announce;
    lender_init(&l);
    for (unsigned i = 0; i < 2 * LEND_KEEP; i++) {
        blocks[i] = block_get(f->pool, LARGE);
        uint32_t number = lender_lend(&l, blocks[i], &announce);
        assert_true(announce);
        assert_in_range(number, 1, LEND_KEEP);
        assert_int_equal(lender_back(&l, number), 0);
        assert_int_equal(lender_back(&l, number), ERSA_EPROTO);
    }
    lender_lend(&l, blocks[2 * LEND_KEEP - 1], &announce);
    assert_false(announce);
    lender_lend(&l, blocks[0], &announce); /* its number went to another one */
    assert_true(announce);
    lender_fini(&l);
    for (unsigned i = 0; i < 2 * LEND_KEEP; i++)
        block_unref(blocks[i]);
}

/* More small octets than one message may have inline. */
static void test_many_parts(void **state)
{
    struct fixture *f = *state;
    enum { N = 1200, LEN = 60000 };
    struct frame *parts = calloc(N, sizeof(*parts));
    uint8_t *memory = calloc(1, LEN);
    for (int i = 0; i < N; i++)
        parts[i] = (struct frame){memory, LEN, NULL};
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, N), 0);
    struct rt_head head;
    unsigned n_blocks = 0;
    for (;; n_blocks++) {
        uint8_t rest[sizeof(struct rt_part) + 12];
        fake_read(f, &head, sizeof(head));
        if (head.type != RT_BLOCK)
            break;
        fake_read(f, rest, sizeof(rest));
    }
    assert_int_equal(head.type, RT_RUN);
    assert_int_equal(head.n_parts, N);
    assert_true(head.inline_bytes <= RT_INLINE_MAX);
    assert_int_equal(head.inline_bytes + n_blocks * (uint64_t)LEN, (uint64_t)N * LEN);
    uint8_t *all = malloc(N * sizeof(struct rt_part) + head.inline_bytes);
    fake_read(f, all, N * sizeof(struct rt_part) + head.inline_bytes);
    free(all);
    assert_int_equal(rtchannel_send(&f->channel, RT_RUN, parts, RT_PARTS_MAX + 1), ERSA_EFULL);
    free(parts);
    free(memory);
}

static struct message reply_in_block(uint32_t block, uint64_t len)
{
    struct message m = with_head(RT_REPLY, 2, 2);
    put_part(&m, 2, 0);
    put_part(&m, len, block);
    put(&m, "id", 2);
    return m;
}

static uint32_t read_release(struct fixture *f)
{
    struct rt_head head;
    struct rt_part part;
    uint32_t id;
    fake_read(f, &head, sizeof(head));
    assert_int_equal(head.type, RT_RELEASE);
    fake_read(f, &part, sizeof(part));
    fake_read(f, &id, sizeof(id));
    return id;
}

static void test_block_of_the_runtime(void **state)
{
    struct fixture *f = *state;
    announce(f, 17, LARGE, 'x');
    struct message m = reply_in_block(17, LARGE);
    fake_send(f, m.octets, m.len, -1);
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(f->n_parts, 2);
    assert_memory_equal(f->first, "id", 2);
    assert_int_equal(read_release(f), 17); /* nobody kept it */

    f->keep = true;
    fake_send(f, m.octets, m.len, -1);
    wait_for(f, &f->n_messages, 2);
    assert_non_null(f->kept);
    assert_int_equal(f->kept->data[0], 'x');
    loop_turn(f->loop, 0);
    assert_false(readable(f->fd));
    block_unref(f->kept);
    f->kept = NULL;
    assert_int_equal(read_release(f), 17);

    announce(f, 17, 2 * LARGE, 'y'); /* a larger one under the same id */
    m = reply_in_block(17, 2 * LARGE);
    fake_send(f, m.octets, m.len, -1);
    wait_for(f, &f->n_messages, 3);
    assert_int_equal(f->kept->data[0], 'y');
    assert_int_equal(f->n_closed, 0);
}

static void test_block_outlives_the_channel(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'z');
    struct message m = reply_in_block(1, LARGE);
    f->keep = true;
    fake_send(f, m.octets, m.len, -1);
    wait_for(f, &f->n_messages, 1);
    rtchannel_fini(&f->channel);
    assert_int_equal(f->kept->data[0], 'z');
    block_unref(f->kept);
    f->kept = NULL;
}

static void test_octet_by_octet(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_LOG, 2, 4);
    put_part(&m, 2, 0);
    put_part(&m, 2, 0);
    put(&m, "20hi", 4);
    for (size_t i = 0; i < m.len; i++) {
        assert_int_equal(f->n_messages, 0);
        fake_send(f, m.octets + i, 1, -1);
        loop_turn(f->loop, 1000);
    }
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(f->type, RT_LOG);
    assert_int_equal(f->first_len, 2);
}

static void test_held(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_EXIT, 0, 0);
    rtchannel_hold(&f->channel, true);
    fake_send(f, m.octets, m.len, -1);
    for (int i = 0; i < 5; i++)
        loop_turn(f->loop, 1);
    assert_int_equal(f->n_messages, 0);
    rtchannel_hold(&f->channel, false);
    wait_for(f, &f->n_messages, 1);
}

static void test_read_out(void **state)
{
    struct fixture *f = *state;
    struct message m = with_head(RT_EXIT, 0, 0);
    for (int i = 0; i < 3; i++)
        fake_send(f, m.octets, m.len, -1);
    rtchannel_read_out(&f->channel);
    assert_int_equal(f->n_messages, 3);
    assert_int_equal(f->n_closed, 1);
    assert_string_equal(f->why, "");
    assert_int_equal(rtchannel_send(&f->channel, RT_SHUTDOWN, NULL, 0), ERSA_ECLOSED);
}

static void test_end(void **state)
{
    struct fixture *f = *state;
    close(f->fd);
    f->fd = -1;
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, "");
}

static void test_torn_message(void **state)
{
    struct fixture *f = *state;
    struct message m = reply_in_block(0, 5);
    fake_send(f, m.octets, 20, -1);
    close(f->fd);
    f->fd = -1;
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, "half a message");
}

/* Garbage: each ends the channel with its reason, and nothing of it is delivered. */

static void expect_end(struct fixture *f, const char *why)
{
    wait_for(f, &f->n_closed, 1);
    assert_string_equal(f->why, why);
    assert_int_equal(f->n_messages, 0);
}

static void test_garbage_heads(void **state)
{
    static const struct {
        uint32_t type, n_parts;
        uint64_t inline_bytes;
        const char *why;
    } rows[] = {
        {0, 0, 0, "an unknown type of message"},
        {0x3e3e3e3e, 0x3e3e3e3e, 0x3e3e3e3e3e3e3e3e, "an unknown type of message"},
        {RT_RUN, 0, 0, "an unknown type of message"},
        {RT_REPLY, RT_PARTS_MAX + 1, 0, "a message over the bounds"},
        {RT_REPLY, 0xffffffff, 0, "a message over the bounds"},
        {RT_REPLY, 1, RT_INLINE_MAX + 1, "a message over the bounds"},
        {RT_REPLY, 0, UINT64_MAX, "a message over the bounds"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m = with_head(rows[i].type, rows[i].n_parts, rows[i].inline_bytes);
        void *own;
        setup(&own);
        struct fixture *f = own;
        fake_send(f, m.octets, m.len, -1);
        expect_end(f, rows[i].why);
        teardown(&own);
    }
}

static struct message odd_reserved(void)
{
    struct message m = with_head(RT_REPLY, 1, 0);
    struct rt_part p = {0, 0, 1};
    put(&m, &p, sizeof(p));
    return m;
}

static struct message wrong_sum(void)
{
    struct message m = with_head(RT_REPLY, 1, 3);
    put_part(&m, 2, 0);
    put(&m, "abc", 3);
    return m;
}

static struct message large_inline(void)
{
    struct message m = with_head(RT_REPLY, 1, RT_SHM_MIN);
    put_part(&m, RT_SHM_MIN, 0);
    return m;
}

static struct message unknown_block(void)
{
    return reply_in_block(4, LARGE);
}

static struct message foreign_release(void)
{
    return release_message(1);
}

static struct message odd_release(void)
{
    struct message m = with_head(RT_RELEASE, 1, 3);
    put_part(&m, 3, 0);
    put(&m, "abc", 3);
    return m;
}

static struct message odd_block(void)
{
    struct message m = with_head(RT_BLOCK, 1, 4);
    put_part(&m, 4, 0);
    put(&m, "abcd", 4);
    return m;
}

static struct message block_without_fd(void)
{
    return block_message(1, LARGE);
}

static void test_garbage_messages(void **state)
{
    static const struct {
        struct message (*make)(void);
        const char *why;
    } rows[] = {
        {odd_reserved, "a part with a reserved field that is not 0"},
        {wrong_sum, "a wrong sum of inline octets"},
        {large_inline, "a large part that is not in a block"},
        {unknown_block, "a part in a block that is unknown, too small or in use"},
        {foreign_release, "a RELEASE of what it does not have"},
        {odd_release, "a malformed RELEASE"},
        {odd_block, "a malformed BLOCK"},
        {block_without_fd, "a BLOCK without its descriptor"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m = rows[i].make();
        void *own;
        setup(&own);
        struct fixture *f = own;
        fake_send(f, m.octets, m.len, -1);
        expect_end(f, rows[i].why);
        teardown(&own);
    }
}

static void test_block_smaller_than_it_says(void **state)
{
    struct fixture *f = *state;
    struct message m = block_message(1, 2 * LARGE);
    int fd = make_memory(LARGE, 'a');
    fake_send(f, m.octets, m.len, fd);
    close(fd);
    expect_end(f, "a BLOCK that can't be used");
}

static void test_descriptor_that_is_no_memory(void **state)
{
    struct fixture *f = *state;
    struct message m = block_message(1, LARGE);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    fake_send(f, m.octets, m.len, fd);
    close(fd);
    expect_end(f, "a BLOCK that can't be used");
}

static void test_part_longer_than_its_block(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'a');
    struct message m = reply_in_block(1, LARGE + 1);
    fake_send(f, m.octets, m.len, -1);
    expect_end(f, "a part in a block that is unknown, too small or in use");
}

static void test_block_used_twice(void **state)
{
    struct fixture *f = *state;
    announce(f, 1, LARGE, 'a');
    struct message m = with_head(RT_REPLY, 2, 0);
    put_part(&m, LARGE, 1);
    put_part(&m, LARGE, 1);
    fake_send(f, m.octets, m.len, -1);
    expect_end(f, "a part in a block that is unknown, too small or in use");
}

static void test_shrinking_memory_is_refused_or_harmless(void **state)
{
    struct fixture *f = *state;
    struct message m = block_message(1, LARGE);
    int fd = make_memory(LARGE, 'a');
    fake_send(f, m.octets, m.len, fd);
    struct message r = reply_in_block(1, LARGE);
    f->keep = true;
    fake_send(f, r.octets, r.len, -1);
    wait_for(f, &f->n_messages, 1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(f->kept->data[LARGE - 1], 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_message_as_it_travels),
        TEST(test_large_part_is_lent),
        TEST(test_large_part_elsewhere_is_copied),
        TEST(test_what_is_lent_is_lent_once),
        TEST(test_numbers_are_used_again),
        TEST(test_many_parts),
        TEST(test_block_of_the_runtime),
        TEST(test_block_outlives_the_channel),
        TEST(test_octet_by_octet),
        TEST(test_held),
        TEST(test_read_out),
        TEST(test_end),
        TEST(test_torn_message),
        cmocka_unit_test(test_garbage_heads),
        cmocka_unit_test(test_garbage_messages),
        TEST(test_block_smaller_than_it_says),
        TEST(test_descriptor_that_is_no_memory),
        TEST(test_part_longer_than_its_block),
        TEST(test_block_used_twice),
        TEST(test_shrinking_memory_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
