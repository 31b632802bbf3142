/* SPDX-License-Identifier: BSD-3-Clause */
/* Octets of ZMTP connections, fed to a port through socketpairs.
 *
 * The first octet: kind of the port (% 5), 0x40 a port that echoes, 0x80 narrow bounds. Then
 * steps, an octet each: connection (& 3, three of them and one more that is the first) and what
 * to do (>> 2, the table). A run of writes to one connection alone is done a second time in one
 * piece: what the port hears must not depend on where the octets were split. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/buf.h"
#include "util/log.h"
#include "wire/wire_impl.h"

#define N_CONNS 3
#define ECHOES 0x40
#define NARROW 0x80
#define NARROW_MSG_MAX 20000
#define TURNS_MAX 2000
#define SENT_MAX (8u << 20)
#define MERGED_MAX 65536u
#define PATIENCE 8 /* turns without an octet taken */

struct side {
    int fd;            /* the other end of the connection; -1: none */
    struct buf *heard; /* its memory stays from run to run */
};

struct run {
    struct port *port;
    struct side sides[N_CONNS];
    bool echoes, is_deaf;
    unsigned ups, downs;
    size_t msg_max;
    uint64_t digest;
};

static struct loop *loop;
static struct wire *wire;
static struct buf heard[N_CONNS];

static void note(struct run *r, const char *event, const void *data, size_t len)
{
    r->digest = digest_add(r->digest, event, strlen(event));
    r->digest = digest_add(r->digest, &len, sizeof(len));
    r->digest = digest_add(r->digest, data, len);
}

static void on_up(void *ctx, struct peer *p)
{
    struct run *r = ctx;
    r->ups++;
    struct slice id = peer_identity(p);
    FUZZ_CHECK(id.len > 0 && port_find(r->port, id.data, id.len) == p);
    note(r, "up", id.data, id.data[0] ? id.len : 0);
    peer_set_user(p, r);
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    struct run *r = ctx;
    r->downs++;
    FUZZ_CHECK(peer_user(p) == r);
    note(r, "down", &why, sizeof(why));
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct run *r = ctx;
    size_t bytes = 0;
    FUZZ_CHECK(m->n > 0 && peer_user(p) == r);
    for (unsigned i = 0; i < m->n; i++) {
        note(r, "frame", m->frames[i].data, m->frames[i].len);
        bytes += m->frames[i].len;
    }
    FUZZ_CHECK(bytes <= r->msg_max);
    note(r, "message", &m->n, sizeof(m->n));
    struct held *h = msg_hold(m->frames, m->n);
    if (r->echoes && port_queued_bytes(r->port) < SENT_MAX)
        peer_send(p, h->frames, h->n);
    held_free(h);
}

static void on_subscribed(void *ctx, struct peer *p, struct slice prefix, bool on)
{
    note(ctx, on ? "subscribed" : "cancelled", prefix.data, prefix.len);
}

static void on_taken_over(void *ctx, struct peer *p)
{
    note(ctx, "taken over", NULL, 0);
}

static const struct port_ops ops = {
    .peer_up = on_up,
    .peer_down = on_down,
    .message = on_message,
    .subscribed = on_subscribed,
    .peer_taken_over = on_taken_over,
};

/* The peers' side */

