/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer of a CURVE port that knows the keys, so that what it says gets behind the boxes.
 *
 * The first octet: kind of the port (% 5), 0x10 the port is the client, 0x40 it echoes. Then
 * steps, an octet each (% N_STEPS): the table. "Random" keys and nonces are the same in every
 * run, and so are the long-term keys. What the port seals must be what it was given. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/log.h"
#include "wire/mechanism.h"
#include "wire/wire_impl.h"

#define IS_CLIENT 0x10
#define ECHOES 0x40
#define MSG_MAX (1u << 20)
#define LARGE_MAX (300u << 10)   /* over SEAL_SIZE */
#define LARGE_TOTAL (320u << 10) /* in one run: sealing is what takes time */
#define HEARD_MAX (16u << 20)
#define CONNECTS 4 /* in one run */
#define N_KEYS 2
#define PATIENCE 8 /* turns without an octet taken */

struct run {
    struct port *port;
    unsigned kind, ups, downs, connects;
    bool echoes, is_honest; /* nothing was said that ends the connection */
    int fd;                 /* our end; -1: none */
    size_t large_left;      /* of LARGE_TOTAL */
    const struct mechanism *ours;
    struct curve_config theirs, own;
    struct curve_talk *talk;
    struct curve_link link;
    bool has_greeted, is_up;
    uint8_t identity[255];
    size_t identity_len;
};

static struct loop *loop;
static struct wire *wire;
static struct buf heard; /* not yet understood; its memory stays from run to run */
static struct curve_keys keys[N_KEYS];
static uint8_t next_random;

/* What libsodium calls for each handshake, nine times, is in the way here: keys are the same in
 * most runs, so products are remembered. */

struct product {
    uint8_t n[CURVE_KEY_SIZE], p[CURVE_KEY_SIZE], q[CURVE_KEY_SIZE];
    bool is_known;
    int rc;
};

typedef int (*multiply_fn)(unsigned char *q, const unsigned char *n, const unsigned char *p);

int crypto_scalarmult_curve25519(unsigned char *q, const unsigned char *n,
                                 const unsigned char *p)
{
    static struct product products[4096];
    static multiply_fn multiply;
    uint64_t digest = digest_add(DIGEST_START, n, CURVE_KEY_SIZE);
    struct product *known = &products[digest_add(digest, p, CURVE_KEY_SIZE) % 4096];
    if (!multiply)
        multiply = (multiply_fn)dlsym(RTLD_NEXT, "crypto_scalarmult_curve25519");
    if (!known->is_known || memcmp(known->n, n, CURVE_KEY_SIZE) != 0 ||
        memcmp(known->p, p, CURVE_KEY_SIZE) != 0) {
        memcpy(known->n, n, CURVE_KEY_SIZE);
        memcpy(known->p, p, CURVE_KEY_SIZE);
        known->rc = multiply(known->q, n, p);
        known->is_known = true;
    }
    memcpy(q, known->q, CURVE_KEY_SIZE);
    return known->rc;
}

int crypto_scalarmult_curve25519_base(unsigned char *q, const unsigned char *n)
{
    static const uint8_t nine[CURVE_KEY_SIZE] = {9};
    return crypto_scalarmult_curve25519(q, n, nine);
}

static const char *random_name(void)
{
    return "fuzz";
}

static uint32_t random_number(void)
{
    return next_random++;
}

static void random_octets(void *data, size_t len)
{
    memset(data, ++next_random, len);
}

static void on_up(void *ctx, struct peer *p)
{
    ((struct run *)ctx)->ups++;
}

static void on_down(void *ctx, struct peer *p, enum peer_down why)
{
    ((struct run *)ctx)->downs++;
}

