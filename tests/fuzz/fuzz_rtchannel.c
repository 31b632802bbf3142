/* SPDX-License-Identifier: BSD-3-Clause */
/* The runtime protocol as the engine reads it: octets from a runtime gone mad, with and without
 * descriptors, while the engine sends, holds, and keeps blocks.
 *
 * Steps, an octet each: what to do (% 8, the table); what it needs follows. */
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/rtchannel.h"
#include "engine/rtfds.h"
#include "fuzz.h"

#define KEPT_MAX 8
#define LARGE (RT_SHM_MIN + 10)
#define LARGES 8 /* sends of large parts in one run: new pages are what takes time */

struct run {
    struct rtchannel channel;
    int fd;
    struct block *kept[KEPT_MAX];
    unsigned n_kept, keeps, n_closed, n_larges;
};

static struct loop *loop;
static struct block_pool *pool;
static uint8_t sum; /* of what was received: each octet must be readable */

static void on_message(void *ctx, uint32_t type, const struct frame *parts, unsigned n)
{
    struct run *r = ctx;
    FUZZ_CHECK(r->n_closed == 0 && type != RT_BLOCK && type != RT_RELEASE);
    for (unsigned i = 0; i < n; i++) {
        for (size_t k = 0; k < parts[i].len; k += 512)
            sum ^= parts[i].data[k];
        if (parts[i].len)
            sum ^= parts[i].data[parts[i].len - 1];
        if (parts[i].block && r->keeps && r->n_kept < KEPT_MAX) {
            r->kept[r->n_kept++] = block_ref(parts[i].block);
            r->keeps--;
        }
    }
    if (type == RT_EXIT)
        rtchannel_hold(&r->channel, true);
}

static void on_closed(void *ctx, const char *why)
{
    ((struct run *)ctx)->n_closed++;
}

static const struct rtchannel_ops ops = {.message = on_message, .closed = on_closed};

static void hear(const struct run *r)
{
    static uint8_t chunk[65536];
    struct rtfds got;
    while (rtfds_receive(r->fd, chunk, sizeof(chunk), MSG_DONTWAIT, &got) > 0)
        for (unsigned i = 0; i < got.n; i++)
            close(got.fds[i]);
}

static void turn(const struct run *r)
{
    FUZZ_CHECK(loop_turn(loop, 0) == 0);
    hear(r);
}

static void say(const struct run *r, const void *data, size_t len, int fd)
{
    if (len == 0)
        return;
    (void)!rtfds_send(r->fd, data, len, fd, MSG_DONTWAIT);
    turn(r);
}

/* A well-formed message around what the input says. */
static void say_message(const struct run *r, uint32_t type, const struct rt_part *parts,
                        uint32_t n, const uint8_t *octets, size_t len, int fd)
{
    uint8_t out[sizeof(struct rt_head) + 8 * sizeof(struct rt_part) + 65536];
    struct rt_head head = {type, n, len};
    size_t at = sizeof(head);
    memcpy(out, &head, sizeof(head));
    memcpy(out + at, parts, n * sizeof(*parts));
    at += n * sizeof(*parts);
    memcpy(out + at, octets, len);
    say(r, out, at + len, fd);
}

/* Steps */

static void step_octets(struct run *r, struct input *in)
{
    size_t len;
    const uint8_t *octets = input_piece(in, input_octet(in), &len);
    say(r, octets, len, -1);
}

static void step_message(struct run *r, struct input *in)
{
    struct rt_part parts[8];
    uint32_t type = input_octet(in), n = input_octet(in) % 9;
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t word = input_octet(in);
        parts[i] = (struct rt_part){.len = word % 64, .block = 0};
        if (word & 0x80) /* in a block; what it names is up to the input */
            parts[i] =
                (struct rt_part){.len = (size_t)(word % 64) * 4096, .block = input_octet(in)};
        else
            total += parts[i].len;
    }
    size_t len;
    const uint8_t *octets = input_piece(in, total, &len);
    uint8_t padded[8 * 64] = {0};
    if (len)
        memcpy(padded, octets, len);
    say_message(r, type, parts, n, padded, total, -1);
}

static void announce(const struct run *r, uint32_t id, uint64_t cap, uint64_t real)
{
    uint8_t body[sizeof(id) + sizeof(cap)];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)real) == 0);
    memcpy(body, &id, sizeof(id));
    memcpy(body + sizeof(id), &cap, sizeof(cap));
    say_message(r, RT_BLOCK, &(struct rt_part){.len = sizeof(body)}, 1, body, sizeof(body), fd);
    close(fd);
}

static void step_block(struct run *r, struct input *in)
{
    uint32_t id = input_octet(in);
    uint64_t real = (uint64_t)input_octet(in) * 4096;
    uint8_t how = input_octet(in);
    uint64_t cap = how & 1 ? real + how : how & 2 ? UINT64_MAX - how : real;
    announce(r, id, cap, real);
}

static void step_release(struct run *r, struct input *in)
{
    uint32_t id = input_octet(in);
    say_message(r, RT_RELEASE, &(struct rt_part){.len = sizeof(id)}, 1, (const uint8_t *)&id,
                sizeof(id), -1);
}

static void step_send(struct run *r, struct input *in)
{
    static const uint8_t octets[LARGE];
    uint8_t how = input_octet(in);
    if (how & 3 && r->n_larges++ >= LARGES)
        how &= (uint8_t)~3;
    struct block *b = how & 1 ? block_get(pool, LARGE) : NULL;
    struct frame parts[] = {FRAME_LIT("text"),
                            {octets, how & 2 ? LARGE : how, NULL},
                            {b ? b->data : octets, b ? LARGE : how, b},
                            {b ? b->data : octets, b ? LARGE : how, b}};
    rtchannel_send(&r->channel, RT_RUN, parts, 4);
    block_unref(b);
    turn(r);
}

static void step_hold(struct run *r, struct input *in)
{
    rtchannel_hold(&r->channel, input_octet(in) & 1);
    turn(r);
}

static void step_keep(struct run *r, struct input *in)
{
    uint8_t how = input_octet(in);
    r->keeps = how % KEPT_MAX;
    if (how & 0x80 && r->n_kept)
        block_unref(r->kept[--r->n_kept]);
    turn(r);
}

static void (*const steps[])(struct run *r, struct input *in) = {
    step_octets, step_message, step_block, step_release,
    step_send,   step_hold,    step_keep,  step_message,
};

/* Runs */

static void set_up(void)
{
    if (loop)
        return;
    loop = loop_new();
    pool = block_pool_new(1 << 20, true);
    FUZZ_CHECK(loop && pool);
}

static void finish(struct run *r, bool reads_out)
{
    if (reads_out) {
        shutdown(r->fd, SHUT_WR);
        rtchannel_read_out(&r->channel);
        FUZZ_CHECK(r->n_closed == 1);
    }
    rtchannel_close(&r->channel);
    rtchannel_fini(&r->channel);
    while (r->n_kept) { /* blocks outlive their channel */
        struct block *b = r->kept[--r->n_kept];
        sum ^= b->cap ? b->data[b->cap - 1] : 0;
        block_unref(b);
    }
    close(r->fd);
    FUZZ_CHECK(r->n_closed <= 1 && block_pool_used(pool) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct run r = {0};
    int fds[2];
    set_up();
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    r.fd = fds[1];
    FUZZ_CHECK(rtchannel_open(&r.channel, loop, fds[0], pool, &ops, &r) == 0);
    uint8_t mode = input_octet(&in);
    while (input_left(&in))
        steps[input_octet(&in) % 8](&r, &in);
    finish(&r, mode & 1);
    return 0;
}