static void hear(struct run *r)
{
    static uint8_t chunk[65536];
    for (int i = 0; i < N_CONNS && !r->is_deaf; i++) {
        struct side *s = &r->sides[i];
        ssize_t n = sizeof(chunk);
        while (s->fd >= 0 && n == sizeof(chunk)) {
            n = recv(s->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
            if (n > 0)
                buf_append(s->heard, chunk, (size_t)n);
        }
    }
}

static void turn(struct run *r)
{
    FUZZ_CHECK(loop_turn(loop, 0) == 0);
    hear(r);
}

/* All that a port says are a greeting and frames; the last may be cut off. */
static void check_heard(const struct side *s)
{
    size_t pos = ZMTP_GREETING_SIZE;
    while (pos < s->heard->len) {
        struct zmtp_head head;
        int size = zmtp_parse_head(s->heard->data + pos, s->heard->len - pos, &head);
        FUZZ_CHECK(size >= 0);
        if (size == 0)
            break;
        pos += head.size + head.len;
    }
    struct zmtp_greeting g;
    if (s->heard->len >= ZMTP_GREETING_SIZE)
        FUZZ_CHECK(zmtp_parse_greeting(s->heard->data, &g) == 0);
}

static void hang_up(struct run *r, struct side *s)
{
    if (s->fd < 0)
        return;
    hear(r);
    close(s->fd);
    s->fd = -1;
    check_heard(s);
    buf_reset(s->heard);
}

static struct side *open_side(struct run *r, unsigned i)
{
    struct side *s = &r->sides[i];
    int fds[2];
    if (s->fd >= 0)
        return s;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    s->fd = fds[1];
    conn_new(r->port, fds[0], NULL);
    return s;
}

/* Until all is said, the port has hung up, or it takes nothing any more. */
static void say(struct run *r, const struct side *s, const uint8_t *data, size_t len)
{
    for (int patience = PATIENCE; len && patience > 0; patience--) {
        ssize_t n = send(s->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            patience = PATIENCE;
        } else if (errno != EAGAIN) {
            patience = 1;
        }
        turn(r);
    }
}

/* Steps */

static struct peer *peer_of(struct run *r, unsigned i)
{
    size_t pos = 0;
    struct peer *p = NULL;
    for (unsigned k = 0; k <= i; k++) {
        struct peer *next = port_next_peer(r->port, &pos);
        p = next ? next : p;
    }
    return p;
}

static void step_write(struct run *r, unsigned i, struct input *in)
{
    size_t len;
    const uint8_t *data = input_piece(in, 1u + input_octet(in), &len);
    say(r, open_side(r, i), data, len);
}

/* One octet many times, for frames over WIRE_COPY_MAX. */
static void step_fill(struct run *r, unsigned i, struct input *in)
{
    static uint8_t octets[2 * 65536];
    size_t len = 2 * input_number(in);
    memset(octets, input_octet(in), len);
    say(r, open_side(r, i), octets, len);
}

static void step_hang_up(struct run *r, unsigned i, struct input *in)
{
    hang_up(r, &r->sides[i]);
    turn(r);
}

static void step_pause(struct run *r, unsigned i, struct input *in)
{
    struct peer *p = peer_of(r, i);
    if (p)
        peer_pause(p);
}

static void step_resume(struct run *r, unsigned i, struct input *in)
{
    struct peer *p = peer_of(r, i);
    if (p)
        peer_resume(p);
    turn(r);
}

static void step_send(struct run *r, unsigned i, struct input *in)
{
    static const uint8_t octets[70000];
    struct peer *p = peer_of(r, i);
    unsigned size = input_number(in);
    struct frame f[] = {{octets, size & 7, NULL}, {octets, size + size / 15, NULL}};
    if (p && port_queued_bytes(r->port) < SENT_MAX)
        peer_send(p, f, 2);
    turn(r);
}

static void step_publish(struct run *r, unsigned i, struct input *in)
{
    struct frame f = FRAME_LIT("abc");
    if (port_queued_bytes(r->port) < SENT_MAX)
        port_publish(r->port, &f, 1);
    turn(r);
}

static void step_stall(struct run *r, unsigned i, struct input *in)
{
    struct peer *source = peer_of(r, i), *sink = peer_of(r, i ? 0 : 1);
    if (source && sink && source != sink)
        peer_stall(source, sink);
}

static void step_close(struct run *r, unsigned i, struct input *in)
{
    struct peer *p = peer_of(r, i);
    if (p)
        peer_close(p);
    if (input_octet(in) & 1)
        turn(r);
}

static void step_subscribe(struct run *r, unsigned i, struct input *in)
{
    size_t len;
    const uint8_t *prefix = input_piece(in, input_octet(in), &len);
    port_subscribe(r->port, prefix, len);
    turn(r);
}

static void step_deaf(struct run *r, unsigned i, struct input *in)
{
    r->is_deaf = !r->is_deaf;
    turn(r);
}

static void (*const steps[])(struct run *r, unsigned i, struct input *in) = {
    step_write, step_fill,    step_hang_up, step_pause, step_resume,    step_send,
    step_write, step_publish, step_stall,   step_close, step_subscribe, step_deaf,
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* Runs */

static void start(struct run *r, uint8_t mode)
{
    *r = (struct run){.echoes = mode & ECHOES, .digest = DIGEST_START};
    struct port_config cfg = {.kind = (mode & 15) % PORT_KIND_MAX,
                              .name = "fuzz",
                              .identity = "me",
                              .identity_len = 2,
                              .ops = &ops,
                              .ctx = r,
                              .prio = LOOP_NORMAL,
                              .tx_cap_bytes = mode & NARROW ? 4096 : 1 << 20,
                              .msg_max_bytes = mode & NARROW ? NARROW_MSG_MAX : 1 << 20};
    r->msg_max = cfg.msg_max_bytes;
    r->port = port_new(wire, &cfg, NULL);
    FUZZ_CHECK(r->port);
    for (int i = 0; i < N_CONNS; i++)
        r->sides[i] = (struct side){-1, &heard[i]};
}

static void finish(struct run *r)
{
    size_t queued = 0, pos = 0;
    struct peer *p;
    r->is_deaf = false;
    turn(r);
    while ((p = port_next_peer(r->port, &pos))) {
        queued += peer_queued_bytes(p);
        while (peer_is_paused(p)) /* as often as it was paused; stalls end with their sinks */
            peer_resume(p);
    }
    FUZZ_CHECK(queued + r->port->unsent.bytes == port_queued_bytes(r->port));
    for (int i = 0; i < N_CONNS; i++)
        hang_up(r, &r->sides[i]);
    for (int i = 0; i < TURNS_MAX && !list_is_empty(&r->port->conns); i++)
        turn(r);
    turn(r);
    FUZZ_CHECK(list_is_empty(&r->port->conns));
    FUZZ_CHECK(port_peers(r->port) == 0 && r->ups == r->downs);
    port_close(r->port, 0);
    turn(r);
    FUZZ_CHECK(block_pool_used(wire_pool(wire)) == 0);
    FUZZ_CHECK(list_is_empty(&wire->ports) && list_is_empty(&wire->dead_conns));
}

/* The octets of an input that only writes, and to one connection; false: it does more. */
static bool merge(struct input in, struct buf *out)
{
    unsigned conn = 0;
    bool is_first = true;
    while (input_left(&in)) {
        uint8_t op = input_octet(&in);
        unsigned what = (op >> 2) % N_STEPS;
        size_t len;
        if ((steps[what] != step_write) || (!is_first && conn != (op & 3) % N_CONNS))
            return false;
        is_first = false;
        conn = (op & 3) % N_CONNS;
        const uint8_t *data = input_piece(&in, 1u + input_octet(&in), &len);
        if (buf_append(out, data, len) < 0)
            return false;
    }
    return out->len > 0;
}

static void set_up(void)
{
    if (wire)
        return;
    log_set_level(LOG_CRITICAL + 1);
    loop = loop_new();
    wire = loop ? wire_new(loop, NULL) : NULL;
    FUZZ_CHECK(wire);
    for (int i = 0; i < N_CONNS; i++)
        buf_init(&heard[i], 2 * SENT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct run r;
    set_up();
    uint8_t mode = input_octet(&in);
    struct input script = in;
    start(&r, mode);
    while (input_left(&in)) {
        uint8_t op = input_octet(&in);
        steps[(op >> 2) % N_STEPS](&r, (op & 3) % N_CONNS, &in);
    }
    finish(&r);
    uint64_t seen = r.digest;
    struct buf octets;
    buf_init(&octets, MERGED_MAX);
    if (merge(script, &octets)) {
        start(&r, mode);
        say(&r, open_side(&r, 0), octets.data, octets.len);
        finish(&r);
        FUZZ_CHECK(r.digest == seen);
    }
    buf_fini(&octets);
    return 0;
}