static void on_message(void *ctx, struct peer *p, const struct msg *m)
{
    struct run *r = ctx;
    size_t bytes = 0, sum = 0;
    for (unsigned i = 0; i < m->n; i++) {
        bytes += m->frames[i].len;
        FUZZ_CHECK((m->frames[i].len >= WIRE_COPY_MAX) == (m->frames[i].block != NULL));
        for (size_t k = 0; k < m->frames[i].len; k += 997) /* readable */
            sum += m->frames[i].data[k];
    }
    FUZZ_CHECK(bytes <= MSG_MAX && sum <= bytes * 255);
    if (r->echoes && port_queued_bytes(r->port) < HEARD_MAX / 4)
        peer_send(p, m->frames, m->n);
}

static const struct port_ops ops = {
    .peer_up = on_up, .peer_down = on_down, .message = on_message};

/* Hearing */

static struct handshake our_side(struct run *r, struct buf *room)
{
    static const char *const fits[] = {"DEALER", "ROUTER", "SUB", "XSUB", "PUB"};
    return (struct handshake){.socket_type = fits[r->kind],
                              .identity = {(const char *)r->identity, r->identity_len},
                              .curve = &r->own,
                              .talk = &r->talk,
                              .room = room};
}

static void say(struct run *r, const uint8_t *data, size_t len);

static void on_command(struct run *r, struct slice body)
{
    struct buf out, room;
    struct zmtp_command cmd;
    struct zmtp_ready ready;
    buf_init(&out, 8192);
    buf_init(&room, 8192);
    struct handshake h = our_side(r, &room);
    FUZZ_CHECK(zmtp_parse_command(body, &cmd) == 0);
    int rc = r->talk ? r->ours->command(&h, &cmd, &out, &ready) : ERSA_EPROTO;
    if (rc == 1) {
        r->link = *curve_talk_link(r->talk);
        r->is_up = true;
    }
    FUZZ_CHECK(rc >= 0 || !r->is_honest);
    say(r, out.data, out.len);
    buf_fini(&out);
    buf_fini(&room);
}

static void on_sealed(struct run *r, uint8_t *body, size_t len)
{
    FUZZ_CHECK(curve_open(&r->link, body, len) == 0);
    FUZZ_CHECK(body[CURVE_HEAD_SIZE] <= CURVE_COMMAND);
    const uint8_t *data = body + CURVE_OVERHEAD;
    if (r->echoes && len > LARGE_MAX / 10) /* large ones are one octet many times */
        FUZZ_CHECK(memcmp(data, data + 1, len - CURVE_OVERHEAD - 1) == 0);
}

/* Saying something hears nothing, so frames are read where they are. */
static void understand(struct run *r)
{
    struct zmtp_head head;
    size_t at = 0;
    if (!r->has_greeted && heard.len < ZMTP_GREETING_SIZE)
        return;
    if (!r->has_greeted)
        at = ZMTP_GREETING_SIZE;
    r->has_greeted = true;
    while (zmtp_parse_head(heard.data + at, heard.len - at, &head) > 0 &&
           heard.len - at - head.size >= head.len) {
        uint8_t *body = heard.data + at + head.size;
        at += head.size + head.len;
        if (head.flags & ZMTP_COMMAND)
            on_command(r, (struct slice){(const char *)body, head.len});
        else if (r->is_up)
            on_sealed(r, body, head.len);
    }
    buf_consume(&heard, at);
}

/* Whether anything was heard. */
static bool turn(struct run *r)
{
    static uint8_t chunk[65536];
    ssize_t n = sizeof(chunk);
    size_t before = heard.len;
    FUZZ_CHECK(loop_turn(loop, 0) == 0);
    while (r->fd >= 0 && n == sizeof(chunk)) {
        n = recv(r->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
        if (n > 0)
            buf_append(&heard, chunk, (size_t)n);
    }
    bool is_more = heard.len > before;
    understand(r);
    return is_more;
}

/* Until all is said, the port has hung up, or it takes nothing any more. */
static void say(struct run *r, const uint8_t *data, size_t len)
{
    for (int patience = PATIENCE; len && r->fd >= 0 && patience > 0; patience--) {
        ssize_t n = send(r->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            patience = PATIENCE;
        } else if (errno != EAGAIN) {
            patience = 1;
        }
        FUZZ_CHECK(loop_turn(loop, 0) == 0);
    }
}

/* Steps */

static void hang_up(struct run *r)
{
    if (r->fd < 0)
        return;
    close(r->fd);
    r->fd = -1;
    buf_reset(&heard);
    curve_talk_free(r->talk);
    r->talk = NULL;
    for (int i = 0; i < 100 && !list_is_empty(&r->port->conns); i++)
        FUZZ_CHECK(loop_turn(loop, 0) == 0);
}

static void step_hang_up(struct run *r, struct input *in)
{
    hang_up(r);
}

/* A new connection, up to its greetings. */
static void step_connect(struct run *r, struct input *in)
{
    uint8_t greeting[ZMTP_GREETING_SIZE];
    struct buf out;
    int fds[2];
    if (r->connects == CONNECTS)
        return;
    r->connects++;
    hang_up(r);
    next_random = N_KEYS; /* each handshake draws the same */
    size_t len;
    const uint8_t *identity = input_piece(in, input_octet(in), &len);
    memcpy(r->identity, identity, len);
    r->identity_len = len;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    buf_init(&out, 8192);
    r->fd = fds[1];
    r->is_up = r->has_greeted = false;
    r->is_honest = true;
    conn_new(r->port, fds[0], NULL);
    zmtp_put_greeting(greeting, "CURVE");
    struct handshake h = our_side(r, NULL);
    FUZZ_CHECK(r->ours->start(&h, &out) == 0);
    say(r, greeting, sizeof(greeting));
    say(r, out.data, out.len);
    buf_fini(&out);
}

static void step_turn(struct run *r, struct input *in)
{
    for (int quiet = 0, i = 0; quiet < 2 && i < 6; i++)
        quiet = turn(r) ? 0 : quiet + 1;
}

static void step_raw(struct run *r, struct input *in)
{
    size_t len;
    const uint8_t *data = input_piece(in, input_octet(in), &len);
    r->is_honest = false;
    say(r, data, len);
}

static void step_command(struct run *r, struct input *in)
{
    static const char *const names[] = {"HELLO", "WELCOME", "INITIATE", "READY",
                                        "ERROR", "MESSAGE", "PING"};
    const char *name = names[input_octet(in) % 7];
    struct buf out;
    size_t len;
    const uint8_t *data = input_piece(in, input_number(in) % 4000, &len);
    buf_init(&out, 8192);
    r->is_honest = false;
    zmtp_put_command(&out, name, data, len);
    say(r, out.data, out.len);
    buf_fini(&out);
}

/* Seals `len` octets with these flags and says them, one octet changed if `spoilt` is not 0. */
static void say_sealed(struct run *r, uint8_t flags, const uint8_t *data, size_t len,
                       size_t spoilt, size_t step)
{
    uint8_t *frame = malloc(ZMTP_HEAD_MAX + CURVE_OVERHEAD + len);
    size_t head = zmtp_put_head(frame, 0, CURVE_OVERHEAD + len);
    uint8_t *body = frame + head;
    body[CURVE_HEAD_SIZE] = flags;
    if (len)
        memcpy(body + CURVE_OVERHEAD, data, len);
    curve_seal(&r->link, body, CURVE_OVERHEAD + len);
    if (spoilt)
        body[spoilt % (CURVE_OVERHEAD + len)] ^= 1;
    for (size_t at = 0, all = head + CURVE_OVERHEAD + len; at < all; at += step)
        say(r, frame + at, all - at < step ? all - at : step);
    free(frame);
}

static void step_sealed(struct run *r, struct input *in)
{
    size_t len;
    uint8_t flags = input_octet(in);
    const uint8_t *data = input_piece(in, input_octet(in), &len);
    if (r->is_up)
        say_sealed(r, flags, data, len, 0, 100000);
}

/* How much of `len` is still allowed in this run: all, or little. */
static size_t take_large(struct run *r, size_t len)
{
    if (len > r->large_left)
        return len % 300;
    r->large_left -= len;
    return len;
}

static void step_large(struct run *r, struct input *in)
{
    static uint8_t octets[LARGE_MAX];
    uint8_t flags = input_octet(in);
    size_t len = 10 * input_number(in) % LARGE_MAX, spoilt = input_number(in);
    uint8_t octet = input_octet(in);
    size_t step = 1000u + 10 * input_number(in);
    if (!r->is_up)
        return;
    len = take_large(r, len);
    memset(octets, octet, len);
    say_sealed(r, flags, octets, len, spoilt, step < len / 16 ? len / 16 : step);
}

static void step_number(struct run *r, struct input *in)
{
    r->link.sent += input_number(in);
    r->link.sent -= input_number(in);
}

static void step_send(struct run *r, struct input *in)
{
    static uint8_t octets[LARGE_MAX];
    size_t pos = 0, len = 10 * input_number(in) % LARGE_MAX;
    struct peer *p = port_next_peer(r->port, &pos);
    len = p ? take_large(r, len) : 0;
    struct frame f[] = {{octets, len % 300, NULL}, {octets, len, NULL}, {octets, 3, NULL}};
    if (p && port_queued_bytes(r->port) < HEARD_MAX / 4)
        peer_send(p, f, 3);
}

static void (*const steps[])(struct run *r, struct input *in) = {
    step_connect, step_turn,    step_sealed, step_large,   step_send,
    step_raw,     step_command, step_number, step_hang_up, step_turn,
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

/* Runs */

static void start(struct run *r, uint8_t mode)
{
    *r = (struct run){.kind = (mode & 15) % PORT_KIND_MAX,
                      .echoes = mode & ECHOES,
                      .fd = -1,
                      .large_left = LARGE_TOTAL};
    bool is_client = mode & IS_CLIENT;
    r->theirs.own = keys[0];
    r->own.own = keys[1];
    r->theirs.is_server = !is_client;
    r->own.is_server = is_client;
    memcpy(r->theirs.server, r->own.own.public_key, CURVE_KEY_SIZE);
    memcpy(r->own.server, r->theirs.own.public_key, CURVE_KEY_SIZE);
    r->ours = is_client ? &mechanism_curve_server : &mechanism_curve_client;
    struct port_config cfg = {.kind = r->kind,
                              .name = "fuzz",
                              .identity = "me",
                              .identity_len = 2,
                              .ops = &ops,
                              .ctx = r,
                              .prio = LOOP_NORMAL,
                              .msg_max_bytes = MSG_MAX,
                              .curve = &r->theirs};
    r->port = port_new(wire, &cfg, NULL);
    FUZZ_CHECK(r->port);
}

static void finish(struct run *r)
{
    step_turn(r, NULL);
    hang_up(r);
    FUZZ_CHECK(loop_turn(loop, 0) == 0);
    FUZZ_CHECK(list_is_empty(&r->port->conns) && port_peers(r->port) == 0);
    FUZZ_CHECK(r->ups == r->downs);
    port_close(r->port, 0);
    FUZZ_CHECK(loop_turn(loop, 0) == 0);
    FUZZ_CHECK(block_pool_used(wire_pool(wire)) == 0);
    FUZZ_CHECK(list_is_empty(&wire->ports) && list_is_empty(&wire->dead_conns));
}

static void set_up(void)
{
    static struct randombytes_implementation same = {
        .implementation_name = random_name, .random = random_number, .buf = random_octets};
    if (loop)
        return;
    log_set_level(LOG_CRITICAL);
    randombytes_set_implementation(&same);
    loop = loop_new();
    wire = wire_new(loop, NULL);
    FUZZ_CHECK(wire);
    buf_init(&heard, HEARD_MAX);
    next_random = 0;
    for (int i = 0; i < N_KEYS; i++)
        curve_keys_make(&keys[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct run r;
    set_up();
    start(&r, input_octet(&in));
    for (int i = 0; input_left(&in) && i < 60; i++)
        steps[input_octet(&in) % N_STEPS](&r, &in);
    finish(&r);
    return 0;
}
